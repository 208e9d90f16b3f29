const $ = (id) => document.getElementById(id);
const element = (name, text, className = "") => Object.assign(document.createElement(name), { textContent: text, className });

// Before the client is loaded, so that a form which is sent early waits for it.
const loaded = Promise.withResolvers();
$("login").onsubmit = async (event) => {
  event.preventDefault();
  (await loaded.promise).connect();
};
$("say").onsubmit = (event) => {
  event.preventDefault();
  if (!socket.connected) return;
  socket.emit("say", $("text").value);
  $("text").value = "";
};

const CDN = "https://cdn.socket.io/4.8.3/socket.io.esm.min.js";
// The servers have the client's files if npm could fetch them.
const { io } = await import("/socket.io/socket.io.esm.min.js").catch(() => import(CDN));
const { transports } = await (await fetch("config")).json();

/** The people in all of the cluster, by the ids of their sockets. */
let people = new Map();
let servers = [];

const socket = io({ transports, autoConnect: false, auth: (send) => send({ name: $("name").value }) });

socket.on("connect", () => {
  $("login").hidden = true;
  $("refusal").textContent = "";
  $("say").hidden = false;
  $("text").focus();
  refresh();
});
socket.on("connect_error", (error) => {
  status("Not connected");
  // The server has refused the name; anything else is tried again.
  if (!socket.active) $("refusal").textContent = error.message;
});
socket.on("disconnect", (reason) => {
  status("Not connected");
  note(`Connection lost: ${reason}`);
  refresh();
});
socket.on("server", (server) => {
  status("Connected to ", element("b", server, `of-${server}`));
  note(`You are connected to ${server}.`);
});
socket.on("entered", (person) => {
  people.set(person.id, person);
  draw();
});
socket.on("left", (id) => {
  people.delete(id);
  draw();
});
socket.on("said", ({ from, text }) => {
  show(element("b", from.name, `of-${from.server}`), text);
});

function status(...parts) {
  $("status").replaceChildren(...parts);
}

function note(text) {
  show(element("span", text, "note"));
}

function show(...parts) {
  const list = $("messages");
  const line = document.createElement("li");
  line.append(...parts);
  list.append(line);
  while (list.childElementCount > 500) list.firstElementChild.remove();
  list.scrollTop = list.scrollHeight;
}

/** People of a server that was killed cannot say that they leave, so the list is asked for now and then. */
async function refresh() {
  const [states, online] = await Promise.all([
    fetch("servers").then((response) => response.json()).catch(() => servers),
    socket.connected ? socket.timeout(3000).emitWithAck("people").catch(() => null) : null,
  ]);
  servers = states;
  if (Array.isArray(online)) people = new Map(online.map((person) => [person.id, person]));
  draw();
}

function draw() {
  const drawn = servers.map(({ name, running }) => {
    const item = element("li", "", running ? "server" : "server down");
    const head = document.createElement("div");
    const button = element("button", running ? "Kill" : "Start");
    button.setAttribute("aria-label", `${button.textContent} ${name}`);
    button.dataset.server = name;
    button.onclick = async () => {
      button.disabled = true;
      await fetch(`servers/${name}/${running ? "kill" : "start"}`, { method: "POST" }).catch(() => {});
      refresh();
    };
    head.append(element("b", name, `of-${name}`), button);
    item.append(head, element("p", running ? "" : "not running", "note"), members(name));
    return item;
  });
  // The focus stays on the button of the same server.
  const focused = document.activeElement?.dataset?.server;
  $("servers").replaceChildren(...drawn);
  if (focused) $("servers").querySelector(`[data-server="${focused}"]`)?.focus();
}

function members(server) {
  const list = document.createElement("ul");
  const names = [...people.values()].filter((person) => person.server === server);
  for (const person of names) {
    list.append(element("li", person.id === socket.id ? `${person.name} (you)` : person.name));
  }
  return list;
}

loaded.resolve(socket);
refresh();
setInterval(refresh, 3000);
