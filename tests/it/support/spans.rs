//! A recorder of the spans of `tracing` on the thread of a test, and of the events in them.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// An event of `tracing`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logged {
    pub(crate) message: String,
    /// The names of the spans that it is in, the innermost first.
    pub(crate) spans: Vec<&'static str>,
}

impl Visit for Logged {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }
}

/// A span of `tracing`.
#[derive(Clone, Debug)]
pub(crate) struct Spanned {
    id: u64,
    pub(crate) name: &'static str,
    /// The names of its parents, the nearest first.
    pub(crate) parents: Vec<&'static str>,
    /// The names of the spans that it follows from.
    pub(crate) follows: Vec<&'static str>,
    pub(crate) closed: bool,
}

#[derive(Clone, Debug, Default)]
struct Record {
    events: Vec<Logged>,
    spans: Vec<Spanned>,
}

/// The spans and events on this thread since [`Spans::record`].
pub(crate) struct Spans {
    record: Arc<Mutex<Record>>,
    changed: watch::Receiver<()>,
    _default: DefaultGuard,
}

struct Recorder {
    record: Arc<Mutex<Record>>,
    changed: watch::Sender<()>,
    level: Level,
}

impl Spans {
    /// Starts to record spans and events that are at least as severe as `level`. It is for tests whose runtime has one
    /// thread, as `#[tokio::test]` creates them.
    pub(crate) fn record(level: Level) -> Self {
        super::logs::keep_levels();
        let record = Arc::<Mutex<Record>>::default();
        let (sender, changed) = watch::channel(());
        let recorder = Recorder {
            record: Arc::clone(&record),
            changed: sender,
            level,
        };
        let default = tracing::subscriber::set_default(Registry::default().with(recorder));
        Self {
            record,
            changed,
            _default: default,
        }
    }

    /// Returns the events so far for which `wanted` returns true.
    pub(crate) fn events(&self, wanted: impl Fn(&Logged) -> bool) -> Vec<Logged> {
        let record = self.record.lock().unwrap();
        record
            .events
            .iter()
            .filter(|event| wanted(event))
            .cloned()
            .collect()
    }

    /// Returns the spans so far that have this name.
    pub(crate) fn named(&self, name: &str) -> Vec<Spanned> {
        let record = self.record.lock().unwrap();
        record
            .spans
            .iter()
            .filter(|span| span.name == name)
            .cloned()
            .collect()
    }

    /// Waits until `wanted` returns a value.
    pub(crate) async fn find<T>(&self, what: &str, wanted: impl Fn(&Self) -> Option<T>) -> T {
        let mut changed = self.changed.clone();
        super::within(what, async {
            loop {
                changed.borrow_and_update();
                if let Some(found) = wanted(self) {
                    return found;
                }
                changed.changed().await.unwrap();
            }
        })
        .await
    }
}

impl Recorder {
    fn change(&self, change: impl FnOnce(&mut Record)) {
        change(&mut self.record.lock().unwrap());
        self.changed.send_replace(());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= self.level
    }

    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let spanned = Spanned {
            id: id.into_u64(),
            name: span.name(),
            parents: span.scope().skip(1).map(|span| span.name()).collect(),
            follows: Vec::new(),
            closed: false,
        };
        self.change(|record| record.spans.push(spanned));
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, context: Context<'_, S>) {
        let follows = context.span(follows).map_or("closed", |span| span.name());
        let id = id.into_u64();
        self.change(|record| {
            let span = record.spans.iter_mut().rfind(|span| span.id == id);
            span.unwrap().follows.push(follows);
        });
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        let id = id.into_u64();
        self.change(|record| {
            let span = record.spans.iter_mut().rfind(|span| span.id == id);
            span.unwrap().closed = true;
        });
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let spans = context.event_scope(event).into_iter().flatten();
        let mut logged = Logged {
            spans: spans.map(|span| span.name()).collect(),
            ..Logged::default()
        };
        event.record(&mut logged);
        self.change(|record| record.events.push(logged));
    }
}
