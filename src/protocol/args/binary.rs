//! Bytes that pass through serde without being copied.
//!
//! serde hands bytes over as a slice or a vector, and `Bytes` are neither. So the two ends of a call leave them here: what
//! calls puts them down, what is called picks them up at once.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

use crate::protocol::{copy, large};

/// Binary data that is neither copied when it is read nor when it is sent: an attachment as it came, or as it goes.
///
/// [`Bytes`] and the like work as arguments too, but are copied, for serde knows bytes only as a slice. From some kilobytes
/// on that is most of what a binary event costs.
///
/// Anywhere else than in an event it is what `Bytes` are there: in JSON a list of numbers.
///
/// ```
/// use axum_socketio::extract::{Binary, Data};
/// use axum_socketio::{Namespace, Socket};
///
/// async fn frame(socket: Socket, Data((camera, image)): Data<(u32, Binary)>) {
///     socket.to("viewers").emit("frame", (camera, image));
/// }
///
/// let namespace: Namespace = Namespace::new().on("frame", frame);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Binary(pub Bytes);

impl Deref for Binary {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.0
    }
}

impl From<Bytes> for Binary {
    fn from(data: Bytes) -> Self {
        Self(data)
    }
}

impl From<Vec<u8>> for Binary {
    fn from(data: Vec<u8>) -> Self {
        Self(data.into())
    }
}

impl From<Binary> for Bytes {
    fn from(Binary(data): Binary) -> Self {
        data
    }
}

/// By this name [`Binary`] tells the reader of arguments that it can be handed an attachment.
const BINARY: &str = "$axum_socketio::Binary";

thread_local! {
    static HANDED: Cell<Option<Bytes>> = const { Cell::new(None) };
}

/// Leaves something else there. A thread that is ending has nothing there any more, and copies.
fn exchange(data: Option<Bytes>) -> Option<Bytes> {
    HANDED
        .try_with(|handed| handed.replace(data))
        .ok()
        .flatten()
}

/// Hands bytes to whom `call` calls with them as a slice.
fn hand<T>(data: &Bytes, call: impl FnOnce(&[u8]) -> T) -> T {
    exchange(Some(data.clone()));
    let result = call(data);
    exchange(None);
    result
}

/// The bytes of a slice to keep: those that were handed over, if these are they, or else a copy.
pub(super) fn keep(slice: &[u8]) -> Bytes {
    let handed = exchange(None);
    let same = |data: &Bytes| data.as_ptr() == slice.as_ptr() && data.len() == slice.len();
    handed.filter(same).unwrap_or_else(|| {
        let mut data = large::buffer(slice.len());
        copy::append(&mut data, slice);
        large::share(data)
    })
}

/// Whether a newtype of this name takes an attachment that is [handed over](hand_over).
pub(super) fn wants_attachment(newtype: &str) -> bool {
    newtype == BINARY
}

/// Gives an attachment to the visitor of a [`Binary`].
pub(super) fn hand_over<'de, V: Visitor<'de>, E: de::Error>(
    attachment: &Bytes,
    visitor: V,
) -> Result<V::Value, E> {
    hand(attachment, |data| visitor.visit_bytes(data))
}

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hand(&self.0, |data| serializer.serialize_bytes(data))
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Attachment;

        impl<'de> Visitor<'de> for Attachment {
            type Value = Binary;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, data: &[u8]) -> Result<Binary, E> {
                Ok(Binary(keep(data)))
            }

            /// Anywhere else than in an event with attachments.
            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                data: D,
            ) -> Result<Binary, D::Error> {
                Bytes::deserialize(data).map(Binary)
            }
        }

        deserializer.deserialize_newtype_struct(BINARY, Attachment)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::protocol::{Args, EncodedArgs};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Photo {
        title: String,
        data: Option<Binary>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(untagged)]
    enum Either {
        Data(Binary),
        Text(String),
    }

    fn photo(data: &Binary) -> Photo {
        Photo {
            title: "x".to_owned(),
            data: Some(data.clone()),
        }
    }

    fn received(encoded: &EncodedArgs) -> Args {
        Args::new(encoded.json().into(), encoded.attachments().to_vec())
    }

    #[test]
    fn it_is_the_same_memory_on_both_ways() {
        let data = Binary::from(vec![7; 100]);
        let encoded = EncodedArgs::ack(&(&data, photo(&data))).unwrap();
        let (first, second): (Binary, Photo) = received(&encoded).deserialize().unwrap();
        for same in [&first, second.data.as_ref().unwrap()] {
            assert_eq!(same, &data);
            assert_eq!(same.as_ptr(), data.as_ptr());
        }
        let only: Binary = received(&EncodedArgs::ack(&data).unwrap())
            .deserialize()
            .unwrap();
        assert_eq!(only.as_ptr(), data.as_ptr());
    }

    #[test]
    fn it_is_read_wherever_bytes_are() {
        let data = Binary::from(vec![1, 2]);
        let encoded = EncodedArgs::ack(&data).unwrap();
        let read: Either = received(&encoded).deserialize().unwrap();
        assert_eq!(read, Either::Data(data.clone()));
        assert_eq!(
            serde_json::to_value(photo(&data)).unwrap(),
            json!({"title": "x", "data": [1, 2]})
        );
        let read: Photo = serde_json::from_value(json!({"title": "x", "data": [1, 2]})).unwrap();
        assert_eq!(read, photo(&data));
        let text = Args::new(r#"["text"]"#.into(), vec![Bytes::new()]);
        assert_eq!(
            text.deserialize(),
            Ok(Binary::from(b"text".to_vec())),
            "as Bytes do"
        );
        assert_eq!(text.deserialize(), Ok(Bytes::from_static(b"text")));
    }

    /// What a serializer does not take must not be taken for what comes later.
    #[test]
    fn nothing_stays_behind() {
        let data = Binary::from(vec![7; 100]);
        serde_json::to_string(&data).unwrap();
        assert_eq!(exchange(None), None);
        let encoded = EncodedArgs::ack(&data.slice(..50)).unwrap();
        assert_ne!(encoded.attachments()[0].as_ptr(), data.as_ptr());
    }
}
