//! Arguments of any types and number, which are passed on without being read.

use std::cell::Cell;
use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeOwned, Error as _, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::scan::Placeholders;
use super::tree::Tree;
use super::{Args, ArgsError, EncodedArgs, Rest};
use crate::EncodeError;
use crate::always::always;

/// The arguments of an event or of an acknowledgement, of any types and number, attachments included.
///
/// They can be received, inspected, kept, emitted and returned. As the last element of a tuple, they are the remaining
/// arguments. An echo is one line, and so is a proxy:
///
/// ```
/// use axum_socketio::extract::RawArgs;
/// use axum_socketio::{Event, Namespace, Socket};
///
/// async fn echo(args: RawArgs) -> RawArgs { args }
/// async fn forward(socket: Socket, Event(name): Event, args: RawArgs) { socket.broadcast().emit(name, args); }
///
/// let namespace: Namespace = Namespace::new().on("echo", echo).fallback(forward);
/// ```
///
/// Emitted or returned, they are as many arguments as they hold. Inside of an argument, and in HTTP, they are an array.
#[derive(Clone, Debug)]
pub struct RawArgs(Args);

impl RawArgs {
    /// Creates the arguments that an emit of this value sends: a tuple is several, `()` is none, any other value is
    /// one.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Json`] if a value has no form in JSON.
    pub fn new<T: Serialize + ?Sized>(args: &T) -> Result<Self, EncodeError> {
        let encoded = EncodedArgs::ack(args)?;
        let attachments = encoded.attachments().to_vec();
        let args = Self(Args::new(encoded.json().into(), attachments));
        encoded.recycle();
        Ok(args)
    }

    /// Creates arguments from the text between the brackets of a list, whose placeholders refer to `attachments`. The
    /// attachments to which none refers are left out.
    pub(super) fn from_values(values: &str, attachments: &[Bytes]) -> Self {
        let mut json = String::with_capacity(values.len() + 2);
        json.push('[');
        let attachments = append_used(&mut json, values, attachments);
        json.push(']');
        Self(Args::new(json.into(), attachments))
    }

    /// Returns the JSON array of the arguments, without the event's name. Attachments are placeholders in it:
    /// `{"_placeholder":true,"num":0}`.
    #[must_use]
    pub fn json(&self) -> &str {
        self.0.json()
    }

    /// Returns the JSON text of each argument.
    #[must_use]
    pub fn values(&self) -> Vec<&str> {
        always(self.0.raw().ok(), "the text has been checked")
    }

    /// Returns the attachments that the placeholders refer to.
    #[must_use]
    pub fn attachments(&self) -> &[Bytes] {
        self.0.attachments()
    }

    /// Deserializes the arguments as `Data` does, and ignores surplus ones.
    ///
    /// # Errors
    ///
    /// If the arguments do not fit the type.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        self.0.deserialize()
    }

    /// Returns the text between the brackets of the list.
    pub(super) fn inner(&self) -> &str {
        let json = self.json();
        let inner = json
            .strip_prefix('[')
            .and_then(|json| json.strip_suffix(']'));
        always(inner, "the text is an array")
    }
}

impl Default for RawArgs {
    fn default() -> Self {
        Self(Args::none())
    }
}

impl PartialEq for RawArgs {
    fn eq(&self, other: &Self) -> bool {
        self.json() == other.json() && self.attachments() == other.attachments()
    }
}

impl Eq for RawArgs {}

/// Appends values. Their attachments are numbered in the order in which the values refer to them. Returns these.
fn append_used(json: &mut String, values: &str, attachments: &[Bytes]) -> Vec<Bytes> {
    if attachments.is_empty() {
        json.push_str(values);
        return Vec::new();
    }
    let mut used = Vec::new();
    let mut numbers = vec![None; attachments.len()];
    append_numbered(json, values, |old| {
        let attachment = attachments.get(old)?;
        let number = numbers.get_mut(old)?;
        Some(*number.get_or_insert_with(|| {
            used.push(attachment.clone());
            used.len() - 1
        }))
    });
    used
}

/// Appends values whose placeholders get new numbers. A placeholder without one stays as it is.
pub(super) fn append_numbered(
    json: &mut String,
    values: &str,
    mut number: impl FnMut(usize) -> Option<usize>,
) {
    let mut copied = 0;
    for (place, old) in Placeholders::new(values) {
        let Some(new) = old.and_then(&mut number) else {
            continue;
        };
        let before = values.get(copied..place.start);
        json.push_str(always(before, "a placeholder begins with a bracket"));
        json.push_str(&format!(r#"{{"_placeholder":true,"num":{new}}}"#));
        copied = place.end;
    }
    json.push_str(always(
        values.get(copied..),
        "a placeholder ends with a bracket",
    ));
}

/// The newtype name by which the encoder and the deserializer of arguments recognize [`RawArgs`].
pub(super) const RAW: &str = "$axum_socketio::RawArgs";

thread_local! {
    /// The arguments on their way through serde, which cannot pass them as what they are. The caller stores them here,
    /// and the callee takes them at once.
    static HANDED: Cell<Option<RawArgs>> = const { Cell::new(None) };
}

fn exchange(args: Option<RawArgs>) -> Option<RawArgs> {
    HANDED
        .try_with(|handed| handed.replace(args))
        .ok()
        .flatten()
}

/// Takes the arguments that are being serialized.
pub(super) fn handed_over() -> Option<RawArgs> {
    exchange(None)
}

/// Passes arguments to the visitor of a [`RawArgs`].
pub(super) fn hand_over<'de, V: Visitor<'de>>(
    args: RawArgs,
    visitor: V,
) -> Result<V::Value, serde_json::Error> {
    exchange(Some(args));
    let result = visitor.visit_unit();
    exchange(None);
    result
}

impl Serialize for RawArgs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        exchange(Some(self.clone()));
        let result = serializer.serialize_newtype_struct(RAW, &Array(self));
        exchange(None);
        result
    }
}

/// The arguments for a serializer that does not know [`RawArgs`].
struct Array<'a>(&'a RawArgs);

impl Serialize for Array<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A serializer that is called for an element must not take what was stored for this one.
        exchange(None);
        let Self(args) = self;
        if args.attachments().is_empty() {
            let values: Vec<&RawValue> =
                serde_json::from_str(args.json()).map_err(S::Error::custom)?;
            return serializer.collect_seq(values);
        }
        let values = args.deserialize::<Rest<Tree>>().map_err(S::Error::custom)?;
        serializer.collect_seq(values.0)
    }
}

impl<'de> Deserialize<'de> for RawArgs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = RawArgs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("arguments")
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<RawArgs, E> {
                exchange(None).ok_or_else(|| E::custom("no arguments were handed over"))
            }

            /// Reads an array, which is the form of arguments outside of their list.
            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                array: D,
            ) -> Result<RawArgs, D::Error> {
                let values = Vec::<Tree>::deserialize(array)?;
                RawArgs::new(&Rest(values)).map_err(D::Error::custom)
            }
        }

        deserializer.deserialize_newtype_struct(RAW, All)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Binary;

    /// Returns the arguments that the recipient of an acknowledgement reads.
    fn received(args: &EncodedArgs) -> Args {
        Args::new(args.json().into(), args.attachments().to_vec())
    }

    /// Returns the arguments that the recipient of an event reads.
    fn received_event(args: &EncodedArgs) -> Args {
        let mut received = Args::of_event(args.json().into(), 0);
        received.attach_all(args.attachments().to_vec());
        received
    }

    fn bytes(text: &'static str) -> Binary {
        Binary(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn they_are_what_was_sent() {
        let sent = (json!({"a": [1.0, 1e300]}), bytes("x"), [bytes("y")], "é\"");
        let as_event = received_event(&EncodedArgs::event("e", &sent).unwrap());
        let as_ack = received(&EncodedArgs::ack(&sent).unwrap());
        for args in [as_event, as_ack] {
            let args: RawArgs = args.deserialize().unwrap();
            assert_eq!(args, RawArgs::new(&sent).unwrap());
            assert_eq!(args.values().len(), 4);
            assert_eq!(args.values()[3], r#""é\"""#);
            assert_eq!(args.attachments(), ["x", "y"]);
            let again = EncodedArgs::event("e", &args).unwrap();
            let event = EncodedArgs::event("e", &sent).unwrap();
            assert_eq!(again.json(), event.json());
            assert_eq!(again.attachments(), event.attachments());
            assert_eq!(
                again.attachments()[0].as_ptr(),
                event.attachments()[0].as_ptr(),
                "nothing is copied"
            );
        }
    }

    #[test]
    fn they_may_be_none_and_keep_the_text_as_it_is() {
        for list in ["[]", "[ ]"] {
            let args = Args::of_ack(list.into(), 0);
            assert_eq!(args.deserialize(), Ok(RawArgs::default()), "{list}");
        }
        for list in [r#"["e"]"#, r#"[ "e" ]"#] {
            let args = Args::of_event(list.into(), 0);
            assert_eq!(args.deserialize(), Ok(RawArgs::default()), "{list}");
        }
        let args = Args::of_event(r#" ["e" , 1.0 ,{"a" : [] } ] "#.into(), 0);
        let raw: RawArgs = args.deserialize().unwrap();
        assert_eq!(raw.json(), r#"[1.0 ,{"a" : [] }]"#);
        assert_eq!(EncodedArgs::ack(&RawArgs::default()).unwrap().json(), "[]");
        let event = EncodedArgs::event("e", &RawArgs::default()).unwrap();
        assert_eq!(event.json(), r#"["e"]"#);
        for malformed in ["[1", "[1,]", "[1]]", "[1 2]", "[nul]"] {
            let args = Args::new(malformed.into(), Vec::new());
            let error = args.deserialize::<RawArgs>().unwrap_err();
            assert!(matches!(error, ArgsError::Malformed(_)), "{malformed}");
        }
    }

    #[test]
    fn they_may_be_the_rest_and_have_the_attachments_that_they_refer_to() {
        let sent = (bytes("secret"), 1, bytes("b"), bytes("a"), bytes("b"));
        let encoded = EncodedArgs::ack(&sent).unwrap();
        let json = encoded.json().replace("\"num\":3", "\"num\":1");
        let args = Args::new(json.into(), encoded.attachments().to_vec());
        let (first, rest): (Binary, RawArgs) = args.deserialize().unwrap();
        assert_eq!(first, bytes("secret"));
        assert_eq!(rest.attachments(), ["b", "a"]);
        let read: (u8, Binary, Binary, Binary) = rest.deserialize().unwrap();
        assert_eq!(read, (1, bytes("b"), bytes("a"), bytes("b")));
        // Behind other attachments, theirs get other numbers.
        let again = EncodedArgs::ack(&(bytes("z"), &rest, bytes("end"))).unwrap();
        let read: (Binary, u8, Binary, Binary, Binary, Binary) =
            received(&again).deserialize().unwrap();
        assert_eq!(
            read,
            (
                bytes("z"),
                1,
                bytes("b"),
                bytes("a"),
                bytes("b"),
                bytes("end")
            )
        );
    }

    #[test]
    fn inside_of_an_argument_they_are_an_array() {
        let args = RawArgs::new(&(1, bytes("x"), json!({"k": null}))).unwrap();
        let one = EncodedArgs::ack_of_one(&args).unwrap();
        let p0 = r#"{"_placeholder":true,"num":0}"#;
        assert_eq!(one.json(), format!(r#"[[1,{p0},{{"k":null}}]]"#));
        let nested = EncodedArgs::ack(&vec![&args]).unwrap();
        assert_eq!(nested.json(), format!(r#"[[[1,{p0},{{"k":null}}]]]"#));
        let read: Vec<RawArgs> = received(&nested).deserialize().unwrap();
        assert_eq!(read, [args]);
        let plain = RawArgs::new(&(1, "x")).unwrap();
        assert_eq!(serde_json::to_value(&plain).unwrap(), json!([1, "x"]));
        let read: RawArgs = serde_json::from_str(r#"[1, "x"]"#).unwrap();
        assert_eq!(read, plain);
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        let deep = Args::new(format!("[{deep}]").into(), Vec::new());
        let deep: RawArgs = deep.deserialize().unwrap();
        assert_eq!(EncodedArgs::ack(&deep).unwrap().json(), deep.json());
        assert!(EncodedArgs::ack_of_one(&deep).is_ok());
        assert!(deep.deserialize::<Value>().is_err());
    }
}
