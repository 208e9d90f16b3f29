//! Compile-time checks that name the part of a function that prevents it from being a handler.

use std::future::Future;
use std::marker::PhantomData;

use axum::extract::{FromRef, State};
use axum::{Extension, Json};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::{IntoOutcome, Phase};
use crate::extract::{Auth, Data};

/// Checks, one by one, that a function with these arguments, and this result, can be a handler in a namespace with this
/// state.
///
/// At `.on(…)`, the compiler can only report that a *function* is not a handler. With this macro next to the function,
/// the compiler reports which *argument* is wrong and why, or that the result is, or over which `.await` the function
/// holds a value that is not `Send`. The macro compiles to nothing.
///
/// ```
/// use axum::{Extension, Json};
/// use axum_socketio::{Auth, Data, Refused, Socket, check_handler};
/// # use serde::Deserialize;
/// # #[derive(Deserialize)]
/// # struct Token { token: String }
///
/// async fn message(socket: Socket, Data(text): Data<String>) -> Json<usize> { Json(text.len()) }
/// async fn authenticate(Auth(auth): Auth<Token>) -> Result<Extension<String>, Refused> { Ok(Extension(auth.token)) }
/// async fn welcome(socket: Socket) {}
///
/// //             kind        state  function and arguments
/// check_handler!(            ();    message(Socket, Data<String>));
/// check_handler!(middleware  ();    authenticate(Auth<Token>));
/// check_handler!(connect     ();    welcome(Socket));
/// ```
///
/// The kinds are `middleware`, `connect`, `disconnect`, and `server` for the handlers of
/// [`Namespace::on_server`](crate::Namespace::on_server); without a kind, it is a handler of events:
///
/// ```
/// # use axum::Json;
/// # use axum::extract::State;
/// # use axum_socketio::{Data, check_handler};
/// # #[derive(Clone)]
/// # struct Cache;
/// async fn forget(State(cache): State<Cache>, Data(key): Data<String>) -> Json<bool> { Json(true) }
///
/// check_handler!(server Cache; forget(State<Cache>, Data<String>));
/// ```
///
/// Arguments and a result without the name of a function are checked on their own:
///
/// ```
/// # use axum::Json;
/// # use axum_socketio::{Data, Socket, check_handler};
/// check_handler!((); Socket, Data<String> => Json<usize>);
/// ```
#[macro_export]
macro_rules! check_handler {
    (middleware $($rest:tt)*) => { $crate::__check_handler!(Middleware; $($rest)*); };
    (connect $($rest:tt)*) => { $crate::__check_handler!(Connect; $($rest)*); };
    (disconnect $($rest:tt)*) => { $crate::__check_handler!(Disconnect; $($rest)*); };
    (server $($rest:tt)*) => { $crate::__check_server_handler!($($rest)*); };
    ($($rest:tt)*) => { $crate::__check_handler!(Event; $($rest)*); };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __check_handler {
    ($phase:ident; $state:ty; $($function:ident)::+ ($($argument:ty),* $(,)?) $(=> $result:ty)?) => {
        $crate::__check_handler!($phase; $state; $($argument),* $(=> $result)?);
        const _: fn() = || {
            // This is never called: only the types are checked.
            let _ = || {
                $crate::handler::check::runs::<$crate::extract::phase::$phase, _>(
                    $($function)::+($($crate::handler::check::never::<$argument>()),*),
                );
            };
        };
    };
    ($phase:ident; $state:ty; $($argument:ty),* $(,)? $(=> $result:ty)?) => {
        const _: fn() = || {
            #[allow(unused_imports, reason = "all arguments may be special ones")]
            use $crate::handler::check::Other as _;
            fn argument<T, M>()
            where
                T: $crate::extract::FromEvent<$state, $crate::extract::phase::$phase, M>,
            {
            }
            fn result<T: $crate::handler::IntoOutcome<$crate::extract::phase::$phase>>() {}
            $($crate::handler::check::Argument::<$argument>::new().check::<$state>();)*
            $(argument::<$argument, _>();)*
            $(result::<$result>();)?
            let _ = result::<()>;
        };
        const _: () = $crate::handler::check::one_data(&[$(
            <$argument as $crate::extract::FromEvent<$state, $crate::extract::phase::$phase, _>>::DATA
        ),*]);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __check_server_handler {
    ($state:ty; $($function:ident)::+ ($($argument:ty),* $(,)?) $(=> $result:ty)?) => {
        $crate::__check_server_handler!($state; $($argument),* $(=> $result)?);
        const _: fn() = || {
            // This is never called: only the types are checked.
            let _ = || {
                $crate::handler::check::runs::<$crate::extract::phase::Event, _>(
                    $($function)::+($($crate::handler::check::never::<$argument>()),*),
                );
            };
        };
    };
    ($state:ty; $($argument:ty),* $(,)? $(=> $result:ty)?) => {
        const _: fn() = || {
            #[allow(unused_imports, reason = "all arguments may be special ones")]
            use $crate::handler::check::Other as _;
            fn argument<T: $crate::extract::FromServerSideEvent<$state>>() {}
            fn result<T: $crate::handler::IntoOutcome<$crate::extract::phase::Event>>() {}
            $($crate::handler::check::Argument::<$argument>::new().check::<$state>();)*
            $(argument::<$argument>();)*
            $(result::<$result>();)?
            let _ = result::<()>;
        };
    };
}

/// Reports the error of an argument, if it is more specific than that the type is no argument.
#[derive(Debug)]
pub struct Argument<T>(PhantomData<fn() -> T>);

impl<T> Argument<T> {
    /// Checks this type.
    #[expect(clippy::new_without_default, reason = "for a macro")]
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// All types without a more specific error. A method of a trait is overridden by one of the type itself.
pub trait Other {
    /// Reports no error.
    fn check<S>(&self) {}
}

impl<T> Other for Argument<T> {}

macro_rules! special {
    ($($argument:ty: $bound:ident $(<$state:ident>)?;)*) => {$(
        impl<T> Argument<$argument> {
            #[doc(hidden)]
            pub fn check<S>(&self)
            where
                T: $bound $(<$state>)?,
            {
            }
        }
    )*};
}

special! {
    State<T>: StateOf<S>;
    Extension<T>: Shared;
    Data<T>: Arguments;
    Json<T>: Arguments;
    Auth<T>: Arguments;
}

macro_rules! body {
    ($($argument:ty),*) => {$(
        impl Argument<$argument> {
            #[doc(hidden)]
            pub fn check<S>(&self)
            where
                S: Body<$argument>,
            {
            }
        }
    )*};
}

body!(String, Bytes, axum::body::Body, axum::extract::Request);

/// The requirement of `State<T>`.
#[diagnostic::on_unimplemented(
    message = "the state `{S}` of this namespace holds no `{Self}`",
    label = "`State<{Self}>` cannot be taken from `{S}`",
    note = "the whole state needs to be `Clone`; for a part of it, derive `FromRef` on the state, or write \
            `impl FromRef<{S}> for {Self}`; or give the namespace a state of its own by `with_state`"
)]
pub trait StateOf<S> {}

#[diagnostic::do_not_recommend]
impl<S, T: FromRef<S>> StateOf<S> for T {}

/// The requirement of `Extension<T>`.
#[diagnostic::on_unimplemented(
    message = "`Extension<{Self}>` needs `{Self}` to be `Clone`, `Send`, `Sync` and `'static`",
    label = "cannot be an extension",
    note = "derive `Clone` on `{Self}`, or wrap it: `Extension<Arc<{Self}>>`"
)]
pub trait Shared {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> Shared for T {}

/// The requirement of `Data<T>`, `Json<T>` and `Auth<T>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from what a client sends",
    label = "does not implement `serde::de::DeserializeOwned`",
    note = "derive `serde::Deserialize` on it; a type that borrows, such as `&str`, has to be one that owns, such as \
            `String`"
)]
pub trait Arguments {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> Arguments for T {}

/// The requirement of the body of a request, which no type meets.
#[diagnostic::on_unimplemented(
    message = "`{T}` is the body of a request, and there is none in a Socket.IO handler",
    label = "needs a body",
    note = "the arguments of an event are `Data<T>`: `Data(text): Data<String>`"
)]
pub trait Body<T> {}

/// Returns a value for an argument of a call that is never made.
#[must_use]
pub fn never<T>() -> T {
    std::process::abort()
}

/// The requirement of the value that a handler returns when it is called: a future.
#[diagnostic::on_unimplemented(
    message = "a Socket.IO handler must be `async`: this function returns `{Self}`, which is no future",
    label = "not a future"
)]
pub trait HandlerFuture {
    /// The output of the future.
    type Outcome;
}

#[diagnostic::do_not_recommend]
impl<F: Future> HandlerFuture for F {
    type Outcome = F::Output;
}

/// Checks the return value of a function.
pub fn runs<P: Phase, F>(_: F)
where
    F: HandlerFuture + Send,
    F::Outcome: IntoOutcome<P>,
{
}

/// Checks that at most one argument is the data of an event.
///
/// # Panics
///
/// If there are more.
pub const fn one_data(arguments: &[bool]) {
    let (mut count, mut rest) = (0, arguments);
    while let [first, others @ ..] = rest {
        count += *first as usize;
        rest = others;
    }
    assert!(
        count < 2,
        "a handler takes the data of an event by one `Data<T>` or `Json<T>`; several arguments are a tuple: \
         `Data<(A, B)>`"
    );
}
