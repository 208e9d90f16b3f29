// Node's own server, its WebSockets by `ws`, as `npm install socket.io` gives it. One thread: `--workers` is not for it.
import { createServer } from "node:http";
import { Server } from "socket.io";
import { nagle, options, port, ready, speak } from "./contract.js";

const http = createServer({ noDelay: !nagle() });
speak(new Server(http, options));
http.listen(port(), "127.0.0.1", () => ready(http.address().port));
