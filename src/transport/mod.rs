//! Transports: conversion between the bytes of a connection and Engine.IO packets. [`Duplex`] lists all but polling.

mod duplex;
mod end;
mod flight;
#[cfg(feature = "testing")]
mod memory;
mod polling;
mod reading;
mod stream;
mod websocket;
mod writer;

pub(crate) use duplex::Duplex;
pub(crate) use end::{End, Exceeded, Farewell, TransportViolation};
pub(crate) use flight::{Flight, InFlight};
#[cfg(feature = "testing")]
pub use memory::MemoryPacket;
#[cfg(feature = "testing")]
pub(crate) use memory::{ClientEnd, Memory, MemoryLink, MemoryOffer, NotSent};
pub(crate) use polling::{Body, collect};
pub(crate) use reading::{Batch, Reading};
pub(crate) use websocket::{Unfinished, WebSocket};
