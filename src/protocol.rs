//! Arguments of packets, and the errors of decoding and encoding them.
//!
//! The codecs themselves, and the state machines of a connection, are the crate
//! [axum-socketio-proto](https://docs.rs/axum-socketio-proto), which has no stable interface.

pub use proto::{Args, ArgsError, DecodeError, EncodeError, EncodedArgs};
