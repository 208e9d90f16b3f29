//! Lower limits: the cost of a server in the same runtime that does nothing but the measured work.
//!
//! | mode | |
//! |---|---|
//! | `queue` | WebSocket with our codec, and a handshake of its own; a broadcast wakes each member through its queue |
//! | `direct` | as `queue`, but the task of the sender writes into each member's socket, if its queue is empty |
//! | `axum` | as `queue`, but with the handshake by hyper behind `axum::serve` |
//! | `tcp` | echoes every byte |
//! | `hyper` | an echo by long-polling: a GET waits for the body of a POST |

mod behind_axum;
mod connection;
mod handshake;
mod polling;
mod rooms;
mod split;
mod talk;

use std::io;
use std::sync::Arc;

use axum_socketio_benches::serve::Options;
use tokio::net::TcpStream;

use connection::{Connection, Echo};
use rooms::{Member, Rooms};
use split::Split;
use talk::Talk;

fn main() -> io::Result<()> {
    let options = Options::from_args()?;
    let serve = options.clone();
    match options.mode.as_deref() {
        Some("queue") => options.run(accept(serve, Arc::default(), queue)),
        Some("direct") => options.run(accept(serve, Arc::default(), direct)),
        Some("axum") => options.run(serve.serve(behind_axum::app())),
        Some("tcp") => options.run(accept(serve, Arc::default(), tcp)),
        Some("hyper") => options.run(accept(serve, Arc::default(), polling::serve)),
        _ => Err(io::Error::other(
            "one of queue, direct, axum, tcp, hyper is needed",
        )),
    }
}

/// Accepts connections, each with its own task. Their errors are ignored.
async fn accept<S, F>(
    options: Options,
    state: Arc<S>,
    serve: fn(TcpStream, Arc<S>) -> F,
) -> io::Result<()>
where
    S: Send + Sync + 'static,
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = options.listen().await?;
    loop {
        let (stream, _) = listener.accept().await?;
        options.tune(&stream);
        tokio::spawn(serve(stream, Arc::clone(&state)));
    }
}

async fn queue(mut stream: TcpStream, rooms: Arc<Rooms>) -> io::Result<()> {
    handshake::accept(&mut stream).await?;
    let member = Arc::new(Member::default());
    let talk = Talk::new(Arc::clone(&member), rooms);
    Connection::new(stream, talk, member).await
}

async fn direct(mut stream: TcpStream, rooms: Arc<Rooms>) -> io::Result<()> {
    handshake::accept(&mut stream).await?;
    let stream = Split::from(stream);
    let member = Arc::new(Member::direct(&stream));
    let talk = Talk::new(Arc::clone(&member), rooms);
    Connection::new(stream, talk, member).await
}

async fn tcp(stream: TcpStream, _: Arc<()>) -> io::Result<()> {
    Connection::new(stream, Echo, Arc::new(Member::default())).await
}
