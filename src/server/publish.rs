//! Publication of the counters through the `metrics` facade.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use super::SocketIo;
use crate::metrics::{Counters, Family, MetricKind};
use proto::cluster::{Health, HealthState};

/// The only metric whose label has values that are chosen by the application.
const SOCKETS: &str = "socketio_sockets";

const CONNECTED: &str = "socketio_cluster_connected";
const CONNECTED_HELP: &str =
    "1 if this server is connected to the engine of its cluster, 0 if not.";
const QUEUED: &str = "socketio_cluster_queued_bytes";
const QUEUED_HELP: &str = "Bytes of messages that wait to be sent to other servers.";

const OTHER_OPTIONS: &str = "socketio_cluster_other_options";
const OTHER_OPTIONS_HELP: &str =
    "1 if this server has found others whose options do not fit its own, 0 if not.";

impl SocketIo {
    /// Publishes the [counters](Self::metrics) of this server to the recorder of the `metrics` facade.
    ///
    /// The names, labels and descriptions are in the [table](crate::guide::metrics). Nothing happens while no recorder
    /// is installed.
    ///
    /// Call it whenever the numbers have to be up to date: before a scrape is answered, or in a loop for recorders that
    /// push. Counters are set, not added to, so it may be called often. Two servers in one process have the same names:
    /// publish each through a recorder of its own (`metrics::with_local_recorder`), or publish only one of them.
    ///
    /// ```
    /// use axum::{Router, extract::State, routing::get};
    /// use axum_socketio::SocketIo;
    /// use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
    ///
    /// async fn scrape(io: SocketIo, State(prometheus): State<PrometheusHandle>) -> String {
    ///     io.publish_metrics();
    ///     prometheus.render()
    /// }
    ///
    /// # fn main() -> Result<(), metrics_exporter_prometheus::BuildError> {
    /// let io = SocketIo::builder().build();
    /// let prometheus = PrometheusBuilder::new().install_recorder()?;
    /// let app: Router = Router::new().route("/metrics", get(scrape)).with_state(prometheus).layer(io.layer());
    /// # Ok(()) }
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
    pub fn publish_metrics(&self) {
        let Some(server) = self.server() else {
            return;
        };
        for family in Family::ALL {
            publish(*family, &server.counters);
        }
        if let Some(health) = self.cluster().health() {
            publish_health(health);
        }
        describe_gauge!(SOCKETS, Unit::Count, "Connected sockets.");
        for (nsp, count) in server.namespaces.sockets() {
            gauge!(SOCKETS, "namespace" => nsp).set(exact(count));
        }
    }
}

fn publish_health(health: Health) {
    describe_gauge!(CONNECTED, Unit::Count, CONNECTED_HELP);
    let connected = health.state != HealthState::Reconnecting;
    gauge!(CONNECTED).set(exact(connected.into()));
    describe_gauge!(QUEUED, Unit::Bytes, QUEUED_HELP);
    gauge!(QUEUED).set(exact(health.queued_bytes as u64));
    describe_gauge!(OTHER_OPTIONS, Unit::Count, OTHER_OPTIONS_HELP);
    gauge!(OTHER_OPTIONS).set(exact(health.other_options.into()));
}

fn publish(family: Family, counters: &Counters) {
    let declaration = family.declaration();
    let (name, help) = (declaration.name, declaration.help.trim());
    let unit = unit(name);
    match declaration.kind {
        MetricKind::Counter => describe_counter!(name, unit, help),
        MetricKind::Gauge => describe_gauge!(name, unit, help),
    }
    for (value, number) in counters.numbers(family) {
        let labels: &[(&str, &str)] = match declaration.label {
            "" => &[],
            label => &[(label, value)],
        };
        match declaration.kind {
            MetricKind::Counter => counter!(name, labels).absolute(number),
            MetricKind::Gauge => gauge!(name, labels).set(exact(number)),
        }
    }
}

fn unit(name: &str) -> Unit {
    if name.ends_with("_bytes_total") {
        Unit::Bytes
    } else {
        Unit::Count
    }
}

/// Converts a number of things that exist at one time, which is far below the range where a float is inexact.
fn exact(count: u64) -> f64 {
    u32::try_from(count).unwrap_or(u32::MAX).into()
}
