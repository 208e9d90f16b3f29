// Bytes that HTTP and WebSocket libraries do not send, to Node's server and to the server under test. Where the two differ on
// purpose, the difference is a row of docs/compatibility.md, and a case below says what each of them does.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Wire, ask, frame, frames, text, upgrade } from "./raw.mjs";
import { Server } from "./support.mjs";

const POLLING = "/socket.io/?EIO=4&transport=polling";
const WEBSOCKET = "/socket.io/?EIO=4&transport=websocket";
const plainText = { "content-type": "text/plain;charset=UTF-8" };
const once = { connection: "close" };
const PROBE = frame(1, '429["echo","end"]');

const plain = (text) => text.replace(/"[\w-]{20}"/g, '"<id>"').replaceAll("\x1e", " | ");
const seen = (response) =>
  response ? [response.status, plain(response.body), response.headers["content-type"] ?? null] : "no response";

// --- Sessions ---------------------------------------------------------------------------------------------------------

/** Opens a session over polling; gives its id. */
async function opened(port) {
  const { response, wire } = await ask(port, { target: POLLING, headers: once });
  wire.destroy();
  return JSON.parse(response.body.slice(1)).sid;
}

/** The target of a session that has joined `/` over polling. */
async function joined(port) {
  const target = `${POLLING}&sid=${await opened(port)}`;
  await single(port, { method: "POST", target, headers: plainText, body: "40" });
  await single(port, { target });
  return target;
}

/** One request, and what is seen of its response. */
async function single(port, request) {
  const { wire, response } = await ask(port, { ...request, headers: { ...once, ...request.headers } });
  wire.destroy();
  return seen(response);
}

/** Asks for a WebSocket. */
async function websocket(port, { target = WEBSOCKET, headers = {}, ...more } = {}) {
  const wire = await Wire.open(port);
  wire.write(text({ target, headers: { ...upgrade, ...headers }, ...more }));
  const response = await wire.response();
  return { wire, response };
}

const shown = ([opcode, payload]) => (opcode === 8 ? `close ${payload.toString("hex")}` : `${opcode}: ${plain(payload.toString())}`);

/** What has come, up to the answer to the probe, a close frame, or the end. */
async function heard(wire) {
  const found = await wire.until((received) => {
    const all = frames(received);
    const end = all.findIndex(([opcode, payload]) => opcode === 8 || /^43(\/gated,)?9\[/.test(payload.toString()));
    return end < 0 ? undefined : all.slice(0, end + 1);
  });
  const all = (found ?? frames(wire.received)).map(shown);
  if (!found) all.push(`end: ${wire.ended}`);
  return all;
}

/** A WebSocket whose session has joined `/`, with nothing left to be read. */
async function joinedWebSocket(port) {
  const { wire } = await websocket(port);
  wire.write(frame(1, "40"));
  await wire.until((received) => frames(received).find(([, payload]) => payload.toString().startsWith('42["welcome"')));
  wire.received = Buffer.alloc(0);
  return wire;
}

/** Sends pieces in one segment, and gives what is answered. */
async function talk(port, pieces, { fin = false } = {}) {
  const wire = await joinedWebSocket(port);
  const bytes = Buffer.concat(pieces);
  if (fin) wire.socket.end(bytes);
  else wire.write(bytes);
  const all = await heard(wire);
  wire.destroy();
  return all;
}

/** A session that has moved to WebSocket. */
async function upgraded(port) {
  const target = await joined(port);
  const { wire } = await websocket(port, { target: target.replace("polling", "websocket") });
  wire.write(Buffer.concat([frame(1, "2probe"), frame(1, "5")]));
  wire.write(PROBE);
  await heard(wire);
  wire.received = Buffer.alloc(0);
  return { wire, target };
}

const alive = async (wire) => {
  wire.write(PROBE);
  return heard(wire);
};

// --- Cases ------------------------------------------------------------------------------------------------------------

const same = {};
/** Name, and what Node and ours give. */
const differs = {};

for (const query of [
  "EIO=4&transport=%70olling", "EIO=%34&transport=polling", "%45IO=4&transport=polling", "EIO=4&transp%6Frt=polling",
  "EIO=4&transport=polling+", "EIO=4&transport=+polling", "EIO=4&transport=polling%20", "EIO=4.0&transport=polling",
  "EIO=+4&transport=polling", "EIO=04&transport=polling", "EIO=4&transport=polling&transport=websocket",
  "EIO=4&transport=websocket&transport=polling", "EIO=3&EIO=4&transport=polling", "EIO=4&EIO=3&transport=polling",
  "EIO=4&transport[]=polling", "EIO=4;transport=polling", "&&EIO=4&&transport=polling&&", "?EIO=4&transport=polling",
  "EIO=4&transport=polling&sid", "EIO=4&transport=polling&sid=+", "EIO=4&transport=polling&sid=%20",
  "EIO=4&transport=poll%69ng%00", "EIO=4&transport=%zzpolling", "EIO=4&transport=polling&x=%zz", "EIO=4&transport=polling&x=%",
  "eio=4&Transport=polling", "EIO=4&transport=polling=", "EIO=4=&transport=polling", "", "EIO=4&transport", "transport=polling&EIO",
  "EIO=4&transport=%E4", "EIO=4&transport=web%73ocket", "EIO=4&transport=polling&x=%26EIO=3&y=%3D", "EIO=4&transport=polling&b%36%34=1",
]) same[`the query ${query}`] = (port) => single(port, { target: `/socket.io/?${query}` });

for (const query of ["EIO=%34&transport=web%73ocket", "x=%41&EIO=4&transport=polling&transport=websocket"]) {
  same[`a WebSocket with the query ${query}`] = async (port) => {
    const { wire, response } = await websocket(port, { target: `/socket.io/?${query}` });
    wire.destroy();
    return response.status;
  };
}

const escaped = (sid) => [...sid].map((char) => `%${char.charCodeAt(0).toString(16)}`).join("");
for (const [name, query] of Object.entries({
  "escaped": (sid) => `sid=${escaped(sid)}`,
  "with its key escaped": (sid) => `sid=x&s%69d=${sid}`,
  "a second time": (sid) => `sid=x&sid=${sid}`,
  "a first time": (sid) => `sid=${sid}&sid=x`,
  "before an empty one": (sid) => `sid=${sid}&sid=`,
  "behind a space": (sid) => `sid=%20${sid}`,
  "behind a plus": (sid) => `sid=+${sid}`,
  "before a plus": (sid) => `sid=${sid}+`,
  "in lower case": (sid) => `sid=${sid.toLowerCase().replace(/^./, (char) => (/[a-z]/.test(char) ? char : "_"))}x`,
})) {
  same[`a session's id ${name}`] = async (port) => {
    const target = `${POLLING}&${query(await opened(port))}`;
    return single(port, { method: "POST", target, headers: plainText, body: "40" });
  };
}

for (const method of ["PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"]) {
  same[`${method} without a session`] = (port) => single(port, { method, target: POLLING });
  same[`${method} to a session`] = async (port) => single(port, { method, target: await joined(port) });
}

const post = async (port, headers, body = '421["add",1,2]') => {
  const target = await joined(port);
  return [await single(port, { method: "POST", target, headers, body }), await single(port, { target })];
};
for (const type of [undefined, "application/json", "application/octet-stream", "APPLICATION/OCTET-STREAM", "application/octet-stream; x=y"]) {
  same[`a POST with the type ${type}`] = (port) => post(port, { "content-type": type });
}
same["a POST over the limit ends the session"] = (port) => post(port, plainText, `4${"x".repeat(1_000_001)}`);
same["a POST that expects 100"] = async (port) => {
  const { response, wire } = await ask(port, { method: "POST", target: await joined(port), headers: { ...plainText, expect: "100-continue" }, body: "3" });
  wire.destroy();
  return response.status;
};
same["a POST after the upgrade"] = async (port) => {
  const { wire, target } = await upgraded(port);
  return [await single(port, { method: "POST", target, headers: plainText, body: "3" }), await alive(wire)];
};
same["a GET after the upgrade"] = async (port) => {
  const { wire, target } = await upgraded(port);
  return [await single(port, { target }), await alive(wire)];
};
same["overlapping GETs"] = async (port) => {
  const target = await joined(port);
  const [first, second] = [await Wire.open(port), await Wire.open(port)];
  first.write(text({ target }));
  second.write(text({ target }));
  const answers = [seen(await first.response()), seen(await second.response())];
  // Which of the two came first is chance.
  return [answers.sort(), await single(port, { target })];
};
same["overlapping POSTs: the second, and a poll"] = async (port) => {
  const target = await joined(port);
  const [poll, first] = [await Wire.open(port), await Wire.open(port)];
  poll.write(text({ target }));
  first.write(`${text({ method: "POST", target, headers: { ...plainText, "content-length": 50, expect: "100-continue" } })}`);
  // The server asks for the body when it has seen the request.
  await first.response();
  const second = await single(port, { method: "POST", target, headers: plainText, body: "3" });
  return [second, seen(await poll.response()), await single(port, { target })];
};

// WebSocket handshakes: the body of a refusal differs on purpose.
const handshake = (how) => async (port) => {
  const { wire, response } = await websocket(port, how);
  wire.destroy();
  return [response.status, response.headers["sec-websocket-protocol"] ?? null];
};
for (const version of ["99", undefined, "", "13, 8", "7", "x", " 13 "]) {
  same[`WebSocket version ${version}`] = handshake({ headers: { "sec-websocket-version": version } });
}
for (const key of [undefined, "", "abc", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZR=="]) {
  same[`WebSocket key ${key}`] = handshake({ headers: { "sec-websocket-key": key } });
}
for (const connection of [undefined, "Upgrade, close", "keep-alive", "keep-alive, upgrade", "close"]) {
  same[`Connection: ${connection}`] = handshake({ headers: { connection } });
}
for (const protocol of [undefined, "", "a", "b, a", "a b", "a, a", "a,,b", "a,", "a;b"]) {
  same[`Sec-WebSocket-Protocol: ${protocol}`] = handshake({ headers: { "sec-websocket-protocol": protocol } });
}
for (const word of [undefined, "h2c", "WEBSOCKET", "websocket2"]) same[`Upgrade: ${word}`] = handshake({ headers: { upgrade: word } });
same["a WebSocket by POST"] = handshake({ method: "POST" });
same["a WebSocket for an unknown session"] = handshake({ target: `${WEBSOCKET}&sid=AAAAAAAAAAAAAAAAAAAA` });
same["a WebSocket with an unknown transport"] = handshake({ target: "/socket.io/?EIO=4&transport=pigeon" });
same["a WebSocket for a session, with another version"] = async (port) =>
  handshake({ target: (await joined(port)).replace("polling", "websocket").replace("EIO=4", "EIO=3") })(port);

const second = async (port, target) => {
  const { wire, response } = await websocket(port, { target });
  wire.write(frame(1, "2probe"));
  const all = await heard(wire);
  wire.destroy();
  return [response.status, all];
};
same["a second WebSocket after the upgrade"] = async (port) => {
  const { wire, target } = await upgraded(port);
  return [await second(port, target.replace("polling", "websocket")), await alive(wire)];
};
same["a second WebSocket during the upgrade"] = async (port) => {
  const target = (await joined(port)).replace("polling", "websocket");
  const { wire } = await websocket(port, { target });
  wire.write(frame(1, "2probe"));
  await wire.until((received) => frames(received)[0]);
  const answer = await second(port, target);
  wire.write(frame(1, "5"));
  return [answer, await alive(wire)];
};

// Closing.
const code = (number, reason = "") => Buffer.concat([Buffer.from([number >> 8, number & 255]), Buffer.from(reason, "latin1")]);
const closes = {
  "without a code": Buffer.alloc(0),
  "with a reason": code(1001, "bye"),
  "with half a code": Buffer.from([3]),
  "with a reason that is no UTF-8": code(1000, "\xff\xfe"),
  "with the longest reason": code(1000, "x".repeat(123)),
  "with a reason too long": code(1000, "x".repeat(124)),
};
for (const number of [999, 1000, 1002, 1003, 1004, 1005, 1006, 1007, 1011, 1012, 1014, 1015, 1016, 2999, 3000, 4000, 4999, 5000]) closes[`with ${number}`] = code(number);
for (const [name, payload] of Object.entries(closes)) {
  same[`a close frame ${name}`] = (port) => talk(port, [frame(8, payload)]);
  same[`a close frame ${name}, then FIN`] = (port) => talk(port, [frame(8, payload)], { fin: true });
}
same["FIN without a close frame"] = (port) => talk(port, [], { fin: true });
same["an event behind a close frame"] = (port) => talk(port, [frame(8), frame(1, '421["add",1,2]')]);
same["an event, then a close frame"] = (port) => talk(port, [frame(1, '421["add",1,2]'), frame(8)]);
same["an event, then a violation of WebSocket"] = (port) => talk(port, [frame(1, '421["add",1,2]'), frame(3)]);
same["an event, then a message over the limit"] = (port) => talk(port, [frame(1, '421["add",1,2]'), frame(1, `4${"x".repeat(1_000_001)}`)]);
same["16,384 fragments"] = (port) => talk(port, fragments(16_384));

const fragments = (count) => [
  frame(1, '421["size","', { fin: false }),
  ...Array.from({ length: count - 2 }, () => frame(0, "a", { fin: false })),
  frame(0, '"]'),
  PROBE,
];

// Acknowledgement ids.
const event = (id) => [frame(1, `42${id}["add",1,2]`), PROBE];
const ack = (id) => [frame(1, `43${id}[1]`), PROBE];
for (const id of ["", "0", "00", "007", "9007199254740991", "-1", "1e3", "1.0", "+1", "0x1"]) {
  same[`an event with the id "${id}"`] = (port) => talk(port, event(id));
  same[`an acknowledgement with the id "${id}"`] = (port) => talk(port, ack(id));
}
for (const id of ["9007199254740993", "9223372036854775808", "18446744073709551615"]) {
  same[`an acknowledgement with the id "${id}"`] = (port) => talk(port, ack(id));
  differs[`the id ${id} of an event`] = {
    run: (port) => talk(port, event(id)),
    node: [`1: 43${Number(id)}[3]`, '1: 439["end"]'],
    ours: [`1: 43${id}[3]`, '1: 439["end"]'],
  };
}
for (const id of [" 1", "1 "]) {
  differs[`a space in the id "${id}"`] = { run: (port) => talk(port, event(id)), node: ["1: 431[3]", '1: 439["end"]'], ours: ["close "] };
}
for (const [name, pieces] of Object.entries({ event, acknowledgement: ack })) {
  differs[`an id over 2^64 of an ${name}`] = {
    run: (port) => talk(port, pieces("18446744073709551616")),
    node: pieces === event ? ["1: 4318446744073709552000[3]", '1: 439["end"]'] : ['1: 439["end"]'],
    ours: ["close "],
  };
}

// A namespace whose middleware is still running.
const gated = (packet) => (port) =>
  talk(port, [frame(1, "40/gated,"), frame(1, packet), frame(1, '428["open-gate"]'), frame(1, '42/gated,9["echo","in"]')]);
for (const [name, packet, ours] of [
  ["an event", '42/gated,1["echo","early"]', ['1: 43/gated,1["early"]', '1: 43/gated,9["in"]']],
  ["an acknowledgement", "43/gated,1[]", ['1: 43/gated,9["in"]']],
]) {
  differs[`${name} for a namespace whose middleware is running`] = {
    run: gated(packet),
    node: ["close "],
    ours: ["1: 438[]", '1: 40/gated,{"sid":"<id>"}', ...ours],
  };
}
differs["DISCONNECT for a namespace whose middleware is running"] = {
  run: (port) => talk(port, [frame(1, "40/gated,"), frame(1, "41/gated,"), frame(1, '428["open-gate"]'), PROBE]),
  node: ["close "],
  ours: ["1: 438[]", '1: 439["end"]'],
};

// The rest.
differs["an event, then a violation of Socket.IO"] = {
  run: (port) => talk(port, [frame(1, '421["add",1,2]'), frame(1, "43x")]),
  node: ["close "],
  ours: ["1: 431[3]", "close "],
};
differs["an event, then a violation of Socket.IO, over polling"] = {
  run: async (port) => (await post(port, plainText, '421["add",1,2]\x1e43x'))[1][1],
  node: "6 | 1",
  ours: "431[3]",
};
differs["the first of two POSTs"] = {
  run: async (port) => {
    const target = await joined(port);
    const first = await Wire.open(port);
    first.write(text({ method: "POST", target, headers: { ...plainText, "content-length": 50, expect: "100-continue" } }));
    await first.response();
    await single(port, { method: "POST", target, headers: plainText, body: "3" });
    return seen(await first.response());
  },
  node: "no response",
  ours: [400, '{"code":1,"message":"Session ID unknown"}', "application/json"],
};
differs["GETs on one connection, one behind the other"] = {
  run: async (port) => {
    const target = await joined(port);
    const wire = await Wire.open(port);
    wire.write(text({ target }) + text({ target }));
    await single(port, { method: "POST", target, headers: plainText, body: '421["add",1,2]' });
    return seen(await wire.response()).slice(0, 2);
  },
  node: [200, "1"],
  ours: [200, "431[3]"],
};
differs["17,000 fragments"] = { run: (port) => talk(port, fragments(17_000)), node: ["close 03f0"], ours: ["1: 431[16998]", '1: 439["end"]'] };
differs["a body in 12,000 chunks"] = {
  run: async (port) => {
    const target = await joined(port);
    const body = `421["size","${"a".repeat(11_986)}"]`;
    const wire = await Wire.open(port);
    wire.write(text({ method: "POST", target, headers: { ...plainText, "transfer-encoding": "chunked" } }));
    wire.write(`${[...body].map((char) => `1\r\n${char}\r\n`).join("")}0\r\n\r\n`);
    const answer = await wire.response();
    return [answer.status, (await single(port, { target }))[1]];
  },
  node: [413, '{"code":1,"message":"Session ID unknown"}'],
  ours: [200, "431[11986]"],
};
differs["a length that is not the shortest"] = {
  run: (port) => talk(port, [Buffer.from([0x81, 0xfe, 0, 14, 0, 0, 0, 0]), Buffer.from('421["add",1,2]'), PROBE]),
  node: ["1: 431[3]", '1: 439["end"]'],
  ours: ["close 03ea"],
};
differs["a length over 2^63"] = {
  run: (port) => talk(port, [Buffer.from([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])]),
  node: ["close 03f1"],
  ours: ["close 03ea"],
};
differs["the packet `1` over WebSocket"] = { run: (port) => talk(port, [frame(1, "1"), PROBE]), node: ['1: 439["end"]'], ours: ["close "] };
differs["an upgrade in HTTP/1.0"] = { run: handshake({ version: "1.0" }), node: [101, null], ours: [400, null] };
differs["`Upgrade: websocket, h2c`"] = { run: handshake({ headers: { upgrade: "websocket, h2c" } }), node: [400, null], ours: [101, null] };
for (const version of ["8", "013", "13.0", "0xd"]) {
  differs[`WebSocket version ${version}`] = { run: handshake({ headers: { "sec-websocket-version": version } }), node: [101, null], ours: [400, null] };
}
differs["a second WebSocket of a session that began with one"] = {
  run: async (port) => {
    const { wire } = await websocket(port);
    const open = await wire.until((received) => frames(received)[0]);
    const { sid } = JSON.parse(open[1].toString().slice(1));
    const other = await websocket(port, { target: `${WEBSOCKET}&sid=${sid}` });
    other.wire.write(frame(1, "2probe"));
    const answer = await other.wire.until((received) => frames(received)[0]);
    return [other.response.status, shown(answer)];
  },
  node: [101, "1: 3probe"],
  ours: [101, "close "],
};
differs["a WebSocket with `transport=polling`"] = {
  run: handshake({ target: POLLING }), node: [101, null], ours: [400, null],
};
differs["a WebSocket of Engine.IO 3, which is not allowed"] = {
  run: handshake({ target: "/socket.io/?EIO=3&transport=websocket" }), node: [101, null], ours: [400, null],
};
differs["an empty POST"] = { run: async (port) => (await post(port, plainText, ""))[0][0], node: 200, ours: 400 };
differs["an unknown path below the server's"] = { run: async (port) => (await single(port, { target: "/socket.io/x?EIO=4&transport=polling" }))[0], node: 200, ours: 404 };
differs["the path without its slash"] = { run: async (port) => (await single(port, { target: "/socket.io?EIO=4&transport=polling" }))[0], node: 404, ours: 200 };
differs["the target as a whole URL"] = { run: async (port) => (await single(port, { target: `http://localhost${POLLING}` }))[0], node: 404, ours: 200 };
differs["no Host"] = { run: async (port) => (await single(port, { target: POLLING, headers: { host: undefined } }))[0], node: 400, ours: 200 };

describe("differential, byte by byte", () => {
  let node, tested;
  before(async () => {
    node = await Server.start("node tests/clients/node/twin.mjs");
    tested = await Server.start();
  });
  after(() => Promise.all([node.kill(), tested.kill()]));

  for (const [name, run] of Object.entries(same)) {
    test(name, async () => assert.deepEqual(await run(tested.port), await run(node.port)));
  }
  for (const [name, { run, node: theirs, ours }] of Object.entries(differs)) {
    test(`Node: ${name}`, async () => assert.deepEqual(await run(node.port), theirs));
    const skip = !process.env.SERVER_CMD && "the twin is Node's own";
    test(`ours: ${name}`, { skip }, async () => assert.deepEqual(await run(tested.port), ours));
  }
});
