//! Names the part of a function that is wrong.

/// Checks, one by one, that a function with these arguments, and this result, can be a handler in a namespace with this
/// state.
///
/// At `.on(…)` the compiler can say only which *function* is no handler. Write this beside the function, and it says
/// which *argument* is to blame, or that its result is. It compiles to nothing.
///
/// ```
/// use axum::{Extension, Json};
/// use axum_socketio::{Auth, Data, Refused, Socket, check_handler};
///
/// async fn message(socket: Socket, Data(text): Data<String>) -> Json<usize> { Json(text.len()) }
/// async fn authenticate(Auth(name): Auth<String>) -> Result<Extension<String>, Refused> { Ok(Extension(name)) }
/// async fn welcome(socket: Socket) {}
///
/// check_handler!((); Socket, Data<String>);
/// check_handler!((); Socket, Data<String> => Json<usize>);
/// check_handler!(middleware (); Auth<String> => Result<Extension<String>, Refused>);
/// check_handler!(connect (); Socket);
/// ```
///
/// What it cannot see is a future that is not `Send`: something that is not, such as an `Rc` or the guard of a lock, is
/// then held over an `.await`.
#[macro_export]
macro_rules! check_handler {
    (middleware $($rest:tt)*) => { $crate::__check_handler!(Middleware; $($rest)*); };
    (connect $($rest:tt)*) => { $crate::__check_handler!(Connect; $($rest)*); };
    (disconnect $($rest:tt)*) => { $crate::__check_handler!(Disconnect; $($rest)*); };
    ($($rest:tt)*) => { $crate::__check_handler!(Event; $($rest)*); };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __check_handler {
    ($phase:ident; $state:ty; $($argument:ty),* $(,)? $(=> $result:ty)?) => {
        const _: fn() = || {
            fn argument<T, M>()
            where
                T: $crate::extract::FromEvent<$state, $crate::extract::phase::$phase, M>,
            {
            }
            fn result<T: $crate::handler::IntoOutcome<$crate::extract::phase::$phase>>() {}
            $(argument::<$argument, _>();)*
            $(result::<$result>();)?
            let _ = result::<()>;
        };
    };
}
