// Requests written byte by byte, since HTTP libraries correct what they send.
import net from "node:net";
import { within } from "./support.mjs";

/** A TCP connection that keeps all that it has received. */
export class Wire {
  #changed = new Set();
  received = Buffer.alloc(0);
  /** How the peer ended the connection: `fin`, `reset`, or undefined while it is open. */
  ended;

  static async open(port) {
    const wire = new Wire();
    wire.socket = net.connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    wire.socket.on("data", (data) => wire.#change(() => (wire.received = Buffer.concat([wire.received, data]))));
    wire.socket.on("end", () => wire.#change(() => (wire.ended ??= "fin")));
    wire.socket.on("error", (error) => wire.#change(() => (wire.ended ??= error.code === "EPIPE" ? undefined : "reset")));
    wire.socket.on("close", () => wire.#change(() => (wire.ended ??= "reset")));
    await within(new Promise((resolve, reject) => wire.socket.once("connect", resolve).once("error", reject)), "a connection");
    return wire;
  }

  #change(how) {
    how();
    this.#changed.forEach((wake) => wake());
  }

  write = (data) => this.socket.write(data);

  /** Waits until `found(received)` is not undefined, or the peer has ended; gives what was found. */
  async until(found, what = "an answer") {
    const deadline = within(
      new Promise((resolve) => {
        const look = () => {
          const result = found(this.received);
          if (result === undefined && this.ended === undefined) return;
          this.#changed.delete(look);
          resolve(result);
        };
        this.#changed.add(look);
        look();
      }),
      what,
    );
    return deadline;
  }

  /** The next whole HTTP response, taken out of what has been received; undefined when the connection has ended. */
  async response({ head = false } = {}) {
    const response = await this.until((received) => {
      const end = received.indexOf("\r\n\r\n");
      if (end < 0) return undefined;
      const [first, ...lines] = received.subarray(0, end).toString("latin1").split("\r\n");
      const headers = {};
      for (const line of lines) {
        const colon = line.indexOf(":");
        headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
      }
      const status = Number(first.split(" ")[1]);
      let at = end + 4;
      let body = "";
      if (!head && status !== 101 && status !== 204) {
        if ("content-length" in headers) {
          const length = Number(headers["content-length"]);
          if (received.length < at + length) return undefined;
          body = received.subarray(at, at + length).toString();
          at += length;
        } else if (/chunked/i.test(headers["transfer-encoding"] ?? "")) {
          for (;;) {
            const line = received.indexOf("\r\n", at);
            if (line < 0) return undefined;
            const size = parseInt(received.subarray(at, line).toString("latin1"), 16);
            if (received.length < line + 2 + size + 2) return undefined;
            body += received.subarray(line + 2, line + 2 + size).toString();
            at = line + 2 + size + 2;
            if (size === 0) break;
          }
        }
      }
      return { status, headers, body, at };
    });
    if (response) this.received = this.received.subarray(response.at);
    return response;
  }

  /** Waits for the end of the connection. */
  async end() {
    await this.until(() => undefined, "the end of the connection");
    return this.ended;
  }

  destroy = () => this.socket.destroy();
}

/** A request's head and body as bytes. Headers with the value `undefined` are left out. */
export function text({ method = "GET", target = "/socket.io/?EIO=4&transport=polling", version = "1.1", headers = {}, body }) {
  const all = { host: "localhost", ...(body !== undefined && { "content-length": Buffer.byteLength(body) }), ...headers };
  const lines = Object.entries(all)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${target} HTTP/${version}\r\n${lines.join("")}\r\n${body ?? ""}`;
}

/** One request on a connection of its own. */
export async function ask(port, request) {
  const wire = await Wire.open(port);
  wire.write(text(request));
  const response = await wire.response({ head: request.method === "HEAD" });
  return { wire, response };
}

/** A frame of a client, masked with zeros. */
export function frame(opcode, payload = "", { fin = true } = {}) {
  const data = Buffer.from(payload);
  const length =
    data.length < 126
      ? [0x80 | data.length]
      : data.length < 65536
        ? [0xfe, data.length >> 8, data.length & 255]
        : [0xff, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (data.length >>> shift) & 255)];
  return Buffer.concat([Buffer.from([(fin ? 0x80 : 0) | opcode, ...length, 0, 0, 0, 0]), data]);
}

/** The whole frames of a server at the beginning of `received`, as `[opcode, payload]`. */
export function frames(received) {
  const found = [];
  let at = 0;
  while (received.length >= at + 2) {
    let length = received[at + 1] & 127;
    let start = at + 2;
    if (length === 126) {
      length = received.length >= at + 4 ? received.readUInt16BE(at + 2) : Infinity;
      start = at + 4;
    } else if (length === 127) {
      length = received.length >= at + 10 ? Number(received.readBigUInt64BE(at + 2)) : Infinity;
      start = at + 10;
    }
    if (received.length < start + length) break;
    found.push([received[at] & 15, received.subarray(start, start + length)]);
    at = start + length;
  }
  return found;
}

export const upgrade = {
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
};
