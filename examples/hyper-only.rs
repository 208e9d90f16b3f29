//! The service on plain hyper without axum's router, over HTTP/1.1 and HTTP/2, with the path matched by hand.
//!
//! `cargo run --example hyper-only`, then connect a client to `http://localhost:3000`.

use std::convert::Infallible;
use std::pin::pin;

use axum_socketio::{Data, Namespace, Reply, SocketIo, shutdown_signal};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tower::ServiceExt;
use tracing_subscriber::EnvFilter;

async fn add(Data((a, b)): Data<(i64, i64)>) -> Reply<i64> {
    Reply(a.saturating_add(b))
}

async fn serve(
    io: SocketIo,
    request: Request<Incoming>,
) -> Result<Response<axum::body::Body>, Infallible> {
    if request.uri().path() == "/socket.io/" {
        return io.service().oneshot(request).await;
    }
    let mut response = Response::new("try /socket.io/\n".into());
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}

pub(crate) async fn listen(
    listener: TcpListener,
    signal: impl Future<Output = ()> + Send,
) -> std::io::Result<()> {
    let io = SocketIo::builder()
        .namespace("/", Namespace::new().on("add", add))
        .build();
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http2().enable_connect_protocol();
    let connections = GracefulShutdown::new();
    let mut drained = pin!(io.graceful(signal));
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            () = &mut drained => break,
        };
        // Packets are small: the kernel must not wait for more of them.
        stream.set_nodelay(true)?;
        let io = io.clone();
        let service = hyper::service::service_fn(move |request| serve(io.clone(), request));
        let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let connection = connections.watch(connection.into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("connection failed: {error}");
            }
        });
    }
    // Waits for the responses that are still being written.
    connections.shutdown().await;
    Ok(())
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    // `RUST_LOG` sets the log level. The default is `info`.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).init();
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("0.0.0.0:{port}")).await?;
    listen(listener, shutdown_signal()).await
}
