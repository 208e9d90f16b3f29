//! The namespaces that run on a server: registered ones, and those that are created for a pattern.
//!
//! They do not know what handlers are: `H` is the table of them that belongs to a namespace.

mod children;
mod dynamic;
mod handler_table;
mod namespaces;
mod options;
mod pattern;
mod recipients;
mod running_namespace;
mod server_side_event;

pub(crate) use dynamic::DynamicNamespace;
pub(crate) use handler_table::HandlerTable;
pub(crate) use namespaces::{Found, Namespaces};
pub(crate) use options::NamespaceOptions;
pub use options::{AckFormat, Order, Unhandled};
pub(crate) use pattern::Pattern;
pub(crate) use recipients::Recipients;
pub(crate) use running_namespace::RunningNamespace;
pub use server_side_event::ServerSideEvent;
pub(crate) use server_side_event::{ServerHandler, ServerSideEventFailure, received, server_args};
