//! The files of the browser client, as in an installed `socket.io-client`.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;

/// The scripts that Node's server serves; each may have a `.map` beside it.
const SCRIPTS: [&str; 4] = [
    "socket.io.js",
    "socket.io.min.js",
    "socket.io.esm.min.js",
    "socket.io.msgpack.min.js",
];

/// The files of the browser client, for [`serve_client`](crate::SocketIoBuilder::serve_client). Cloning shares them.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// use axum_socketio::config::ClientFiles;
/// use axum_socketio::SocketIo;
///
/// let files = ClientFiles::from_dir("node_modules/socket.io-client/dist")?;
/// let io = SocketIo::builder::<()>().serve_client(files).build();      // GET /socket.io/socket.io.js
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ClientFiles(Arc<Files>);

struct Files {
    /// The client's version, in quotes.
    etag: HeaderValue,
    all: Vec<ClientFile>,
}

/// A file, with its precompressed variants if there are any.
pub(crate) struct ClientFile {
    name: String,
    pub(crate) plain: Bytes,
    pub(crate) brotli: Option<Bytes>,
    pub(crate) gzip: Option<Bytes>,
}

impl ClientFiles {
    /// Reads the files of a `socket.io-client/dist` into memory: those that Node serves, and their `.br` and `.gz`
    /// variants.
    ///
    /// # Errors
    ///
    /// Fails if the folder has none of the files, or if one cannot be read.
    pub fn from_dir(dir: impl AsRef<Path>) -> io::Result<Self> {
        let dir = dir.as_ref();
        let read = |name: &str| match std::fs::read(dir.join(name)) {
            Ok(data) => Ok(Some(Bytes::from(data))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let mut all = Vec::new();
        for name in names() {
            if let Some(plain) = read(&name)? {
                all.push(ClientFile {
                    plain,
                    brotli: read(&format!("{name}.br"))?,
                    gzip: read(&format!("{name}.gz"))?,
                    name,
                });
            }
        }
        if all.is_empty() {
            let message = format!("{} has no socket.io.js", dir.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        Ok(Self::new(all))
    }

    /// Creates the value from the files that [`embed_client!`](crate::embed_client) has embedded.
    #[doc(hidden)]
    #[must_use]
    pub fn embedded(files: &[(&str, &'static [u8])]) -> Self {
        let file = |&(name, data): &(&str, &'static [u8])| ClientFile {
            name: name.to_owned(),
            plain: Bytes::from_static(data),
            brotli: None,
            gzip: None,
        };
        Self::new(files.iter().map(file).collect())
    }

    fn new(all: Vec<ClientFile>) -> Self {
        let version = all.iter().find_map(|file| version(&file.plain));
        // Without a version, the total length identifies the build: another build most likely has another length.
        let length: usize = all.iter().map(|file| file.plain.len()).sum();
        let etag = format!("\"{}\"", version.unwrap_or_else(|| length.to_string()));
        let etag = HeaderValue::try_from(etag).unwrap_or(HeaderValue::from_static("\"client\""));
        Self(Arc::new(Files { etag, all }))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&ClientFile> {
        self.0.all.iter().find(|file| file.name == name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.all.iter().map(|file| file.name.as_str())
    }

    pub(crate) fn etag(&self) -> &HeaderValue {
        &self.0.etag
    }
}

impl ClientFile {
    pub(crate) fn is_map(&self) -> bool {
        self.name.ends_with(".map")
    }
}

fn names() -> impl Iterator<Item = String> {
    let of = |name: &str| [name.to_owned(), format!("{name}.map")];
    SCRIPTS.into_iter().flat_map(of)
}

/// Returns the version that a script states in its first comment, as in `Socket.IO v4.8.3`.
fn version(script: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(script.get(..200).unwrap_or(script));
    let (_, rest) = head.split_once("Socket.IO v")?;
    let version = rest.split(|c: char| c.is_whitespace() || c == '*').next()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+');
    (!version.is_empty() && version.bytes().all(plain)).then(|| version.to_owned())
}

impl fmt::Debug for ClientFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientFiles")
            .field("etag", &self.0.etag)
            .field("names", &self.names().collect::<Vec<_>>())
            .finish()
    }
}

/// Embeds files of the browser client at compile time, for [`serve_client`](crate::SocketIoBuilder::serve_client).
///
/// The arguments are a folder, relative to the package's `Cargo.toml`, and the names of the wanted files.
///
/// ```ignore
/// use axum_socketio::{SocketIo, embed_client};
///
/// let files = embed_client!("node_modules/socket.io-client/dist", ["socket.io.min.js", "socket.io.min.js.map"]);
/// let io = SocketIo::builder::<()>().serve_client(files).build();
/// ```
#[macro_export]
macro_rules! embed_client {
    ($dir:literal, [$($name:literal),+ $(,)?]) => {
        $crate::config::ClientFiles::embedded(&[$((
            $name,
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $dir, "/", $name)) as &[u8],
        )),+])
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_what_the_script_says() {
        let script = b"/*!\n * Socket.IO v4.8.3\n * (c) 2014-2025\n */\n!function(){}";
        assert_eq!(version(script).as_deref(), Some("4.8.3"));
        assert_eq!(
            version(b"/*! Socket.IO v5.0.0-rc.1*/").as_deref(),
            Some("5.0.0-rc.1")
        );
        for other in [
            &b""[..],
            b"!function(){}",
            b"Socket.IO v",
            b"Socket.IO v\"x\"",
        ] {
            assert_eq!(version(other), None);
        }
    }

    #[test]
    fn nodes_names_are_served() {
        let all: Vec<_> = names().collect();
        assert_eq!(all.len(), 8);
        assert!(all.contains(&"socket.io.esm.min.js.map".to_owned()));
    }
}
