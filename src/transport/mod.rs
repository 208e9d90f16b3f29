//! Transports: conversion between the bytes of a connection and Engine.IO packets. [`Duplex`] lists all but polling.

mod duplex;
mod end;
mod flight;
mod polling;
mod reading;
mod stream;
mod websocket;
mod writer;

pub(crate) use duplex::Duplex;
pub(crate) use end::{End, Exceeded, Farewell, TransportViolation};
pub(crate) use flight::{Flight, InFlight};
pub(crate) use polling::{Body, collect};
pub(crate) use reading::{Batch, Reading};
pub(crate) use websocket::{Unfinished, WebSocket};
