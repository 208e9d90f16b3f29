// The chat's contract (examples/chat/README.md), by the official Node server.
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Server } from "socket.io";

const here = dirname(fileURLToPath(import.meta.url));
const web = join(here, "../../../examples/chat/web");
const files = {
  "/": join(web, "index.html"),
  "/style.css": join(web, "style.css"),
  "/app.js": join(web, "app.js"),
  "/client/socket.io.esm.min.js": join(here, "node_modules/socket.io-client/dist/socket.io.esm.min.js"),
};
const types = { ".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript" };

const LOBBY = "lobby";
const rooms = new Map([[LOBBY, { history: [], sockets: new Map() }]]);
const nicks = new Map(); // lower case -> { key, sockets: number }

/** A text, trimmed, of 1 to `max` characters and without control characters; else undefined. */
const name = (text, max) => {
  const trimmed = typeof text === "string" ? text.trim() : "";
  return trimmed && [...trimmed].length <= max && !/\p{Cc}/u.test(trimmed) ? trimmed : undefined;
};
const roomNamed = (room) => {
  if (!rooms.has(room)) rooms.set(room, { history: [], sockets: new Map() });
  return rooms.get(room);
};
const online = ({ sockets }) =>
  [...new Set(sockets.values())].sort((a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1));
const listed = (room) => {
  const state = rooms.get(room);
  return { name: room, online: state ? online(state).length : 0, ...(state ? {} : { gone: true }) };
};
const list = () =>
  [...rooms]
    .map(([room, state]) => ({ name: room, online: online(state).length }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));

/** Puts a message into a room's history; what is wrong with it, or the message. */
const post = (room, from, text, more) => {
  const trimmed = typeof text === "string" ? text.trim() : "";
  if (!trimmed) return { error: "The message is empty." };
  if ([...trimmed].length > 2000) return { error: "The message is longer than 2000 characters." };
  const state = roomNamed(room);
  const message = { id: randomUUID(), room, from, text: trimmed, at: Date.now(), ...more };
  state.history = [...state.history, message].slice(-100);
  return message;
};

const http = createServer(async (req, res) => {
  const path = new URL(req.url, "http://localhost").pathname;
  const json = (status, body) =>
    res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  if (req.method === "GET" && files[path]) {
    return res.writeHead(200, { "content-type": types[extname(files[path])] }).end(await readFile(files[path]));
  }
  if (req.method === "GET" && path === "/rooms") return json(200, list());
  const into = /^\/rooms\/([^/]+)\/messages$/.exec(path)?.[1];
  if (req.method !== "POST" || !into) return json(404, { error: "not found" });
  try {
    let body = "";
    for await (const chunk of req) body += chunk;
    const { from, text } = JSON.parse(body);
    const [room, author] = [name(decodeURIComponent(into), 32), name(from, 24)];
    if (!room || !author) return json(400, { error: "A room and a name are needed, neither empty nor too long." });
    const known = rooms.has(room);
    const message = post(room, author, text, { via: "http" });
    if (message.error) return json(400, message);
    io.to(room).emit("message", message);
    if (!known) io.emit("room", listed(room));
    json(202, { id: message.id, at: message.at });
  } catch (error) {
    json(400, { error: error.message });
  }
});
const io = new Server(http, { serveClient: false });

io.use((socket, next) => {
  const { nick, key } = socket.handshake.auth;
  const refuse = (code, message) => next(Object.assign(new Error(message), { data: { code } }));
  if (typeof nick !== "string") return refuse("nick_invalid", "A nickname is a text.");
  if (!nick.trim()) return refuse("nick_empty", "Please choose a nickname.");
  if ([...nick.trim()].length > 24) return refuse("nick_too_long", "That nickname is too long: 24 characters at most.");
  if (!name(nick, 24)) return refuse("nick_invalid", "That nickname has characters that cannot be shown.");
  const holder = nicks.get(nick.trim().toLowerCase());
  if (holder && (key === undefined || holder.key !== key)) return refuse("nick_taken", "That nickname is taken.");
  socket.data.nick = nick.trim();
  socket.data.key = key;
  next();
});

io.on("connection", (socket) => {
  const { nick, key } = socket.data;
  const id = nick.toLowerCase();
  const holder = nicks.get(id) ?? { key, sockets: 0 };
  holder.sockets += 1;
  nicks.set(id, holder);
  socket.emit("rooms", list());

  const depart = (room) => {
    const state = rooms.get(room);
    if (!state?.sockets.delete(socket.id)) return;
    if (room !== LOBBY && state.sockets.size === 0 && state.history.length === 0) rooms.delete(room);
    if (online(state).includes(nick)) return;
    io.to(room).emit("presence", { room, left: nick });
    io.except(room).emit("room", listed(room));
  };

  socket.on("join", (wanted, ack = () => {}) => {
    const room = name(wanted, 32);
    if (!room) return ack({ error: "A room's name has 1 to 32 characters." });
    const state = roomNamed(room);
    const known = online(state).includes(nick);
    state.sockets.set(socket.id, nick);
    socket.join(room);
    if (!known) {
      socket.to(room).emit("presence", { room, joined: nick });
      io.except(room).emit("room", listed(room));
    }
    ack({ room, history: state.history, online: online(state) });
  });
  socket.on("leave", (room, ack = () => {}) => {
    socket.leave(room);
    depart(room);
    ack({ room });
  });
  socket.on("message", (said, ack = () => {}) => {
    const { room, text, ref } = said ?? {};
    if (!socket.rooms.has(room) || !rooms.has(room)) return ack({ error: "Join the room first." });
    if (ref !== undefined && (typeof ref !== "string" || ref.length > 64)) return ack({ error: "The ref is too long." });
    const posted = ref && rooms.get(room).history.find((old) => old.ref === ref && old.from === nick);
    if (posted) return ack({ id: posted.id, at: posted.at });
    const message = post(room, nick, text, ref ? { ref } : {});
    if (message.error) return ack(message);
    socket.to(room).emit("message", message);
    ack({ id: message.id, at: message.at });
  });
  socket.on("typing", (notice) => {
    const { room, typing } = notice ?? {};
    if (socket.rooms.has(room)) socket.to(room).emit("typing", { room, from: nick, typing: typing === true });
  });
  socket.on("disconnect", (reason) => {
    if (reason === "server shutting down") return;
    for (const [room, state] of rooms) if (state.sockets.has(socket.id)) depart(room);
    holder.sockets -= 1;
    if (holder.sockets === 0) nicks.delete(id);
  });
});

http.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => console.log(`listening on ${http.address().port}`));
process.on("SIGTERM", () => io.emit("restarting") && io.close(() => process.exit(0)));
