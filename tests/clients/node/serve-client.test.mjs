// The client's files from Node's server and from the server under test: the same answers. Where they differ on purpose
// (methods, the headers of a 304) is said in docs/compatibility.md, and tested in Rust.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Server } from "./support.mjs";

const scripts = ["socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js"];
const files = scripts.flatMap((name) => [name, `${name}.map`]);

/** What a client sees of an answer. */
async function ask(server, file, headers = {}) {
  const answer = await fetch(`${server.url}/socket.io/${file}`, { headers: { "accept-encoding": "identity", ...headers } });
  return {
    status: answer.status,
    headers: ["cache-control", "content-type", "content-encoding", "etag"].map((name) => answer.headers.get(name)),
    body: await answer.text(),
  };
}

describe("serving the client", () => {
  let node, tested;
  before(async () => {
    node = await Server.start("node tests/clients/node/twin.mjs");
    tested = await Server.start();
  });
  after(() => Promise.all([node.stop(), tested.stop()]));

  for (const file of files) {
    test(file, async () => {
      const expected = await ask(node, file);
      assert.equal(expected.status, 200);
      assert.deepEqual(await ask(tested, file), expected);
    });
  }

  test("a query makes no difference", async () => {
    assert.deepEqual(await ask(tested, "socket.io.js?v=1"), await ask(node, "socket.io.js?v=1"));
  });

  test("who has the version is told so, who has another gets the file", async () => {
    const [, , , etag] = (await ask(node, files[0])).headers;
    for (const [tag, status] of [[etag, 304], [`W/${etag}`, 304], ['"0.0.0"', 200], [etag.slice(1, -1), 200]]) {
      for (const server of [node, tested]) {
        const answer = await ask(server, files[0], { "if-none-match": tag });
        assert.equal(answer.status, status, tag);
        if (status === 304) assert.equal(answer.body, "");
      }
    }
  });
});
