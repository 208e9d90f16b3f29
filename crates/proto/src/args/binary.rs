//! Bytes that pass through serde without being copied.
//!
//! serde passes bytes as a slice or a vector, and `Bytes` are neither. The caller therefore stores the `Bytes` in a
//! thread-local cell before it calls serde, and the callee takes them from there at once.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

use crate::buf::{copy, pool};

/// Binary data that is copied neither when it is received nor when it is sent.
///
/// [`Bytes`] and similar types also work as arguments, but they are copied, because serde passes bytes only as a slice.
/// From a few kilobytes on, the copy is most of the cost of a binary event.
///
/// Outside of an event it is serialized like `Bytes`: in JSON, as a list of numbers.
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

/// The newtype name by which the deserializer of arguments recognizes a [`Binary`], which takes an attachment by
/// handover.
const BINARY: &str = "$axum_socketio::Binary";

thread_local! {
    static HANDED: Cell<Option<Bytes>> = const { Cell::new(None) };
}

/// Replaces the bytes in the cell and returns the previous ones. On a thread that is ending the cell is gone, and the
/// bytes are copied.
fn exchange(data: Option<Bytes>) -> Option<Bytes> {
    HANDED
        .try_with(|handed| handed.replace(data))
        .ok()
        .flatten()
}

/// Calls `call` with the bytes as a slice, while the bytes themselves are in the cell.
fn hand<T>(data: &Bytes, call: impl FnOnce(&[u8]) -> T) -> T {
    exchange(Some(data.clone()));
    let result = call(data);
    exchange(None);
    result
}

/// Returns the bytes of a slice as `Bytes`: those in the cell if the slice is theirs, or else a copy.
pub(super) fn keep(slice: &[u8]) -> Bytes {
    let handed = exchange(None);
    let same = |data: &Bytes| data.as_ptr() == slice.as_ptr() && data.len() == slice.len();
    handed.filter(same).unwrap_or_else(|| {
        let mut data = pool::buffer(slice.len());
        copy::append(&mut data, slice);
        pool::share(data)
    })
}

/// Returns true if a newtype of this name takes an attachment that is [handed over](hand_over).
pub(super) fn wants_attachment(newtype: &str) -> bool {
    newtype == BINARY
}

/// Passes an attachment to the visitor of a [`Binary`].
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

            /// Called by every deserializer other than that of an event with attachments.
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
    use crate::{Args, EncodedArgs};

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

    /// Bytes that one serializer leaves in the cell must not be taken by a later one.
    #[test]
    fn nothing_stays_behind() {
        let data = Binary::from(vec![7; 100]);
        serde_json::to_string(&data).unwrap();
        assert_eq!(exchange(None), None);
        let encoded = EncodedArgs::ack(&data.slice(..50)).unwrap();
        assert_ne!(encoded.attachments()[0].as_ptr(), data.as_ptr());
    }
}
