// The same raw bytes to Node's server and to the server under test: what they answer is the same, but for the differences
// that are rows of docs/compatibility.md, which are named here one by one.
import assert from "node:assert/strict";
import http from "node:http";
import { after, before, describe, test } from "node:test";
import { converse, Server, within } from "./support.mjs";

const RS = "\x1e";
const PROBE = '429["echo","end"]';

/** What differs from run to run. */
const plain = (text) =>
  text
    .replace(/"[\w-]{20}"/g, '"<id>"')
    .replaceAll(RS, " | ");

/** A session over polling: posts each text, then a probe, and collects what comes until the probe's answer, or the end. */
async function talk(port, posts) {
  const url = `http://127.0.0.1:${port}/socket.io/?EIO=4&transport=polling`;
  const { sid } = JSON.parse((await (await fetch(url)).text()).slice(1));
  const session = `${url}&sid=${sid}`;
  const headers = { "content-type": "text/plain;charset=UTF-8" };
  const heard = [];
  for (const body of [...posts, PROBE]) {
    const answer = await fetch(session, { method: "POST", body, headers });
    const text = await answer.text();
    if (body !== PROBE) heard.push(`POST ${answer.status} ${text}`);
    if (answer.status !== 200) break;
  }
  for (;;) {
    const answer = await fetch(session);
    const text = plain(await answer.text());
    heard.push(`GET ${answer.status} ${text}`);
    if (answer.status !== 200 || text.includes("439[") || /(^|\| )1$/.test(text)) return heard;
  }
}

/** The same over a WebSocket: a post is as many frames as it has packets. */
function talkOverWebSocket(port, posts) {
  const frames = [...posts, PROBE].flatMap((post) => post.split(RS));
  const binary = (one) => (one.startsWith("b") ? Buffer.from(one.slice(1), "base64") : one);
  const url = `ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`;
  return converse(url, frames.map(binary), { plain, ready: (heard) => heard.length > 0 });
}

/** One request, and what a client sees of its answer. */
async function request(port, { method = "GET", path = "/socket.io/", query = "EIO=4&transport=polling", headers = {}, body }) {
  const { hostname, port: number } = new URL(`http://127.0.0.1:${port}`);
  const options = { host: hostname, port: number, method, path: `${path}?${query}`, headers, agent: false };
  const answer = await within(
    new Promise((resolve, reject) => {
      const sent = http.request(options, resolve).on("error", reject);
      sent.on("upgrade", (upgraded) => {
        upgraded.socket.destroy();
        resolve(upgraded);
      });
      sent.end(body);
    }),
    "an answer",
  );
  let text = "";
  if (answer.statusCode !== 101) for await (const part of answer) text += part;
  const seen = ["content-type", "allow", "set-cookie", "sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-protocol"];
  return [answer.statusCode, plain(text), ...seen.map((name) => answer.headers[name])];
}

/** Joined to `/`, then this packet. */
const packet = (text) => ["40", text];
const one = `{"_placeholder":true,"num":0}`;

const same = {
  "an event with an acknowledgement": packet('421["add",1,2]'),
  "an event that nobody handles": packet('42["nobody"]'),
  "the root by its name": ["40/"],
  "the root by its name, with a comma": ["40/,"],
  "an empty payload": ["40{}"],
  "an id in CONNECT": ["405"],
  "two namespaces": packet('40/admin,{"token":"sesame"}'),
  "a refusal with data": packet("40/admin"),
  "a refusal that tells what it got": packet('40/admin,{"token":"x"}'),
  "a refusal without data": packet('40/admin,{"token":"quiet"}'),
  "an unknown namespace": packet("40/nope,"),
  "a query is part of the name": packet("40/admin?x=1,"),
  "CONNECT with a list": ["40[]"],
  "CONNECT with null": ["40null"],
  "CONNECT with a text": ['40"x"'],
  "leaving and joining again": ["40", "41", "40"],
  "DISCONNECT with a payload": packet("41{}"),
  "an event for a namespace that is not joined": packet('42/admin,["x"]'),
  "an event after leaving": ["40", "41", '42["x"]'],
  "binary": packet(`451-1["size",${one}]${RS}bAQID`),
  "one attachment twice": packet(`451-1["echo",${one},${one}]${RS}bAQID`),
  "a placeholder without attachments is data": packet(`421["echo",${one}]`),
  "a text while an attachment is due": packet(`451-1["size",${one}]${RS}42["x"]`),
  "an attachment that nobody waits for": packet("bAQID"),
  "a placeholder that is no number": packet(`451-1["size",{"_placeholder":true,"num":"0"}]${RS}bAQID`),
  "a placeholder without a number": packet(`451-1["size",{"_placeholder":true}]${RS}bAQID`),
  "the server's own close": packet('42["kick",true]'),
};
for (const text of [
  "42{}", "42[]", '42"x"', "42[true]", "42[null]", "42[{}]", "42[5,1]", "43", "43{}", "431[]", "43[]", "44{}", '44"x"',
  "49", "4abc", "4", '42["connect"]', '42["connect_error"]', '42["disconnect"]', '42["disconnecting"]',
  '42["newListener"]', '42["removeListener"]', '42["error"]', '42["__proto__"]', '421["constructor"]', '421["toString"]',
  '45["x"]', '451["x"]', "45a-[]", "451.5-[]", "45-1-[]", '450-["x"]', '4511-["x"]', '42["x"', '42["x"]x', '42["x",]',
  '42x["y"]', '42/,["add"]', '421/["add"]', '42[ "add",1,2]', '421[ "add" , 1 , 2 ]', '421["echo"]', '421["echo",null]',
  '421["echo",[],{}]', `421["echo","a${RS}b"]`, '421["echo","\\u00e9\\ud83d\\ude00"]', '421["echo",-0.5,1e21]',
  "0", "2", "2probe", "3", "3probe", "5", "6", `4${RS}42["x"]`, `421["echo",${"[".repeat(60)}${"]".repeat(60)}]`,
]) same[`the packet ${plain(text).slice(0, 40)}`] = packet(text);

const upgrade = {
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
};
const text = { "content-type": "text/plain;charset=UTF-8" };
const websocket = "EIO=4&transport=websocket";

/** Single requests. */
const requests = {
  "a handshake": {},
  "a handshake with more in its query": { query: "EIO=4&transport=polling&t=abc&token=x" },
  "a handshake with an origin": { headers: { origin: "https://app.example.com" } },
  "no transport": { query: "EIO=4" },
  "an empty transport": { query: "EIO=4&transport=" },
  "an unknown transport": { query: "EIO=4&transport=webtransport2" },
  "a transport in capitals": { query: "EIO=4&transport=POLLING" },
  "a transport that is a word of JavaScript": { query: "EIO=4&transport=constructor" },
  "no version": { query: "transport=polling" },
  "version 3": { query: "EIO=3&transport=polling" },
  "version 5": { query: "EIO=5&transport=polling" },
  "an unknown session": { query: "EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA" },
  "a session id that is none": { query: "EIO=4&transport=polling&sid=x" },
  "a session id that is a word of JavaScript": { query: "EIO=4&transport=polling&sid=__proto__" },
  "an empty session id": { query: "EIO=4&transport=polling&sid=" },
  "a POST without a session": { method: "POST", headers: text, body: "40" },
  "a PUT without a session": { method: "PUT", headers: text, body: "40" },
  "a DELETE without a session": { method: "DELETE" },
  "a POST to an unknown session": { method: "POST", query: "EIO=4&transport=polling&sid=x", headers: text, body: "40" },
  "a WebSocket that is none": { query: websocket },
  "a WebSocket": { query: websocket, headers: upgrade },
  "a WebSocket that offers compression": {
    query: websocket,
    headers: { ...upgrade, "sec-websocket-extensions": "permessage-deflate; client_max_window_bits" },
  },
  "a WebSocket that offers a subprotocol": { query: websocket, headers: { ...upgrade, "sec-websocket-protocol": "chat, superchat" } },
  "a WebSocket with words in capitals": { query: websocket, headers: { ...upgrade, connection: "keep-alive, UPGRADE", upgrade: "WebSocket" } },
};

/** What ours answers where it differs on purpose, and why. */
const ours = {
  "an event without payload is no event": {
    posts: packet("42"),
    heard: ["POST 200 ok", "POST 200 ok", /^GET 200 40/, "GET 200 6 | 1"],
  },
  "undecodable content is a bad request": { posts: packet("x"), heard: ["POST 200 ok", "POST 400 ", /^GET 400 {"code":1/] },
  "an empty body is a bad request": { posts: packet(""), heard: ["POST 200 ok", "POST 400 ", /^GET 400 {"code":1/] },
  "a second CONNECT leaves and joins anew": {
    posts: packet("40"),
    heard: ["POST 200 ok", "POST 200 ok", /^GET 200 40.* 40{.*439\["end"\]$/],
  },
  "a lone surrogate has no form in Rust's strings": {
    posts: packet('421["echo","\\ud800"]'),
    heard: ["POST 200 ok", "POST 200 ok", /431\[{"error":"echo: .* at argument 1"}\]/],
  },
  "a number out of range": {
    posts: packet('421["echo",1e999]'),
    heard: ["POST 200 ok", "POST 200 ok", /431\[{"error":"echo: number out of range at argument 1"}\]/],
  },
};

describe("differential", () => {
  let node, tested;
  before(async () => {
    node = await Server.start("node tests/clients/node/twin.mjs");
    tested = await Server.start();
  });
  after(() => Promise.all([node.stop(), tested.stop()]));

  for (const [name, posts] of Object.entries(same)) {
    test(name, async () => assert.deepEqual(await talk(tested.port, posts), await talk(node.port, posts)));
  }

  // Node may or may not have acted on a DISCONNECT when the next frame comes.
  const byLuck = ["leaving and joining again", "an event after leaving"];
  for (const [name, posts] of Object.entries(same)) {
    if (byLuck.includes(name)) continue;
    test(`over WebSocket: ${name}`, async () =>
      assert.deepEqual(await talkOverWebSocket(tested.port, posts), await talkOverWebSocket(node.port, posts)));
  }

  for (const [name, how] of Object.entries(requests)) {
    test(`the request: ${name}`, async () =>
      assert.deepEqual(await request(tested.port, how), await request(node.port, how)));
  }

  for (const [name, { posts, heard }] of Object.entries(ours)) {
    const skip = !process.env.SERVER_CMD && "the twin is Node's own";
    test(`ours: ${name}`, { skip }, async () => {
      const said = await talk(tested.port, posts);
      heard.forEach((expected, i) =>
        expected instanceof RegExp ? assert.match(said[i] ?? "", expected) : assert.equal(said[i], expected),
      );
      assert.notDeepEqual(said, await talk(node.port, posts), "no longer different: take it off the list");
    });
  }
});
