//! The names of rooms and events in messages.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::decode_error::MessageError;
use crate::args::reserved;

/// The name of a room. Node.js also has rooms that are named by numbers: these become their decimal text.
pub(super) struct Name(pub(super) String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a room")
    }

    fn visit_str<E>(self, name: &str) -> Result<Name, E> {
        Ok(Name(name.to_owned()))
    }

    fn visit_u64<E>(self, name: u64) -> Result<Name, E> {
        Ok(Name(name.to_string()))
    }

    fn visit_i64<E>(self, name: i64) -> Result<Name, E> {
        Ok(Name(name.to_string()))
    }

    fn visit_f64<E>(self, name: f64) -> Result<Name, E> {
        Ok(Name(name.to_string()))
    }
}

/// Returns an error unless the value is the array of an event that a server may send to clients.
pub(super) fn check_event(packet: &RawValue) -> Result<(), MessageError> {
    let name = event_name(packet)?;
    reserved(&name).map_or(Ok(()), |name| {
        Err(MessageError::content(&format!("reserved event {name:?}")))
    })
}

pub(super) fn event_name(packet: &RawValue) -> Result<String, MessageError> {
    let EventName(name) = serde_json::from_str(packet.get())?;
    Ok(name)
}

/// The first element of an array, which is a text.
struct EventName(String);

impl<'de> Deserialize<'de> for EventName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(EventNameVisitor)
    }
}

struct EventNameVisitor;

impl<'de> Visitor<'de> for EventNameVisitor {
    type Value = EventName;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array that begins with the name of an event")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<EventName, A::Error> {
        let name = array.next_element()?;
        let name = name.ok_or_else(|| serde::de::Error::invalid_length(0, &self))?;
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(EventName(name))
    }
}
