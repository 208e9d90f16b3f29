"""python-socketio's asyncio client against the server of ../README.md: the same contract as the Node tests, fewer cases.

    python tests/clients/python/test_client.py            # against the Node twin
    SERVER_CMD=target/debug/examples/client-test-server python tests/clients/python/test_client.py
"""

import asyncio
import os
import re
import signal
import threading
import unittest
from pathlib import Path

import socketio
from engineio.payload import Payload
from socketio.exceptions import ConnectionError as Refused
from socketio.exceptions import TimeoutError as NoAnswer

ROOT = Path(__file__).resolve().parents[3]
COMMAND = os.environ.get("SERVER_CMD") or "node tests/clients/node/twin.mjs"
LIMIT = 15

# python-engineio refuses a polling payload of more than 16 packets, which Node's server sends when many are waiting. Its
# documentation says to raise the limit. Ours knows its User-Agent.
if "SERVER_CMD" not in os.environ:
    Payload.max_decode_packets = 1_000


class Server:
    """One server process; `start` again after `kill` comes back on the same port."""

    port = 0
    process = None

    async def start(self):
        self.process = await asyncio.create_subprocess_shell(
            f"exec {COMMAND}",
            cwd=ROOT,
            env={**os.environ, "PORT": str(self.port)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        self.port = int(await asyncio.wait_for(self._listening(), 30))
        self._rest = asyncio.create_task(self.process.stdout.read())  # so that the pipe never fills

    async def _listening(self):
        async for line in self.process.stdout:
            if found := re.fullmatch(r"listening on (\d+)", line.decode().strip()):
                return found[1]
        raise RuntimeError(f"{COMMAND!r} ended before it was listening")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    async def kill(self):
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


class Inbox(asyncio.Queue):
    """Collects what comes with an event; `take` waits for the next one."""

    async def take(self):
        return await asyncio.wait_for(self.get(), LIMIT)

    def listen(self, client, event, namespace="/", answer=None):
        async def put(*args):
            self.put_nowait(args)
            return answer(*args) if answer else None

        client.on(event, put, namespace=namespace)
        return self


class Cases:
    """Run once for each way of connecting; `transports` is what python-socketio calls it."""

    transports = None
    expected = None

    async def asyncSetUp(self):
        self.clients = []
        self.server = Server()
        await self.server.start()

    async def asyncTearDown(self):
        for client in self.clients:
            await client.shutdown()
        await self.server.kill()

    def client(self, **options):
        client = socketio.AsyncClient(**{"reconnection": False, **options})
        self.clients.append(client)
        return client

    async def connect(self, client=None, **options):
        client = client or self.client()
        await client.connect(self.server.url, transports=self.transports, wait_timeout=LIMIT, **options)
        return client

    async def ask(self, client, event, *args, namespace="/"):
        data = args[0] if len(args) == 1 and not isinstance(args[0], tuple) else args or None
        return await client.call(event, data, namespace=namespace, timeout=LIMIT)

    async def test_the_transport_is_the_one_asked_for(self):
        client = await self.connect()
        self.assertEqual(client.transport(), self.expected)

    async def test_connection_payload_and_headers(self):
        client = self.client()
        welcome = Inbox().listen(client, "welcome")
        await self.connect(client, auth={"user": "Zoé"}, headers={"X-Test": "py"})
        sid = client.get_sid("/")
        self.assertEqual(await welcome.take(), (sid, {"user": "Zoé"}))
        me = await self.ask(client, "whoami")
        self.assertEqual((me["id"], me["nsp"], me["auth"], me["header"]), (sid, "/", {"user": "Zoé"}, "py"))

    async def test_events_there_and_back(self):
        client = self.client()
        bounced = Inbox().listen(client, "bounced")
        await self.connect(client)
        for args in [(), ("a",), ([1, [2]],), ("é😀", 1, True, None, {"deep": [{}]})]:
            await client.emit("bounce", args)
            self.assertEqual(await bounced.take(), args)

    async def test_binary_at_any_depth(self):
        client = self.client()
        bounced = Inbox().listen(client, "bounced")
        await self.connect(client)
        args = (b"\x00\xff", {"a": [b"", {"b": bytes(range(256))}]}, "text", [b"x"])
        await client.emit("bounce", args)
        self.assertEqual(await bounced.take(), args)
        photo = {"name": "é.png", "bytes": b"\xff" * 300}
        self.assertEqual(await self.ask(client, "photo", photo), {"name": "é.png", "length": 300, "sum": 300 * 255})
        big = os.urandom(200_000)
        self.assertEqual(await self.ask(client, "echo", big), big)

    async def test_events_arrive_in_order(self):
        client = self.client()
        ticks = Inbox().listen(client, "tick")
        await self.connect(client)
        for i in range(200):
            await client.emit("count", i)
        self.assertEqual(await self.ask(client, "counted"), list(range(200)))
        # Its handlers are tasks, which run in the order of their making when they do not wait.
        self.assertEqual(await self.ask(client, "burst", 200), 200)
        self.assertEqual([(await ticks.take())[0] for _ in range(200)], list(range(200)))

    async def test_a_burst_arrives_whole_and_in_order(self):
        client = self.client()
        ticks = Inbox().listen(client, "tick")
        await self.connect(client)
        self.assertEqual(await self.ask(client, "burst", 1_000), 1_000)
        self.assertEqual([(await ticks.take())[0] for _ in range(1_000)], list(range(1_000)))

    async def test_the_server_acknowledges(self):
        client = await self.connect()
        self.assertEqual(await self.ask(client, "echo", "one"), "one")
        self.assertEqual(await self.ask(client, "echo", "a", 2, b"three"), ("a", 2, b"three"))
        self.assertIsNone(await self.ask(client, "echo"))
        parts = await self.ask(client, "bytes", 5)
        self.assertEqual(parts, {"whole": b"\x00\x01\x02\x03\x04", "parts": [b"\x00\x01", b"\x02\x03\x04"]})

    async def test_errors_are_answers(self):
        client = await self.connect()
        self.assertEqual(await self.ask(client, "nobody"), {"error": 'no handler for "nobody"'})
        self.assertEqual(await self.ask(client, "add", 2, 3), 5)
        self.assertIn("error", await self.ask(client, "add", "two", 3))
        self.assertEqual(await self.ask(client, "fail"), {"error": "it failed", "code": 42})
        with self.assertRaises(NoAnswer):
            await client.call("never", timeout=0.2)
        self.assertEqual(await self.ask(client, "echo", "fine"), "fine")

    async def test_the_client_acknowledges(self):
        client = self.client()
        client.on("question", lambda question: {"you": question})
        client.on("bytes-please", lambda: b"\x01\x02\xfa")
        await self.connect(client)
        self.assertEqual(await self.ask(client, "ask", "why?", 5_000), {"answer": {"you": "why?"}})
        self.assertEqual(await self.ask(client, "ask-bytes"), {"length": 3, "sum": 253})

    async def test_rooms(self):
        one, two, other = self.client(), self.client(), self.client()
        boxes = [Inbox().listen(client, "news") for client in (one, two, other)]
        for client in (one, two, other):
            await self.connect(client)
        self.assertEqual(await self.ask(one, "join", "a"), ["a"])
        self.assertEqual(await self.ask(two, "join", ["a", "b"]), ["a", "b"])
        await one.emit("send", {"to": ["a"], "event": "news", "data": {"n": 1, "bytes": b"\x07"}})
        self.assertEqual(await boxes[1].take(), ({"n": 1, "bytes": b"\x07"},))
        await one.emit("send-all", {"to": ["a"], "except": ["b"], "event": "news", "data": 2})
        self.assertEqual(await boxes[0].take(), (2,))
        for client in (one, two, other):
            await self.ask(client, "echo", "flush")
        self.assertTrue(all(box.empty() for box in boxes))

    async def test_namespaces_share_a_connection(self):
        client = self.client()
        await self.connect(client, namespaces=["/", "/admin", "/room-red"], auth={"token": "sesame"})
        self.assertEqual(await self.ask(client, "user", namespace="/admin"), {"name": "admin"})
        self.assertEqual(await self.ask(client, "name", namespace="/room-red"), "red")
        self.assertEqual((await self.ask(client, "whoami"))["nsp"], "/")
        sids = {client.get_sid(nsp) for nsp in ("/", "/admin", "/room-red")}
        self.assertEqual(len(sids), 3)

    async def test_refusals_carry_message_and_data(self):
        for namespace, auth, refusal in [
            ("/admin", {"token": "wrong"}, {"message": "not authorized", "data": {"code": "bad_token", "got": "wrong"}}),
            ("/admin", None, {"message": "not authorized", "data": {"code": "no_token"}}),
            ("/dynamic-free", None, {"message": "Invalid namespace"}),
        ]:
            client = self.client()
            refusals = Inbox().listen(client, "connect_error", namespace)
            with self.assertRaises(Refused):
                await self.connect(client, namespaces=[namespace], auth=auth)
            self.assertEqual(await refusals.take(), (refusal,))

    async def test_the_server_disconnects(self):
        client = self.client()
        reasons = Inbox().listen(client, "disconnect")
        await self.connect(client)
        await client.emit("kick", True)
        self.assertEqual(await reasons.take(), (client.reason.SERVER_DISCONNECT,))

    async def test_the_server_learns_why_a_client_left(self):
        watcher, leaver = self.client(), self.client()
        gone = Inbox().listen(watcher, "gone")
        await self.connect(watcher)
        await self.connect(leaver)
        sid = leaver.get_sid("/")
        await self.ask(leaver, "join", "a")
        await self.ask(watcher, "watch", sid)
        await leaver.disconnect()
        (news,) = await gone.take()
        self.assertEqual((news["id"], news["rooms"]), (sid, ["a"]))
        self.assertRegex(news["reason"], "^(client namespace disconnect|transport close)$")

    async def test_comes_back_after_the_server_was_away(self):
        client = self.client(reconnection=True, reconnection_delay=0.05, reconnection_delay_max=0.25)
        connected = Inbox().listen(client, "connect")
        lost = Inbox().listen(client, "disconnect")
        await self.connect(client)
        await connected.take()
        before = client.get_sid("/")
        await self.server.kill()
        await lost.take()
        await self.server.start()
        await connected.take()
        self.assertNotEqual(client.get_sid("/"), before)
        self.assertEqual(await self.ask(client, "echo", "again"), "again")

    async def test_twenty_clients_at_once(self):
        clients = await asyncio.gather(*(self.connect() for _ in range(20)))
        answers = await asyncio.gather(*(self.ask(client, "echo", i) for i, client in enumerate(clients)))
        self.assertEqual(answers, list(range(20)))


class Polling(Cases, unittest.IsolatedAsyncioTestCase):
    transports = ["polling"]
    expected = "polling"


    async def test_the_synchronous_client_gets_a_burst_too(self):
        def run():
            got, done = [], threading.Event()
            client = socketio.Client(reconnection=False)

            @client.on("tick")
            def tick(number):
                got.append(number)
                if len(got) == 1_000:
                    done.set()

            client.connect(self.server.url, transports=self.transports, wait_timeout=LIMIT)
            client.emit("burst", 1_000)
            done.wait(LIMIT)
            client.disconnect()
            return got

        got = await asyncio.to_thread(run)
        # Its handlers are threads, which end in any order.
        self.assertEqual(sorted(got), list(range(1_000)))


class WebSocket(Cases, unittest.IsolatedAsyncioTestCase):
    transports = ["websocket"]
    expected = "websocket"


class Upgrade(Cases, unittest.IsolatedAsyncioTestCase):
    transports = ["polling", "websocket"]
    expected = "websocket"


if __name__ == "__main__":
    unittest.main()
