//! The 301 cases of sections 1 to 7, 9 and 10 of the Autobahn test suite, and the 216 of sections 12 and 13, as tables.
//!
//! Ids and facts (payloads, splits, outcomes) are those of the suite, version 25.10.1; the code is our own. If the
//! suite accepts several outcomes ("non-strict", "informational", a dropped connection), one is required: the exact
//! close code, the closing handshake, and an end of TCP by the server, first and without a reset.
//!
//! The server is the codec in a loop over real loopback sockets. The suite sends in small pieces; here the server reads
//! in small pieces instead, because loopback TCP would join small writes.

mod case;
mod client;
#[cfg(feature = "compression")]
mod compression;
mod control;
mod fragments;
mod framing;
mod limits;
mod server;
mod utf8;

use self::case::Case;

/// Runs the cases of a section one after another, and reports all that fail.
#[expect(clippy::print_stdout, reason = "the counts are part of the result")]
async fn run(section: u8, cases: Vec<Case>) {
    let mut failures = Vec::new();
    for case in &cases {
        if let Err(why) = client::run(case).await {
            failures.push(format!("{}: {why}", case.id));
        }
    }
    let passed = cases.len() - failures.len();
    println!(
        "autobahn section {section}: {passed} of {} passed",
        cases.len()
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn section_1_framing() {
    run(1, framing::echoes()).await;
}

#[tokio::test]
async fn section_2_pings_and_pongs() {
    run(2, control::pings()).await;
}

#[tokio::test]
async fn section_3_reserved_bits() {
    run(3, framing::reserved_bits()).await;
}

#[tokio::test]
async fn section_4_opcodes() {
    run(4, framing::reserved_opcodes()).await;
}

#[tokio::test]
async fn section_5_fragmentation() {
    run(5, fragments::fragmentation()).await;
}

#[tokio::test]
async fn section_6_utf8() {
    run(6, utf8::all()).await;
}

#[tokio::test]
async fn section_7_closing() {
    run(7, control::closing()).await;
}

#[tokio::test]
async fn section_9_limits() {
    run(9, limits::all()).await;
}

#[tokio::test]
async fn section_10_auto_fragmentation() {
    run(10, fragments::auto_fragmentation()).await;
}

#[test]
fn there_are_as_many_cases_as_in_the_suite() {
    let sections = [
        framing::echoes(),
        control::pings(),
        framing::reserved_bits(),
        framing::reserved_opcodes(),
        fragments::fragmentation(),
        utf8::all(),
        control::closing(),
        limits::all(),
        fragments::auto_fragmentation(),
    ];
    let counts = sections.each_ref().map(Vec::len);
    assert_eq!(counts, [16, 11, 7, 10, 20, 145, 37, 54, 1]);
    assert_eq!(counts.iter().sum::<usize>(), 301);
}
