//! The start of a server: its arguments, its threads, and the line that reports that it is ready.

use std::future::Future;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::{TcpListener, TcpStream};

/// The arguments of every server: `[--port N] [--workers N] [--nagle]`, and an optional mode.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port; 0 is any free one.
    pub port: u16,
    /// The number of worker threads of the runtime; 0 is the current-thread runtime.
    pub workers: usize,
    /// True if Nagle's algorithm stays on, as `axum::serve` leaves it by default.
    pub nagle: bool,
    /// The argument without dashes.
    pub mode: Option<String>,
}

impl Options {
    /// Parses the arguments of the process.
    ///
    /// # Errors
    ///
    /// Returns an error for an unknown argument.
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

    /// Runs `server` on the given number of threads.
    ///
    /// # Errors
    ///
    /// Returns an error of the server or of the operating system.
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
        // The server runs on a worker, not on the main thread: otherwise there would be one thread more than requested.
        let server = runtime.spawn(server);
        runtime.block_on(server).map_err(io::Error::other)?
    }

    /// Listens, and prints the port.
    ///
    /// # Errors
    ///
    /// Returns an error of the operating system.
    pub async fn listen(&self) -> io::Result<TcpListener> {
        let listener =
            TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).await?;
        let port = listener.local_addr()?.port();
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "ready {port}")?;
        stdout.flush()?;
        Ok(listener)
    }

    /// Sets the options of a stream.
    pub fn tune(&self, stream: &TcpStream) {
        // A stream that is closed already fails when it is read.
        let _ = stream.set_nodelay(!self.nagle);
    }

    /// Serves an application with `axum::serve`, and sets the options of its streams.
    ///
    /// # Errors
    ///
    /// Returns an error of the operating system.
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
