//! Namespaces that no server declares, and handles without a server.

use axum_socketio::cluster::AdapterError;
use axum_socketio::emit::{AckError, EmitError};
use axum_socketio::{Limits, Namespace, Sid, SocketIo};

use crate::support::Logs;

#[tokio::test]
async fn a_namespace_that_is_not_declared_is_an_error() {
    let logs = Logs::collect("warn");
    let io = SocketIo::builder()
        .namespace("/orders-{id}", Namespace::new())
        .build();
    let typo = io.of("/typo");
    let error = typo.emit("news", 1).into_result().unwrap_err();
    assert!(matches!(&error, EmitError::NoNamespace(name) if name == "/typo"));
    assert_eq!(error.to_string(), "this server has no namespace \"/typo\"");
    assert!(!typo.to("room").volatile().emit("news", 1).ok());
    let asking = typo.emit_with_ack::<()>("news", 1);
    assert!(matches!(asking.error(), Some(EmitError::NoNamespace(_))));
    assert_eq!(asking.all().await.0, []);
    assert!(!typo.server_side_emit("news", 1).ok());
    let asking = typo.server_side_emit_with_ack::<()>("news", 1).await;
    assert!(matches!(asking, Err(AckError::Emit(_))));
    assert_eq!(io.metrics().undelivered["no namespace"], 5);

    for failed in [
        typo.count().await.err(),
        typo.to("room").fetch_sockets().await.err(),
        typo.rooms().await.err(),
    ] {
        assert!(matches!(failed, Some(AdapterError::NoNamespace(_))));
    }
    typo.join("room");
    typo.leave("room");
    typo.disconnect();
    assert!(typo.socket(Sid::from_random([1; 15])).is_none());
    assert!(typo.room_events().next().await.is_none());
    assert_eq!(logs.with("nsp=\"/typo\"").len(), 13);

    for nsp in ["/", "/orders-7", "/orders-{id}"] {
        let nsp = io.of(nsp);
        assert!(nsp.emit("news", 1).ok() && nsp.to("empty").emit("news", 1).ok());
        assert!(nsp.server_side_emit("news", 1).ok());
        assert_eq!(nsp.count().await.unwrap(), 0);
    }
    assert!(!io.of("/orders").emit("news", 1).ok());
}

#[tokio::test]
async fn a_handle_without_a_server_emits_nothing() {
    let logs = Logs::collect("warn");
    let io = SocketIo::handle();
    let error = io.emit("news", 1).into_result();
    assert!(matches!(error, Err(EmitError::NoServer)));
    let error = io.fetch_sockets().await;
    assert!(matches!(error, Err(AdapterError::NoServer)));
    let asking = io.server_side_emit_with_ack::<()>("news", 1).await;
    assert!(matches!(asking, Err(AckError::Emit(EmitError::NoServer))));
    assert_eq!(logs.with("build_into").len(), 3);

    let built = SocketIo::builder().build_into(io.clone());
    assert!(io.emit("news", 1).ok());
    drop(built);
    assert!(!io.emit("news", 1).ok());
}

#[tokio::test]
async fn warnings_of_missing_namespaces_are_limited() {
    let logs = Logs::collect("warn");
    let limits = Limits::new().max_log_records(5);
    let io = SocketIo::builder::<()>().limits(limits).build();
    for _ in 0..50 {
        io.of("/typo").emit("news", 1);
    }
    assert_eq!(logs.with("nsp=\"/typo\"").len(), 5);
}
