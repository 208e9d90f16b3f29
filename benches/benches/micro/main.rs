//! Benchmarks of the library's parts: codecs, extraction, rooms, and two threads with separate rooms.
//!
//! Run all of them with `cargo bench --bench micro`, and those with `rooms` in their names with
//! `cargo bench --bench micro -- rooms`.
#![allow(clippy::unwrap_used, reason = "benchmarks of one's own server")]

mod codecs;
mod extraction;
mod rooms;
mod server;
mod threads;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    codecs::benches(&mut criterion);
    extraction::benches(&mut criterion);
    rooms::benches(&mut criterion);
    criterion.final_summary();
    threads::run();
}
