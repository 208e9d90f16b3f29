// The chat's page. The contract with the server, in short (../README.md has all of it):
//
//   auth     { nick, key }                  refused: connect_error with data.code nick_empty | nick_too_long | nick_invalid | nick_taken
//   emits    join room                      -> { room, history: [message], online: [nick] } | { error }
//            leave room                     -> { room }
//            message { room, text, ref }    -> { id, at } | { error }          ref makes sending again harmless
//            typing { room, typing }
//   receives message { id, room, from, text, at, ref?, via? }, typing { room, from, typing }
//            presence { room, joined: nick } or { room, left: nick }: changes to the list in the answer to join
//            rooms [{ name, online }], once; room { name, online, gone? }: changes to it, for rooms we are not in
//            restarting: the server shuts down, and everybody reconnects
//   HTTP     POST rooms/{room}/messages { from, text }
//
// What others wrote reaches the document only as text (textContent), never as markup.

const LOBBY = "lobby";
const ANSWER_WITHIN = 8_000; // ms until a message without an ack counts as failed
const TYPING_EVERY = 2_500; // ms between two notices while somebody goes on typing
const TYPING_FADES = 6_000; // ms after which a notice without a successor is forgotten
const KEEP = 400; // messages kept for each room
const GROUP = 5 * 60_000; // ms within which messages of one author stand together

const $ = (id) => document.getElementById(id);

/** An element with properties and children; strings become text. */
function el(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter((child) => child !== undefined && child !== null));
  return node;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.classList.add("icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Browsers may refuse storage; then everything lasts as long as the page. */
const stored = (area) => ({
  get: (name) => {
    try {
      return window[area].getItem(`chat:${name}`) ?? undefined;
    } catch {
      return undefined;
    }
  },
  set: (name, value) => {
    try {
      if (value) window[area].setItem(`chat:${name}`, value);
      else window[area].removeItem(`chat:${name}`);
    } catch {
      // nothing to be done
    }
  },
});
const lasting = stored("localStorage");
const passing = stored("sessionStorage");

/** Not crypto.randomUUID: a phone that comes by the machine's address has no secure context. */
const random = () => [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const key = lasting.get("key") ?? random();
lasting.set("key", key);

// --- State ------------------------------------------------------------------------------------------------------------

let nick = lasting.get("nick");
let socket;
let attempt = 0; // of reconnecting
let refused; // why there will be no connection, for people to read
let restarting = false; // the server has announced that it shuts down
let sequence = 0;

/** name -> a room that this page takes part in. */
const rooms = new Map();
const listed = new Map(); // name -> number of people, for every room that the server knows
let current;

const newRoom = (name) => ({
  name,
  joined: false, // by the connection that we have now
  items: [],
  online: [],
  typing: new Map(), // nick -> timer that forgets
  unread: 0,
  draft: passing.get(`draft:${name}`) ?? "",
  loaded: false,
});

const connected = () => socket?.connected === true;

// --- The connection ---------------------------------------------------------------------------------------------------

/** Made once; a new nickname or a retry uses the same socket, so that listeners are there once. */
function makeSocket(io) {
  socket = io({ autoConnect: false, auth: (give) => give({ nick, key }), reconnectionDelayMax: 4_000 });

  socket.on("connect", () => {
    attempt = 0;
    refused = undefined;
    restarting = false;
    closeNickDialog();
    rooms.forEach(join);
    showConnection();
  });
  socket.on("disconnect", () => {
    rooms.forEach((room) => {
      room.joined = false;
      room.typing.forEach(clearTimeout);
      room.typing.clear();
    });
    typing.reset();
    showConnection();
    showTyping();
  });
  socket.on("connect_error", (error) => {
    // active: the network failed, and the client tries again. Otherwise the server said no, and will again.
    const aboutNick = !socket.active && String(error.data?.code).startsWith("nick_");
    if (!socket.active && !aboutNick) refused = `The server refused: ${error.message}`;
    if (aboutNick) askNick(error.message);
    else closeNickDialog();
    showConnection();
  });
  socket.io.on("reconnect_attempt", (n) => {
    attempt = n;
    showConnection();
  });
  socket.io.on("open", () => {
    socket.io.engine.once("upgrade", showConnection); // each connection has an engine of its own
    showConnection();
  });

  socket.on("message", hear);
  socket.on("typing", hearTyping);
  socket.on("presence", ({ room: name, joined, left }) => {
    const room = rooms.get(name);
    if (!room?.joined) return; // the answer to join has them all
    if (left !== undefined) room.online = room.online.filter((nick) => nick !== left);
    if (joined !== undefined) insert(room.online, joined);
    if (room === current) soon(showPeople);
    soon(showRooms);
  });
  socket.on("rooms", (list) => {
    listed.clear();
    list.forEach(({ name, online }) => listed.set(name, online));
    showRooms();
  });
  socket.on("room", ({ name, online, gone }) => {
    if (gone) listed.delete(name);
    else listed.set(name, online);
    soon(showRooms);
  });
  socket.on("restarting", () => {
    restarting = true;
    showConnection();
  });
}

/** Puts a nickname where the server would: sorted without regard to case. */
function insert(online, name) {
  const before = (a, b) => a.toLowerCase() < b.toLowerCase() || (a.toLowerCase() === b.toLowerCase() && a < b);
  if (online.includes(name)) return;
  const at = online.findIndex((other) => before(name, other));
  online.splice(at < 0 ? online.length : at, 0, name);
}

/** Draws at most once for each frame, however much changes: hundreds may join at once. */
const drawn = new Set();
function soon(draw) {
  if (drawn.has(draw)) return;
  drawn.add(draw);
  const now = () => {
    if (drawn.delete(draw)) draw();
  };
  requestAnimationFrame(now);
  setTimeout(now, 250); // a hidden page has no frames
}

function reconnectNow() {
  refused = undefined;
  socket.disconnect().connect();
  showConnection();
}

// --- Rooms ------------------------------------------------------------------------------------------------------------

/** Joins, also again after a reconnection; the answer brings what was missed. */
function join(room) {
  if (!connected()) return;
  socket.timeout(ANSWER_WITHIN).emit("join", room.name, (error, answer) => {
    if (!connected() || rooms.get(room.name) !== room) return; // the next connection joins by itself
    if (error) return join(room);
    if (answer.error) {
      toast(answer.error);
      return forget(room);
    }
    room.joined = true;
    room.online = answer.online;
    const first = !room.loaded;
    room.loaded = true;
    answer.history.forEach((message) => take(room, message, !first));
    trim(room);
    room.items.filter((item) => item.state === "waiting").forEach((item) => transmit(room, item));
    if (room === current) {
      showMessages({ quiet: first, toEnd: first });
      showPeople();
      showRoom();
      if ($("text").value.trim()) typing.now();
    }
    showRooms();
  });
}

/** Shows a room, joining it if need be. */
function enter(name) {
  let room = rooms.get(name);
  if (!room) {
    room = newRoom(name);
    rooms.set(name, room);
    join(room);
  }
  if (room === current) return;
  typing.stop();
  current = room;
  room.unread = 0;
  const hash = `#${encodeURIComponent(name)}`;
  if (location.hash !== hash) history.replaceState(null, "", hash);
  lasting.set("rooms", JSON.stringify([...rooms.keys()]));
  $("text").value = room.draft;
  fitComposer();
  showRoom();
  showRooms();
  showPeople();
  showTyping();
  showMessages({ quiet: true, toEnd: true });
}

function leave(room) {
  if (connected()) socket.emit("leave", room.name);
  forget(room);
}

function forget(room) {
  rooms.delete(room.name);
  passing.set(`draft:${room.name}`, "");
  lasting.set("rooms", JSON.stringify([...rooms.keys()]));
  if (room === current) enter(rooms.keys().next().value ?? LOBBY);
  showRooms();
}

// --- Messages ---------------------------------------------------------------------------------------------------------

/** Puts a message of the server into a room, once, however often it comes. Whether it is new. */
function take(room, message, counts) {
  const own = message.from === nick && message.via !== "http";
  const known = room.items.find(
    (item) => item.id === message.id || (item.ref !== undefined && item.ref === message.ref && (item.mine || own)),
  );
  if (known) {
    settle(room, known, message);
    return false;
  }
  const { id, ref, from, text, at, via } = message;
  room.items.push({ id, ref, from, text, at, via, mine: own, state: "delivered", sequence: ++sequence });
  sort(room);
  if (counts && !own && (room !== current || document.hidden)) room.unread += 1;
  return true;
}

function settle(room, item, { id, at }) {
  Object.assign(item, { id, at, state: "delivered", trouble: undefined });
  sort(room);
}

/** By the server's time; what it has not got yet stays at the end. */
function sort(room) {
  const time = (item) => (item.id === undefined ? Infinity : item.at);
  room.items.sort((a, b) => (time(a) === time(b) ? a.sequence - b.sequence : time(a) - time(b)));
}

function trim(room) {
  if (room.items.length > KEEP) room.items.splice(0, room.items.length - KEEP);
}

function hear(message) {
  const room = rooms.get(message.room);
  if (!room) return;
  forgetTyping(room, message.from);
  if (!take(room, message, true)) return showMessages();
  trim(room);
  if (room === current) showMessages({ arrived: 1 });
  showRooms();
}

/** Shows a message at once and sends it, now or as soon as there is a connection. */
function say(room, text) {
  const item = { ref: random(), from: nick, text, at: Date.now(), mine: true, state: "waiting", sequence: ++sequence };
  room.items.push(item);
  transmit(room, item);
  showMessages({ toEnd: true });
}

function transmit(room, item) {
  item.trouble = undefined;
  item.state = "waiting";
  if (!connected() || !room.joined) return; // join sends it
  item.state = "sending";
  const { ref, text } = item;
  socket.timeout(ANSWER_WITHIN).emit("message", { room: room.name, text, ref }, (error, answer) => {
    if (item.state !== "sending") return;
    if (!error && !answer?.error) settle(room, item, answer);
    else if (error && !connected()) item.state = "waiting"; // the same ref again: it cannot be posted twice
    else Object.assign(item, { state: "failed", trouble: error ? "The server did not answer." : answer.error });
    if (room === current) showMessages();
  });
}

// --- Typing -----------------------------------------------------------------------------------------------------------

/** What we tell others: at most one notice in a while, and one when it is over. */
const typing = {
  since: 0,
  idle: undefined,
  now() {
    clearTimeout(this.idle);
    this.idle = setTimeout(() => this.stop(), TYPING_EVERY + 1_000);
    if (!connected() || !current?.joined || Date.now() - this.since < TYPING_EVERY) return;
    this.since = Date.now();
    socket.emit("typing", { room: current.name, typing: true });
  },
  stop() {
    if (this.since && connected() && current?.joined) socket.emit("typing", { room: current.name, typing: false });
    this.reset();
  },
  reset() {
    clearTimeout(this.idle);
    this.since = 0;
  },
};

function hearTyping({ room: name, from, typing: is }) {
  const room = rooms.get(name);
  if (!room || from === nick) return;
  forgetTyping(room, from);
  if (is) room.typing.set(from, setTimeout(() => forgetTyping(room, from), TYPING_FADES));
  if (room === current) showTyping();
}

function forgetTyping(room, from) {
  clearTimeout(room.typing.get(from));
  if (room.typing.delete(from) && room === current) showTyping();
}

// --- Showing ----------------------------------------------------------------------------------------------------------

/** Each with enough contrast to white letters. */
const TINTS = ["#b3402a", "#9a5b00", "#6b7000", "#2f7a3d", "#0f766e", "#0b6fa4", "#4059c4", "#7347c2", "#a03a98", "#b5325f"];

function paint(avatar, name) {
  const words = name.trim().split(/[\s._-]+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)].map((word) => [...word][0]) : [...(words[0] ?? "?")].slice(0, 2);
  let hash = 7;
  for (const letter of name.toLowerCase()) hash = (hash * 31 + letter.codePointAt(0)) % 1_000_003;
  avatar.textContent = letters.join("").toUpperCase();
  avatar.style.setProperty("--tint", name.trim() ? TINTS[hash % TINTS.length] : "#756a60");
  return avatar;
}
const avatar = (name) => {
  const node = paint(el("span", { className: "avatar" }), name);
  node.setAttribute("aria-hidden", "true");
  return node;
};

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
function dayName(at) {
  const day = new Date(at).toDateString();
  if (day === new Date().toDateString()) return "Today";
  if (day === new Date(Date.now() - 86_400_000).toDateString()) return "Yesterday";
  return calendar.format(at);
}

/** Text with its http(s) addresses as links; everything through text nodes. */
function linked(text) {
  return text.split(/(https?:\/\/[^\s<>"]*[^\s<>".,;:!?)\]'])/u).map((part, i) => {
    if (i % 2 === 0) return document.createTextNode(part);
    return el("a", { href: part, target: "_blank", rel: "noopener noreferrer nofollow", textContent: part });
  });
}

const STATES = {
  waiting: ["clock", "Waiting for the connection"],
  sending: ["clock", "Sending"],
  delivered: ["check", "Delivered"],
  failed: ["alert", "Not delivered"],
};
const JUMBO = /^(?:\p{Extended_Pictographic}(?:\ufe0f|\p{Emoji_Modifier}|\u200d\p{Extended_Pictographic})*\s*){1,4}$/u;

function draw(item) {
  const stamp = el("span", { className: "stamp" });
  const bubble = el("div", { className: "bubble" }, el("span", { className: "text", dir: "auto" }, ...linked(item.text)), stamp);
  bubble.classList.toggle("jumbo", JUMBO.test(item.text));
  const meta = el("div", { className: "meta" }, el("bdi", { textContent: item.from }), item.via && el("span", { className: "tag", textContent: item.via.toUpperCase() }));
  const body = el("div", { className: "body" }, meta, bubble);
  const node = el("li", { className: "msg" }, avatar(item.from), body);
  node.classList.toggle("mine", item.mine);
  node.classList.toggle("robot", item.via !== undefined);
  return Object.assign(node, { stamp, body });
}

function refresh(node, room, item, before, after) {
  const together = (a, b) => a && b && a.from === b.from && a.via === b.via && Math.abs(b.at - a.at) < GROUP && dayName(a.at) === dayName(b.at);
  node.classList.toggle("first", !together(before, item));
  node.classList.toggle("last", !together(item, after));
  const drawn = `${item.state} ${item.at} ${item.trouble}`;
  if (node.drawn === drawn) return;
  node.drawn = drawn;
  node.dataset.state = item.state;
  const time = el("time", { dateTime: new Date(item.at).toISOString(), textContent: clock.format(item.at) });
  const [sign, words] = STATES[item.state];
  node.stamp.replaceChildren(time, ...(item.mine ? [icon(sign), el("span", { className: "hidden", textContent: words })] : []));
  node.trouble?.remove();
  if (item.state !== "failed") return;
  const retry = el("button", { type: "button", textContent: "Retry" });
  retry.addEventListener("click", () => {
    transmit(room, item);
    showMessages();
    $("text").focus();
  });
  const discard = el("button", { type: "button", textContent: "Discard" });
  discard.addEventListener("click", () => {
    room.items = room.items.filter((other) => other !== item);
    showMessages();
    $("text").focus();
  });
  node.trouble = el("div", { className: "trouble" }, el("span", { textContent: item.trouble }), retry, discard);
  node.body.append(node.trouble);
}

const nodes = new WeakMap(); // item -> its element
const days = new Map(); // name of a day -> its element
let missed = 0; // messages that came while somebody reads further up
let shownRoom;
let following = true; // the end of the list; until somebody scrolls up
let lastTop = 0;

const atEnd = () => {
  const { scrollTop, scrollHeight, clientHeight } = $("scroll");
  return scrollHeight - scrollTop - clientHeight < 48;
};

/**
 * Brings the list up to date, moving only what changed, so that focus stays and screen readers hear only news.
 * quiet: not news (a room's history). toEnd: scroll down. arrived: so many came from others.
 */
function showMessages({ quiet = false, toEnd = false, arrived = 0 } = {}) {
  if (!current) return;
  const [list, scroll] = [$("messages"), $("scroll")];
  following ||= toEnd;
  if (shownRoom !== current) {
    list.replaceChildren();
    following = true;
    days.clear();
    missed = 0;
    shownRoom = current;
    quiet = true;
  }
  if (quiet) scroll.setAttribute("aria-live", "off");
  const { items } = current;
  const wanted = [];
  items.forEach((item, i) => {
    const day = dayName(item.at);
    if (i === 0 || dayName(items[i - 1].at) !== day) {
      if (!days.has(day)) days.set(day, el("li", { className: "day", textContent: day }));
      wanted.push(days.get(day));
    }
    if (!nodes.has(item)) {
      nodes.set(item, draw(item));
      nodes.get(item).classList.toggle("fresh", !quiet);
    }
    refresh(nodes.get(item), current, item, items[i - 1], items[i + 1]);
    wanted.push(nodes.get(item));
  });
  const keep = new Set(wanted);
  [...list.children].forEach((node) => keep.has(node) || node.remove());
  wanted.forEach((node, i) => list.children[i] === node || list.insertBefore(node, list.children[i] ?? null));
  if (quiet) setTimeout(() => scroll.setAttribute("aria-live", "polite"), 300);

  $("empty").hidden = items.length > 0 || refused !== undefined;
  $("empty-title").textContent = current.loaded ? "It is quiet here" : "Just a moment";
  $("empty-text").textContent = current.loaded ? "Write the first message, or share this page's address." : "Fetching what was said before…";
  if (!following) missed += arrived;
  followEnd();
}

function followEnd() {
  if (following) {
    $("scroll").scrollTop = $("scroll").scrollHeight;
    lastTop = $("scroll").scrollTop;
  }
  showJump();
}

function showJump() {
  if (following) missed = 0;
  $("jump").hidden = following;
  $("jump-text").textContent = missed ? `${missed} new` : "Latest";
}

function showConnection() {
  const failing = socket && !connected() && attempt > 0;
  const offline = refused !== undefined || (socket && !connected() && !socket.active && nick !== undefined && !$("nick-dialog").open);
  const state = connected() && restarting ? "reconnecting" : connected() ? "online" : offline ? "offline" : failing || current?.loaded ? "reconnecting" : "connecting";
  const transport = socket?.io.engine?.transport?.name === "websocket" ? "WebSocket" : "polling";
  const words = { online: transport, offline: "Offline", reconnecting: restarting ? "Restarting…" : "Reconnecting…", connecting: "Connecting…" };
  const title = { online: `Connected via ${transport}`, offline: "Not connected", reconnecting: `Attempt ${attempt || 1}`, connecting: "Connecting" };
  if ($("badge").dataset.state !== state) $("badge").dataset.state = state;
  if ($("badge-text").textContent !== words[state]) $("badge-text").textContent = words[state];
  $("badge").title = title[state];
  const banner = {
    reconnecting: restarting ? "The server is restarting. What you write is sent later." : navigator.onLine ? "Connection lost. What you write is sent later." : "This device is offline. What you write is sent later.",
    offline: refused ?? "The server closed the connection.",
  }[state];
  $("banner").hidden = !banner;
  $("banner").dataset.state = state;
  if (banner && $("banner-text").textContent !== banner) $("banner-text").textContent = banner;
  // What is known of others is old now.
  document.body.classList.toggle("away", state !== "online" && state !== "connecting");
  if (refused) $("empty").hidden = true;
  showRoom();
}

function showRoom() {
  if (!current) return;
  $("room-name").textContent = current.name;
  $("text").placeholder = `Message #${current.name}`;
  const others = current.online.filter((name) => name !== nick).length;
  const note = others === 0 ? "Only you so far" : `You and ${others} other${others === 1 ? "" : "s"}`;
  $("room-note").textContent = connected() && current.joined ? note : "\u00a0";
  const address = new URL(`rooms/${encodeURIComponent(current.name).replaceAll("'", "%27")}/messages`, document.baseURI);
  $("curl").textContent = `curl -H 'content-type: application/json' -d '{"from":"shell","text":"hello"}' ${address}`;
}

function showPeople() {
  if (!current) return;
  const me = current.online.filter((name) => name === nick);
  const names = [...me, ...current.online.filter((name) => name !== nick)];
  $("people").replaceChildren(
    ...names.map((name) =>
      el("li", {}, avatar(name), el("span", { className: "name", dir: "auto", textContent: name }), name === nick ? el("span", { className: "note", textContent: "you" }) : null),
    ),
  );
  $("people-count").textContent = $("people-total").textContent = String(names.length);
  showRoom();
}

function showRooms() {
  const focused = document.activeElement?.closest?.(".rooms li")?.dataset.room;
  const entry = (name, room) => {
    const count = room?.loaded ? room.online.length : (listed.get(name) ?? 0);
    const go = el("button", { type: "button", className: "go" }, el("span", { className: "hash", ariaHidden: "true", textContent: "#" }), el("span", { className: "name", dir: "auto", textContent: name }));
    if (room?.unread) go.append(el("span", { className: "pill", textContent: room.unread > 99 ? "99+" : room.unread }), el("span", { className: "hidden", textContent: " unread" }));
    else go.append(el("span", { className: "here" }, String(count), el("span", { className: "hidden", textContent: " online" })));
    go.classList.toggle("unread", Boolean(room?.unread));
    if (room && room === current) go.setAttribute("aria-current", "true");
    go.addEventListener("click", () => {
      enter(name);
      drawer("rooms", false);
    });
    const line = el("li", {}, go);
    line.dataset.room = name;
    if (room && rooms.size > 1) {
      const out = el("button", { type: "button", className: "out", title: "Leave" }, icon("close"), el("span", { className: "hidden", textContent: `Leave ${name}` }));
      out.addEventListener("click", () => leave(room));
      line.append(out);
    }
    return line;
  };
  $("joined").replaceChildren(...[...rooms.values()].map((room) => entry(room.name, room)));
  const others = [...listed.keys()].filter((name) => !rooms.has(name)).sort((a, b) => (a < b ? -1 : 1));
  $("others").replaceChildren(...others.map((name) => entry(name)));
  $("others-label").hidden = others.length === 0;
  if (focused) [...document.querySelectorAll(".rooms li")].find((line) => line.dataset.room === focused)?.querySelector(".go").focus();

  const unread = [...rooms.values()].reduce((sum, room) => sum + room.unread, 0);
  $("elsewhere").hidden = ![...rooms.values()].some((room) => room !== current && room.unread);
  document.title = `${unread ? `(${unread}) ` : ""}${current ? `#${current.name} · ` : ""}Chat`;
}

function showTyping() {
  const names = [...(current?.typing.keys() ?? [])];
  const words =
    names.length === 0 ? "" : names.length === 1 ? `${names[0]} is typing…` : names.length === 2 ? `${names[0]} and ${names[1]} are typing…` : "Several people are typing…";
  $("typing").querySelector(".dots").hidden = names.length === 0;
  if ($("typing-text").textContent !== words) $("typing-text").textContent = words;
}

let toastTimer;
function toast(text) {
  $("toast").textContent = text;
  $("toast").classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => $("toast").classList.remove("shown"), 4_000);
}

// --- Nickname ---------------------------------------------------------------------------------------------------------

const nickProblem = (name) =>
  !name ? "Please choose a nickname." : [...name].length > 24 ? "That nickname is too long: 24 characters at most." : undefined;

/** Asks for a nickname; `problem` says why the last one would not do. */
function askNick(problem, mayCancel = false) {
  const dialog = $("nick-dialog");
  $("nick-cancel").hidden = !mayCancel;
  $("nick-ok").disabled = false;
  $("nick-ok").textContent = current?.loaded ? "Save" : "Start chatting";
  $("nick-error").textContent = problem ?? "";
  $("nick").setAttribute("aria-invalid", String(Boolean(problem)));
  if (!dialog.open) {
    $("nick").value = nick ?? "";
    paint($("nick-avatar"), $("nick").value);
    dialog.showModal();
  }
  $("nick").focus();
  $("nick").select();
}

function closeNickDialog() {
  if ($("nick-dialog").open) {
    $("nick-dialog").close();
    $("text").focus({ preventScroll: true });
  }
  showMe();
}

function showMe() {
  $("my-nick").textContent = nick ?? "—";
  paint($("my-avatar"), nick ?? "");
}

$("nick").addEventListener("input", () => {
  paint($("nick-avatar"), $("nick").value);
  $("nick-error").textContent = "";
  $("nick").setAttribute("aria-invalid", "false");
});
$("nick-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const wanted = $("nick").value.trim();
  const problem = nickProblem(wanted);
  if (problem) return askNick(problem, !$("nick-cancel").hidden);
  if (wanted === nick && connected()) return closeNickDialog();
  nick = wanted;
  lasting.set("nick", nick);
  $("nick-ok").disabled = true;
  $("nick-ok").textContent = "Connecting…";
  showMe();
  reconnectNow();
});
$("nick-cancel").addEventListener("click", closeNickDialog);
$("nick-dialog").addEventListener("cancel", (event) => $("nick-cancel").hidden && event.preventDefault());
$("rename").addEventListener("click", () => {
  drawer("rooms", false);
  askNick(undefined, true);
});

// --- Composer ---------------------------------------------------------------------------------------------------------

function fitComposer() {
  const text = $("text");
  $("send").disabled = text.value.trim() === "";
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + 2}px`;
  followEnd();
}

$("text").addEventListener("input", () => {
  current.draft = $("text").value;
  passing.set(`draft:${current.name}`, current.draft);
  fitComposer();
  if (current.draft.trim()) typing.now();
  else typing.stop();
});
$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
});
$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  $("text").focus();
  if (!text || !current) return;
  $("text").value = current.draft = "";
  passing.set(`draft:${current.name}`, "");
  fitComposer();
  typing.stop();
  say(current, text);
});
$("join-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("join-name").value.trim();
  if (!name) return;
  $("join-name").value = "";
  enter(name);
  drawer("rooms", false);
  $("text").focus();
});

// --- Drawers, scrolling, the window -----------------------------------------------------------------------------------

const narrow = { rooms: matchMedia("(max-width: 719.98px)"), people: matchMedia("(max-width: 1079.98px)") };

/** Opens or closes a panel where it is a drawer. A closed one cannot be reached with the keyboard. */
function drawer(which, open) {
  const [panel, opener] = [$(`${which}-panel`), $(`open-${which}`)];
  const shown = open && narrow[which].matches;
  const was = panel.classList.contains("open");
  panel.classList.toggle("open", shown);
  panel.inert = narrow[which].matches && !shown;
  opener.setAttribute("aria-expanded", String(shown));
  document.querySelector("main").inert = Boolean(document.querySelector(".panel.open"));
  if (shown) panel.focus();
  else if (was) opener.focus();
}
const closeDrawers = () => ["rooms", "people"].forEach((which) => drawer(which, false));

for (const which of ["rooms", "people"]) {
  $(`open-${which}`).addEventListener("click", () => drawer(which, true));
  document.querySelector(`[data-close=${which}]`).addEventListener("click", () => drawer(which, false));
  narrow[which].addEventListener("change", closeDrawers);
}
$("scrim").addEventListener("click", closeDrawers);
addEventListener("keydown", (event) => event.key === "Escape" && document.querySelector(".panel.open") && closeDrawers());
closeDrawers();

// Only scrolling up tells that the reader wants to stay: when the list shrinks (the phone's keyboard, the banner) its end is
// followed.
function scrolled() {
  const { scrollTop } = $("scroll");
  if (atEnd()) following = true;
  else if (scrollTop < lastTop) following = false;
  lastTop = scrollTop;
  showJump();
}
$("scroll").addEventListener("scroll", scrolled, { passive: true });
$("jump").addEventListener("click", () => {
  following = true;
  followEnd();
  $("text").focus({ preventScroll: true });
});
new ResizeObserver(followEnd).observe($("scroll"));

$("try-now").addEventListener("click", () => socket && reconnectNow());
addEventListener("online", () => socket && nick && !connected() && socket.active && reconnectNow());
addEventListener("offline", () => showConnection());
addEventListener("hashchange", () => enter(wantedRoom() ?? LOBBY));
document.addEventListener("visibilitychange", () => {
  if (document.hidden || !current) return;
  current.unread = 0;
  showRooms();
});

// --- Start ------------------------------------------------------------------------------------------------------------

function wantedRoom() {
  try {
    return decodeURIComponent(location.hash.slice(1)).trim().slice(0, 32) || undefined;
  } catch {
    return undefined;
  }
}

function lastRooms() {
  try {
    return JSON.parse(lasting.get("rooms") ?? "[]").filter((name) => typeof name === "string");
  } catch {
    return [];
  }
}

async function start() {
  showMe();
  [LOBBY, ...lastRooms()].forEach((name) => rooms.has(name) || rooms.set(name, newRoom(name)));
  if (lastRooms().length && !lastRooms().includes(LOBBY)) rooms.delete(LOBBY);
  enter(wantedRoom() ?? rooms.keys().next().value);
  try {
    const { io } = await import(new URL("client/socket.io.esm.min.js", document.baseURI));
    makeSocket(io);
  } catch (error) {
    console.error(error);
    refused = "The Socket.IO client could not be loaded. With npm on the server, or online, it can.";
    $("try-now").addEventListener("click", () => location.reload(), { once: true });
    return showConnection();
  }
  if (nickProblem(nick?.trim() ?? "")) askNick();
  else socket.connect();
  showConnection();
}

start();
