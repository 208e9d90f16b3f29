//! A variable number of arguments.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{SeqAccess, Visitor},
    ser::SerializeTupleStruct,
};

/// The remaining arguments, as the last element of a tuple, or all arguments: `Data<(String, Rest<u32>)>`,
/// `Data<Rest<Value>>`.
///
/// A [`Rest`] that is emitted or returned is one argument per element. Inside of an argument, in `Json` and in HTTP, it
/// is an array.
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

/// The name by which the encoder and `Next` recognize a [`Rest`], which is any number of elements.
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

            /// Reads an array, which is the form of a [`Rest`] outside of a list of arguments.
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
