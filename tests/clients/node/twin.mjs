// The test server's contract (../README.md), by the official Node server. It proves that the tests describe Socket.IO,
// and shows by hand, marked "ours", where our server answers and Node's keeps silent.
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Server } from "socket.io";
import msgpack from "socket.io-msgpack-parser";

const http = createServer((_, res) => res.writeHead(404).end());
const io = new Server(http, {
  pingInterval: Number(process.env.PING_INTERVAL ?? 25_000),
  pingTimeout: Number(process.env.PING_TIMEOUT ?? 20_000),
  perMessageDeflate: "COMPRESSION" in process.env,
  allowEIO3: "ALLOW_EIO3" in process.env,
  ...(process.env.PARSER === "msgpack" && { parser: msgpack }),
});

/** Registers a handler that gets the arguments and a `reply` that may always be called. */
const on = (socket, event, handler) =>
  socket.on(event, (...args) => {
    const reply = typeof args.at(-1) === "function" ? args.pop() : () => {};
    handler(args, reply);
  });

/** ours: events that nobody handles, and arguments that do not fit, are answered. */
const answerUnhandled = (socket) =>
  socket.onAny((event, ...args) => {
    const reply = args.at(-1);
    if (socket.listenerCount(event) === 0 && typeof reply === "function") {
      reply({ error: `no handler for ${JSON.stringify(event)}` });
    }
  });

const roomsOf = (socket) => [...socket.rooms].filter((room) => room !== socket.id).sort();
const described = (bytes) => ({ length: bytes.length, sum: bytes.reduce((sum, byte) => (sum + byte) >>> 0, 0) });
const isBinary = (x) => Buffer.isBuffer(x);
const aimed = (target, { to = [], except = [] }) => (to.length ? target.to(to).except(except) : target.except(except));

const echo = (socket) => on(socket, "echo", (args, reply) => reply(...args));
const whoami = (socket) =>
  on(socket, "whoami", (_, reply) =>
    reply({
      id: socket.id,
      nsp: socket.nsp.name,
      auth: socket.handshake.auth,
      query: socket.handshake.query,
      header: socket.handshake.headers["x-test"] ?? null,
    }),
  );
const sendAll = (socket) =>
  on(socket, "send-all", ([how]) => aimed(socket.nsp, how).emit(how.event, how.data));
const kick = (socket) => on(socket, "kick", ([close]) => socket.disconnect(close));

io.of("/").on("connection", (socket) => {
  socket.emit("welcome", socket.id, socket.handshake.auth);
  answerUnhandled(socket);
  [echo, whoami, sendAll, kick].forEach((register) => register(socket));

  on(socket, "bounce", (args) => socket.emit("bounced", ...args));
  on(socket, "add", (args, reply) => {
    const fits = args.length >= 2 && args.slice(0, 2).every(Number.isInteger);
    reply(fits ? args[0] + args[1] : { error: `add: expected two integers, got ${JSON.stringify(args)}` });
  });
  on(socket, "photo", ([photo], reply) => {
    const fits = typeof photo?.name === "string" && isBinary(photo.bytes);
    reply(fits ? { name: photo.name, ...described(photo.bytes) } : { error: "photo: expected a name and bytes" });
  });
  on(socket, "bytes", ([n], reply) => {
    const whole = Buffer.from(Uint8Array.from({ length: n }, (_, i) => i % 256));
    const half = Math.floor(n / 2);
    reply({ whole, parts: [whole.subarray(0, half), whole.subarray(half)] });
  });
  on(socket, "size", ([thing], reply) => reply(Buffer.byteLength(thing)));
  on(socket, "slow", async ([ms], reply) => {
    await sleep(ms);
    reply(ms);
  });
  on(socket, "never", () => {});
  on(socket, "fail", (_, reply) => reply({ error: "it failed", code: 42 }));

  on(socket, "ask", ([question, ms], reply) =>
    socket.timeout(ms).emit("question", question, (error, answer) =>
      reply(error ? { error: "timeout" } : { answer: answer ?? null }),
    ),
  );
  on(socket, "ask-bytes", (_, reply) =>
    socket.timeout(5_000).emit("bytes-please", (error, bytes) =>
      reply(error ? { error: "timeout" } : described(bytes)),
    ),
  );

  on(socket, "burst", ([n], reply) => {
    for (let i = 0; i < n; i++) socket.emit("tick", i);
    reply(n);
  });
  on(socket, "stream", async ([n, ms], reply) => {
    for (let i = 0; i < n; i++) {
      socket.emit("tick", i);
      await sleep(ms);
    }
    reply(n);
  });
  let counted = [];
  on(socket, "count", ([i]) => counted.push(i));
  on(socket, "counted", (_, reply) => {
    reply(counted);
    counted = [];
  });

  on(socket, "join", ([rooms], reply) => {
    socket.join(rooms);
    reply(roomsOf(socket));
  });
  on(socket, "leave", ([room], reply) => {
    socket.leave(room);
    reply(roomsOf(socket));
  });
  on(socket, "members", async ([room], reply) =>
    reply((await io.in(room).fetchSockets()).map(({ id }) => id).sort()),
  );
  on(socket, "send", ([how]) => aimed(socket.broadcast, how).emit(how.event, how.data));
  on(socket, "poll", ([room, question, ms], reply) =>
    io.in(room).timeout(ms).emit("question", question, (error, answers) => reply({ answers, complete: !error })),
  );

  on(socket, "watch", ([id], reply) => {
    socket.join(`watch:${id}`);
    reply();
  });
  on(socket, "open-gate", (_, reply) => {
    waiting.forEach((next) => next());
    waiting.clear();
    reply();
  });
  let left = [];
  socket.on("disconnecting", () => (left = roomsOf(socket)));
  socket.on("disconnect", (reason) =>
    io.to(`watch:${socket.id}`).emit("gone", { id: socket.id, reason, rooms: left }),
  );
});

io.of("/admin")
  .use((socket, next) => {
    const { token } = socket.handshake.auth;
    if (token === "sesame") {
      socket.data.name = "admin";
      return next();
    }
    if (token === "quiet") return next(new Error("go away"));
    const data = token === undefined ? { code: "no_token" } : { code: "bad_token", got: token };
    next(Object.assign(new Error("not authorized"), { data }));
  })
  .on("connection", (socket) => {
    answerUnhandled(socket);
    [echo, whoami, sendAll, kick].forEach((register) => register(socket));
    on(socket, "user", (_, reply) => reply({ name: socket.data.name }));
  });

const waiting = new Set();
io.of("/gated")
  .use((_, next) => waiting.add(next))
  .on("connection", (socket) => {
    answerUnhandled(socket);
    echo(socket);
  });

io.of(/^\/room-[a-z0-9]+$/).on("connection", (socket) => {
  answerUnhandled(socket);
  [whoami, sendAll].forEach((register) => register(socket));
  on(socket, "name", (_, reply) => reply(socket.nsp.name.slice("/room-".length)));
});

http.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => console.log(`listening on ${http.address().port}`));
process.on("SIGTERM", () => io.close(() => process.exit(0)));
