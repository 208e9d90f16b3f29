//! The client of the suite: it runs the steps of a case, and checks the server's output.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::case::{Case, End, Got, Step, close};
use super::server;

/// The limit for a whole case; only one that fails reaches it.
const LIMIT: Duration = Duration::from_secs(30);
/// The time in which nothing may arrive if nothing is expected.
const MOMENT: Duration = Duration::from_millis(50);

/// The result of reading: a frame, or the end of the stream.
enum Arrived {
    Frame(Got),
    /// The server ended TCP between frames.
    End,
    Broken(String),
}

pub(super) async fn run(case: &Case) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let tcp = TcpStream::connect(listener.local_addr().map_err(failed)?)
        .await
        .map_err(failed)?;
    let (accepted, _) = listener.accept().await.map_err(failed)?;
    let server = tokio::spawn(server::serve(accepted, case.chop));
    timeout(LIMIT, talk(case, tcp))
        .await
        .map_err(|_| "timed out")??;
    // The client's socket is closed now, so the server ends as well.
    let served = timeout(LIMIT, server)
        .await
        .map_err(|_| "the server hangs")?;
    served.map_err(failed)?.map_err(failed)
}

async fn talk(case: &Case, mut tcp: TcpStream) -> Result<(), String> {
    tcp.set_nodelay(true).map_err(failed)?;
    shake_hands(&mut tcp).await?;
    let (read, mut write) = tcp.into_split();
    let (arrivals, mut arrived) = mpsc::unbounded_channel();
    let reader = tokio::spawn(read_all(read, arrivals));

    let mut inbox = Inbox {
        case,
        seen: 0,
        closed: None,
    };
    for step in &case.steps {
        match step {
            Step::Write(bytes) => write.write_all(bytes).await.map_err(failed)?,
            Step::Await(count) => {
                while inbox.seen < *count {
                    inbox.take(arrived.recv().await)?;
                }
            }
            Step::Quiet => {
                if let Ok(unasked) = timeout(MOMENT, arrived.recv()).await {
                    inbox.take(unasked)?;
                    return Err("something came in a quiet moment".into());
                }
            }
            Step::AwaitClose => {
                while inbox.closed.is_none() {
                    inbox.take(arrived.recv().await)?;
                }
            }
        }
    }
    let code = match case.end {
        End::Closed(code) => code,
        End::Normal => {
            while inbox.seen < case.expected.len() {
                inbox.take(arrived.recv().await)?;
            }
            write
                .write_all(&close(1000, b"").encode())
                .await
                .map_err(failed)?;
            Some(1000)
        }
    };
    while inbox.closed.is_none() {
        inbox.take(arrived.recv().await)?;
    }
    match arrived.recv().await {
        Some(Arrived::End) => {}
        Some(Arrived::Frame(got)) => return Err(format!("after the close frame came {got:?}")),
        Some(Arrived::Broken(why)) => return Err(format!("TCP was not ended cleanly: {why}")),
        None => return Err("the reader is gone".into()),
    }
    reader.await.map_err(failed)?;
    if inbox.seen != case.expected.len() {
        return Err(format!(
            "only {} of {} replies came",
            inbox.seen,
            case.expected.len()
        ));
    }
    if inbox.closed != Some(code) {
        return Err(format!("closed with {:?}, not {code:?}", inbox.closed));
    }
    Ok(())
}

/// A comparison of the output with the expected one, frame by frame.
struct Inbox<'a> {
    case: &'a Case,
    seen: usize,
    closed: Option<Option<u16>>,
}

impl Inbox<'_> {
    fn take(&mut self, arrived: Option<Arrived>) -> Result<(), String> {
        let got = match arrived {
            Some(Arrived::Frame(got)) => got,
            Some(Arrived::End) => return Err("TCP ended too early".into()),
            Some(Arrived::Broken(why)) => return Err(why),
            None => return Err("the reader is gone".into()),
        };
        if let Got::Close(code) = got {
            self.closed = Some(code);
            return Ok(());
        }
        let expected = self.case.expected.get(self.seen);
        if expected != Some(&got) {
            return Err(format!("got {got:?}, expected {expected:?}"));
        }
        self.seen += 1;
        Ok(())
    }
}

async fn read_all(read: OwnedReadHalf, arrivals: mpsc::UnboundedSender<Arrived>) {
    let mut read = BufReader::with_capacity(64 * 1024, read);
    loop {
        let arrived = read_frame(&mut read).await;
        let is_last = !matches!(arrived, Arrived::Frame(_));
        if arrivals.send(arrived).is_err() || is_last {
            return;
        }
    }
}

/// Reads a server's frame: unmasked, whole, its length in the shortest form.
async fn read_frame(read: &mut BufReader<OwnedReadHalf>) -> Arrived {
    let first = match read.read_u8().await {
        Ok(first) => first,
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Arrived::End,
        Err(error) => return Arrived::Broken(error.to_string()),
    };
    match read_payload(read).await.map(|payload| (first, payload)) {
        Ok((0x81, payload)) => Arrived::Frame(Got::Text(payload)),
        Ok((0x82, payload)) => Arrived::Frame(Got::Binary(payload)),
        Ok((0x8a, payload)) => Arrived::Frame(Got::Pong(payload)),
        Ok((0x88, payload)) => match payload.as_slice() {
            [] => Arrived::Frame(Got::Close(None)),
            [high, low] => Arrived::Frame(Got::Close(Some(u16::from_be_bytes([*high, *low])))),
            _ => Arrived::Broken("a close frame that says too much or too little".into()),
        },
        Ok((first, _)) => Arrived::Broken(format!("a frame that begins with {first:#x}")),
        Err(error) => Arrived::Broken(error.to_string()),
    }
}

async fn read_payload(read: &mut BufReader<OwnedReadHalf>) -> std::io::Result<Vec<u8>> {
    let (len, least) = match read.read_u8().await? {
        126 => (usize::from(read.read_u16().await?), 126),
        127 => (read.read_u64().await?.try_into().unwrap(), 0x1_0000),
        masked @ 0x80.. => return Err(std::io::Error::other(format!("masked: {masked:#x}"))),
        short => (usize::from(short), 0),
    };
    if len < least {
        return Err(std::io::Error::other("a length that is too long"));
    }
    let mut payload = vec![0; len];
    read.read_exact(&mut payload).await?;
    Ok(payload)
}

/// Performs the opening handshake, with the key and the answer of RFC 6455, section 1.3.
async fn shake_hands(tcp: &mut TcpStream) -> Result<(), String> {
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    tcp.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut response = Vec::new();
    while !response.ends_with(b"\r\n\r\n") {
        response.push(tcp.read_u8().await.map_err(failed)?);
    }
    let response = String::from_utf8_lossy(&response);
    let accepted = response.starts_with("HTTP/1.1 101 ")
        && response.contains(": s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n");
    accepted
        .then_some(())
        .ok_or_else(|| format!("not accepted: {response}"))
}

fn failed(error: impl std::fmt::Display) -> String {
    error.to_string()
}
