//! The namespaces that are told about the entries of streams.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use proto::cluster::Feed;

use crate::entry_id::EntryId;

/// The positions up to which streams have been read, and the namespaces with a store.
///
/// Both change together, so a namespace gets every entry after the position that it begins with.
#[derive(Default)]
pub(crate) struct Feeds(Mutex<State>);

#[derive(Default)]
struct State {
    /// The ids of the last entries that have been read, by the name of the stream.
    read: HashMap<String, EntryId>,
    /// By namespace.
    open: HashMap<String, OpenFeed>,
}

/// A namespace with a store.
#[derive(Clone)]
pub(crate) struct OpenFeed {
    pub(crate) feed: Weak<dyn Feed>,
    /// The id of its server.
    pub(crate) uid: Arc<str>,
    /// The number of the store on its server.
    pub(crate) store: u64,
    pub(crate) stream: String,
}

impl Feeds {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a namespace, which gets the entries that are read from now on.
    pub(crate) fn open(&self, nsp: &str, opened: OpenFeed) {
        let mut state = self.state();
        state.open.retain(|_, open| open.feed.strong_count() > 0);
        // Until the first connection, it is not known where the stream begins.
        if let (Some(read), Some(feed)) = (state.read.get(&opened.stream), opened.feed.upgrade()) {
            feed.begins(read.position());
        }
        state.open.insert(nsp.to_owned(), opened);
    }

    /// Sets the position from which a stream is read.
    pub(crate) fn begin(&self, stream: &str, after: EntryId) {
        let mut state = self.state();
        let first = state.read.insert(stream.to_owned(), after).is_none();
        let open = state
            .open
            .values()
            .filter(|open| first && open.stream == stream);
        for feed in open.filter_map(|open| open.feed.upgrade()) {
            feed.begins(after.position());
        }
    }

    /// Records that an entry has been read. Returns the namespace that is told about it.
    pub(crate) fn read(&self, stream: &str, id: EntryId, nsp: &str) -> Option<OpenFeed> {
        let mut state = self.state();
        if let Some(read) = state.read.get_mut(stream) {
            *read = id;
        }
        state.open.get(nsp).cloned()
    }
}
