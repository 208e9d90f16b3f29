// What every test needs: a server under test as a child process, clients in three transport modes, and waiting without
// sleeping: for the event itself, with a generous limit.
import { spawn } from "node:child_process";
import { once as onceEmitted } from "node:events";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, afterEach, before, describe } from "node:test";
import { createInterface } from "node:readline";
import { io as newest } from "socket.io-client";
import { WebSocket } from "ws";

export const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const LIMIT = 15_000;

/** Rejects when `promise` takes too long; `what` says what did not happen. */
export function within(promise, what, limit = LIMIT) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: did not happen within ${limit} ms`)), limit);
    timer.unref(); // the loser of a race must not keep the process waiting
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The arguments of the next `event` of a socket, a manager or an engine. */
export const next = (emitter, event, limit) =>
  within(new Promise((resolve) => emitter.once(event, (...args) => resolve(args))), `event "${event}"`, limit);

/** Everything that comes with `event`, in order; `until(n)` waits for the n-th. */
export function collect(socket, event) {
  const all = [];
  let reached = () => {};
  socket.on(event, (...args) => {
    all.push(args.length > 1 ? args : args[0]);
    reached();
  });
  all.until = (n) =>
    within(
      new Promise((resolve) => {
        reached = () => all.length >= n && resolve(all);
        reached();
      }),
      `${n} times "${event}"`,
    ).catch((error) => {
      throw new Error(`${error.message}; there were ${all.length}`);
    });
  return all;
}

const children = new Set();
process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(1));

/** One server process. `start` again after `kill` or `stop` comes back on the same port. */
export class Server {
  #child;
  #ending = false;
  port = 0;
  log = [];

  constructor(command, env = {}) {
    this.command = command;
    this.env = env;
  }

  static async start(command = process.env.SERVER_CMD || "node tests/clients/node/twin.mjs", env = {}) {
    const server = new Server(command, env);
    await server.start();
    return server;
  }

  async start() {
    const env = { ...process.env, ...this.env, PORT: String(this.port) };
    // exec: the process we signal is the server, not a shell before it.
    const child = spawn("/bin/sh", ["-c", `exec ${this.command}`], { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    this.#ending = false;
    children.add(child);
    child.once("exit", (code, signal) => {
      children.delete(child);
      if (!this.#ending) console.error(`the server ended by itself (${signal ?? code}):\n${this.log.slice(-50).join("\n")}`);
    });
    createInterface({ input: child.stderr }).on("line", (line) => {
      this.log.push(line);
      if (process.env.SERVER_LOG) console.error(line);
    });
    const listening = new Promise((resolve, reject) => {
      createInterface({ input: child.stdout }).on("line", (line) => {
        this.log.push(line);
        const port = /^listening on (\d+)$/.exec(line)?.[1];
        if (port) resolve(Number(port));
      });
      child.once("exit", (code, signal) =>
        reject(new Error(`"${this.command}" ended (${signal ?? code}) before listening:\n${this.log.join("\n")}`)),
      );
    });
    this.port = await within(listening, `"listening on <port>" from "${this.command}"`, 30_000);
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** As a crash: nobody is told anything. */
  kill = () => this.#end("SIGKILL");

  /** As an orderly end; the exit code. */
  stop = () => this.#end("SIGTERM");

  /** Stands still, with every connection open, until `resume`. */
  pause = () => this.#child.kill("SIGSTOP");
  resume = () => this.#child.kill("SIGCONT");

  async #end(signal) {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const exited = onceEmitted(child, "exit");
    this.#ending = true;
    child.kill(signal);
    const [code] = await within(exited, `the server's end by ${signal}`, 10_000).catch((error) => {
      child.kill("SIGKILL");
      throw error;
    });
    return code;
  }
}

/** The three ways in which the official client talks to a server. */
export const modes = [
  { name: "polling", options: { transports: ["polling"] } },
  { name: "websocket", options: { transports: ["websocket"] } },
  { name: "upgrade", options: { transports: ["polling", "websocket"] } },
];

/**
 * Declares a suite once per transport mode, each against its own server process.
 * `define({ mode, server, client, connect })`: `client(nsp, options)` is a socket not yet open, `connect` one that is
 * connected and, in mode "upgrade", has been upgraded. Both are closed after their test. `io` is of the client's library.
 */
export function inEachMode(title, define, env, io = newest) {
  for (const mode of modes) {
    describe(`${title} (${mode.name})`, { timeout: 120_000 }, () => {
      const server = new Server(process.env.SERVER_CMD || "node tests/clients/node/twin.mjs", env);
      const open = new Set();
      before(() => server.start());
      afterEach(() => {
        open.forEach((socket) => socket.disconnect());
        open.clear();
      });
      after(() => server.kill());

      const client = (nsp = "/", options = {}) => {
        const socket = io(server.url + nsp, {
          forceNew: true,
          autoConnect: false,
          reconnection: false,
          ...mode.options,
          ...options,
        });
        open.add(socket);
        return socket;
      };
      const connect = async (nsp, options) => {
        const socket = client(nsp, options);
        await connected(socket, mode.name);
        return socket;
      };
      define({ mode: mode.name, server, client, connect });
    });
  }
}

/** Opens a socket and waits: for its connection, in mode "upgrade" also for the other transport. */
export async function connected(socket, mode) {
  const refused = new Promise((_, reject) => socket.once("connect_error", reject));
  refused.catch(() => {});
  const ready = next(socket, "connect");
  socket.connect();
  await Promise.race([ready, refused]);
  if (mode === "upgrade") await upgraded(socket);
  return socket;
}

/** Waits until this socket's connection has changed to WebSocket. */
export async function upgraded(socket) {
  const { engine } = socket.io;
  if (engine.transport.name !== "websocket") await next(engine, "upgrade");
  if (engine.transport.name !== "websocket") throw new Error(`"upgrade" ended at ${engine.transport.name}`);
}

/** The reason with which the client's side sees its connection end. */
export const disconnected = async (socket) => (await next(socket, "disconnect"))[0];

/** The error of a connection that must be refused. */
export async function refusal(socket) {
  const outcome = Promise.race([
    next(socket, "connect_error").then(([error]) => error),
    next(socket, "connect").then(() => {
      throw new Error("the connection was accepted");
    }),
  ]);
  socket.connect();
  return outcome;
}

/**
 * Sends frames over a WebSocket once it is `ready(heard)`, and collects what comes, in `plain` words, up to the answer to the
 * event with the id 9, or the end.
 */
export async function converse(url, frames, { plain, ready }) {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  const heard = [];
  const ended = new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("close", (code) => resolve(heard.push(`close ${code}`)));
  });
  const opened = new Promise((resolve) =>
    socket.on("message", (data, binary) => {
      heard.push(binary ? `binary ${data.toString("hex")}` : plain(data.toString()));
      if (data.toString().startsWith("439[")) socket.terminate();
      if (ready(heard)) resolve();
    }),
  );
  await within(opened, "the beginning");
  for (const frame of frames) {
    const answered = new Promise((resolve) => socket.on("message", (data) => /^4[04]/.test(String(data)) && resolve()));
    socket.send(frame);
    // Node closes the connection of a client that goes on before it has joined.
    if (String(frame).startsWith("40")) await within(Promise.race([answered, ended]), "an answer to CONNECT");
  }
  await within(ended, "the answer to the probe, or the end");
  return heard;
}
