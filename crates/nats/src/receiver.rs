//! The task that subscribes, and receives what others publish.

use std::sync::Arc;

use async_nats::SubscribeError;
use bytes::Bytes;
use proto::cluster::Changes;
use tokio::sync::watch;
use tokio::task::consume_budget;
use tokio::time::{Instant, sleep_until};

use crate::assembly::Assembly;
use crate::inbound::Inbound;
use crate::link::LinkState;
use crate::part::MessagePart;
use crate::settings::RESPONSE_TIMEOUT;
use crate::subjects::NatsTopic;
use crate::subscribers::{Source, Subscribers};

/// The maximum number of changes that are made together.
const BATCH: usize = 1000;

/// The time between two looks at unfinished messages.
const EXPIRY: std::time::Duration = std::time::Duration::from_secs(10);

/// The end of a connection.
enum End {
    /// Another one may follow.
    Lost,
    /// The client is closed for good.
    Closed,
}

impl From<SubscribeError> for End {
    fn from(_: SubscribeError) -> Self {
        Self::Closed
    }
}

/// Receives messages until the client is closed.
pub(crate) async fn run(shared: Arc<Inbound>, state: watch::Receiver<LinkState>) {
    let assembly = Assembly::new(shared.settings.max_received_bytes);
    let mut receiving = Receiving {
        shared,
        state,
        subscribers: Subscribers::default(),
        assembly,
        echoes: 0,
        echoed: 0,
    };
    if let Err(error) = receiving.run().await {
        tracing::error!(
            error,
            "the client of NATS is closed: other servers are not reached"
        );
    }
}

struct Receiving {
    shared: Arc<Inbound>,
    state: watch::Receiver<LinkState>,
    subscribers: Subscribers,
    assembly: Assembly,
    /// The number of the last echo that was asked for, and of the last that has arrived.
    echoes: u64,
    echoed: u64,
}

impl Receiving {
    async fn run(&mut self) -> Result<(), &'static str> {
        let subject = self.shared.settings.subjects.echo(self.shared.publisher);
        let echo = self.shared.link.client.subscribe(subject).await;
        self.subscribers
            .insert_echo(echo.map_err(|_| "no subscription")?);
        loop {
            let connected = self.state.wait_for(|state| state.is_connected).await;
            let connects = connected.map_err(|_| "no state")?.connects;
            let end = self.serve(connects).await;
            self.shared.health.set_receiving(false);
            self.shared.topics().disconnect();
            if let Err(End::Closed) = end {
                return Err("no commands");
            }
        }
    }

    /// Returns true if a connection is the present one.
    fn is_present(&self, connects: u64) -> bool {
        let state = *self.state.borrow();
        state.is_connected && state.connects == connects
    }

    /// Subscribes to all topics of the server, and receives until the connection is lost.
    async fn serve(&mut self, connects: u64) -> Result<(), End> {
        let all = self.shared.topics().connect();
        // The client has subscribed to those that it knows again.
        self.subscribers.retain(&all);
        for part in all.chunks(BATCH) {
            self.subscribe(part, connects).await?;
        }
        if all.is_empty() {
            self.echo(connects).await?;
        }
        self.shared.health.set_receiving(true);
        let mut expiry = Instant::now() + EXPIRY;
        loop {
            let (due, Changes { added, removed }) = {
                let now = Instant::now().into_std();
                let mut topics = self.shared.topics();
                let due = topics.release(self.shared.settings.release_after, now);
                (due.map(Instant::from_std), topics.take(BATCH))
            };
            if !added.is_empty() || !removed.is_empty() {
                for topic in &removed {
                    self.subscribers.remove(topic);
                }
                self.shared.topics().end(&removed);
                self.subscribe(&added, connects).await?;
                continue;
            }
            let changed = Arc::clone(&self.shared);
            let wake = due.unwrap_or(expiry).min(expiry);
            tokio::select! {
                messages = self.subscribers.next() => self.deliver(messages).await,
                () = changed.changed.notified() => {}
                changed = self.state.changed() => {
                    if changed.is_err() || !self.is_present(connects) {
                        return Err(End::Lost);
                    }
                }
                () = sleep_until(wake) => {
                    if wake == expiry {
                        expiry += EXPIRY;
                        self.expire();
                    }
                }
            }
        }
    }

    fn expire(&mut self) {
        if let expired @ 1.. = self.assembly.expire(Instant::now().into_std()) {
            self.shared.receiver.missed(expired);
        }
    }

    /// Subscribes to topics, and records that NATS has confirmed them.
    async fn subscribe(&mut self, topics: &[NatsTopic], connects: u64) -> Result<(), End> {
        if topics.is_empty() {
            return Ok(());
        }
        for topic in topics.iter() {
            let subject = self.shared.settings.subjects.subject(topic.channel());
            if let Some(subject) = subject.filter(|_| !self.subscribers.contains(topic)) {
                let subscriber = self.shared.link.client.subscribe(subject).await?;
                self.subscribers.insert(topic, subscriber);
            }
        }
        self.echo(connects).await?;
        let waiting = self.shared.topics().confirm(topics);
        for confirmed in waiting {
            // The caller may not wait any more.
            let _ = confirmed.send(());
        }
        for topic in topics {
            if let NatsTopic::Namespace { nsp } = topic {
                self.shared.receiver.subscribed(nsp);
            }
        }
        Ok(())
    }

    /// Waits until NATS has made the subscriptions that it was sent: a message to the connection itself has arrived.
    async fn echo(&mut self, connects: u64) -> Result<(), End> {
        self.echoes += 1;
        let number = self.echoes;
        let subject = self.shared.settings.subjects.echo(self.shared.publisher);
        loop {
            let content = Bytes::copy_from_slice(&number.to_be_bytes());
            let published = self
                .shared
                .link
                .client
                .publish(subject.clone(), content)
                .await;
            published.map_err(|_| End::Closed)?;
            let again = Instant::now() + RESPONSE_TIMEOUT;
            while self.echoed < number {
                tokio::select! {
                    messages = self.subscribers.next() => self.deliver(messages).await,
                    changed = self.state.changed() => {
                        if changed.is_err() || !self.is_present(connects) {
                            return Err(End::Lost);
                        }
                    }
                    () = sleep_until(again) => break,
                }
            }
            if self.echoed >= number {
                return Ok(());
            }
        }
    }

    /// Passes on messages in the order in which each server has sent them.
    async fn deliver(&mut self, messages: Vec<(Source, Bytes)>) {
        let mut parts = Vec::with_capacity(messages.len());
        for (source, message) in messages {
            match (source, MessagePart::decode(&message)) {
                (Source::Echo, _) => self.note_echo(&message),
                (Source::Topic(_), Some(part)) if part.publisher == self.shared.publisher => {}
                (Source::Topic(topic), Some(part)) => parts.push((topic, part)),
                // The server counts it as malformed.
                (Source::Topic(topic), None) => {
                    self.shared.receiver.receive(topic.channel(), message)
                }
            }
        }
        parts.sort_by_key(|(_, part)| (part.publisher, part.number));
        let now = Instant::now().into_std();
        for (topic, part) in parts {
            let assembled = self.assembly.add(part, now);
            if assembled.lost > 0 {
                self.shared.receiver.missed(assembled.lost);
            }
            if let Some(message) = assembled.message {
                self.shared.receiver.receive(topic.channel(), message);
            }
        }
        consume_budget().await;
    }

    fn note_echo(&mut self, message: &[u8]) {
        if let Ok(number) = message.try_into().map(u64::from_be_bytes)
            && number <= self.echoes
        {
            self.echoed = self.echoed.max(number);
        }
    }
}
