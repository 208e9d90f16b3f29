//! What the parts of the library cost: codecs, extraction, rooms, and two threads in rooms of their own.
//!
//! `cargo bench --bench micro` runs all of it, `cargo bench --bench micro -- rooms` what has `rooms` in its name.
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
