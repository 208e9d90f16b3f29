//! The longer documents, from `docs/` in the repository.
//!
//! - [`getting_started`]: from a first server to rooms, authentication and shutdown.
//! - [`troubleshooting`]: symptoms, their causes and their remedies.
//! - [`migrating_from_node`]: the official API, method by method.
//! - [`typed_events`]: events as types, and contracts of namespaces.
//! - [`scaling`]: several servers that act as one.
//! - [`recovery`], [`operations`], [`metrics`], [`security`]: how to run it.
//! - [`compatibility`], [`architecture`]: how it behaves, and how it is built.

/// A page of `docs/` as a module. Links between pages are references, which each page defines at its end for GitHub.
/// The definitions here come first, and the first one counts.
macro_rules! page {
    ($name:ident, $file:literal) => {
        /// [app tests]: crate::guide::getting_started#testing
        /// [architecture]: crate::guide::architecture
        /// [benchmarks]: https://github.com/axum-socketio/axum-socketio/blob/main/docs/benchmarks.md
        /// [cluster example]: https://github.com/axum-socketio/axum-socketio/blob/main/examples/cluster/README.md
        /// [compatibility]: crate::guide::compatibility
        /// [dependencies]: https://github.com/axum-socketio/axum-socketio#dependencies
        /// [getting started]: crate::guide::getting_started
        /// [log]: crate::guide::getting_started#what-the-log-says
        /// [metrics]: crate::guide::metrics
        /// [mounting]: crate::guide::getting_started#where-to-mount-it
        /// [more than one server]: crate::guide::operations#more-than-one-server
        /// [moving from node]: crate::guide::migrating_from_node
        /// [nodelay]: crate::guide::getting_started#tcp_nodelay
        /// [not there yet]: crate::guide::compatibility#not-there-yet
        /// [operations]: crate::guide::operations
        /// [recovery]: crate::guide::recovery
        /// [scaling]: crate::guide::scaling
        /// [security]: crate::guide::security
        /// [sessions example]: https://github.com/axum-socketio/axum-socketio/blob/main/examples/sessions.rs
        /// [shutdown and deploys]: crate::guide::operations#shutdown-and-deploys
        /// [stolen private id]: crate::guide::security#a-stolen-private-id
        /// [troubleshooting]: crate::guide::troubleshooting
        /// [why requests are refused]: crate::guide::operations#why-requests-are-refused
        ///
        #[doc = include_str!(concat!("../docs/", $file))]
        pub mod $name {}
    };
}

page!(getting_started, "getting-started.md");
page!(troubleshooting, "troubleshooting.md");
page!(migrating_from_node, "migrating-from-node.md");
page!(typed_events, "typed-events.md");
page!(recovery, "recovery.md");
page!(operations, "operations.md");
page!(scaling, "scaling.md");
page!(metrics, "metrics.md");
page!(security, "security.md");
page!(compatibility, "compatibility.md");
page!(architecture, "architecture.md");
