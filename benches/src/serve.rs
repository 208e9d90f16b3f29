//! How a server is started: its arguments, its threads, its line that says it is ready.

use std::future::Future;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::{TcpListener, TcpStream};

/// What every server takes: `[--port N] [--workers N] [--nagle]`, and perhaps a word of its own.
#[derive(Clone, Debug)]
pub struct Options {
    /// 0: any that is free.
    pub port: u16,
    /// Worker threads of the runtime; 0: the current-thread runtime.
    pub workers: usize,
    /// Leaves Nagle's algorithm on, as `axum::serve` does by itself.
    pub nagle: bool,
    /// The argument without dashes.
    pub mode: Option<String>,
}

impl Options {
    /// # Errors
    ///
    /// An argument that is none of these.
    pub fn from_args() -> io::Result<Self> {
        let mut options = Self {
            port: 0,
            workers: 1,
            nagle: false,
            mode: None,
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--port" => options.port = number(&arg, args.next())?,
                "--workers" => options.workers = number(&arg, args.next())?,
                "--nagle" => options.nagle = true,
                mode if !mode.starts_with('-') => options.mode = Some(mode.to_owned()),
                other => return Err(io::Error::other(format!("unknown argument {other}"))),
            }
        }
        Ok(options)
    }

    /// Runs `server` on as many threads as wanted.
    ///
    /// # Errors
    ///
    /// What the server or the operating system says.
    pub fn run<F>(&self, server: F) -> io::Result<()>
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        use tokio::runtime::Builder;

        let runtime = match self.workers {
            0 => Builder::new_current_thread().enable_all().build()?,
            workers => Builder::new_multi_thread()
                .worker_threads(workers)
                .enable_all()
                .build()?,
        };
        // On a worker, not on the main thread: else there is one thread more than was asked for.
        let server = runtime.spawn(server);
        runtime.block_on(server).map_err(io::Error::other)?
    }

    /// Listens, and says on which port.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn listen(&self) -> io::Result<TcpListener> {
        let listener =
            TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).await?;
        let port = listener.local_addr()?.port();
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "ready {port}")?;
        stdout.flush()?;
        Ok(listener)
    }

    /// Sets a stream up as wanted.
    pub fn tune(&self, stream: &TcpStream) {
        // A stream that is gone already will say so when it is read.
        let _ = stream.set_nodelay(!self.nagle);
    }

    /// `axum::serve`, with streams set up as wanted.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn serve(self, app: Router) -> io::Result<()> {
        let listener = self.listen().await?;
        let listener = listener.tap_io(move |stream| self.tune(stream));
        axum::serve(listener, app).await
    }
}

fn number<T: std::str::FromStr>(name: &str, value: Option<String>) -> io::Result<T> {
    value
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| io::Error::other(format!("{name} needs a number")))
}
