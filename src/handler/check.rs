//! Names the argument that is wrong.

/// Checks, argument by argument, that a function with these arguments can handle an event in a namespace with this state.
///
/// At `.on(…)` the compiler can say only which *function* is no handler. Write this beside the function, and it says
/// which *argument* is to blame. It compiles to nothing.
///
/// ```
/// use axum_socketio::{Data, Socket, check_handler};
///
/// async fn message(socket: Socket, Data(text): Data<String>) {}
///
/// check_handler!((); Socket, Data<String>);
/// ```
#[macro_export]
macro_rules! check_handler {
    ($state:ty; $($argument:ty),* $(,)?) => {
        const _: fn() = || {
            fn argument<T, M>()
            where
                T: $crate::extract::FromEvent<$state, $crate::extract::phase::Event, M>,
            {
            }
            $(argument::<$argument, _>();)*
        };
    };
}
