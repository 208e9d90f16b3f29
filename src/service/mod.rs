//! The tower service: it recognizes the requests of the protocol, and answers them.

mod admit;
mod client_file;
mod future;
mod layer;
mod open;
mod post;
mod refusal;
mod request;
mod request_context;
mod response;
mod serve;
#[expect(
    clippy::module_inception,
    reason = "the tower trio is layer, service, future"
)]
mod service;
mod switch;
mod upgrade;

pub use future::ResponseFuture;
pub use layer::{SocketIoLayer, SocketIoMiddleware};
pub use service::SocketIoService;
