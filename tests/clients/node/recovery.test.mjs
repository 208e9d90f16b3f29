// Connection state recovery: a stream of numbers that is cut off again and again, of which none is lost, none comes twice, and
// all come in order. Node's server loses some: of who has seen no event yet, or is not known to be gone.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { after, before, test } from "node:test";
import { io } from "socket.io-client";
import { inEachMode, modes, next, upgraded, within } from "./support.mjs";

const CUTS = 200;
const twin = !process.env.SERVER_CMD || process.env.SERVER_CMD.includes("twin.mjs");

/** A network between client and server, that can fail. */
class Network {
  #pairs = new Set();
  #lost = new Set();

  async start(port) {
    this.#server = net.createServer((client) => {
      const server = net.connect(port, "127.0.0.1");
      const pair = { client, server };
      this.#pairs.add(pair);
      for (const [from, to] of [[client, server], [server, client]]) {
        from.setNoDelay(true);
        from.on("error", () => {});
        from.pipe(to);
        from.on("close", () => {
          if (this.#lost.has(server)) return;
          this.#pairs.delete(pair);
          to.destroy();
        });
      }
    });
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  #server;

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** Connections break until a client notices: one that polls may have none at the moment. */
  async break(socket, unnoticed) {
    const gone = next(socket, "disconnect");
    const breaking = setInterval(() => this.cut(unnoticed), 2);
    this.cut(unnoticed);
    await gone.finally(() => clearInterval(breaking));
  }

  /** Every connection breaks. If `unnoticed`, the server does not hear of it. */
  cut(unnoticed) {
    for (const { client, server } of this.#pairs) {
      if (unnoticed) {
        this.#lost.add(server);
        server.unpipe(client);
        server.resume();
      } else {
        server.destroy();
      }
      client.destroy();
    }
    this.#pairs.clear();
  }

  stop() {
    this.cut(false);
    this.#lost.forEach((server) => server.destroy());
    this.#server.close();
  }
}

const cuts = {
  client: async (socket, _network, _count, mode) => {
    const { engine } = socket.io;
    // Asked to close while it upgrades, the client closes between taking in what the last poll brought and handing it out, and
    // so takes it for missed: a fault of its own, that no server can mend.
    if (mode === "upgrade") await upgraded(socket);
    await new Promise(setImmediate);
    engine.close();
  },
  network: (socket, network, count) => network.break(socket, count % 2 === 0),
  server: (socket) => socket.emit("cut"),
};

inEachMode(
  "recovery",
  ({ mode, server }) => {
    const network = new Network();
    before(() => network.start(server.port));
    after(() => network.stop());
    const { options } = modes.find(({ name }) => name === mode);

    for (const [by, cut] of Object.entries(cuts)) {
      test(`cut off ${CUTS} times by the ${by}, nothing is lost`, { skip: twin && "Node's server loses some" }, async () => {
        const socket = io(network.url, {
          forceNew: true,
          reconnectionDelay: 1,
          reconnectionDelayMax: 20,
          randomizationFactor: 0,
          ...options,
        });
        try {
          await next(socket, "connect");
          const { id } = socket;
          const numbers = [];
          let reached = () => {};
          socket.on("number", (number) => {
            numbers.push(number);
            reached();
          });
          const until = (length) =>
            within(
              new Promise((resolve) => {
                reached = () => numbers.length >= length && resolve();
                reached();
              }),
              `${length} numbers`,
            );
          socket.emit("numbers", 1);
          await until(1);
          for (let count = 0; count < CUTS; count++) {
            // As soon as it is there again, or when some have come; with upgrades before, in and after them.
            await until(numbers.length + (count % 4));
            const back = next(socket, "connect");
            await cut(socket, network, count, mode);
            await back;
            assert.equal(socket.recovered, true, `cut ${count}`);
            assert.equal(socket.id, id);
          }
          const total = await socket.timeout(5000).emitWithAck("stop");
          await until(total);
          assert.deepEqual(numbers, [...Array(total).keys()]);
        } finally {
          socket.disconnect();
        }
      });
    }

    test("rooms and values are there again, and who leaves is new", { skip: twin && "not part of its contract" }, async () => {
      const socket = io(network.url, { forceNew: true, reconnectionDelay: 1, ...options });
      try {
        await next(socket, "connect");
        const { id } = socket;
        assert.deepEqual(await socket.emitWithAck("join", ["a", "b"]), ["a", "b"]);
        const back = next(socket, "connect");
        await network.break(socket, false);
        await back;
        assert.equal(socket.recovered, true);
        assert.deepEqual(await socket.emitWithAck("join", "c"), ["a", "b", "c"]);
        socket.disconnect();
        const again = next(socket, "connect");
        socket.connect();
        await again;
        assert.equal(socket.recovered, false);
        assert.notEqual(socket.id, id);
        assert.deepEqual(await socket.emitWithAck("join", "c"), ["c"]);
      } finally {
        socket.disconnect();
      }
    });
  },
  // A client whose WebSocket breaks in the middle of its upgrade waits for a ping that does not come.
  { RECOVERY: "1", PING_INTERVAL: "1000", PING_TIMEOUT: "1000" },
);
