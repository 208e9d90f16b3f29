// What docs/troubleshooting.md says the client shows: logged by the page's own lines, quoted there word for word.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { io } from "socket.io-client";
import { Server, root, within } from "./support.mjs";

const page = readFileSync(join(root, "docs/troubleshooting.md"), "utf8");
const quoted = new Set([...page.matchAll(/^```text\n([^]*?)^```/gm)].flatMap(([, lines]) => lines.trim().split("\n")));
const shown = /^```js\n([^]*?)^```/m.exec(page)[1];

const sockets = [];

/** Connects as the page shows, and gives the lines that its code logs, each as soon as it comes. */
function client(url, options) {
  const lines = [];
  let wake = () => {};
  let socket;
  const connect = () => (socket = io(url, { forceNew: true, reconnection: false, ...options }));
  const console = { log: (line) => wake(lines.push(line)) };
  new Function("io", "console", shown.replace(/^import .*$/m, ""))(connect, console);
  const line = () => within(new Promise((resolve) => (lines.length ? resolve(lines.shift()) : (wake = () => resolve(lines.shift())))), "a line of the log");
  sockets.push(socket);
  return { socket, line };
}

/** An HTTP server in between: `answer(req, res, body)` takes a request, or leaves it to the server under test. */
async function between(upstream, answer) {
  const server = createServer(async (req, res) => {
    const parts = [];
    for await (const part of req) parts.push(part);
    const body = Buffer.concat(parts);
    if (answer(req, res, body)) return;
    const options = { port: upstream, path: req.url, method: req.method, headers: req.headers };
    request(options, (from) => from.pipe(res.writeHead(from.statusCode, from.headers)))
      .on("error", () => res.destroy()) // the test is over
      .end(body);
  });
  // An upgrade is answered by the same function.
  server.on("upgrade", (req, socket) => {
    answer(req, {
      writeHead: (status, headers = {}) => ({
        end: (text = "") => socket.end(`HTTP/1.1 ${status} X\r\nContent-Type: ${headers["content-type"]}\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`),
      }),
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close().closeAllConnections() };
}

describe("what the client shows", { timeout: 60_000 }, () => {
  let server;
  const open = [];
  before(async () => (server = await Server.start()));
  afterEach(() => sockets.splice(0).forEach((socket) => socket.disconnect()));
  after(async () => {
    open.forEach((one) => one.close());
    await server.kill();
  });
  const through = async (answer) => {
    const one = await between(server.port, answer);
    open.push(one);
    return one.url;
  };
  const always = (status, body, type) => through((_, res) => (res.writeHead(status, { "content-type": type }).end(body), true));

  for (const [title, status, type, body, polling, websocket] of [
    ["HTML with status 200", 200, "text/html", "<!doctype html>", "server error", "websocket error: Unexpected server response: 200"],
    ["404", 404, "text/plain", "", "xhr poll error: 404", "websocket error: Unexpected server response: 404"],
    ["400", 400, "application/json", "", undefined, "websocket error: Unexpected server response: 400"],
    ["403", 403, "application/json", '{"code":4,"message":"Forbidden"}', 'xhr poll error: 403: {"code":4,"message":"Forbidden"}', "websocket error: Unexpected server response: 403"],
    ["503", 503, "text/plain", "", "xhr poll error: 503", "websocket error: Unexpected server response: 503"],
  ]) {
    test(title, async () => {
      const url = await always(status, body, type);
      for (const [transport, expected] of [["polling", polling], ["websocket", websocket]]) {
        if (!expected) continue;
        const { line } = client(url, { transports: [transport] });
        assert.equal(await line(), expected);
        assert.ok(quoted.has(expected), expected);
      }
    });
  }

  test("a balancer that is not sticky", async () => {
    const url = await through((req) => {
      // The other server does not know the session.
      if (req.method === "POST") req.url = req.url.replace(/sid=[^&]*/, "sid=AAAAAAAAAAAAAAAAAAAA");
    });
    const { line } = client(url, { transports: ["polling"] });
    const refused = '400: {"code":1,"message":"Session ID unknown"}';
    const found = await line();
    assert.ok([`xhr post error: ${refused}`, `transport error: ${refused}`].includes(found), found);
    assert.ok(quoted.has(found), found);
  });

  for (const [title, method, status, body, expected] of [
    ["a layer that limits bodies", "POST", 413, "length limit exceeded", "transport error: 413: length limit exceeded"],
    ["a TimeoutLayer", "GET", 408, "", "transport error: 408"],
    ["a proxy that gives up", "GET", 504, "", "transport error: 504"],
  ]) {
    test(title, async () => {
      let joined = false;
      const url = await through((req, res) => {
        if (!joined || req.method !== method) return false;
        res.writeHead(status, { "content-type": "text/plain" }).end(body);
        return true;
      });
      const { socket, line } = client(url, { transports: ["polling"] });
      await within(new Promise((resolve) => socket.once("connect", resolve)), "connect");
      joined = true;
      // Another event, so that the poll under way ends, and the next one is refused.
      socket.emit(method === "POST" ? "anything" : "burst", 1);
      assert.equal(await line(), expected);
      assert.ok(quoted.has(expected), expected);
      });
  }

  for (const transport of ["polling", "websocket"]) {
    test(`a message over max_payload, by ${transport}`, async () => {
      const { socket, line } = client(`http://127.0.0.1:${server.port}`, { transports: [transport] });
      await within(new Promise((resolve) => socket.once("connect", resolve)), "connect");
      socket.emit("size", "x".repeat(1_100_000));
      const found = await line();
      assert.ok(quoted.has(found), found);
      // Node's server closes a WebSocket of its own, and leaves the session of a POST. The answers to the POST and to the
      // pending poll take two connections, so a client over polling may see either first.
      const expected = transport === "polling" ? /^transport (close: |error: 413$)/ : /^transport close: /;
      if (!(process.env.SERVER_CMD || "node twin.mjs").startsWith("node ")) assert.match(found, expected);
    });
  }

  test("a namespace that is not there", async () => {
    const { socket, line } = client(`http://127.0.0.1:${server.port}/typo`);
    assert.equal(await line(), "Invalid namespace");
    assert.equal(socket.active, false);
  });

  test("the server disconnects", async () => {
    const { socket, line } = client(`http://127.0.0.1:${server.port}`);
    await within(new Promise((resolve) => socket.once("connect", resolve)), "connect");
    socket.emit("kick", false);
    assert.equal(await line(), "io server disconnect");
    assert.equal(socket.active, false);
  });
});
