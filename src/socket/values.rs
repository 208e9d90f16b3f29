//! Values that are stored with a socket.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use http::Extensions;

/// Values that are stored with a socket, each of another type.
pub(crate) type SocketValues = Vec<SocketValue>;

/// A type-erased value that is stored with a socket. It is shared, so that it can be taken out of a lock without being
/// cloned there: `Clone` and `Drop` of the application's types may use the socket that the lock belongs to.
#[derive(Clone)]
pub struct SocketValue(Arc<dyn Value>);

trait Value: Any + Send + Sync {
    fn put_into(&self, extensions: &mut Extensions);
}

impl<T: Clone + Send + Sync + 'static> Value for T {
    fn put_into(&self, extensions: &mut Extensions) {
        extensions.insert(self.clone());
    }
}

impl SocketValue {
    pub(crate) fn new<T: Clone + Send + Sync + 'static>(value: T) -> Self {
        Self(Arc::new(value))
    }

    /// Returns true if both are of one type, so that one replaces the other.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.any().type_id() == other.any().type_id()
    }

    /// Returns true if both are the same allocation; equality is not enough.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn is<T: 'static>(&self) -> bool {
        self.any().is::<T>()
    }

    pub(super) fn get<T: Clone + 'static>(&self) -> Option<T> {
        self.any().downcast_ref().cloned()
    }

    /// Clones the value into the extensions of a request.
    pub(super) fn put_into(&self, extensions: &mut Extensions) {
        let value: &dyn Value = &*self.0;
        value.put_into(extensions);
    }

    fn any(&self) -> &dyn Any {
        // `&self.0` would be an `Any` too, of the `Arc`.
        &*self.0
    }
}

impl fmt::Debug for SocketValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SocketValue").finish_non_exhaustive()
    }
}
