//! What measurements of many clients in one process share.

use std::fs;
use std::io;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// The headers of a handshake over WebSocket by Chrome.
pub const BROWSER: &[(&str, &str)] = &[
    ("host", "chat.example.com"),
    ("connection", "Upgrade"),
    ("pragma", "no-cache"),
    ("cache-control", "no-cache"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    ),
    ("upgrade", "websocket"),
    ("origin", "https://chat.example.com"),
    ("sec-websocket-version", "13"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-GB,en-US;q=0.9,en;q=0.8"),
    (
        "cookie",
        "session=0f8fad5bd9cb469fa16570867728950e; theme=dark; _ga=GA1.1.1234567890.1700000000",
    ),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    (
        "sec-websocket-extensions",
        "permessage-deflate; client_max_window_bits",
    ),
];

/// Returns the resident memory of a process, in bytes.
///
/// # Errors
///
/// Returns an error of the operating system.
pub fn resident_memory(pid: u32) -> io::Result<u64> {
    // `smaps_rollup` is exact, `statm` may lag behind by some pages for each thread.
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    rollup
        .lines()
        .find_map(|line| line.strip_prefix("Rss:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|kib| kib.parse::<u64>().ok())
        .map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other("the kernel does not tell the resident memory"))
}

/// Returns the processor time of this thread.
///
/// # Errors
///
/// Returns an error of the operating system.
pub fn thread_time() -> io::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}
