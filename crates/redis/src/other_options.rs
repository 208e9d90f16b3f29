//! The check for servers that share the prefix, but have other options.
//!
//! A server subscribes to a channel that is named by its options, to which nobody publishes. Others see it in the list
//! of channels. Servers of Node.js have no such channel, but an adapter that is not ours has channels of other names.

use redis::RedisError;

use crate::channels::{Topic, TopicKind, escaped};
use crate::inbound::Inbound;
use crate::pubsub::PubSub;
use crate::settings::{Mode, RedisSettings};

/// The maximum number of other options that are logged.
const MAX_LOGGED: usize = 5;

impl RedisSettings {
    /// Returns the options that all servers of a cluster need alike, as a text.
    fn common_options(&self, database: i64) -> String {
        match &self.mode {
            Mode::Classic => "createAdapter".to_owned(),
            Mode::Sharded(mode) => format!("createShardedAdapter, {}", mode.as_str()),
            Mode::Streams(streams) => format!(
                "streams, {} of {}, sessions {}, database {database}",
                streams.count, streams.name, streams.session_prefix
            ),
        }
    }
}

/// Looks for servers with other options, and logs them if there were none before. A user of Redis may lack the
/// permissions for this, which does no harm.
pub(crate) async fn check(connection: &mut PubSub, shared: &Inbound, database: i64) {
    match find(connection, &shared.settings, database).await {
        Ok((own, others)) => {
            let found = !others.is_empty();
            if shared.link.set_other_options(found) != found && found {
                let others = others.join("; ");
                tracing::warn!(
                    own,
                    others,
                    "other servers use this prefix with other options: messages do not reach all servers"
                );
            }
        }
        Err(error) => {
            let error = error.to_string();
            tracing::debug!(error, "options of other servers are not known");
        }
    }
}

/// Returns the options of this server, and those of others that differ.
async fn find(
    connection: &mut PubSub,
    settings: &RedisSettings,
    database: i64,
) -> Result<(String, Vec<String>), RedisError> {
    let own = settings.common_options(database);
    let prefix = format!("{}-options#", settings.prefix);
    let marker = Topic {
        name: format!("{prefix}{own}"),
        kind: TopicKind::Channel,
    };
    connection.subscribe(&[marker], |_| "SUBSCRIBE").await?;
    let mut list = redis::cmd("PUBSUB");
    list.arg("CHANNELS").arg(format!("{}*", escaped(&prefix)));
    let channels: Vec<String> = list.query_async(&mut connection.commands).await?;
    let options = channels
        .iter()
        .filter_map(|name| name.strip_prefix(&prefix));
    let mut others: Vec<_> = options.filter(|options| *options != own).collect();
    others.truncate(MAX_LOGGED);
    let mut others: Vec<_> = others.into_iter().map(str::to_owned).collect();
    for (is_own, word, name, adapter) in [
        (
            settings.is_classic(),
            "NUMSUB",
            format!("{}-request#/#", settings.prefix),
            "createAdapter",
        ),
        (
            matches!(settings.mode, Mode::Sharded(_)),
            "SHARDNUMSUB",
            format!("{}#/#", settings.prefix),
            "createShardedAdapter",
        ),
    ] {
        let known = others.iter().any(|options| options.starts_with(adapter));
        if !is_own && !known && has_subscribers(connection, word, &name).await {
            others.push(adapter.to_owned());
        }
    }
    Ok((own, others))
}

/// Returns true if a channel is known to have subscribers. Versions of Redis before 7 have no sharded channels.
async fn has_subscribers(connection: &mut PubSub, word: &str, name: &str) -> bool {
    let mut count = redis::cmd("PUBSUB");
    count.arg(word).arg(name);
    let counted: Result<(String, usize), _> = count.query_async(&mut connection.commands).await;
    counted.is_ok_and(|(_, subscribers)| subscribers > 0)
}
