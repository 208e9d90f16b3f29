//! The signals that ask a process to end.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

/// Resolves when the process is asked to shut down. On Unix, this is ctrl-c or `SIGTERM`, which process managers,
/// containers and `kill` send. On Windows, it is ctrl-c or ctrl-break, or that the console closes, the user logs off or
/// the system shuts down.
///
/// From the first poll on, these signals no longer end the process by themselves, even after the future has resolved or
/// was dropped. Another call waits for another signal. A signal that cannot be registered is logged as an error, and
/// never resolves the future.
///
/// Node has no such function; its programs write `process.on("SIGTERM", …)`.
///
/// # Panics
///
/// If it is polled outside of a Tokio runtime, or in one whose I/O driver is not enabled.
///
/// ```no_run
/// # use axum::Router;
/// # use axum_socketio::{Namespace, SocketIo};
/// # async fn f() -> std::io::Result<()> {
/// let io = SocketIo::builder().namespace("/", Namespace::new()).build();
/// let app: Router = Router::new().layer(io.layer());
/// let listener = tokio::net::TcpListener::bind("0.0.0.0:3000").await?;
/// axum::serve(listener, app)
///     .with_graceful_shutdown(io.graceful(axum_socketio::shutdown_signal()))
///     .await?;
/// io.closed().await;
/// # Ok(()) }
/// ```
pub async fn shutdown_signal() {
    let mut sources = sources();
    let signal = poll_fn(|cx| {
        let came = sources
            .iter_mut()
            .find_map(|source| (source.poll)(cx).then_some(source.name));
        came.map_or(Poll::Pending, Poll::Ready)
    });
    let signal = signal.await;
    tracing::info!(signal, "shutdown signal received");
}

struct Source {
    name: &'static str,
    /// Polls the signal; returns true if it has been received.
    poll: Box<dyn FnMut(&mut Context<'_>) -> bool + Send + Sync>,
}

/// Returns `None` if the signal cannot be registered.
fn source<S: Send + Sync + 'static>(
    name: &'static str,
    signal: io::Result<S>,
    poll: fn(&mut S, &mut Context<'_>) -> Poll<Option<()>>,
) -> Option<Source> {
    match signal {
        Ok(mut signal) => Some(Source {
            name,
            poll: Box::new(move |cx| matches!(poll(&mut signal, cx), Poll::Ready(Some(())))),
        }),
        Err(error) => {
            tracing::error!(
                signal = name,
                error = error.to_string(),
                "cannot listen to the signal"
            );
            None
        }
    }
}

#[cfg(unix)]
fn sources() -> Vec<Source> {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    let all = [
        source("SIGINT", signal(SignalKind::interrupt()), Signal::poll_recv),
        source(
            "SIGTERM",
            signal(SignalKind::terminate()),
            Signal::poll_recv,
        ),
    ];
    all.into_iter().flatten().collect()
}

#[cfg(windows)]
fn sources() -> Vec<Source> {
    use tokio::signal::windows::{
        CtrlBreak, CtrlC, CtrlClose, CtrlLogoff, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close,
        ctrl_logoff, ctrl_shutdown,
    };

    let all = [
        source("ctrl-c", ctrl_c(), CtrlC::poll_recv),
        source("ctrl-break", ctrl_break(), CtrlBreak::poll_recv),
        source("ctrl-close", ctrl_close(), CtrlClose::poll_recv),
        source("ctrl-logoff", ctrl_logoff(), CtrlLogoff::poll_recv),
        source("ctrl-shutdown", ctrl_shutdown(), CtrlShutdown::poll_recv),
    ];
    all.into_iter().flatten().collect()
}

#[cfg(not(any(unix, windows)))]
fn sources() -> Vec<Source> {
    Vec::new()
}
