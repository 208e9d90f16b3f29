//! A client that polls.

use std::net::SocketAddr;

use super::http::{Answer, Http};
use super::{POLLING, Server, sid_in};

/// A session over polling, with one connection for GET and one for POST.
pub(crate) struct Polling {
    pub(crate) addr: SocketAddr,
    pub(crate) sid: String,
    get: Http,
    post: Http,
}

impl Polling {
    pub(crate) async fn open(addr: SocketAddr) -> Self {
        let mut get = Http::open(addr).await;
        let answer = get.ask("GET", POLLING, &[], b"").await;
        assert_eq!(answer.status, 200);
        let sid = sid_in(answer.text().strip_prefix('0').unwrap());
        let post = Http::open(addr).await;
        Self {
            addr,
            sid,
            get,
            post,
        }
    }

    /// Opens a session that has joined `/`.
    pub(crate) async fn joined(addr: SocketAddr) -> Self {
        let mut client = Self::open(addr).await;
        client.send("40").await;
        let mut joined = false;
        while !joined {
            // A ping may arrive before or after it on a slow machine.
            for packet in client.poll().await.split('\x1e') {
                if packet == "2" {
                    client.send("3").await;
                } else {
                    assert!(packet.starts_with(r#"40{"sid":""#), "{packet}");
                    joined = true;
                }
            }
        }
        client
    }

    pub(crate) fn target(&self) -> String {
        format!("/socket.io/?EIO=4&transport=polling&sid={}", self.sid)
    }

    /// Polls once.
    pub(crate) async fn get(&mut self) -> Answer {
        let target = self.target();
        self.get.ask("GET", &target, &[], b"").await
    }

    /// Polls once, and returns the packets, of which there must be some.
    pub(crate) async fn poll(&mut self) -> String {
        let answer = self.get().await;
        assert_eq!(answer.status, 200);
        answer.text().to_owned()
    }

    /// Polls until there is a packet other than a ping. Pings are not answered.
    pub(crate) async fn poll_but_pings(&mut self) -> String {
        loop {
            let packets = self.poll().await;
            if packets != "2" {
                return packets;
            }
        }
    }

    /// Polls until these packets have arrived, in this order, with only `6` between them.
    pub(crate) async fn expect(&mut self, expected: &[&str]) {
        let mut got = Vec::new();
        while got.len() < expected.len() {
            let body = self.poll().await;
            got.extend(
                body.split('\x1e')
                    .filter(|packet| *packet != "6")
                    .map(str::to_owned),
            );
        }
        assert_eq!(got, expected);
    }

    /// Starts a poll, and waits until the server has it.
    pub(crate) async fn begin_poll(&mut self, server: &Server) {
        let before = server.begun();
        let target = self.target();
        self.get.begin("GET", &target, &[], b"").await;
        server.arrived(before).await;
    }

    /// Returns the response to a poll that was started.
    pub(crate) async fn end_poll(&mut self) -> Answer {
        self.get.answer(false).await
    }

    /// Starts a POST with an incomplete body, and waits until the server reads it.
    pub(crate) async fn begin_post(&mut self, server: &Server, length: usize, part: &[u8]) {
        let before = server.begun();
        let target = self.target();
        let length = length.to_string();
        let headers = [("Content-Length", length.as_str())];
        self.post.begin("POST", &target, &headers, part).await;
        server.arrived(before).await;
    }

    /// Sends more of the body of a POST that was started.
    pub(crate) async fn continue_post(&mut self, part: &[u8]) {
        self.post.send(part).await;
    }

    /// Returns the response to a POST that was started.
    pub(crate) async fn end_post(&mut self) -> Answer {
        self.post.answer(false).await
    }

    pub(crate) async fn post(&mut self, body: impl AsRef<[u8]>) -> Answer {
        self.post_with(&[("Content-Type", "text/plain;charset=UTF-8")], body)
            .await
    }

    pub(crate) async fn post_with(
        &mut self,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Answer {
        let target = self.target();
        self.post.ask("POST", &target, headers, body.as_ref()).await
    }

    /// Posts packets that the server must accept.
    pub(crate) async fn send(&mut self, body: &str) {
        let answer = self.post(body).await;
        assert_eq!(answer.brief(), (200, "ok"));
    }

    /// Asserts that the session is unknown to the server.
    pub(crate) async fn gone(&self) {
        let answer = Http::once(self.addr, "GET", &self.target()).await;
        assert_eq!(
            answer.brief(),
            (400, r#"{"code":1,"message":"Session ID unknown"}"#)
        );
    }
}
