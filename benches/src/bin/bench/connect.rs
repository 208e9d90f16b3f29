//! Handshakes: from the TCP connection to the membership in the namespace.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

use crate::net::{Conn, Net, Seen, event, get, post, text_frame, upgrade};

/// The transport of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A TCP connection only: for the server that echoes bytes.
    Tcp,
    /// WebSocket from the start.
    WebSocket,
    /// Long-polling without an upgrade.
    Polling,
    /// Long-polling first, then the upgrade, as clients do by default.
    Upgrade,
}

/// The number of concurrent handshakes, which is high enough that no server's timers limit the rate.
const AT_ONCE: usize = 64;

/// A client that has joined the namespace.
#[derive(Clone, Debug)]
pub struct Client {
    pub socket: usize,
    /// The session id of a client that has polled.
    pub sid: String,
}

/// Connects this number of clients, each with one socket.
pub fn connect(
    net: &mut Net,
    server: SocketAddr,
    way: Way,
    clients: usize,
) -> io::Result<Vec<Client>> {
    let mut handshakes = Handshakes {
        server,
        way,
        under_way: HashMap::new(),
        probes: HashMap::new(),
        done: Vec::with_capacity(clients),
    };
    let mut started = 0;
    let mut seen = Vec::new();
    loop {
        while started < clients && started - handshakes.done.len() < AT_ONCE {
            handshakes.start(net)?;
            started += 1;
        }
        if handshakes.done.len() == clients {
            return Ok(handshakes.done);
        }
        net.turn(None, |socket, _, what| {
            seen.push((socket, what));
            Ok(())
        })?;
        for (socket, what) in seen.drain(..) {
            handshakes.advance(net, socket, what)?;
        }
    }
}

struct Handshakes {
    server: SocketAddr,
    way: Way,
    /// The pending handshakes, by their first socket.
    under_way: HashMap<usize, Handshake>,
    /// The socket of the polls for each WebSocket of an upgrade.
    probes: HashMap<usize, usize>,
    done: Vec<Client>,
}

#[derive(Default)]
struct Handshake {
    responses: u32,
    sid: String,
    /// The WebSocket of the upgrade.
    websocket: usize,
    /// True if the server has answered the probe.
    probed: bool,
    /// True if the server has answered the last poll.
    released: bool,
}

impl Handshakes {
    fn start(&mut self, net: &mut Net) -> io::Result<()> {
        let (conn, request): (fn(_) -> _, _) = match self.way {
            Way::Tcp => {
                let socket = net.open(self.server, Conn::frames)?;
                self.finish(socket, String::new());
                return Ok(());
            }
            Way::WebSocket => (Conn::websocket, upgrade("")),
            Way::Polling | Way::Upgrade => (Conn::http, get("")),
        };
        let socket = net.open(self.server, conn)?;
        self.under_way.insert(socket, Handshake::default());
        net.send(socket, request.as_bytes())
    }

    fn finish(&mut self, socket: usize, sid: String) {
        self.done.push(Client { socket, sid });
    }

    fn advance(&mut self, net: &mut Net, socket: usize, seen: Seen) -> io::Result<()> {
        let first = self.probes.get(&socket).copied().unwrap_or(socket);
        let Some(mut handshake) = self.under_way.remove(&first) else {
            // Some servers send a heartbeat as soon as a client has joined; it has been answered already.
            if seen.pings > 0 {
                return Ok(());
            }
            return Err(io::Error::other("a client got more than its handshake"));
        };
        let done = if self.way == Way::WebSocket {
            if seen.open {
                net.send(socket, &text_frame("40"))?;
            }
            seen.connected
        } else if socket == first {
            self.polled(net, socket, &mut handshake)?
        } else {
            taken_over(net, socket, seen, &mut handshake)?
        };
        if !done {
            self.under_way.insert(first, handshake);
            return Ok(());
        }
        if socket != first {
            net.close(first);
        }
        self.finish(socket, handshake.sid);
        Ok(())
    }

    /// Handles a response. Returns true if it was the last.
    fn polled(
        &mut self,
        net: &mut Net,
        socket: usize,
        handshake: &mut Handshake,
    ) -> io::Result<bool> {
        handshake.responses += 1;
        let body = net.conn(socket)?.body();
        match handshake.responses {
            1 => {
                handshake.sid = sid(body)?;
                net.send(socket, post(&handshake.sid, "40").as_bytes())?;
            }
            2 => net.send(socket, get(&handshake.sid).as_bytes())?,
            3 => {
                // Some servers send a heartbeat first. The session ends before its answer is due.
                if !body
                    .split(|&byte| byte == 0x1e)
                    .any(|packet| packet.starts_with(b"4"))
                {
                    return Err(unexpected("the answer to joining the namespace", body));
                }
                if self.way == Way::Polling {
                    return Ok(true);
                }
                net.send(socket, get(&handshake.sid).as_bytes())?;
                handshake.websocket = net.open(self.server, Conn::websocket)?;
                self.probes.insert(handshake.websocket, socket);
                net.send(handshake.websocket, upgrade(&handshake.sid).as_bytes())?;
            }
            _ => {
                handshake.released = true;
                change_over(net, handshake)?;
            }
        }
        Ok(false)
    }
}

/// Handles input from the WebSocket of an upgrade. Returns true if it was the last.
fn taken_over(
    net: &mut Net,
    socket: usize,
    seen: Seen,
    handshake: &mut Handshake,
) -> io::Result<bool> {
    if seen.responses > 0 {
        net.send(socket, &text_frame("2probe"))?;
    }
    if seen.probed {
        handshake.probed = true;
        change_over(net, handshake)?;
    }
    Ok(seen.events > 0)
}

/// Sends the upgrade packet when no packet can be lost any more, and an event whose echo shows that the upgrade is
/// complete.
fn change_over(net: &mut Net, handshake: &Handshake) -> io::Result<()> {
    if !(handshake.probed && handshake.released) {
        return Ok(());
    }
    let mut bytes = text_frame("5");
    bytes.extend(text_frame(&event(&("echo", "upgraded"))?));
    net.send(handshake.websocket, &bytes)
}

fn sid(body: &[u8]) -> io::Result<String> {
    #[derive(serde::Deserialize)]
    struct Open {
        sid: String,
    }
    let json = body
        .strip_prefix(b"0")
        .ok_or_else(|| unexpected("an open packet", body))?;
    let open: Open = serde_json::from_slice(json)?;
    Ok(open.sid)
}

fn unexpected(wanted: &str, got: &[u8]) -> io::Error {
    let got = String::from_utf8_lossy(got);
    io::Error::other(format!("{wanted} was to come, not {got:?}"))
}
