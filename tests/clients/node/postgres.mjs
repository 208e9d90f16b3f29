// A PostgreSQL server of its own for a test, on a free port.
//
//   POSTGRES_BIN      the folder of its programs, if not in Debian's place or in PATH
import { execFileSync, spawn } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { within } from "./support.mjs";

const debian = "/usr/lib/postgresql";
const folders = [process.env.POSTGRES_BIN, ...(existsSync(debian) ? readdirSync(debian).map((version) => join(debian, version, "bin")) : [])];
const folder = folders.find((folder) => folder && existsSync(join(folder, "postgres")));
const program = (name) => (folder ? join(folder, name) : name);

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

/** Starts a server with the table of the adapter. */
export async function startPostgres() {
  const dir = mkdtempSync(join(tmpdir(), "axum-socketio-postgres-"));
  // PostgreSQL does not start as root.
  const nobody = process.getuid() === 0 ? { uid: 65534, gid: 65534 } : {};
  if (nobody.uid) chownSync(dir, nobody.uid, nobody.gid);
  const options = { stdio: "ignore", cwd: "/", ...nobody };
  execFileSync(program("initdb"), ["-D", dir, "-U", "test", "-A", "trust", "-E", "UTF8", "--no-sync"], options);
  const port = await freePort();
  const settings = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"];
  const child = spawn(program("postgres"), ["-D", dir, "-k", dir, "-p", String(port), ...settings], options);
  const end = () => {
    child.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true });
  };
  process.on("exit", end);
  const url = `postgres://test@127.0.0.1:${port}/postgres`;
  const answers = async () => {
    for (;;) {
      const client = new pg.Client(url);
      client.on("error", () => {});
      try {
        await client.connect();
        await client.query("CREATE TABLE socket_io_attachments (id bigserial UNIQUE, created_at timestamptz DEFAULT NOW(), payload bytea)");
        await client.end();
        return;
      } catch {
        await sleep(50);
      }
    }
  };
  await within(answers(), "an answer of PostgreSQL");
  return {
    url,
    end: () => {
      process.off("exit", end);
      end();
    },
  };
}
