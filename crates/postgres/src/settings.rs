//! The options of the connection to PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use proto::cluster::Heartbeats;

/// The time in which PostgreSQL has to answer.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The shortest and the longest time between two attempts to connect.
pub(crate) const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// The size from which PostgreSQL refuses a notification, in bytes.
pub(crate) const MAX_NOTIFICATION: usize = 8000;

/// The size from which PostgreSQL refuses the name of a channel, in bytes.
const MAX_CHANNEL: usize = 64;

/// The names that all members of a cluster have to share.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) prefix: Arc<str>,
    /// The table of large messages, as SQL.
    pub(crate) table: Arc<str>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            prefix: "socket.io".into(),
            table: quoted("socket_io_attachments").into(),
        }
    }
}

impl Names {
    /// Returns the channel of a namespace, or `None` if PostgreSQL cannot have it.
    pub(crate) fn channel(&self, nsp: &str) -> Option<String> {
        let channel = format!("{}#{nsp}", self.prefix);
        let fits = channel.len() < MAX_CHANNEL && !channel.contains('\0');
        fits.then_some(channel)
    }

    /// Returns the namespace of a channel.
    pub(crate) fn nsp<'a>(&self, channel: &'a str) -> Option<&'a str> {
        channel.strip_prefix(&*self.prefix)?.strip_prefix('#')
    }

    pub(crate) fn set_table(&mut self, table: &str) {
        let parts: Vec<_> = table.split('.').map(identifier).collect();
        self.table = parts.join(".").into();
    }

    /// Returns the statement that creates the table.
    pub(crate) fn create_table(&self) -> String {
        let table = &self.table;
        format!(
            "CREATE TABLE IF NOT EXISTS {table} \
             (id bigserial UNIQUE, created_at timestamptz DEFAULT NOW(), payload bytea)"
        )
    }
}

/// Returns a name as SQL. The case of a plain one is ignored, as it is for Node.js. It is quoted all the same, since it
/// may be a word of SQL.
fn identifier(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_plain = !name.is_empty() && name.bytes().all(is_plain);
    if is_plain && !name.starts_with(|first: char| first.is_ascii_digit()) {
        return quoted(&name.to_ascii_lowercase());
    }
    quoted(name)
}

/// Returns a name as a quoted identifier.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[derive(Clone, Debug)]
pub(crate) struct PostgresSettings {
    pub(crate) names: Names,
    pub(crate) max_queued_bytes: usize,
    pub(crate) max_received_bytes: i32,
    pub(crate) heartbeats: Heartbeats,
    /// The time after which large messages are deleted.
    pub(crate) cleanup_interval: Duration,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            names: Names::default(),
            max_queued_bytes: 16 * 1024 * 1024,
            max_received_bytes: 64 * 1024 * 1024,
            heartbeats: Heartbeats {
                interval: Duration::from_secs(5),
                timeout: Duration::from_secs(10),
            },
            cleanup_interval: Duration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_those_of_node_and_fit_into_an_identifier() {
        let names = Names::default();
        assert_eq!(names.channel("/").as_deref(), Some("socket.io#/"));
        assert_eq!(names.nsp("socket.io#/chat"), Some("/chat"));
        assert_eq!(names.nsp("socket.io"), None);
        assert_eq!(names.nsp("other#/chat"), None);
        assert!(names.channel(&"x".repeat(53)).is_some());
        assert_eq!(names.channel(&"x".repeat(54)), None);
        assert_eq!(names.channel("/\0"), None);
    }

    #[test]
    fn tables_are_quoted_and_plain_names_have_no_case() {
        let table = |name: &str| {
            let mut names = Names::default();
            names.set_table(name);
            names.table.to_string()
        };
        assert_eq!(table("Attachments_2"), "\"attachments_2\"");
        assert_eq!(table("app.user"), "\"app\".\"user\"");
        assert_eq!(table("a; drop\"x"), "\"a; drop\"\"x\"");
        assert_eq!(table("2.b"), "\"2\".\"b\"");
        assert_eq!(table(""), "\"\"");
    }
}
