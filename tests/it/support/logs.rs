//! The log records of the library, as `tracing_subscriber::fmt` writes them.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The log records of this thread, collected until it is dropped. This suffices for tests on one thread, as
/// `#[tokio::test]` creates them.
pub(crate) struct Logs {
    records: Records,
    _default: tracing::subscriber::DefaultGuard,
}

/// Keeps records of all levels enabled for as long as the tests run, for the subscribers of single threads.
///
/// The most verbose level of all subscribers is global, and is computed anew whenever a subscriber is set: tests that run
/// beside each other would lower it, were there not one that stays.
pub(super) fn keep_levels() {
    static STAYS: OnceLock<tracing::Dispatch> = OnceLock::new();
    STAYS.get_or_init(|| {
        let all = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
        tracing::Dispatch::new(all.finish())
    });
}

/// The writer of the records, with one entry for each.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<Vec<u8>>>>);

impl Logs {
    /// Starts to collect the library's records of this level and those above it.
    pub(crate) fn collect(level: &str) -> Self {
        keep_levels();
        let records = Records::default();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_env_filter(EnvFilter::new(format!("off,axum_socketio={level}")))
            .with_writer(records.clone())
            .finish();
        Self {
            records,
            _default: tracing::subscriber::set_default(subscriber),
        }
    }

    /// Returns the records so far, each with the line feed at its end.
    pub(crate) fn records(&self) -> Vec<String> {
        let records = self.records.0.lock().unwrap();
        let text = |record: &Vec<u8>| String::from_utf8(record.clone()).unwrap();
        records.iter().map(text).collect()
    }

    /// Returns the records that contain a text.
    pub(crate) fn with(&self, text: &str) -> Vec<String> {
        let mut records = self.records();
        records.retain(|record| record.contains(text));
        records
    }
}

impl io::Write for Records {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push(record.to_vec());
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Records {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
