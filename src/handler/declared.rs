//! The arguments and results of handlers of typed events.

use axum::Json;
use axum::response::NoContent;
use axum_core::response::IntoResponse;
use contract::ClientEvent;

use super::reply::{IntoAck, Reply};
use crate::extract::{On, via};
use crate::rooms::Joined;
use crate::socket::AckBody;

/// The arguments of a handler that takes the event `E`, as an argument of its own.
///
/// It is implemented for the inferred types of handlers, and cannot be implemented elsewhere. `At`, the position of the
/// event among the arguments, is inferred.
#[diagnostic::on_unimplemented(
    message = "this handler does not take the event `{E}`",
    label = "none of its arguments is `{E}`",
    note = "one argument of the function is the event: `async fn handler(event: {E})`"
)]
pub trait Takes<E, At>: sealed::Arguments {}

/// An argument that is the event `E`.
#[diagnostic::on_unimplemented(
    message = "this handler does not take the event `{E}`",
    label = "none of its arguments is `{E}`",
    note = "one argument of the function is the event: `async fn handler(event: {E})`"
)]
pub trait Carries<E> {}

#[diagnostic::do_not_recommend]
impl<E: ClientEvent> Carries<E> for (via::Declared, E) {}

#[diagnostic::do_not_recommend]
impl<E: ClientEvent> Carries<E> for (via::Event, On<E>) {}

/// The position of an argument.
#[derive(Debug)]
pub enum Position<const N: usize> {}

mod sealed {
    /// The inferred types of a handler.
    pub trait Arguments {}
}

macro_rules! arguments {
    ($($A:ident),*) => {
        impl<P, R, $($A),*> sealed::Arguments for (P, R, $($A),*) {}
    };
}

macro_rules! takes {
    ($($A:ident $N:literal),*) => {
        arguments!($($A),*);
        takes!(@each [$($A),*] $($A $N),*);
    };
    (@each $all:tt $($A:ident $N:literal),*) => {
        $(takes!(@one $all $A $N);)*
    };
    (@one [$($A:ident),*] $B:ident $N:literal) => {
        #[diagnostic::do_not_recommend]
        impl<E, P, R, $($A),*> Takes<E, Position<$N>> for (P, R, $($A),*) where $B: Carries<E> {}
    };
}

takes!();
takes!(A0 0);
takes!(A0 0, A1 1);
takes!(A0 0, A1 1, A2 2);
takes!(A0 0, A1 1, A2 2, A3 3);
takes!(A0 0, A1 1, A2 2, A3 3, A4 4);
takes!(A0 0, A1 1, A2 2, A3 3, A4 4, A5 5);
takes!(A0 0, A1 1, A2 2, A3 3, A4 4, A5 5, A6 6);
takes!(A0 0, A1 1, A2 2, A3 3, A4 4, A5 5, A6 6, A7 7);
takes!(A0 0, A1 1, A2 2, A3 3, A4 4, A5 5, A6 6, A7 7, A8 8);
takes!(A0 0, A1 1, A2 2, A3 3, A4 4, A5 5, A6 6, A7 7, A8 8, A9 9);
takes!(A0 0, A1 1, A2 2, A3 3, A4 4, A5 5, A6 6, A7 7, A8 8, A9 9, A10 10);
takes!(A0 0, A1 1, A2 2, A3 3, A4 4, A5 5, A6 6, A7 7, A8 8, A9 9, A10 10, A11 11);
takes!(A0 0, A1 1, A2 2, A3 3, A4 4, A5 5, A6 6, A7 7, A8 8, A9 9, A10 10, A11 11, A12 12);
takes!(A0 0, A1 1, A2 2, A3 3, A4 4, A5 5, A6 6, A7 7, A8 8, A9 9, A10 10, A11 11, A12 12, A13 13);
takes!(
    A0 0, A1 1, A2 2, A3 3, A4 4, A5 5, A6 6, A7 7, A8 8, A9 9, A10 10, A11 11, A12 12, A13 13, A14 14
);
takes!(
    A0 0, A1 1, A2 2, A3 3, A4 4, A5 5, A6 6, A7 7, A8 8, A9 9, A10 10, A11 11, A12 12, A13 13, A14 14, A15 15
);

/// A result of a handler of the event `E`, whose declared acknowledgement is `A`.
///
/// | acknowledgement | results |
/// |---|---|
/// | `()` | `()`, `Joined`, `NoContent`, `Reply<()>` |
/// | one value `T` | `Json<T>`, `Reply<T>`; `String` itself |
/// | several values, `(A, B)` | `Reply<(A, B)>` |
/// | any | `Late<T>` for a handler with an `Ack<T>`; a `Result` of the others |
///
/// `W` is inferred.
#[diagnostic::on_unimplemented(
    message = "a handler of `{E}` cannot return `{Self}`",
    label = "`{E}` declares the acknowledgement `{A}`",
    note = "return `()` for no acknowledgement, `Json<{A}>` for one value, `Reply<{A}>` for several, or a `Result` of \
            them; a handler that takes `Ack<{A}>` returns the `Late<{A}>` of `ack.late()`"
)]
pub trait Answers<E, A, W>: IntoAck {}

/// A result that is sent as its type says.
#[derive(Debug)]
pub enum Whole {}

/// A tuple that `Json` would send as one value, although it is declared as several.
#[derive(Debug)]
pub enum Spread {}

macro_rules! answers {
    ($([$($T:ident)?] $result:ty: $ack:ty;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<E, $($T)?> Answers<E, $ack, Whole> for $result where $result: IntoAck {}
    )*};
}

answers! {
    [] (): ();
    [] Joined: ();
    [] NoContent: ();
    [] String: String;
    [T] Json<T>: T;
    [T] Reply<T>: T;
    [T] Late<T>: T;
}

#[diagnostic::do_not_recommend]
impl<E, A, W, R, X> Answers<E, A, W> for Result<R, X>
where
    R: Answers<E, A, W>,
    X: IntoResponse + Send,
{
}

// A second implementation, so that neither of the two applies: `Json` sends a tuple as one value.
macro_rules! no_json_of {
    ($($($T:ident)*;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<E, $($T),*> Answers<E, ($($T,)*), Spread> for Json<($($T,)*)> where Self: IntoAck {}
    )*};
}

no_json_of! {
    ;
    A0;
    A0 A1;
    A0 A1 A2;
    A0 A1 A2 A3;
    A0 A1 A2 A3 A4;
    A0 A1 A2 A3 A4 A5;
}

/// The result of a handler that sends the acknowledgement itself; returned by [`Ack::late`](crate::Ack::late).
#[derive(Debug)]
#[must_use = "the handler returns it"]
pub struct Late<T>(std::marker::PhantomData<fn(T)>);

impl<T> IntoAck for Late<T> {
    async fn into_ack(self) -> AckBody {
        AckBody::SILENT
    }
}

impl<T> crate::Ack<T> {
    /// Returns the acknowledgement with the value that the handler of a [typed event](crate::Namespace::on_event)
    /// returns in its place.
    ///
    /// ```
    /// use axum_socketio::contract::ClientEvent;
    /// use axum_socketio::handler::Late;
    /// use axum_socketio::{Ack, Namespace};
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize)]
    /// struct Import { url: String }
    ///
    /// impl ClientEvent for Import {
    ///     const NAME: &'static str = "import";
    ///     type Ack = String;
    /// }
    ///
    /// async fn import(import: Import, ack: Ack<String>) -> Late<String> {
    ///     let (ack, late) = ack.late();
    ///     tokio::spawn(async move { ack.send(format!("imported {}", import.url)) });
    ///     late
    /// }
    ///
    /// let namespace: Namespace = Namespace::new().on_event(Import::EVENT, import);
    /// ```
    #[must_use = "the acknowledgement is not sent if it is dropped"]
    pub fn late(self) -> (Self, Late<T>) {
        (self, Late(std::marker::PhantomData))
    }
}
