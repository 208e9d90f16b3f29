//! Values that stay with a socket.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use http::Extensions;

/// What a middleware lets a socket keep.
pub(crate) type Grant = Vec<Kept>;

/// A value that stays with a socket, whose type is forgotten. It is shared, so that it can be taken out of a lock without
/// being cloned there: what users have written for `Clone` and `Drop` may look at the socket that the lock is of.
#[derive(Clone)]
pub struct Kept(Arc<dyn Value>);

trait Value: Any + Send + Sync {
    fn put_into(&self, extensions: &mut Extensions);
}

impl<T: Clone + Send + Sync + 'static> Value for T {
    fn put_into(&self, extensions: &mut Extensions) {
        extensions.insert(self.clone());
    }
}

impl Kept {
    pub(crate) fn new<T: Clone + Send + Sync + 'static>(value: T) -> Self {
        Self(Arc::new(value))
    }

    /// Whether both are of one type, so that one takes the place of the other.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.any().type_id() == other.any().type_id()
    }

    /// Whether both are the same value, not only an equal one.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn is<T: 'static>(&self) -> bool {
        self.any().is::<T>()
    }

    pub(super) fn get<T: Clone + 'static>(&self) -> Option<T> {
        self.any().downcast_ref().cloned()
    }

    /// Clones it, as what requests carry along.
    pub(super) fn put_into(&self, extensions: &mut Extensions) {
        let value: &dyn Value = &*self.0;
        value.put_into(extensions);
    }

    fn any(&self) -> &dyn Any {
        // Not `&self.0`, which is itself something of any type.
        &*self.0
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kept").finish_non_exhaustive()
    }
}
