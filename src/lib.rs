//! Socket.IO as a Tower layer for axum.

pub mod protocol;
