//! Any number of arguments.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{SeqAccess, Visitor},
    ser::SerializeTupleStruct,
};

/// The remaining arguments, as the last element of a tuple, or all of them: `Data<(String, Rest<u32>)>`, `Data<Rest<Value>>`.
///
/// Emitted or returned it is that many arguments. Inside of an argument, and in HTTP, it is an array.
///
/// ```
/// use axum_socketio::{Data, Reply, extract::Rest};
/// use serde_json::Value;
///
/// async fn echo(Data(args): Data<Rest<Value>>) -> Reply<Rest<Value>> {
///     Reply(args)
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rest<T>(pub Vec<T>);

/// By this name [`Rest`] tells [`Next`] that it wants more than one element, and the encoder that it is more than one.
pub(super) const REST: &str = "$axum_socketio::Rest";

impl<T: Serialize> Serialize for Rest<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut several = serializer.serialize_tuple_struct(REST, self.0.len())?;
        for argument in &self.0 {
            several.serialize_field(argument)?;
        }
        several.end()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Rest<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
            type Value = Rest<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the remaining arguments")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Rest<T>, A::Error> {
                let mut rest = Vec::new();
                while let Some(element) = elements.next_element()? {
                    rest.push(element);
                }
                Ok(Rest(rest))
            }

            /// Anywhere else than in a list of arguments it is an array.
            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                array: D,
            ) -> Result<Rest<T>, D::Error> {
                array.deserialize_seq(self)
            }
        }

        deserializer.deserialize_newtype_struct(REST, Elements(PhantomData))
    }
}
