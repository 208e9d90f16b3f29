//! A connection of the bare server behind axum, taken over from hyper after the upgrade.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum_socketio_proto::websocket::accept_key;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;

use crate::connection::Connection;
use crate::handshake;
use crate::rooms::{Member, Rooms};
use crate::talk::Talk;

pub fn app() -> Router {
    let rooms = Arc::<Rooms>::default();
    Router::new().route(
        "/socket.io/",
        get(async move |request: Request| accept(request, rooms)),
    )
}

fn accept(mut request: Request, rooms: Arc<Rooms>) -> Response {
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY);
    let key = key.map(|key| accept_key(key.as_bytes()));
    let (Some(key), Some(upgrade)) = (key, request.extensions_mut().remove::<OnUpgrade>()) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    tokio::spawn(talk(upgrade, rooms));
    let headers = [
        (header::CONNECTION, "upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_ACCEPT, &key),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

async fn talk(upgrade: OnUpgrade, rooms: Arc<Rooms>) -> io::Result<()> {
    let mut stream = TokioIo::new(upgrade.await.map_err(io::Error::other)?);
    stream.write_all(&handshake::open()).await?;
    stream.flush().await?;
    let member = Arc::new(Member::default());
    let talk = Talk::new(Arc::clone(&member), rooms);
    Connection::new(stream, talk, member).await
}
