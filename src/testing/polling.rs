//! The long-polling transport: one connection for polls, one for POSTs.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use futures_util::future::select;
use http::{HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::app::TestApp;
use super::connection::{ClientConnection, SharedState, ToSend};
use super::error::{ConnectError, Disconnected};
use super::handshake_request::HandshakeRequest;
use super::http1::Http;
use proto::Sid;
use proto::engine_io::{Packet, Payload, PayloadWriter, Transport};

/// The part of the server's handshake that a client needs.
#[derive(Deserialize)]
struct Opened {
    sid: Sid,
}

pub(super) async fn open(
    app: &TestApp,
    handshake: HandshakeRequest,
) -> Result<ClientConnection, ConnectError> {
    let mut get = Http::open(app).await.map_err(ConnectError::lost)?;
    let request = handshake.request(Method::GET, Transport::Polling, None, Bytes::new());
    let response = get.ask(request).await.map_err(ConnectError::lost)?;
    if response.status() != StatusCode::OK {
        return Err(ConnectError::answer(&response));
    }
    let (shared, to_send) = SharedState::new(app.codec.clone());
    let mut sid = None;
    for packet in packets(response.into_body()) {
        match packet {
            Ok(Packet::Open(json)) => {
                sid = serde_json::from_str(&json)
                    .ok()
                    .map(|opened: Opened| opened.sid)
            }
            Ok(packet) => drop(shared.receive(packet)),
            Err(reason) => return Err(ConnectError::Closed(reason)),
        }
    }
    let sid = sid.ok_or(ConnectError::Closed(Disconnected::ParseError))?;
    let post = Http::open(app).await.map_err(ConnectError::lost)?;
    let session = Session {
        handshake,
        sid,
        shared: Arc::clone(&shared),
    };
    Ok(ClientConnection::run(
        shared,
        session.run(get, post, to_send),
    ))
}

fn packets(body: Bytes) -> impl Iterator<Item = Result<Packet, Disconnected>> {
    let body = ByteString::try_from(body).unwrap_or_default();
    Payload::decode(body).map(|packet| packet.map_err(|_| Disconnected::ParseError))
}

struct Session {
    handshake: HandshakeRequest,
    sid: Sid,
    shared: Arc<SharedState>,
}

impl Session {
    /// Polls and posts until either ends.
    async fn run(
        self,
        get: Http,
        post: Http,
        to_send: mpsc::UnboundedReceiver<ToSend>,
    ) -> Disconnected {
        let poll = pin!(self.poll(get));
        let post = pin!(self.post(post, to_send));
        select(poll, post).await.factor_first().0
    }

    async fn ask(
        &self,
        http: &mut Http,
        method: Method,
        body: Bytes,
    ) -> Result<Bytes, Disconnected> {
        let mut request = self
            .handshake
            .request(method, Transport::Polling, Some(self.sid), body);
        if request.method() == Method::POST {
            let text = HeaderValue::from_static("text/plain;charset=UTF-8");
            request.headers_mut().insert(header::CONTENT_TYPE, text);
        }
        match http.ask(request).await {
            Ok(response) if response.status() == StatusCode::OK => Ok(response.into_body()),
            Ok(_) | Err(_) => Err(Disconnected::TransportError),
        }
    }

    async fn poll(&self, mut http: Http) -> Disconnected {
        loop {
            let body = match self.ask(&mut http, Method::GET, Bytes::new()).await {
                Ok(body) => body,
                Err(reason) => return reason,
            };
            self.shared.reads().await;
            let ended = packets(body).find_map(|packet| match packet {
                Ok(packet) => self.shared.receive(packet),
                Err(reason) => Some(reason),
            });
            if let Some(reason) = ended {
                return reason;
            }
        }
    }

    /// Sends queued packets, one POST each. The server responds to a POST once it has processed its packets.
    async fn post(
        &self,
        mut http: Http,
        mut to_send: mpsc::UnboundedReceiver<ToSend>,
    ) -> Disconnected {
        while let Some(packet) = to_send.recv().await {
            let mut body = PayloadWriter::new();
            for packet in &packet.packets {
                body.push_text(packet.encode_text().as_bytes());
            }
            if let Err(reason) = self.ask(&mut http, Method::POST, body.finish()).await {
                return reason;
            }
            self.shared.has_taken(packet.number);
        }
        Disconnected::TransportClose
    }
}
