//! Sessions: connections that are open.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{Stream, StreamExt, poll_fn};
use proto::cluster::BoxFuture;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_postgres::config::Host;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Client, Config, Error, Socket};

use crate::error::SessionError;
use crate::settings::RESPONSE_TIMEOUT;

/// What PostgreSQL sends without being asked. The client works only while this is polled.
pub(crate) type Messages = Pin<Box<dyn Stream<Item = Result<AsyncMessage, Error>> + Send>>;

/// A way to open sessions.
pub(crate) trait Connect: Send + Sync {
    /// Opens a session, and returns it with its messages.
    fn open(&self) -> BoxFuture<Result<(Client, Messages), SessionError>>;
}

/// The address of a server, and how to encrypt.
pub(crate) struct Connector<T> {
    pub(crate) config: Config,
    pub(crate) tls: T,
}

impl<T> Connect for Connector<T>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    fn open(&self) -> BoxFuture<Result<(Client, Messages), SessionError>> {
        let (config, tls) = (self.config.clone(), self.tls.clone());
        Box::pin(async move {
            let connecting = limited(RESPONSE_TIMEOUT, config.connect(tls));
            let (client, mut connection) = connecting.await?;
            let messages: Messages = Box::pin(poll_fn(move |cx| connection.poll_message(cx)));
            Ok((client, messages))
        })
    }
}

/// A session that is only asked. Its task ends with it.
pub(crate) struct Session {
    pub(crate) client: Client,
    _task: Task,
}

impl Session {
    pub(crate) async fn open(connect: &dyn Connect) -> Result<Self, SessionError> {
        let (client, mut messages) = connect.open().await?;
        let task = async move { while let Some(Ok(_)) = messages.next().await {} };
        Ok(Self {
            client,
            _task: Task(tokio::spawn(task)),
        })
    }
}

/// A session that is opened when it is needed, and again when it has ended.
pub(crate) struct Sessions {
    connect: Arc<dyn Connect>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<Arc<Session>>,
    /// The last failure to connect, and its time.
    failure: Option<(Instant, Arc<SessionError>)>,
}

impl Sessions {
    pub(crate) fn new(connect: Arc<dyn Connect>) -> Self {
        let state = Mutex::default();
        Self { connect, state }
    }

    /// Returns the session, a new one if there is none. Callers that wait for the same attempt share its failure.
    pub(crate) async fn get(&self) -> Result<Arc<Session>, Arc<SessionError>> {
        let called = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(open) = state.open.as_ref().filter(|open| !open.client.is_closed()) {
            return Ok(Arc::clone(open));
        }
        state.open = None;
        if let Some((failed, error)) = &state.failure
            && *failed >= called
        {
            return Err(Arc::clone(error));
        }
        match Session::open(&*self.connect).await {
            Ok(session) => Ok(Arc::clone(state.open.insert(Arc::new(session)))),
            Err(error) => {
                let error = Arc::new(error);
                state.failure = Some((Instant::now(), Arc::clone(&error)));
                Err(error)
            }
        }
    }

    /// Has a session replaced that does not answer.
    pub(crate) async fn end(&self, session: &Arc<Session>) {
        let open = &mut self.state.lock().await.open;
        open.take_if(|open| Arc::ptr_eq(open, session));
    }
}

/// A task that ends when this is dropped.
pub(crate) struct Task(pub(crate) JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits for PostgreSQL no longer than a limit.
pub(crate) async fn limited<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, SessionError> {
    match timeout(limit, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(SessionError::Timeout(limit)),
    }
}

/// Returns the addresses of a server, without user and password.
pub(crate) fn address(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate();
    let addresses: Vec<_> = hosts
        .map(|(i, host)| {
            let port = ports.get(i).or_else(|| ports.first()).unwrap_or(&5432);
            match host {
                Host::Tcp(host) => {
                    // A password with this sign has to be encoded: a part of one that is not looks like a host.
                    let host = host.rsplit('@').next().unwrap_or_default();
                    format!("{host}:{port}")
                }
                #[cfg(unix)]
                Host::Unix(path) => format!("{}/.s.PGSQL.{port}", path.display()),
            }
        })
        .collect();
    addresses.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_no_password() {
        let address = |url: &str| address(&url.parse().unwrap());
        assert_eq!(address("postgres://me:secret@db/app"), "db:5432");
        assert_eq!(address("postgres://me:se@cret@db/app"), "db:5432");
        let several = "host=/run/postgresql,db port=1,2 password=secret";
        assert_eq!(address(several), "/run/postgresql/.s.PGSQL.1,db:2");
    }
}
