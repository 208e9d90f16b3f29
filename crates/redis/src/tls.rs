//! Connections with TLS.

use std::io;
use std::sync::Arc;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Encrypts connections.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl Tls {
    pub(crate) fn new(config: Arc<ClientConfig>) -> Self {
        Self(config.into())
    }

    /// Trusts the root certificates of the system.
    pub(crate) fn with_roots_of_the_system() -> Result<Self, RedisError> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err((
                ErrorKind::InvalidClientConfig,
                "the system has no root certificates",
            )
                .into());
        }
        // Without a provider in the program, that of the feature is used. The builder without one panics if there are
        // two.
        let provider = CryptoProvider::get_default().map(Arc::clone);
        let provider = provider.unwrap_or_else(|| Arc::new(ring::default_provider()));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self::new(Arc::new(config)))
    }

    /// Opens a connection. The task that drives it ends with it.
    pub(crate) async fn open(
        &self,
        server: &ConnectionInfo,
        config: &AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, RedisError> {
        let stream = self.connect(server.addr()).await?;
        let settings = server.redis_settings();
        let config = config.clone();
        let opened = MultiplexedConnection::new_with_config(settings, stream, config).await;
        let (connection, driver) = opened?;
        tokio::spawn(driver);
        Ok(connection)
    }

    /// Opens a connection that only subscribes.
    pub(crate) async fn open_pubsub(&self, server: &ConnectionInfo) -> Result<PubSub, RedisError> {
        let stream = self.connect(server.addr()).await?;
        PubSub::new(server.redis_settings(), stream).await
    }

    async fn connect(&self, address: &ConnectionAddr) -> Result<TlsStream<TcpStream>, RedisError> {
        let ConnectionAddr::Tcp(host, port) = address else {
            return Err((ErrorKind::InvalidClientConfig, "no TLS over this address").into());
        };
        let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        stream.set_nodelay(true)?;
        Ok(self.0.connect(name, stream).await?)
    }
}
