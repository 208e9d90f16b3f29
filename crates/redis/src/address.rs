//! The addresses of Redis.

use std::str::FromStr;

use redis::io::tcp::TcpSettings;
use redis::{
    ConnectionInfo, ErrorKind, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, RedisError,
};

/// The port of Redis.
const PORT: u16 = 6379;

/// The port of sentinels.
const SENTINEL_PORT: u16 = 26379;

/// The address that an URL names.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) place: Place,
    /// True if the connection uses TLS.
    pub(crate) encrypted: bool,
    /// The address without user and password.
    pub(crate) text: String,
}

/// The place of a server.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Server(ConnectionInfo),
    Sentinels(Sentinels),
    /// Some servers of a Redis Cluster, which know the others.
    Cluster(Vec<ConnectionInfo>),
}

/// The sentinels that know which server is the master.
#[derive(Clone, Debug)]
pub(crate) struct Sentinels {
    pub(crate) servers: Vec<ConnectionInfo>,
    /// The name of the master.
    pub(crate) name: String,
    /// The user, the password and the database for the master.
    pub(crate) master: RedisConnectionInfo,
}

impl FromStr for Address {
    type Err = RedisError;

    fn from_str(url: &str) -> Result<Self, RedisError> {
        if url.contains('#') {
            return Err(malformed("an address of Redis has no fragment"));
        }
        let (scheme, rest) = url.split_once(':').ok_or(malformed("no scheme"))?;
        match scheme {
            "redis" | "valkey" | "unix" | "redis+unix" | "valkey+unix" => Self::server(url, false),
            // The client reads this scheme only with its own TLS.
            "rediss" | "valkeys" => Self::server(&format!("redis:{rest}"), true),
            "redis+sentinel" | "rediss+sentinel" => {
                Self::sentinels(rest, scheme == "rediss+sentinel")
            }
            "redis+cluster" | "rediss+cluster" => Self::cluster(rest, scheme == "rediss+cluster"),
            _ => Err(malformed("unknown scheme")),
        }
    }
}

impl Place {
    /// Returns the settings of connections to Redis itself.
    pub(crate) fn redis(&self) -> RedisConnectionInfo {
        match self {
            Self::Server(server) => server.redis_settings().clone(),
            Self::Sentinels(sentinels) => sentinels.master.clone(),
            Self::Cluster(servers) => { servers.first() }
                .map(|server| server.redis_settings().clone())
                .unwrap_or_default(),
        }
    }

    /// Returns the place with another protocol.
    pub(crate) fn with_protocol(self, protocol: ProtocolVersion) -> Self {
        let settings = self.redis().set_protocol(protocol);
        match self {
            Self::Cluster(servers) => {
                let servers = servers.into_iter();
                let set = |server: ConnectionInfo| server.set_redis_settings(settings.clone());
                Self::Cluster(servers.map(set).collect())
            }
            Self::Server(server) => Self::Server(server.set_redis_settings(settings)),
            Self::Sentinels(sentinels) => Self::Sentinels(Sentinels {
                master: settings,
                ..sentinels
            }),
        }
    }
}

impl Address {
    fn server(url: &str, encrypted: bool) -> Result<Self, RedisError> {
        let server = server(url, protocol(url))?;
        Ok(Self {
            text: server.addr().to_string(),
            place: Place::Server(server),
            encrypted,
        })
    }

    /// Parses an address after its scheme: `//user:password@host:port,host:port/name/database`.
    fn sentinels(rest: &str, encrypted: bool) -> Result<Self, RedisError> {
        let protocol = protocol(rest);
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts) = split_credentials(authority);
        let (name, database) = path.split_once('/').unwrap_or((path, ""));
        if name.is_empty() {
            return Err(malformed("the name of the master is missing"));
        }
        let sentinel = sentinel_credentials(query);
        let servers = hosts.split(',').map(|host| {
            let host = with_port(host, SENTINEL_PORT);
            // Old sentinels speak only RESP2.
            server(format!("redis://{sentinel}{host}/"), ProtocolVersion::RESP2)
        });
        let servers: Vec<_> = servers.collect::<Result<_, _>>()?;
        let master = format!("redis://{credentials}master/{database}");
        let master = server(master, protocol)?;
        Ok(Self {
            text: format!("{} (sentinels of {name})", addresses(&servers)),
            place: Place::Sentinels(Sentinels {
                servers,
                name: name.to_owned(),
                master: master.redis_settings().clone(),
            }),
            encrypted,
        })
    }

    /// Parses an address after its scheme: `//user:password@host:port,host:port`.
    fn cluster(rest: &str, encrypted: bool) -> Result<Self, RedisError> {
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (rest, _) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !path.is_empty() {
            return Err(malformed("a Redis Cluster has no other database"));
        }
        let (credentials, hosts) = split_credentials(authority);
        let servers = hosts.split(',').map(|host| {
            let host = with_port(host, PORT);
            server(
                format!("redis://{credentials}{host}/"),
                ProtocolVersion::RESP3,
            )
        });
        let servers: Vec<_> = servers.collect::<Result<_, _>>()?;
        Ok(Self {
            text: format!("{} (cluster)", addresses(&servers)),
            place: Place::Cluster(servers),
            encrypted,
        })
    }
}

/// Returns the addresses of servers, as a text.
fn addresses(servers: &[ConnectionInfo]) -> String {
    let addresses = servers.iter().map(|server| server.addr().to_string());
    addresses.collect::<Vec<_>>().join(",")
}

/// Splits an authority into `user:password@` and the hosts.
fn split_credentials(authority: &str) -> (&str, &str) {
    let at = authority.rfind('@').map_or(0, |at| at + 1);
    authority.split_at(at)
}

/// Returns a server with the options of all connections.
pub(crate) fn server(
    address: impl IntoConnectionInfo,
    protocol: ProtocolVersion,
) -> Result<ConnectionInfo, RedisError> {
    let info = address.into_connection_info()?;
    let settings = info.redis_settings().clone().set_protocol(protocol);
    // A message must not wait for the acknowledgement of the one before.
    let tcp = TcpSettings::default().set_nodelay(true);
    Ok(info.set_redis_settings(settings).set_tcp_settings(tcp))
}

fn malformed(reason: &'static str) -> RedisError {
    (ErrorKind::InvalidClientConfig, reason).into()
}

/// Returns the protocol that an URL names: RESP3 unless it names RESP2.
fn protocol(url: &str) -> ProtocolVersion {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    match parameter(query, "protocol") {
        "2" | "resp2" => ProtocolVersion::RESP2,
        _ => ProtocolVersion::RESP3,
    }
}

/// Returns a parameter of a query, or an empty text.
fn parameter<'a>(query: &'a str, name: &str) -> &'a str {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let pair = pairs.find(|(key, _)| *key == name);
    pair.map_or("", |(_, value)| value)
}

/// Returns the user and the password for sentinels, in the form of an URL.
fn sentinel_credentials(query: &str) -> String {
    let value = |name| parameter(query, name);
    match (value("sentinel_user"), value("sentinel_password")) {
        ("", "") => String::new(),
        (user, password) => format!("{user}:{password}@"),
    }
}

fn with_port(host: &str, port: u16) -> String {
    // The colons of an IPv6 address are in brackets.
    let end = host.rsplit(']').next().unwrap_or(host);
    if end.contains(':') {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(url: &str) -> String {
        let address: Address = url.parse().unwrap();
        let text = format!("{} {}", address.text, address.encrypted);
        assert!(!text.contains("secret"), "{text}");
        text
    }

    #[test]
    fn an_url_names_a_server() {
        assert_eq!(text("redis://me:secret@db:7000/2"), "db:7000 false");
        assert_eq!(text("valkey://db"), "db:6379 false");
        assert_eq!(text("rediss://:secret@db/"), "db:6379 true");
        assert_eq!(text("rediss://[::1]:7000"), "::1:7000 true");
        for scheme in ["unix", "redis+unix"] {
            let url = format!("{scheme}:///run/redis.sock?user=me&pass=secret&db=1");
            assert_eq!(text(&url), "/run/redis.sock false");
        }
        assert_eq!(text("redis://db?protocol=resp3"), "db:6379 false");
    }

    #[test]
    fn an_url_names_sentinels() {
        let url = "redis+sentinel://me:secret@one,two:7000,[::1]/main/3";
        let url = format!("{url}?sentinel_user=ask&sentinel_password=secret%20");
        let address: Address = url.parse().unwrap();
        assert_eq!(
            text(&url),
            "one:26379,two:7000,::1:26379 (sentinels of main) false"
        );
        let Place::Sentinels(sentinels) = address.place else {
            panic!("{address:?}");
        };
        assert_eq!(sentinels.name, "main");
        let (master, sentinel) = (&sentinels.master, sentinels.servers[1].redis_settings());
        assert_eq!(
            (master.username(), master.password()),
            (Some("me"), Some("secret"))
        );
        assert_eq!(master.db(), 3);
        assert_eq!(
            (sentinel.username(), sentinel.password()),
            (Some("ask"), Some("secret "))
        );
        assert_eq!(
            text("rediss+sentinel://one/main"),
            "one:26379 (sentinels of main) true"
        );
    }

    #[test]
    fn an_url_names_servers_of_a_cluster() {
        let url = "redis+cluster://me:secret@one,two:7000,[::1]/";
        let address: Address = url.parse().unwrap();
        assert_eq!(text(url), "one:6379,two:7000,::1:6379 (cluster) false");
        assert_eq!(text("rediss+cluster://one"), "one:6379 (cluster) true");
        let settings = address.place.redis();
        assert_eq!(settings.username(), Some("me"));
        assert_eq!(settings.password(), Some("secret"));
        assert_eq!(settings.protocol(), ProtocolVersion::RESP3);
    }

    #[test]
    fn malformed_addresses_are_errors_without_the_password() {
        for url in [
            "",
            "secret",
            "http://me:secret@db/",
            "redis://",
            "redis://me:secret@db/x",
            "redis://me:secret@db/#insecure",
            "rediss://me:secret@db/#insecure",
            "redis://me:secret@db:port/",
            "redis://me:secret@db?protocol=resp4",
            "redis+sentinel://me:secret@one/",
            "redis+sentinel://me:secret@one",
            "redis+sentinel://me:secret@/main",
            "redis+sentinel://me:secret@one,/main",
            "redis+sentinel://me:secret@one/main/x",
            "redis+cluster://me:secret@one/1",
            "redis+cluster://me:secret@",
            "redis+cluster://me:secret@one,,two",
            "redis+cluster://me:secret@one:port",
        ] {
            let error = url.parse::<Address>().unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(!text.contains("secret"), "{url}: {text}");
        }
    }
}
