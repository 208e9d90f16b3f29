// A Redis server of its own, which a test starts and ends.
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "redis";
import { within } from "./support.mjs";

export async function startRedis() {
  const port = await new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", ""];
  const child = spawn(process.env.REDIS_SERVER || "redis-server", args, { stdio: "ignore" });
  const end = () => child.kill("SIGKILL");
  process.on("exit", end);
  child.on("exit", () => process.off("exit", end));
  const url = `redis://127.0.0.1:${port}/`;
  const answers = async () => {
    for (;;) {
      const client = createClient({ url, socket: { reconnectStrategy: false } });
      client.on("error", () => {});
      try {
        await client.connect();
        await client.close();
        return;
      } catch {
        await sleep(20);
      }
    }
  };
  await within(answers(), "an answer of Redis");
  return { url, end };
}
