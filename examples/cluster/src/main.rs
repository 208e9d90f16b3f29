//! A chat on several servers, which are a cluster by Redis, behind a balancer.
//!
//! `cargo run -p cluster`, then open <http://127.0.0.1:3000> in a few windows. README.md in this folder says more.
#![allow(
    unreachable_pub,
    missing_debug_implementations,
    reason = "the modules of a program"
)]

mod balancer;
mod chat;
mod page;
mod processes;

use std::error::Error;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;

use balancer::{Balancer, Policy};
use processes::{Processes, Redis};

/// The names of the servers.
const SERVERS: [&str; 2] = ["amber", "blue"];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // `RUST_LOG` sets the log level. The default is `info`.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).init();
    let argument = std::env::args().nth(1);
    match argument.as_deref() {
        None => run(Policy::Sticky).await,
        Some("round-robin") => run(Policy::RoundRobin).await,
        Some("serve") => chat::serve().await,
        Some(_) => Err("usage: cluster [round-robin | serve]".into()),
    }
}

/// Starts Redis and the servers, and balances their clients.
#[expect(clippy::print_stdout, reason = "it tells people where to look")]
async fn run(policy: Policy) -> Result<(), Box<dyn Error>> {
    page::fetch_client().await;
    let redis = Redis::start().await?;
    let processes = Arc::new(Processes::new(&redis.url, policy));
    for name in SERVERS {
        processes.start(name).await?;
    }
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let port = listener.local_addr()?.port();
    println!("listening on {port}");
    println!("open http://127.0.0.1:{port} in a few windows");
    let balancer = Arc::new(Balancer::new(Arc::clone(&processes), policy));
    tokio::select! {
        () = balancer.serve(listener) => {}
        () = axum_socketio::shutdown_signal() => {}
    }
    processes.stop_all().await;
    redis.stop().await;
    Ok(())
}
