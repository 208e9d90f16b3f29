//! The forms of arguments.

use serde::de::value::UnitDeserializer;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::spread::{SpreadDeserializer, SpreadSerializer};

/// The form in which a type is the arguments of an event.
///
/// | shape | type | arguments |
/// |---|---|---|
/// | `None` | a unit struct | none |
/// | `One` | any | one, the value as serde sees it |
/// | `Several` | a tuple struct | one for each field; fewer for `Option`s at the end |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// No arguments: a unit struct.
    None,
    /// One argument.
    One,
    /// An argument for each field of a tuple struct.
    Several,
}

impl Shape {
    /// Serializes a value as arguments of this shape.
    ///
    /// # Errors
    ///
    /// Fails if the value cannot be serialized, or if the shape is `Several` and the value is not a tuple struct.
    pub fn serialize<S: Serializer, T: Serialize + ?Sized>(
        self,
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => ().serialize(serializer),
            Self::One => (value,).serialize(serializer),
            Self::Several => value.serialize(SpreadSerializer(serializer)),
        }
    }

    /// Deserializes a value from arguments of this shape.
    ///
    /// # Errors
    ///
    /// Fails if the arguments do not fit the type, or if the type does not have this shape.
    pub fn deserialize<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
        self,
        deserializer: D,
    ) -> Result<T, D::Error> {
        match self {
            Self::None => {
                <()>::deserialize(deserializer)?;
                T::deserialize(UnitDeserializer::new())
            }
            Self::One => <(T,)>::deserialize(deserializer).map(|(value,)| value),
            Self::Several => T::deserialize(SpreadDeserializer(deserializer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Nothing;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Pair(u8, Option<String>);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Empty();

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Whole((u8, u8));

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(transparent)]
    struct Transparent((u8, u8));

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Fields {
        a: u8,
    }

    fn check<T>(shape: Shape, value: &T, arguments: &Value)
    where
        T: Serialize + for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug,
    {
        let sent = shape.serialize(value, serde_json::value::Serializer);
        assert_eq!(&sent.unwrap(), arguments);
        let read: T = shape.deserialize(arguments).unwrap();
        assert_eq!(&read, value);
    }

    #[test]
    fn a_value_is_read_from_the_arguments_as_which_it_is_sent() {
        // A JSON value has `null` for the unit that stands for no arguments.
        check(Shape::None, &Nothing, &json!(null));
        check(Shape::One, &Nothing, &json!([null]));
        check(Shape::One, &Fields { a: 1 }, &json!([{"a": 1}]));
        check(Shape::One, &Whole((1, 2)), &json!([[1, 2]]));
        check(Shape::One, &Transparent((1, 2)), &json!([[1, 2]]));
        check(Shape::One, &Pair(1, None), &json!([[1, null]]));
        check(Shape::Several, &Pair(1, Some("x".into())), &json!([1, "x"]));
        check(Shape::Several, &Empty(), &json!([]));
    }

    #[test]
    fn only_tuple_structs_have_several_arguments() {
        let sent = Shape::Several.serialize(&Fields { a: 1 }, serde_json::value::Serializer);
        assert_eq!(
            sent.unwrap_err().to_string(),
            "only a tuple struct can be several arguments"
        );
        let read = Shape::Several.deserialize::<_, Fields>(&json!([1]));
        assert_eq!(
            read.unwrap_err().to_string(),
            "only a tuple struct can be several arguments"
        );
        let read = Shape::Several.deserialize::<_, Transparent>(&json!([1, 2]));
        assert!(read.is_err());
    }

    #[test]
    fn arguments_of_another_form_are_an_error() {
        assert!(Shape::None.deserialize::<_, Nothing>(&json!([1])).is_err());
        assert!(Shape::One.deserialize::<_, u8>(&json!([])).is_err());
        assert!(
            Shape::Several
                .deserialize::<_, Pair>(&json!(["x", null]))
                .is_err()
        );
        assert!(Shape::Several.deserialize::<_, Pair>(&json!({})).is_err());
    }
}
