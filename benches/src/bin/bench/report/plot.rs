//! Plots: bars in groups. Each group has its own scale, because the servers within a group are compared, not the
//! groups.

use std::fmt::Write;

use super::tables::digits;
use crate::plan::Scenario;
use crate::results::Results;
use crate::server::Kind;

const PLOTS: [(&str, &str, &[&str]); 6] = [
    (
        "echo",
        "Server CPU for small messages",
        &["echo-1", "echo-8", "echo-16", "ack-1", "polling-echo"],
    ),
    (
        "payloads",
        "Server CPU for large messages",
        &["echo-16k", "binary-1k", "binary-64k", "json-64k"],
    ),
    (
        "broadcast",
        "Server CPU for broadcasts",
        &[
            "cast-128-1000-x1",
            "cast-128-1000-x10",
            "cast-16k-1000-x1",
            "cast-16k-1000-x10",
            "rooms-of-10",
            "restless",
        ],
    ),
    (
        "handshake",
        "Server CPU for handshakes",
        &["handshake-websocket", "handshake-upgrade"],
    ),
    (
        "memory",
        "Resident memory",
        &[
            "memory-fresh",
            "memory-used",
            "memory-left",
            "memory-second",
        ],
    ),
    (
        "latency",
        "Latency at the load that saturates socketioxide",
        &["saturation"],
    ),
];

const WIDTH: f64 = 760.0;
const LABELS: f64 = 130.0;
const VALUES: f64 = 90.0;
const BAR: f64 = 16.0;

/// Returns the name, the title and the SVG of each plot that has results.
pub fn all(results: &Results, scenarios: &[Scenario]) -> Vec<(&'static str, &'static str, String)> {
    let plot = |&(name, title, ids): &(&'static str, &'static str, &[&str])| {
        let groups: Vec<_> = ids
            .iter()
            .filter_map(|id| scenarios.iter().find(|scenario| scenario.id == *id))
            .map(|scenario| (scenario, bars(results, scenario)))
            .filter(|(_, bars)| !bars.is_empty())
            .collect();
        (!groups.is_empty()).then(|| (name, title, draw(title, &groups)))
    };
    PLOTS.iter().filter_map(plot).collect()
}

fn bars(results: &Results, scenario: &Scenario) -> Vec<(Kind, f64)> {
    let bar = |kind: Kind| Some((kind, results.summary(&scenario.id, kind)?.median));
    Kind::ALL.into_iter().filter_map(bar).collect()
}

fn draw(title: &str, groups: &[(&Scenario, Vec<(Kind, f64)>)]) -> String {
    let mut body = String::new();
    let mut y = 24.0;
    let _ = writeln!(body, r#"<text class="title" x="0" y="{y}">{title}</text>"#);
    for (scenario, bars) in groups {
        y += 32.0;
        let _ = writeln!(
            body,
            r#"<text class="group" x="0" y="{y}">{}, {}</text>"#,
            scenario.title,
            scenario.what.unit()
        );
        y += 8.0;
        let longest = bars
            .iter()
            .map(|(_, value)| *value)
            .fold(f64::MIN_POSITIVE, f64::max);
        for (kind, value) in bars {
            let length = (value / longest * (WIDTH - LABELS - VALUES)).max(1.0);
            let base = y + BAR - 4.0;
            let _ = writeln!(
                body,
                r#"<text x="{}" y="{base}" text-anchor="end">{}</text><rect class="{}" x="{LABELS}" y="{}" width="{length:.1}" height="{}"/><text x="{:.1}" y="{base}">{}</text>"#,
                LABELS - 8.0,
                kind.name(),
                class(*kind),
                y + 1.0,
                BAR - 2.0,
                LABELS + length + 6.0,
                digits(*value)
            );
            y += BAR;
        }
    }
    let height = y + 12.0;
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">
<title>{title}</title>
<style>
text {{ font: 12px system-ui, sans-serif; fill: #24292f }}
.title {{ font-size: 16px; font-weight: 600 }}
.group {{ font-weight: 600 }}
.ours {{ fill: #d9480f }} .peer {{ fill: #74879c }} .bare {{ fill: #c3ccd6 }}
@media (prefers-color-scheme: dark) {{ text {{ fill: #d7dde4 }} .bare {{ fill: #49525d }} }}
</style>
{body}</svg>
"#
    )
}

const fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Ours => "ours",
        Kind::Socketioxide | Kind::Node | Kind::Bun => "peer",
        _ => "bare",
    }
}
