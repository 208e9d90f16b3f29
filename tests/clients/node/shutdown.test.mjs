// A process that gets SIGTERM: no acknowledgement of a running handler is lost, and every example drains.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { WebSocket } from "ws";
import { inEachMode, root, within } from "./support.mjs";

// Node's server closes its connections at once.
const ours = !(process.env.SERVER_CMD ?? "twin").includes("twin");

if (ours) {
  inEachMode("shutdown", ({ server, connect }) => {
    test("40 clients get the acknowledgements of the handlers that run at SIGTERM", async () => {
      const sockets = await Promise.all(Array.from({ length: 40 }, () => connect()));
      // Behind these answers all handlers below have started.
      const asked = sockets.map((socket) => socket.emitWithAck("slow", 50));
      await Promise.all(sockets.map((socket) => socket.emitWithAck("echo")));
      const code = server.stop();
      const answers = await within(Promise.allSettled(asked), "the acknowledgements");
      assert.equal(answers.filter(({ value }) => value === 50).length, 40);
      assert.equal(await code, 0);
      await server.start();
    });

    test("an abandoned handshake and a client that has vanished do not delay the exit", async () => {
      const open = await fetch(`${server.url}/socket.io/?EIO=4&transport=polling`);
      const { sid } = JSON.parse((await open.text()).slice(1));
      const target = `${server.url}/socket.io/?EIO=4&transport=polling&sid=${sid}`;
      assert.equal((await fetch(target, { method: "POST", body: "40" })).status, 200);
      assert.match(await (await fetch(target)).text(), /^40/);
      await (await fetch(`${server.url}/socket.io/?EIO=4&transport=polling`)).text();
      const start = performance.now();
      assert.equal(await server.stop(), 0);
      console.log(`# exit after ${Math.round(performance.now() - start)} ms`);
      await server.start();
    });
  });
}

const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
const examples = ["auth", "chat", "echo", "graceful-shutdown", "hyper-only", "metrics", "sessions", "testing", "todo-shared-handlers", "tower-layers"];
const children = new Set();
after(() => children.forEach((child) => child.kill("SIGKILL")));

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** A WebSocket as soon as the process listens. */
async function webSocket(port, child) {
  for (;;) {
    assert.equal(child.exitCode, null, "the example has ended");
    const socket = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`);
    const opened = await new Promise((resolve) => {
      socket.once("message", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    if (opened) return socket;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

for (const name of examples) {
  const path = join(target, "debug/examples", name);
  for (const signal of name === "echo" ? ["SIGTERM", "SIGINT"] : ["SIGTERM"]) {
    test(`${name} drains on ${signal}`, { skip: !ours || !existsSync(path), timeout: 60_000 }, async () => {
      const port = await freePort();
      const child = spawn(path, { cwd: root, env: { ...process.env, PORT: port }, stdio: "ignore" });
      children.add(child);
      const exited = once(child, "exit");
      const socket = await within(webSocket(port, child), `${name} listens`, 30_000);
      const sid = await fetch(`http://127.0.0.1:${port}/socket.io/?EIO=4&transport=polling`).then(async (answer) => JSON.parse((await answer.text()).slice(1)).sid);
      const poll = fetch(`http://127.0.0.1:${port}/socket.io/?EIO=4&transport=polling&sid=${sid}`).then((answer) => answer.text());
      await fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.arrayBuffer());
      const closed = once(socket, "close");
      child.kill(signal);
      assert.equal((await within(closed, "a close frame"))[0], 1005);
      // It may have arrived after the session had ended, of which nothing was queued.
      assert.match(await within(poll, "an answer to the poll"), /1$|Session ID unknown/);
      assert.deepEqual(await within(exited, "the exit"), [0, null]);
      children.delete(child);
    });
  }
}
