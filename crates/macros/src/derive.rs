//! The implementations of `ClientEvent` and `ServerEvent`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Result};

use crate::attribute::EventAttribute;
use crate::serde_attributes;

/// The side that sends the event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// Returns the implementation, or the error for the compiler. `contract` is the path of the crate with the traits.
pub(crate) fn expand(item: TokenStream, side: Side, contract: &TokenStream) -> TokenStream {
    let derived = syn::parse2(item).and_then(|item| implement(&item, side, contract));
    derived.unwrap_or_else(Error::into_compile_error)
}

fn implement(item: &DeriveInput, side: Side, contract: &TokenStream) -> Result<TokenStream> {
    let EventAttribute { name, ack } = EventAttribute::find(&item.attrs, item.ident.span())?;
    let shape = shape(item)?;
    let event = match side {
        Side::Client => quote!(ClientEvent),
        Side::Server => quote!(ServerEvent),
    };
    let ack = ack.map_or_else(|| quote!(()), |ack| quote!(#ack));
    let ident = &item.ident;
    let (parameters, arguments, bounds) = item.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #parameters #contract::#event for #ident #arguments #bounds {
            const NAME: &'static str = #name;
            const SHAPE: #contract::Shape = #contract::Shape::#shape;
            type Ack = #ack;
        }
    })
}

/// Returns the variant of `Shape`.
fn shape(item: &DeriveInput) -> Result<Ident> {
    let fields = match &item.data {
        Data::Struct(item) => &item.fields,
        Data::Enum(_) => return Ok(Ident::new("One", Span::call_site())),
        Data::Union(union) => {
            let refused = "a union cannot be an event: use a struct or an enum";
            return Err(Error::new_spanned(union.union_token, refused));
        }
    };
    let shape = match fields {
        Fields::Unit => "None",
        Fields::Unnamed(fields) if fields.unnamed.len() != 1 => "Several",
        _ => "One",
    };
    if shape != "One" {
        serde_attributes::check(&item.attrs, fields)?;
    }
    Ok(Ident::new(shape, Span::call_site()))
}
