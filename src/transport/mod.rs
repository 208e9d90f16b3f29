//! Transports: conversion between the bytes of a connection and Engine.IO packets.

mod flight;
mod polling;
mod stream;
mod websocket;
mod writer;

pub(crate) use flight::{Flight, InFlight};
pub(crate) use polling::{Body, collect};
pub(crate) use websocket::{End, Unfinished, WebSocket};
