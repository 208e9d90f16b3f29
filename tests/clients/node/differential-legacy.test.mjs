// The same raw bytes of revision 3 to Node's server and to the server under test; see differential.test.mjs.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { converse, Server } from "./support.mjs";

const PROBE = '429["echo","end"]';
const env = { ALLOW_EIO3: "1" };

/** What differs from run to run, and (ours) that the answer to a ping may come behind what was said after it. */
const plain = (text) =>
  text.replace(/"(\/\w+#)?[\w-]{20}"/g, '"<id>"').replace(/1:3(?=\d+:)(.*)/, "$11:3");

/** Packets as a text body, each behind its length. */
const body = (...packets) => packets.map((packet) => `${packet.length}:${packet}`).join("");

/** A packet in a binary body: text, or bytes. */
const part = (packet) => {
  const data = Buffer.from(packet);
  const digits = [...String(data.length)].map(Number);
  return Buffer.concat([Buffer.from([typeof packet === "string" ? 0 : 1, ...digits, 255]), data]);
};
const binaryBody = (...packets) => Buffer.concat(packets.map(part));

/** Posts each body, then a probe, and collects what comes until the probe's answer, or the end. */
async function talk(port, posts, query = "") {
  const url = `http://127.0.0.1:${port}/socket.io/?EIO=3&transport=polling${query}`;
  const open = await (await fetch(url)).text();
  const session = `${url}&sid=${JSON.parse(open.slice(open.indexOf("{"))).sid}`;
  const heard = [plain(open)];
  for (const body of [...posts, `${PROBE.length}:${PROBE}`]) {
    const type = Buffer.isBuffer(body) ? "application/octet-stream" : "text/plain;charset=UTF-8";
    const answer = await fetch(session, { method: "POST", body, headers: { "content-type": type } });
    const text = await answer.text();
    if (!String(body).includes(PROBE)) heard.push(`POST ${answer.status} ${text}`);
    if (answer.status !== 200) break;
  }
  for (;;) {
    const answer = await fetch(session);
    const text = plain(Buffer.from(await answer.arrayBuffer()).toString("latin1"));
    heard.push(`GET ${answer.status} ${answer.headers.get("content-type")} ${text}`);
    if (answer.status !== 200 || text.includes("439[") || text.endsWith("1:1")) return heard;
  }
}

/** The same over a WebSocket: each of `frames` is one, binary if it is a Buffer. */
function talkOverWebSocket(port, frames, query = "") {
  const url = `ws://127.0.0.1:${port}/socket.io/?EIO=3&transport=websocket${query}`;
  const ready = (heard) => heard.some((text) => text.startsWith('42["welcome"'));
  return converse(url, [...frames, PROBE], { plain, ready });
}

const one = `{"_placeholder":true,"num":0}`;
const message = (...data) => Buffer.from([4, ...data]);

/** Packets, as text of a body and as frames alike. */
const packets = {
  nothing: [],
  "an event with an acknowledgement": ['421["add",1,2]'],
  "text beyond ASCII": ['421["echo","é€😀\u0000"]'],
  "another namespace": ["40/room-red", '42/room-red,1["name"]'],
  "a namespace with a query": ["40/admin?token=sesame", '42/admin,1["user"]'],
  "a query in later packets": ["40/admin?token=sesame", '42/admin?token=sesame,1["user"]'],
  "an auth is not read": ['40/admin,{"token":"sesame"}'],
  "a refusal with data": ["40/admin"],
  "a refusal without data": ["40/admin?token=quiet"],
  "a query with escapes": ["40/admin?token=a%20b+c&token=%C3%A9"],
  "an unknown namespace": ["40/nope"],
  "an unknown namespace with a query": ["40/nope?x=1"],
  "an event for a namespace that is not joined": ['42/admin,["x"]'],
  "a ping": ["2"],
  "a ping with data": ["2abc"],
  "a probe on the transport in use": ["2probe"],
  "a pong": ["3"],
  "a noop": ["6"],
  "an upgrade": ["5"],
  "base64": [`451-1["size",${one}]`, "b4AQID"],
  "base64 without padding": [`451-1["size",${one}]`, "b4AQ"],
  "base64 that is a ping": ["b2"],
  "an attachment that nobody waits for": ["b4AQID"],
  "a binary answer": ['421["bytes",5]'],
  "a malformed packet": ['42["x"'],
  "a reserved event": ['42["connect"]'],
  "the server's own close": ['42["kick",true]'],
};

/** Bodies as they are. What Node does with what comes right behind a DISCONNECT over WebSocket depends on its luck. */
const bodies = {
  leaving: [body("41"), body('42["x"]')],
  "leaving and joining again": [body("41"), body("40")],
  "a query when leaving": [body("40/admin?token=sesame"), body("41/admin?x"), body("40/admin?token=quiet")],
  "a list of nothing": ["0:"],
  "nothing before something": [`0:${body('421["add",1,2]')}`],
  "lengths in units of UTF-16": [body('421["echo","😀"]', '422["echo","é"]')],
  "a binary body": [binaryBody('421["echo","é😀"]', '422["add",1,2]')],
  "a binary body with an attachment": [binaryBody(`451-1["size",${one}]`, message(1, 2, 3))],
  "an attachment in a body of its own": [body(`451-1["size",${one}]`), binaryBody(message(1, 2, 3))],
  "a base64 packet in a binary body": [binaryBody(`451-1["size",${one}]`, "b4AQID")],
  "an empty binary body": [Buffer.alloc(0)],
  "a binary ping": [binaryBody(Buffer.from([2]))],
  "many packets": [body(...Array.from({ length: 10 }, (_, i) => `42${i}["echo",${i}]`))],
  "a close": [body("1")],
};

const frames = {
  "an unknown packet type": ["9"],
  "an attachment": [`451-1["size",${one}]`, message(1, 2, 3)],
  "an empty attachment": [`451-1["size",${one}]`, message()],
  "a binary ping": [Buffer.from([2])],
  "a binary frame that nobody waits for": [message(1)],
  "text while an attachment is due": [`451-1["size",${one}]`, '42["x"]'],
};

/** What ours answers where it differs on purpose. */
const ours = {
  "a wrong length": ["7:4hello"],
  "no length": ["4hello"],
  "an unknown packet type in a body": [body("9")],
  "an empty body": [""],
  "a length that is no number": ["x:4hello"],
  "a binary body that is cut off": [binaryBody("4hello").subarray(0, 5)],
  "a binary body that is no UTF-8": [Buffer.from([0, 2, 255, 0x34, 0x80])],
};

describe("differential, revision 3", () => {
  let node, tested;
  before(async () => {
    node = await Server.start("node tests/clients/node/twin.mjs", env);
    tested = await Server.start(undefined, env);
  });
  after(() => Promise.all([node.stop(), tested.stop()]));

  const compare = (name, talk, ...how) =>
    test(name, async () => assert.deepEqual(await talk(tested.port, ...how), await talk(node.port, ...how)));

  for (const [name, sent] of Object.entries(packets)) {
    compare(name, talk, sent.map((packet) => body(packet)));
    compare(`over WebSocket: ${name}`, talkOverWebSocket, sent);
  }
  for (const [name, posts] of Object.entries(bodies)) compare(`the body: ${name}`, talk, posts);
  for (const [name, sent] of Object.entries(frames)) compare(`the frame: ${name}`, talkOverWebSocket, sent);
  compare("base64 is wanted", talk, [body('421["bytes",5]')], "&b64=1");
  compare("base64 is wanted over WebSocket", talkOverWebSocket, ['421["bytes",5]'], "&b64=1");

  for (const [name, posts] of Object.entries(ours)) {
    const skip = !process.env.SERVER_CMD && "the twin is Node's own";
    test(`ours: ${name}`, { skip }, async () => {
      const [, post, get] = await talk(tested.port, posts);
      assert.equal(post, "POST 400 ");
      assert.match(get, /^GET 400 application\/json {"code":1/);
    });
  }

  test("ours: the root, which is joined already, is left and joined anew", { skip: !process.env.SERVER_CMD && "the twin is Node's own" }, async () => {
    const said = (await talk(tested.port, [body("40")])).join(" ");
    assert.match(said, /2:40.*2:40.*10:439\["end"\]$/);
  });

  for (const [name, query, later] of [
    ["a session of 3 asked for with 4", "EIO=3", "EIO=4"],
    ["a session of 4 asked for with 3", "EIO=4", "EIO=3"],
    ["a version that is none is 3", "EIO=x", "EIO=3"],
  ]) {
    test(name, async () => {
      const both = [tested, node].map(async ({ port }) => {
        const url = `http://127.0.0.1:${port}/socket.io/?transport=polling`;
        const open = await (await fetch(`${url}&${query}`)).text();
        const { sid } = JSON.parse(open.slice(open.indexOf("{"), open.lastIndexOf("}") + 1));
        const answer = await fetch(`${url}&${later}&sid=${sid}`);
        return [answer.status, plain(await answer.text())];
      });
      const [ours, theirs] = await Promise.all(both);
      if (later === "EIO=4" || query === "EIO=4") assert.deepEqual(ours, theirs);
      else assert.equal(ours[0], theirs[0]);
    });
  }
});
