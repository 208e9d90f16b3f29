//! Attributes of serde that change the number of arguments of an event.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, Error, Fields, Result, Token, token};

/// The attributes of a type with which serde does not see its fields.
const OF_THE_TYPE: [&str; 5] = ["from", "into", "remote", "transparent", "try_from"];

/// The attributes of a field with which it is no argument.
const OF_A_FIELD: [&str; 4] = [
    "skip",
    "skip_deserializing",
    "skip_serializing",
    "skip_serializing_if",
];

/// Refuses attributes with which serde would send other arguments than the fields of the type.
pub(crate) fn check(attributes: &[Attribute], fields: &Fields) -> Result<()> {
    refuse(
        attributes,
        &OF_THE_TYPE,
        "the fields of this struct are the arguments of the event",
    )?;
    for field in fields {
        refuse(
            &field.attrs,
            &OF_A_FIELD,
            "this field is an argument of the event",
        )?;
    }
    Ok(())
}

fn refuse(attributes: &[Attribute], refused: &[&str], because: &str) -> Result<()> {
    let of_serde = attributes.iter();
    for attribute in of_serde.filter(|attribute| attribute.path().is_ident("serde")) {
        attribute.parse_nested_meta(|meta| {
            if let Some(name) = refused.iter().find(|name| meta.path.is_ident(name)) {
                let text = format!("{because}, so it cannot have `#[serde({name})]`");
                return Err(Error::new_spanned(&meta.path, text));
            }
            skip_value(&meta)
        })?;
    }
    Ok(())
}

/// Skips the value of an attribute that is not looked at: `= "…"` or `(…)`.
fn skip_value(meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(Token![=]) {
        meta.value()?.parse::<syn::Expr>()?;
    } else if meta.input.peek(token::Paren) {
        meta.parse_nested_meta(|inner| skip_value(&inner))?;
    }
    Ok(())
}
