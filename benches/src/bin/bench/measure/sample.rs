//! One measurement.

use std::io;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Histogram, Process};

/// The results of one run of a scenario against a server.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sample {
    /// The number in the tables: microseconds of the server for each message, or KiB for each connection.
    pub value: f64,
    /// The number of messages, deliveries or handshakes.
    pub count: u64,
    /// The number of them per second.
    pub rate: f64,
    /// The fraction of the time in which the server computed, 1 for one processor.
    pub server_load: f64,
    /// The microseconds of the generator for each message, and its load.
    pub generator: f64,
    pub generator_load: f64,
    /// The latency in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p999: Option<f64>,
}

/// The state of the clocks at the start of a measurement.
pub struct Watch {
    server: Process,
    generator: Process,
    started: Instant,
    server_time: Duration,
    generator_time: Duration,
}

impl Watch {
    pub fn start(server: Process) -> io::Result<Self> {
        let generator = Process::this()?;
        Ok(Self {
            server,
            generator,
            started: Instant::now(),
            server_time: server.cpu_time()?,
            generator_time: generator.cpu_time()?,
        })
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Computes the sample of a measurement that ends now, for this number of messages.
    pub fn stop(&self, count: u64, latencies: &Histogram) -> io::Result<Sample> {
        let server = self.server.cpu_time()?.saturating_sub(self.server_time);
        let generator = self
            .generator
            .cpu_time()?
            .saturating_sub(self.generator_time);
        let elapsed = self.elapsed().as_secs_f64();
        let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
        if count == 0 {
            return Err(io::Error::other("nothing came back while the clock ran"));
        }
        Ok(Sample {
            value: each(server),
            count,
            rate: count as f64 / elapsed,
            server_load: server.as_secs_f64() / elapsed,
            generator: each(generator),
            generator_load: generator.as_secs_f64() / elapsed,
            p50: latencies.percentile(0.5),
            p99: latencies.percentile(0.99),
            p999: latencies.percentile(0.999),
        })
    }
}
