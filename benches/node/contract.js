// The events that every server answers; see ../src/contract.rs.

export const options = { pingInterval: 240_000 };

export function speak(io) {
  io.on("connection", (socket) => {
    for (const name of ["echo", "binary", "json"]) {
      socket.on(name, (value) => socket.emit(name, value));
    }
    socket.on("ack", (text, answer) => answer(text));
    socket.on("join", (rooms, answer) => {
      socket.join(rooms);
      answer();
    });
    socket.on("leave", (rooms, answer) => {
      for (const room of rooms) socket.leave(room);
      answer();
    });
    socket.on("cast", (room, burst, text) => {
      for (let i = 0; i < burst; i++) io.to(room).emit("cast", text);
    });
  });
}

export function port() {
  const at = process.argv.indexOf("--port");
  return at < 0 ? 0 : Number(process.argv[at + 1]);
}

export function nagle() {
  return process.argv.includes("--nagle");
}

export function ready(port) {
  console.log(`ready ${port}`);
}
