//! What is counted, on its way to whatever collects metrics.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use super::SocketIo;
use crate::metrics::{Counted, Counters, Kind};

/// The one family whose label has values that users choose.
const SOCKETS: &str = "socketio_sockets";

impl SocketIo {
    /// Hands what this server has [counted](Self::metrics) to the recorder of the `metrics` facade, with names, labels and words:
    /// see the [table](crate::guide::metrics). Nothing happens while no recorder is installed.
    ///
    /// Call it whenever the numbers are to be fresh: before a scrape is answered, or in a loop for recorders that push. Counters
    /// are set, not added to, so it does no harm to call it often. Two servers in one process have the same names: publish each
    /// through a recorder of its own (`metrics::with_local_recorder`), or one of them.
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
        for counted in Counted::ALL {
            publish(*counted, &server.counters);
        }
        describe_gauge!(SOCKETS, Unit::Count, "Sockets that are connected now.");
        for (nsp, count) in server.nsps.sockets() {
            gauge!(SOCKETS, "namespace" => nsp).set(exact(count));
        }
    }
}

fn publish(counted: Counted, counters: &Counters) {
    let Some(family) = counted.family() else {
        return;
    };
    let (name, help, unit) = (family.name, family.help.trim(), unit(family.name));
    match family.kind {
        Kind::Counter => describe_counter!(name, unit, help),
        Kind::Gauge => describe_gauge!(name, unit, help),
    }
    for (value, number) in counters.numbers(counted) {
        let labels: &[(&str, &str)] = match family.label {
            "" => &[],
            label => &[(label, value)],
        };
        match family.kind {
            Kind::Counter => counter!(name, labels).absolute(number),
            Kind::Gauge => gauge!(name, labels).set(exact(number)),
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

/// What there is at one time is far less than what a float can tell apart.
fn exact(count: u64) -> f64 {
    u32::try_from(count).unwrap_or(u32::MAX).into()
}
