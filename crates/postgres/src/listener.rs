//! The task that listens to the channels of namespaces.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::StreamExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, interval, sleep};
use tokio_postgres::{AsyncMessage, Client, Error, Notification};

use proto::cluster::{Failure, Reconnect, WireError};

use crate::error::SessionError;
use crate::inbound::Inbound;
use crate::log_pause::LogPause;
use crate::session::{Connect, Messages, Task, limited};
use crate::settings::{RETRY, quoted};

/// The maximum number of channels in one query.
const BATCH: usize = 1000;

/// The time between two checks of the session.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// The time in which a session that listens has to answer: the answer waits behind all notifications.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The confirmation of a subscription.
type Confirm = oneshot::Sender<Result<(), WireError>>;

/// The confirmations of subscriptions, with their namespaces.
type Confirms = Vec<(Arc<str>, Confirm)>;

/// A request to the task.
#[derive(Debug)]
pub(crate) enum Change {
    /// Listen to the channel of a namespace, and confirm it.
    Listen(Arc<str>, Confirm),
    /// Stop listening.
    Unlisten(Arc<str>),
}

/// Listens until the connection's owner is dropped. A session that is lost is replaced, without end.
pub(crate) async fn run(
    connect: Arc<dyn Connect>,
    shared: Arc<Inbound>,
    notifications: mpsc::Sender<Notification>,
    mut changes: mpsc::UnboundedReceiver<Change>,
) {
    // An outage is logged at its beginning and at its end, not for every attempt.
    let mut reconnect = Reconnect::new(RETRY.0, RETRY.1);
    let mut waiting = Confirms::new();
    loop {
        let opened = Instant::now();
        let served = match Listening::open(&*connect, &shared, &notifications).await {
            Ok(mut listening) => {
                if reconnect.connected() {
                    tracing::info!("listening to PostgreSQL again");
                }
                shared.link.set_receiving(true);
                // These namespaces were in the table when all were listened to.
                listening.confirm(&shared, &mut waiting);
                listening.serve(&shared, &mut changes).await
            }
            Err(error) => Err(Some(error)),
        };
        shared.link.set_receiving(false);
        let Err(error) = served else {
            return;
        };
        let error = error.map_or_else(|| "closed".to_owned(), |error| error.text());
        let Failure { delay, begins } = reconnect.failed(opened.elapsed());
        if begins {
            tracing::warn!(
                error,
                "no connection to PostgreSQL: messages of other servers are lost"
            );
        } else {
            tracing::debug!(error, ?delay, "no connection to PostgreSQL");
        }
        if !put_off(&mut changes, &mut waiting) {
            return;
        }
        sleep(delay).await;
    }
}

/// Takes the changes that arrive while there is no session: the table of namespaces has what they are about. Returns
/// false if the connection's owner is gone.
fn put_off(changes: &mut mpsc::UnboundedReceiver<Change>, waiting: &mut Confirms) -> bool {
    waiting.retain(|(_, confirm)| !confirm.is_closed());
    loop {
        match changes.try_recv() {
            Ok(Change::Listen(nsp, confirm)) if !confirm.is_closed() => {
                waiting.push((nsp, confirm));
            }
            Ok(_) => {}
            Err(mpsc::error::TryRecvError::Empty) => return true,
            Err(mpsc::error::TryRecvError::Disconnected) => return false,
        }
    }
}

/// A session that listens.
struct Listening {
    client: Client,
    /// The namespaces that it listens to.
    namespaces: HashSet<Arc<str>>,
    /// Resolves when the session has ended.
    ended: oneshot::Receiver<Option<SessionError>>,
    refused: LogPause,
    _task: Task,
}

impl Listening {
    /// Connects, and listens to the channels of all namespaces of the server.
    async fn open(
        connect: &dyn Connect,
        shared: &Inbound,
        notifications: &mpsc::Sender<Notification>,
    ) -> Result<Self, SessionError> {
        let (client, messages) = connect.open().await?;
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(pass_on(messages, notifications.clone(), end));
        let mut listening = Self {
            client,
            namespaces: HashSet::new(),
            ended,
            refused: LogPause::default(),
            _task: Task(task),
        };
        listening.listen(shared, shared.namespaces()).await?;
        Ok(listening)
    }

    /// Carries out changes until the session ends, or the connection's owner is dropped.
    async fn serve(
        &mut self,
        shared: &Inbound,
        changes: &mut mpsc::UnboundedReceiver<Change>,
    ) -> Result<(), Option<SessionError>> {
        let mut pings = interval(PING_INTERVAL);
        let mut some = Vec::new();
        loop {
            tokio::select! {
                count = changes.recv_many(&mut some, BATCH) => {
                    if count == 0 {
                        return Ok(());
                    }
                    self.change(shared, &mut some).await?;
                }
                ended = &mut self.ended => return Err(ended.ok().flatten()),
                _ = pings.tick() => {
                    limited(ANSWER_TIMEOUT, self.client.batch_execute("")).await?;
                }
            }
        }
    }

    /// Carries out changes. A namespace may have been left and joined again meanwhile: the table has the last word.
    async fn change(
        &mut self,
        shared: &Inbound,
        changes: &mut Vec<Change>,
    ) -> Result<(), SessionError> {
        let (mut added, mut removed, mut confirmations) = (vec![], vec![], vec![]);
        for change in changes.drain(..) {
            match change {
                Change::Listen(nsp, confirmation) => {
                    added.push(Arc::clone(&nsp));
                    confirmations.push((nsp, confirmation));
                }
                Change::Unlisten(nsp) => removed.push(nsp),
            }
        }
        added.retain(|nsp| shared.is_wanted(nsp));
        removed.retain(|nsp| !shared.is_wanted(nsp));
        self.listen(shared, added).await?;
        self.confirm(shared, &mut confirmations);
        removed.retain(|nsp| self.namespaces.remove(nsp));
        self.execute("UNLISTEN", shared, &removed).await
    }

    fn confirm(&self, shared: &Inbound, confirmations: &mut Confirms) {
        for (nsp, confirmation) in confirmations.drain(..) {
            let refused = shared.is_wanted(&nsp) && !self.namespaces.contains(&nsp);
            // The caller may not wait for it.
            let _ = confirmation.send(if refused {
                Err(WireError(None))
            } else {
                Ok(())
            });
        }
    }

    /// Listens to the channels of namespaces.
    async fn listen(
        &mut self,
        shared: &Inbound,
        mut added: Vec<Arc<str>>,
    ) -> Result<(), SessionError> {
        added.retain(|nsp| self.namespaces.insert(Arc::clone(nsp)));
        for part in added.chunks(BATCH) {
            match self.execute("LISTEN", shared, part).await {
                Err(SessionError::Postgres(error)) if is_about_a_name(&error) => {
                    self.listen_one_by_one(shared, part).await?;
                }
                executed => executed?,
            }
        }
        let heard = added.iter().filter(|nsp| self.namespaces.contains(*nsp));
        heard.for_each(|nsp| shared.receiver.subscribed(nsp));
        Ok(())
    }

    /// Listens to the channels of namespaces of which PostgreSQL cannot have all.
    async fn listen_one_by_one(
        &mut self,
        shared: &Inbound,
        namespaces: &[Arc<str>],
    ) -> Result<(), SessionError> {
        for nsp in namespaces {
            let listened = self.execute("LISTEN", shared, std::slice::from_ref(nsp));
            match listened.await {
                Err(SessionError::Postgres(error)) if is_about_a_name(&error) => {
                    self.namespaces.remove(nsp);
                    if let Some(namespaces) = self.refused.add(1, Instant::now()) {
                        let (nsp, error) = (&**nsp, crate::error::text(&error));
                        tracing::error!(
                            nsp,
                            namespaces,
                            error,
                            "other servers are not reached: PostgreSQL refuses the name of the namespace"
                        );
                    }
                }
                listened => listened?,
            }
        }
        Ok(())
    }

    async fn execute(
        &self,
        command: &str,
        shared: &Inbound,
        namespaces: &[Arc<str>],
    ) -> Result<(), SessionError> {
        for part in namespaces.chunks(BATCH) {
            let channels = part.iter().filter_map(|nsp| shared.names.channel(nsp));
            let sql: String = channels
                .map(|channel| format!("{command} {};", quoted(&channel)))
                .collect();
            limited(ANSWER_TIMEOUT, self.client.batch_execute(&sql)).await?;
        }
        Ok(())
    }
}

/// Returns true if PostgreSQL refuses a name: its database may have an encoding that lacks some characters.
fn is_about_a_name(error: &Error) -> bool {
    const DATA_EXCEPTIONS: &str = "22";
    error
        .code()
        .is_some_and(|state| state.code().starts_with(DATA_EXCEPTIONS))
}

/// Passes notifications on until the session ends. While they wait to be delivered, nothing is read from PostgreSQL.
async fn pass_on(
    mut messages: Messages,
    notifications: mpsc::Sender<Notification>,
    end: oneshot::Sender<Option<SessionError>>,
) {
    let mut error = None;
    while let Some(message) = messages.next().await {
        match message {
            Ok(AsyncMessage::Notification(notification)) => {
                if notifications.send(notification).await.is_err() {
                    break;
                }
            }
            Ok(_) => {}
            Err(failed) => error = Some(failed.into()),
        }
    }
    let _ = end.send(error);
}
