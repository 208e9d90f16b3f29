//! The masters of a Redis Cluster, and the slots of channels.

use redis::{FromRedisValue, ParsingError, Value, from_redis_value};

/// The number of slots of a cluster.
const SLOTS: u16 = 16_384;

/// The address of a server of a Redis Cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeAddress {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// The masters of a Redis Cluster, by the slots that they serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topology {
    /// The first and the last of some slots, and their master. They are in order.
    ranges: Vec<(u16, u16, NodeAddress)>,
}

impl Topology {
    /// Reads the answer to `CLUSTER SLOTS` of a server. Servers that do not know their own host are at the one that was
    /// asked.
    pub(crate) fn parse(answer: Value, asked: &str) -> Result<Self, ParsingError> {
        let mut ranges = Vec::new();
        for range in Vec::<Vec<Value>>::from_redis_value(answer)? {
            let mut values = range.into_iter();
            let (Some(first), Some(last), Some(master)) =
                (values.next(), values.next(), values.next())
            else {
                return Err("a range of slots has no master".into());
            };
            let mut master = Vec::<Value>::from_redis_value(master)?.into_iter();
            let host: Option<String> = from_redis_value(master.next().unwrap_or(Value::Nil))?;
            let port = number(master.next().unwrap_or(Value::Nil))?;
            let host = host.filter(|host| !host.is_empty() && host != "?");
            let address = NodeAddress {
                host: host.unwrap_or_else(|| asked.to_owned()),
                port,
            };
            ranges.push((number(first)?, number(last)?, address));
        }
        ranges.sort();
        Ok(Self { ranges })
    }

    /// Returns the master for a channel, if its slot has one.
    pub(crate) fn master(&self, channel: &str) -> Option<&NodeAddress> {
        let slot = slot(channel);
        let after = self.ranges.partition_point(|(first, ..)| *first <= slot);
        let (_, last, master) = self.ranges.get(after.checked_sub(1)?)?;
        (slot <= *last).then_some(master)
    }

    /// Returns all masters; some of them several times.
    pub(crate) fn masters(&self) -> impl Iterator<Item = &NodeAddress> {
        self.ranges.iter().map(|(.., master)| master)
    }
}

/// Reads the number of a slot or a port.
fn number(value: Value) -> Result<u16, ParsingError> {
    let number: i64 = from_redis_value(value)?;
    u16::try_from(number).map_err(|_| "a slot or a port is out of range".into())
}

/// Returns the slot of a channel: that of its name, or of the part in the first braces if there is one.
fn slot(channel: &str) -> u16 {
    let tag = channel.split_once('{').and_then(|(_, rest)| {
        let (tag, _) = rest.split_once('}')?;
        (!tag.is_empty()).then_some(tag)
    });
    let name = tag.unwrap_or(channel);
    crc16::State::<crc16::XMODEM>::calculate(name.as_bytes()) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
        let master = vec![host, Value::Int(port), text("id"), Value::Array(vec![])];
        let replica = vec![text("replica"), Value::Int(1), text("id")];
        let range = [Value::Int(first), Value::Int(last)].into_iter();
        Value::Array(range.chain([master, replica].map(Value::Array)).collect())
    }

    #[test]
    fn slots_are_those_of_redis() {
        assert_eq!(slot("123456789"), 0x31c3);
        assert_eq!(slot("foo"), 12_182);
        assert_eq!(slot("{foo}bar"), 12_182);
        assert_eq!(slot("x{foo}{bar}"), 12_182);
        assert_ne!(slot("{}foo"), 12_182);
        assert_eq!(slot("a{b"), slot("{a{b}"));
    }

    #[test]
    fn a_channel_has_the_master_of_its_slot() {
        let slots = Value::Array(vec![
            range(10_000, 16_383, text("b"), 2),
            range(0, 5000, Value::Nil, 1),
        ]);
        let topology = Topology::parse(slots, "asked").unwrap();
        let master = |channel| {
            let master = topology.master(channel)?;
            Some(format!("{}:{}", master.host, master.port))
        };
        assert_eq!(master("foo").as_deref(), Some("b:2"));
        assert_eq!(slot("hello"), 866);
        assert_eq!(master("hello").as_deref(), Some("asked:1"));
        assert_eq!(slot("bar"), 5061);
        assert_eq!(master("bar"), None);
    }

    #[test]
    fn malformed_answers_are_errors() {
        for answer in [
            Value::Nil,
            text("x"),
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![Value::Array(vec![Value::Int(1)])]),
            Value::Array(vec![range(0, 1, text("a"), 70_000)]),
            Value::Array(vec![range(-1, 1, text("a"), 7000)]),
        ] {
            let parsed = Topology::parse(answer.clone(), "asked");
            assert_eq!(
                parsed.map_or(0, |topology| topology.ranges.len()),
                0,
                "{answer:?}"
            );
        }
    }
}
