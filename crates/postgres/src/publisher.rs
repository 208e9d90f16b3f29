//! The task that publishes, and deletes old messages.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{MaybeDone, maybe_done};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Statement};

use proto::cluster::PublishQueue;

use crate::error::SessionError;
use crate::inbound::Inbound;
use crate::log_pause::LogPause;
use crate::session::{Connect, Session, limited};
use crate::settings::{PostgresSettings, RESPONSE_TIMEOUT, RETRY};
use crate::steps::{Step, plan};

/// The shortest time between two deletions of old messages.
const MIN_CLEANUP_INTERVAL: Duration = Duration::from_millis(100);

/// The statement that sends small messages.
const NOTIFY: &str =
    "SELECT pg_notify(m.channel, m.text) FROM unnest($1::text[], $2::text[]) AS m(channel, text)";

/// Publishes what is queued until the queue is closed, or PostgreSQL fails after that. A statement of which PostgreSQL
/// has not said that it failed is not repeated, as it may have been executed.
pub(crate) async fn run(
    connect: Arc<dyn Connect>,
    settings: PostgresSettings,
    queue: Arc<PublishQueue>,
    shared: Arc<Inbound>,
) {
    let mut cleanup = interval(settings.cleanup_interval.max(MIN_CLEANUP_INTERVAL));
    cleanup.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut publisher = Publisher {
        connect,
        settings,
        shared,
        session: None,
        outage: 0,
        no_table: LogPause::default(),
        refused: LogPause::default(),
    };
    while let Some(batch) = next(&queue, &mut cleanup).await {
        if batch.is_empty() {
            publisher.clean_up().await;
            continue;
        }
        let (steps, errors) = plan(batch);
        for error in errors {
            let error = error.to_string();
            tracing::error!(error, "message to other servers cannot be read");
        }
        publisher.publish(steps).await;
        // A server that is gone would wait for PostgreSQL once for each batch.
        if publisher.outage > 0
            && let Some(messages) = queue.give_up()
        {
            publisher.shared.receiver.lost(messages);
            return;
        }
    }
}

/// Waits for messages, or for the time of the next clean-up, for which it returns none of them.
async fn next(queue: &PublishQueue, cleanup: &mut Interval) -> Option<Vec<(String, bytes::Bytes)>> {
    tokio::select! {
        batch = queue.take() => batch,
        _ = cleanup.tick() => Some(Vec::new()),
    }
}

struct Publisher {
    connect: Arc<dyn Connect>,
    settings: PostgresSettings,
    shared: Arc<Inbound>,
    session: Option<Publishing>,
    /// The number of messages that have been lost since PostgreSQL was last reached. An outage is logged at its
    /// beginning and at its end, not for every message.
    outage: usize,
    no_table: LogPause,
    refused: LogPause,
}

/// A session, with the statements that it has prepared.
struct Publishing {
    session: Session,
    notify: Statement,
    /// `None` if there is no table for large messages.
    store: Option<Statement>,
}

impl Publisher {
    async fn publish(&mut self, steps: Vec<Step>) {
        let has_large = steps.iter().any(|step| matches!(step, Step::Store(_)));
        let session = match self.session(has_large).await {
            Ok(session) => session,
            Err(error) => {
                let messages = steps.iter().map(Step::messages).sum();
                return self.report_outage(messages, &error.text());
            }
        };
        let outcomes = session.execute(&steps).await;
        let closed = session.session.client.is_closed();
        let (mut refused, mut standby) = (Vec::new(), false);
        for (step, outcome) in steps.into_iter().zip(outcomes) {
            standby |= is_standby(&step, &outcome);
            match outcome {
                Ok(()) => self.end_outage(),
                // The transaction has failed, and nothing of it is sent.
                Err(StepError::Session(SessionError::Postgres(error)))
                    if error.as_db_error().is_some() && !closed && !standby =>
                {
                    refused.push((step, error));
                }
                Err(StepError::NoTable) => self.report_no_table(step.messages()),
                Err(StepError::Session(error)) => {
                    self.session = None;
                    self.report_outage(step.messages(), &error.text());
                }
            }
        }
        for (step, error) in refused {
            self.publish_one_by_one(step, &error).await;
        }
        if standby {
            sleep(RETRY.0).await;
        }
    }

    /// Sends the messages of a statement that PostgreSQL has refused one by one, as the reason may be one of them.
    async fn publish_one_by_one(&mut self, step: Step, error: &Error) {
        let messages = step.messages();
        let Some(session) = &self.session else {
            return self.report_outage(messages, &crate::error::text(error));
        };
        let mut lost = 0;
        if messages == 1 {
            lost = 1;
        } else {
            let outcomes = session.execute(&step.split()).await;
            lost += outcomes.iter().filter(|outcome| outcome.is_err()).count();
        }
        if lost > 0 {
            self.shared.receiver.lost(lost);
            if let Some(messages) = self.refused.add(lost, Instant::now()) {
                let error = crate::error::text(error);
                tracing::warn!(
                    error,
                    messages,
                    "messages to other servers refused by PostgreSQL"
                );
            }
        }
    }

    /// Returns the session, a new one if there is none. Tries once to connect, and waits a moment if that fails.
    async fn session(&mut self, has_large: bool) -> Result<&Publishing, SessionError> {
        let usable = { self.session.take() }.filter(|open| !open.session.client.is_closed());
        let table = &self.settings.names.table;
        let session = match usable {
            // The table may have been created meanwhile.
            Some(session) if has_large => session.with_table(table).await?,
            Some(session) => session,
            None => match Publishing::open(&*self.connect, table).await {
                Ok(session) => session,
                Err(error) => {
                    sleep(RETRY.0).await;
                    return Err(error);
                }
            },
        };
        Ok(self.session.insert(session))
    }

    async fn clean_up(&mut self) {
        let age = self.settings.cleanup_interval.as_millis();
        let table = Arc::clone(&self.settings.names.table);
        let sql =
            format!("DELETE FROM {table} WHERE created_at < now() - interval '{age} milliseconds'");
        // Without a table or a connection, there is nothing to delete, and the messages say so.
        if let Some(Publishing {
            session,
            store: Some(_),
            ..
        }) = &self.session
            && let Err(error) = limited(RESPONSE_TIMEOUT, session.client.batch_execute(&sql)).await
        {
            let error = error.text();
            tracing::warn!(error, "large messages of the past cannot be deleted");
        }
    }

    fn report_outage(&mut self, messages: usize, error: &str) {
        self.shared.link.not_sent(Instant::now().into_std());
        self.shared.receiver.lost(messages);
        if self.outage == 0 {
            tracing::warn!(error, "messages to other servers are lost");
        }
        self.outage = self.outage.saturating_add(messages);
    }

    fn end_outage(&mut self) {
        self.shared.link.sent();
        if self.outage > 0 {
            let messages = std::mem::take(&mut self.outage);
            tracing::warn!(messages, "messages to other servers were lost");
        }
    }

    fn report_no_table(&mut self, messages: usize) {
        self.shared.receiver.lost(messages);
        if let Some(messages) = self.no_table.add(messages, Instant::now()) {
            let create = self.settings.names.create_table();
            tracing::warn!(
                create,
                messages,
                "large or binary messages to other servers lost: there is no table for them"
            );
        }
    }
}

/// The reason for which a statement was not executed.
enum StepError {
    NoTable,
    Session(SessionError),
}

/// Returns true if PostgreSQL has refused a notification because it is a standby, which will not change: the address
/// may belong to another server by now.
fn is_standby(step: &Step, outcome: &Result<(), StepError>) -> bool {
    let Err(StepError::Session(SessionError::Postgres(error))) = outcome else {
        return false;
    };
    matches!(step, Step::Notify(..)) && error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
}

impl Publishing {
    async fn open(connect: &dyn Connect, table: &str) -> Result<Self, SessionError> {
        let session = Session::open(connect).await?;
        // Nobody needs a message after a crash of PostgreSQL, so no commit waits for the disk.
        let set = session.client.batch_execute("SET synchronous_commit = off");
        limited(RESPONSE_TIMEOUT, set).await?;
        let notify = limited(RESPONSE_TIMEOUT, session.client.prepare(NOTIFY)).await?;
        let opened = Self {
            session,
            notify,
            store: None,
        };
        opened.with_table(table).await
    }

    /// Prepares the use of the table, if there is one.
    async fn with_table(mut self, table: &str) -> Result<Self, SessionError> {
        if self.store.is_none() {
            self.store = match prepare_store(&self.session.client, table).await {
                Ok(store) => Some(store),
                Err(SessionError::Postgres(error)) if error.as_db_error().is_some() => None,
                Err(error) => return Err(error),
            };
        }
        Ok(self)
    }

    /// Executes statements: all are sent at once, in their order.
    async fn execute(&self, steps: &[Step]) -> Vec<Result<(), StepError>> {
        let sent = steps.iter().map(|step| self.execute_one(step));
        in_order(sent.collect()).await
    }

    async fn execute_one(&self, step: &Step) -> Result<(), StepError> {
        let client = &self.session.client;
        let msgpack;
        let (statement, params): (_, &[&(dyn ToSql + Sync)]) = match step {
            Step::Notify(channels, texts) => (&self.notify, &[channels, texts]),
            Step::Store(large) => {
                msgpack = &large.msgpack[..];
                let store = self.store.as_ref().ok_or(StepError::NoTable)?;
                (store, &[&msgpack, &large.channel, &large.header])
            }
        };
        let executed = limited(RESPONSE_TIMEOUT, client.execute(statement, params)).await;
        executed.map(drop).map_err(StepError::Session)
    }
}

/// Prepares the statement that stores a large message and sends its id.
async fn prepare_store(client: &Client, table: &str) -> Result<Statement, SessionError> {
    let sql = format!(
        "WITH a AS (INSERT INTO {table} (payload, created_at) VALUES ($1, clock_timestamp()) RETURNING id) \
         SELECT pg_notify($2, $3 || id::text || '\"}}') FROM a"
    );
    let types = [Type::BYTEA, Type::TEXT, Type::TEXT];
    limited(RESPONSE_TIMEOUT, client.prepare_typed(&sql, &types)).await
}

/// Runs futures together. Each is first polled, which sends its statement, in the order of the list.
async fn in_order<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<Pin<Box<MaybeDone<F>>>> = futures
        .into_iter()
        .map(|future| Box::pin(maybe_done(future)))
        .collect();
    poll_fn(|cx| {
        let mut all = Poll::Ready(());
        for future in &mut running {
            if future.as_mut().poll(cx).is_pending() {
                all = Poll::Pending;
            }
        }
        all
    })
    .await;
    let outputs = running
        .iter_mut()
        .map(|future| future.as_mut().take_output());
    outputs.flatten().collect()
}
