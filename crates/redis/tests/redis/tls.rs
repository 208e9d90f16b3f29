//! Connections with TLS.

use std::path::Path;
use std::sync::Arc;

use axum_socketio_redis::Redis;
use axum_socketio_redis::rustls::crypto::ring;
use axum_socketio_redis::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use axum_socketio_redis::rustls::{ClientConfig, RootCertStore};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::engine::{Engine, free_port};
use crate::two_servers::{self, act_as_one, reaches, server};

/// The authority that a test trusts.
type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new([]).unwrap();
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, "authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes a certificate for a host, and returns the options of a server that only accepts clients with a certificate.
fn options(authority: &Authority, host: &str, port: u16, folder: &Path) -> Vec<String> {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([host.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let files = [
        ("--tls-ca-cert-file", "ca.pem", authority.pem()),
        ("--tls-cert-file", "cert.pem", certificate.pem()),
        ("--tls-key-file", "key.pem", key.serialize_pem()),
    ];
    let args = ["--tls-port", &port.to_string(), "--requirepass", "secret"];
    let mut args: Vec<_> = args.map(str::to_owned).into();
    for (option, name, pem) in files {
        let file = folder.join(name);
        std::fs::write(&file, pem).unwrap();
        args.extend([option.to_owned(), file.display().to_string()]);
    }
    args
}

/// Starts a server at an address with TLS.
async fn encrypted(authority: &Authority) -> (Engine, String) {
    let port = free_port();
    let options = |folder: &Path| options(authority, "localhost", port, folder);
    let engine = Engine::start_with(options).await;
    (engine, format!("rediss://:secret@localhost:{port}/"))
}

/// Returns a configuration that trusts an authority and has a client certificate of it.
fn config(authority: &Authority) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(builder.with_client_auth_cert(chain, key).unwrap())
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn servers_act_as_one_over_tls() {
    let authority = authority();
    let (mut engine, url) = encrypted(&authority).await;
    let connect = async |url: &str| {
        let redis = Redis::connect_with_tls(url, config(&authority)).await;
        redis.unwrap()
    };
    let redis = connect(&url).await;
    let emitter = redis.emitter();
    let old = connect(&format!("{url}?protocol=resp2")).await;
    let (one, two) = (server(redis), server(old));
    let bob = two_servers::connect(&two).await;
    reaches(one.of("/").broadcast(), &bob).await;
    emitter.to(bob.id()).emit("news", 1).await.unwrap();
    assert_eq!(bob.next::<u8>("news").await, 1);
    engine.kill();
    assert!(emitter.emit("news", 2).await.is_err());
    engine.restart().await;
    reaches(one.of("/").broadcast(), &bob).await;
    emitter.emit("news", 3).await.unwrap();
    assert_eq!(bob.next::<u8>("news").await, 3);
    bob.disconnect().await;
    act_as_one(&one, &two).await;
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn sentinels_may_use_tls() {
    let authority = authority();
    let (port, sentinel) = (free_port(), free_port());
    // Sentinels name servers by their addresses.
    let options = |port, folder: &Path| options(&authority, "127.0.0.1", port, folder);
    let _master = Engine::start_with(|folder| options(port, folder)).await;
    let _sentinel = Engine::start_with(|folder| {
        let file = folder.join("sentinel.conf");
        let config = format!(
            "sentinel monitor main 127.0.0.1 {port} 1\nsentinel auth-pass main secret\n\
             tls-replication yes\n"
        );
        std::fs::write(&file, config).unwrap();
        let mut args = vec![file.display().to_string(), "--sentinel".to_owned()];
        args.extend(options(sentinel, folder));
        args
    })
    .await;
    let url =
        format!("rediss+sentinel://:secret@127.0.0.1:{sentinel}/main?sentinel_password=secret");
    let connect = async || {
        Redis::connect_with_tls(&url, config(&authority))
            .await
            .unwrap()
    };
    let (one, two) = (server(connect().await), server(connect().await));
    act_as_one(&one, &two).await;
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_server_that_is_not_trusted_is_an_error_without_the_password() {
    let (trusted, other) = (authority(), authority());
    let (engine, url) = encrypted(&trusted).await;
    let by_address = url.replace("localhost", "127.0.0.1");
    let plain = format!("rediss://:secret@127.0.0.1:{}/", engine.port);
    let sentinel = url.replace("rediss", "rediss+sentinel") + "main";
    let failures = [
        (Redis::connect(&url).await, "UnknownIssuer"),
        (
            Redis::connect_with_tls(&url, config(&other)).await,
            "certificate",
        ),
        (
            Redis::connect_with_tls(&by_address, config(&trusted)).await,
            "not valid for name",
        ),
        (
            Redis::connect_with_tls(&plain, config(&trusted)).await,
            "timed out",
        ),
        (
            Redis::connect_with_tls(&sentinel, config(&trusted)).await,
            "unknown command",
        ),
        (
            Redis::connect_with_tls(&engine.url(), config(&trusted)).await,
            "begins with rediss:",
        ),
    ];
    for (failure, reason) in failures {
        let error = failure.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(reason), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}
