//! The lower limits: what a server in the same runtime costs that does nothing but what is measured.
//!
//! | mode | |
//! |---|---|
//! | `queue` | WebSocket with our codec, its handshake written by hand; a broadcast goes into each member's queue and wakes it |
//! | `direct` | the same, but the task of the sender writes into each member's socket, if its queue is empty |
//! | `axum` | as `queue`, the handshake by hyper behind `axum::serve` |
//! | `tcp` | returns every byte |
//! | `hyper` | echo by long-polling: a GET waits for what a POST brings |

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

/// One task for each connection. How it ends is of no interest here.
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
