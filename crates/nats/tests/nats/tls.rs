//! Connections with TLS.

use std::path::Path;

use axum_socketio_nats::Nats;
use axum_socketio_nats::async_nats::ConnectOptions;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::engine::Engine;
use crate::two_servers::{self, act_as_one};

/// Writes the certificates of an authority, of the server and of its clients. Returns the options of the server.
fn options(folder: &Path) -> String {
    let mut params = CertificateParams::new([]).unwrap();
    params
        .distinguished_name
        .push(DnType::CommonName, "authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    for name in ["server", "client"] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
    let folder = folder.display();
    format!(
        "tls {{ cert_file: \"{folder}/server.pem\", key_file: \"{folder}/server.key\", \
         ca_file: \"{folder}/ca.pem\", verify: true }}\n\
         authorization {{ user: ann, password: \"a secret/@\" }}"
    )
}

#[tokio::test]
#[ignore = "starts NATS: tests/run cluster runs it"]
async fn servers_act_as_one_over_tls_with_client_certificates() {
    let engine = Engine::start_with(|folder| options(folder)).await;
    let url = format!("tls://ann:a%20secret%2F%40@localhost:{}", engine.port);
    let file = |name: &str| engine.folder.join(name);
    let connect = async || {
        let options = ConnectOptions::new()
            .add_root_certificates(file("ca.pem"))
            .add_client_certificate(file("client.pem"), file("client.key"));
        Nats::connect_with(options, &url).await.unwrap()
    };
    let (one, two) = (connect().await, connect().await);
    act_as_one(&two_servers::server(one), &two_servers::server(two)).await;

    // The system does not trust the authority, and a wrong password is refused.
    let untrusted = Nats::connect(&url).await.unwrap_err();
    let text = format!("{untrusted} {untrusted:?}");
    assert!(
        text.contains("localhost") && !text.contains("secret"),
        "{text}"
    );
    let options = ConnectOptions::new()
        .add_root_certificates(file("ca.pem"))
        .add_client_certificate(file("client.pem"), file("client.key"));
    let wrong = url.replace("secret", "wrong");
    let refused = Nats::connect_with(options, &wrong).await.unwrap_err();
    let text = format!("{refused} {refused:?}");
    assert!(
        text.contains("AuthorizationViolation") && !text.contains("wrong"),
        "{text}"
    );
}
