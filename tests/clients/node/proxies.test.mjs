// A rolling restart behind the proxies whose configuration docs/operations.md shows: two servers, clients of every kind
// under load, one server restarted. The figures are printed; what must hold is asserted.
//
//   NGINX, HAPROXY, CADDY      where the programs are, if not in PATH
//   PROXY_CONF=file PROXY=nginx   another configuration in place of the documented one, to compare
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent } from "node:http";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { io } from "socket.io-client";
import { Server, modes, next, root, within } from "./support.mjs";

const CLIENTS = 60;
const WINDOW = 5_000;
const PAUSE = 50;

const children = new Set();
const folder = mkdtempSync(join(tmpdir(), "proxies-"));
after(() => {
  children.forEach((child) => child.kill("SIGKILL"));
  rmSync(folder, { recursive: true, force: true });
});

/** The block below the heading of a proxy in the documentation. */
function documented(heading, language) {
  const text = readFileSync(join(root, "docs/operations.md"), "utf8");
  const section = text.split(`\n### ${heading}\n`)[1];
  const block = section?.split("\n### ")[0].match(new RegExp("```" + language + "\\n([^]*?)\\n```"))?.[1];
  assert.ok(block, `docs/operations.md has a block of ${language} under "${heading}"`);
  return `${block}\n`;
}

/** Puts the addresses of the test in place of those that the documentation uses. */
function addressed(block, ports) {
  ports.forEach((port, i) => {
    block = block.replaceAll(`10.0.0.${i + 1}:3000`, `127.0.0.1:${port}`);
    block = block.replaceAll(`10\\.0\\.0\\.${i + 1}:3000`, `127\\.0\\.0\\.1:${port}`);
  });
  assert.doesNotMatch(block, /10\.0\.0\./);
  return block;
}

const proxies = [
  {
    name: "nginx",
    block: () => documented("nginx", "nginx"),
    file: (block, port) => `
      daemon off;
      worker_processes 1;
      pid ${folder}/nginx.pid;
      error_log stderr error;
      events { worker_connections 1024; }
      http {
        access_log off;
        ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${folder}/${kind};`).join("\n        ")}
        ${block.replace("listen 80;", `listen 127.0.0.1:${port};`)}
      }`,
    args: (file) => ["-c", file, "-p", folder],
    env: {},
  },
  {
    name: "haproxy",
    block: () => documented("HAProxy", "haproxy"),
    file: (block, port) => block.replace("bind :80", `bind 127.0.0.1:${port}`),
    args: (file) => ["-db", "-f", file],
    env: {},
  },
  {
    name: "caddy",
    block: () => documented("Caddy", "caddy"),
    file: (block, port) => `{\n  admin off\n  auto_https off\n}\n${block.replace(":80 {", `http://127.0.0.1:${port} {`)}`,
    args: (file) => ["run", "--config", file, "--adapter", "caddyfile"],
    env: { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
  },
];

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

async function listens(port, child, log) {
  for (;;) {
    assert.equal(child.exitCode, null, `the proxy has ended:\n${log.join("")}`);
    const socket = createConnection(port, "127.0.0.1");
    const open = await new Promise((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    socket.destroy();
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function start(proxy, program, ports) {
  const port = await freePort();
  const file = join(folder, `${proxy.name}.conf`);
  const block = process.env.PROXY_CONF ? readFileSync(process.env.PROXY_CONF, "utf8") : proxy.block();
  writeFileSync(file, proxy.file(addressed(block, ports), port));
  const child = spawn(program, proxy.args(file), { cwd: folder, env: { ...process.env, ...proxy.env }, stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  const log = [];
  child.stdout.on("data", (data) => log.push(data));
  child.stderr.on("data", (data) => log.push(data));
  await within(listens(port, child, log), `${proxy.name} listens`);
  return { port, child, log };
}

const status = (error) => error?.description?.message?.match(/response: (\d+)/)?.[1] ?? (Number.isInteger(error?.description) ? String(error.description) : undefined);

/** A client with an address and cookies of its own, as from another machine. */
class Client {
  acknowledged = [];
  rejected = 0;
  statuses = {};
  offline = 0;
  drops = 0;
  #since;
  #stopped = false;

  constructor(port, number) {
    this.number = number;
    this.mode = modes[number % modes.length];
    const agent = new Agent({ localAddress: `127.0.1.${number + 1}`, keepAlive: true });
    this.socket = io(`http://127.0.0.1:${port}`, { ...this.mode.options, agent, forceNew: true, withCredentials: true, autoConnect: false });
    const seen = (error) => {
      const code = status(error);
      if (code) this.statuses[code] = (this.statuses[code] ?? 0) + 1;
    };
    this.socket.on("connect_error", seen);
    this.socket.on("disconnect", (_, details) => {
      seen(details);
      this.drops++;
      this.#since = performance.now();
    });
    this.socket.on("connect", () => {
      if (this.#since) this.offline += performance.now() - this.#since;
      this.#since = undefined;
    });
  }

  /** Emits one event after another. */
  async work() {
    for (let i = 0; !this.#stopped; i++) {
      const line = `${this.number}-${i}`;
      try {
        await this.socket.timeout(20_000).emitWithAck("record", line);
        this.acknowledged.push(line);
      } catch {
        this.rejected++;
        if (!this.socket.connected && !this.#stopped) await next(this.socket, "connect", 60_000);
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }

  stop() {
    this.#stopped = true;
  }
}

const sum = (numbers) => numbers.reduce((all, number) => all + number, 0);
const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
const seconds = (ms) => (ms / 1000).toFixed(1);

for (const proxy of proxies) {
  const program = process.env[proxy.name.toUpperCase()] || proxy.name;
  const there = spawnSync(program, [proxy.name === "caddy" ? "version" : "-v"]).status === 0;
  const wanted = !process.env.PROXY || process.env.PROXY === proxy.name;
  const skip = (!there && `${proxy.name} is not there`) || !wanted;

  test(`${proxy.name}: a server is restarted under load`, { skip, timeout: 120_000 }, async () => {
    const journal = join(folder, `${proxy.name}.journal`);
    writeFileSync(journal, "");
    const env = { JOURNAL: journal, DRAIN_WINDOW: String(WINDOW), DRAIN_LIMIT: "8000" };
    const command = process.env.SERVER_CMD || "node tests/clients/node/twin.mjs";
    const servers = [await Server.start(command, env), await Server.start(command, env)];
    const { port, child, log } = await start(proxy, program, servers.map((server) => server.port));
    const clients = Array.from({ length: CLIENTS }, (_, i) => new Client(port, i));
    try {
      await Promise.all(
        clients.map(({ socket }) => {
          const connected = next(socket, "connect");
          socket.connect();
          return connected;
        }),
      );
      const work = clients.map((client) => client.work());
      const reached = (extra) => {
        const before = clients.map((client) => client.acknowledged.length);
        return within(
          (async () => {
            while (clients.some((client, i) => client.acknowledged.length < before[i] + extra)) await new Promise((resolve) => setTimeout(resolve, 20));
          })(),
          `${extra} more acknowledgements for each client`,
          45_000,
        );
      };
      await reached(10);
      const stopped = performance.now();
      assert.equal(await servers[0].stop(), 0, "the server's exit code");
      const drained = performance.now() - stopped;
      // As long as a container may take.
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      await servers[0].start();
      await reached(20);
      clients.forEach((client) => client.stop());
      await within(Promise.all(work), "the last acknowledgements", 30_000);

      const lines = new Set(readFileSync(journal, "utf8").split("\n").filter(Boolean));
      const acknowledged = clients.flatMap((client) => client.acknowledged);
      const lost = acknowledged.filter((line) => !lines.has(line));
      const answered = new Set(acknowledged);
      const unanswered = [...lines].filter((line) => !answered.has(line));
      const dropped = clients.filter((client) => client.drops > 0);
      const offline = dropped.map((client) => client.offline);
      const codes = {};
      for (const client of clients) for (const [code, count] of Object.entries(client.statuses)) codes[code] = (codes[code] ?? 0) + count;
      console.log(
        `# ${proxy.name}: drained in ${seconds(drained)} s; ${dropped.length} of ${CLIENTS} clients were disconnected, ` +
          `${sum(dropped.map((client) => client.drops))} times; offline ${seconds(median(offline))} s in the median, ` +
          `${seconds(Math.max(0, ...offline))} s at most; refusals by status ${JSON.stringify(codes)}; ` +
          `${acknowledged.length} events acknowledged, ${lost.length} of them lost, ` +
          `${unanswered.length} handled and not acknowledged, ${sum(clients.map((client) => client.rejected))} given up`,
      );
      assert.ok(
        clients.every(({ socket }) => socket.connected),
        "all clients are connected in the end",
      );
      assert.ok(dropped.length > 0 && dropped.length < CLIENTS, "the clients were spread over both servers");
      assert.deepEqual(lost, [], "no event that was acknowledged is lost");
      if (!process.env.PROXY_CONF) assert.ok((codes[503] ?? 0) <= 3, `clients saw ${codes[503]} responses 503`);
    } catch (error) {
      console.log(log.join("").split("\n").slice(-20).join("\n"));
      throw error;
    } finally {
      clients.forEach((client) => (client.stop(), client.socket.disconnect()));
      child.kill();
      await Promise.all(servers.map((server) => server.kill()));
    }
  });
}
