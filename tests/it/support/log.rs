//! A subscriber of `tracing` that records what is logged on the thread of a test.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// The fields of a span or an event, as `Debug` prints them; strings as they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

/// An event of `tracing`.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub(crate) level: Level,
    fields: Fields,
    /// The names of the spans that it is in, the innermost first.
    pub(crate) spans: Vec<&'static str>,
}

impl Logged {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.0.get(name).map_or("", String::as_str)
    }

    pub(crate) fn message(&self) -> &str {
        self.field("message")
    }

    /// Whether the text is anywhere in it.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.fields.0.values().any(|value| value.contains(text))
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

/// What has been logged on this thread since [`Log::start`].
pub(crate) struct Log {
    record: Arc<Mutex<Record>>,
    changed: watch::Receiver<()>,
    _default: DefaultGuard,
}

struct Recorder {
    record: Arc<Mutex<Record>>,
    changed: watch::Sender<()>,
    level: Level,
}

impl Log {
    /// Records what is at least as severe as `level`. For tests whose runtime has one thread, as `#[tokio::test]` makes them.
    pub(crate) fn start(level: Level) -> Self {
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

    /// The events so far of which `wanted` says so.
    pub(crate) fn events(&self, wanted: impl Fn(&Logged) -> bool) -> Vec<Logged> {
        let record = self.record.lock().unwrap();
        record
            .events
            .iter()
            .filter(|event| wanted(event))
            .cloned()
            .collect()
    }

    /// The warnings and errors so far.
    pub(crate) fn warnings(&self) -> Vec<Logged> {
        self.events(|event| event.level <= Level::WARN)
    }

    /// The spans so far that have this name.
    pub(crate) fn spans(&self, name: &str) -> Vec<Spanned> {
        let record = self.record.lock().unwrap();
        record
            .spans
            .iter()
            .filter(|span| span.name == name)
            .cloned()
            .collect()
    }

    /// Waits until `wanted` finds something.
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
        let mut fields = Fields::default();
        event.record(&mut fields);
        let spans = context.event_scope(event).into_iter().flatten();
        let logged = Logged {
            level: *event.metadata().level(),
            fields,
            spans: spans.map(|span| span.name()).collect(),
        };
        self.change(|record| record.events.push(logged));
    }
}
