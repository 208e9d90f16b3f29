//! The attribute `#[event("name", ack = T)]`.

use proc_macro2::Span;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, Ident, LitStr, Result, Token, Type};

/// The names that Socket.IO uses itself.
const RESERVED: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// The content of the attribute.
pub(crate) struct EventAttribute {
    pub(crate) name: LitStr,
    pub(crate) ack: Option<Type>,
}

impl EventAttribute {
    /// Finds the attribute of a type.
    pub(crate) fn find(attributes: &[Attribute], item: Span) -> Result<Self> {
        let mut found = attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("event"));
        let Some(attribute) = found.next() else {
            let missing = "the name of the event is missing: add `#[event(\"name\")]`";
            return Err(Error::new(item, missing));
        };
        if let Some(second) = found.next() {
            let twice = "an event has one name: remove the second `#[event(…)]`";
            return Err(Error::new_spanned(second, twice));
        }
        attribute.parse_args()
    }
}

impl Parse for EventAttribute {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if !input.peek(LitStr) {
            let missing = "the name of the event comes first, in quotes: `#[event(\"name\")]`";
            return Err(input.error(missing));
        }
        let name: LitStr = input.parse()?;
        if RESERVED.contains(&name.value().as_str()) {
            let reserved = "Socket.IO uses this name itself: choose another one";
            return Err(Error::new_spanned(name, reserved));
        }
        let mut ack = None;
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let key: Ident = input.parse()?;
            if key != "ack" || ack.is_some() {
                let unknown = "after the name there is only one option: `ack = T`";
                return Err(Error::new_spanned(key, unknown));
            }
            input.parse::<Token![=]>()?;
            ack = Some(input.parse()?);
        }
        Ok(Self { name, ack })
    }
}
