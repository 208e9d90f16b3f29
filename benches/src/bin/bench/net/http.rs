//! HTTP/1.1 with keep-alive: requests as text, and responses, which are read by their length.

use std::io;

use super::reader::Seen;

pub fn get(sid: &str) -> String {
    let sid = parameter(sid);
    format!(
        "GET /socket.io/?EIO=4&transport=polling{sid} HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\n\r\n"
    )
}

pub fn post(sid: &str, body: &str) -> String {
    let (sid, len) = (parameter(sid), body.len());
    format!(
        "POST /socket.io/?EIO=4&transport=polling{sid} HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\n\
         content-type: text/plain;charset=UTF-8\r\ncontent-length: {len}\r\n\r\n{body}"
    )
}

/// Returns a request for an upgrade to WebSocket; with a `sid`, the upgrade of a session.
pub fn upgrade(sid: &str) -> String {
    let sid = parameter(sid);
    format!(
        "GET /socket.io/?EIO=4&transport=websocket{sid} HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

fn parameter(sid: &str) -> String {
    if sid.is_empty() {
        String::new()
    } else {
        format!("&sid={sid}")
    }
}

/// A reader of one response at a time.
#[derive(Default)]
pub struct HttpReader {
    buf: Vec<u8>,
    body_at: usize,
    whole: bool,
}

impl HttpReader {
    pub fn body(&self) -> &[u8] {
        self.buf.get(self.body_at..).unwrap_or_default()
    }

    pub fn feed(&mut self, input: &[u8], seen: &mut Seen) -> io::Result<()> {
        if std::mem::take(&mut self.whole) {
            self.buf.clear();
        }
        self.buf.extend_from_slice(input);
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(body_at) =
            response.parse(&self.buf).map_err(io::Error::other)?
        else {
            return Ok(());
        };
        if response.code != Some(200) {
            let text = String::from_utf8_lossy(&self.buf).into_owned();
            return Err(io::Error::other(format!("a request was refused: {text:?}")));
        }
        let header = |name: &str| {
            let found = response
                .headers
                .iter()
                .find(|header| header.name.eq_ignore_ascii_case(name));
            found.and_then(|header| str::from_utf8(header.value).ok())
        };
        let len: usize = header("content-length")
            .and_then(|len| len.trim().parse().ok())
            .ok_or_else(|| io::Error::other("a response does not tell its length"))?;
        self.body_at = body_at;
        if self.buf.len() >= body_at + len {
            self.whole = true;
            seen.responses += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_may_come_in_pieces() {
        let mut reader = HttpReader::default();
        for _ in 0..2 {
            let mut seen = Seen::default();
            for part in b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".chunks(3) {
                assert_eq!(seen.responses, 0);
                reader.feed(part, &mut seen).unwrap();
            }
            assert_eq!((seen.responses, reader.body()), (1, &b"hello"[..]));
        }
    }
}
