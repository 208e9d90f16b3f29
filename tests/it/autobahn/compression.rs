//! Sections 12 and 13: compressed messages of many sizes and kinds, and with many parameters.
//!
//! Sizes, fragments, kinds and parameters are those of the suite; the texts are our own, and similar. The suite sends a
//! thousand messages in each case, this test a few.

use axum_socketio::config::Compression;
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress};
use proto::websocket::{
    DecoderConfig, Deflater, FrameDecoder, Header, Opcode, WebSocketEvent, accept_key, close_frame,
    frame, masked_frame, negotiate,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const MAX: usize = 16 * 1024 * 1024;
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// The size of a message, and of its frames if it has several.
const SIZES: [(usize, Option<usize>); 18] = [
    (16, None),
    (64, None),
    (256, None),
    (1024, None),
    (4096, None),
    (8192, None),
    (16384, None),
    (32768, None),
    (65536, None),
    (131_072, None),
    (8192, Some(256)),
    (16384, Some(256)),
    (32768, Some(256)),
    (65536, Some(256)),
    (131_072, Some(256)),
    (131_072, Some(1024)),
    (131_072, Some(4096)),
    (131_072, Some(32768)),
];

/// The offer of a client, the options of the server, and the expected result of the negotiation.
struct Parameters {
    offer: &'static str,
    wanted: Compression,
    answer: &'static str,
    server_takeover: bool,
    client_takeover: bool,
    client_bits: u8,
}

fn with_takeover() -> Compression {
    Compression::new()
        .threshold(0)
        .server_context_takeover()
        .client_context_takeover()
}

fn defaults() -> Parameters {
    Parameters {
        offer: "permessage-deflate; client_max_window_bits",
        wanted: with_takeover(),
        answer: "permessage-deflate",
        server_takeover: true,
        client_takeover: true,
        client_bits: 15,
    }
}

/// Returns the seven sets of parameters of section 13.
fn parameters() -> [Parameters; 7] {
    [
        defaults(),
        Parameters {
            offer: "permessage-deflate; server_no_context_takeover; client_max_window_bits",
            answer: "permessage-deflate; server_no_context_takeover",
            server_takeover: false,
            ..defaults()
        },
        Parameters {
            offer: "permessage-deflate; server_max_window_bits=9; client_max_window_bits",
            answer: "permessage-deflate; server_max_window_bits=9",
            ..defaults()
        },
        Parameters {
            offer: "permessage-deflate; server_max_window_bits=15; client_max_window_bits",
            wanted: with_takeover().client_max_window_bits(10),
            answer: "permessage-deflate; server_max_window_bits=15; client_max_window_bits=10",
            client_bits: 10,
            ..defaults()
        },
        Parameters {
            offer: "permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
            answer: "permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
            server_takeover: false,
            ..defaults()
        },
        Parameters {
            offer: "permessage-deflate; client_no_context_takeover; server_max_window_bits=15",
            answer: "permessage-deflate; client_no_context_takeover; server_max_window_bits=15",
            client_takeover: false,
            ..defaults()
        },
        Parameters {
            offer: "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_no_context_takeover; client_no_context_takeover, permessage-deflate",
            answer: "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            server_takeover: false,
            client_takeover: false,
            ..defaults()
        },
    ]
}

/// Creates texts that compress well, to some extent, or hardly, and bytes.
fn message(kind: usize, number: usize, size: usize) -> (Opcode, Vec<u8>) {
    let mut state = u32::try_from(kind * 1000 + number).unwrap();
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize
    };
    let words = [
        "lorem", "ipsum", "dolor", "Heiße", "Magister", "日本", "\"id\":", "null,",
    ];
    let mut data = Vec::new();
    while data.len() < size {
        match kind {
            0 => data.extend(format!("{{\"id\":{},\"name\":\"x\"}},", random() % 100).bytes()),
            1 | 2 => data.extend(format!("{} ", words[random() % (4 * kind)]).bytes()),
            3 => data.extend(format!("{:x}", random()).bytes()),
            _ => data.push(random().to_le_bytes()[0]),
        }
    }
    if kind == 4 {
        data.truncate(size);
        return (Opcode::Binary, data);
    }
    let text = String::from_utf8(data).unwrap();
    let end = (0..=size).rev().find(|end| text.is_char_boundary(*end));
    (Opcode::Text, text.as_bytes()[..end.unwrap()].to_vec())
}

/// Serves one connection with an echo, as a loop over the codec.
async fn serve(mut tcp: TcpStream, wanted: Compression) -> std::io::Result<()> {
    let request = head(&mut tcp).await?;
    let line = |name: &str| request.lines().find_map(|line| line.strip_prefix(name));
    let accept = accept_key(line("Sec-WebSocket-Key: ").unwrap().as_bytes());
    let offers = line("Sec-WebSocket-Extensions: ");
    let (agreed, answer) = negotiate(offers, &wanted).unwrap();
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Extensions: {answer}\r\n\r\n"
    );
    tcp.write_all(response.as_bytes()).await?;
    let config = DecoderConfig {
        max_message: MAX,
        ..DecoderConfig::default()
    };
    let (mut decoder, mut deflater) = (
        FrameDecoder::compressed(config, &agreed),
        Deflater::new(&agreed),
    );
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = tcp.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        let mut input = &buffer[..read];
        while let Some(event) = decoder.next_event(&mut input).unwrap() {
            let (opcode, data) = match event {
                WebSocketEvent::Text(text) => (Opcode::Text, text.into_bytes()),
                WebSocketEvent::Binary(data) => (Opcode::Binary, data),
                WebSocketEvent::Close(_) => {
                    tcp.write_all(&close_frame(None, "")).await?;
                    return tcp.shutdown().await;
                }
                other => panic!("{other:?}"),
            };
            let reply = match deflater.deflate(&data) {
                Some(data) => {
                    let header = Header::new(opcode, data.len()).compressed();
                    [header.as_slice(), &data].concat().into()
                }
                None => frame(opcode, &data),
            };
            tcp.write_all(&reply).await?;
        }
    }
}

async fn head(tcp: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tcp.read_u8().await?);
    }
    Ok(String::from_utf8(head).unwrap())
}

/// The client of the suite, based on zlib alone.
struct Client {
    tcp: TcpStream,
    deflate: Compress,
    inflate: Decompress,
    parameters: Parameters,
}

impl Client {
    async fn connect(parameters: Parameters) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut tcp = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        tokio::spawn(serve(accepted, parameters.wanted));
        let request = format!(
            "GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: {}\r\n\r\n",
            parameters.offer
        );
        tcp.write_all(request.as_bytes()).await.unwrap();
        let response = head(&mut tcp).await.unwrap();
        let answer = format!("Sec-WebSocket-Extensions: {}\r\n", parameters.answer);
        assert!(response.contains(&answer), "{response}");
        let level = flate2::Compression::new(6);
        Self {
            tcp,
            deflate: Compress::new_with_window_bits(level, false, parameters.client_bits),
            inflate: Decompress::new(false),
            parameters,
        }
    }

    /// Sends a message in frames of at most this number of bytes.
    async fn send(&mut self, opcode: Opcode, data: &[u8], fragment: Option<usize>) {
        let mut compressed = Vec::with_capacity(data.len() * 2 + 1000);
        let flush = FlushCompress::Sync;
        self.deflate
            .compress_vec(data, &mut compressed, flush)
            .unwrap();
        assert!(compressed.ends_with(&TAIL));
        compressed.truncate(compressed.len() - TAIL.len());
        if !self.parameters.client_takeover {
            self.deflate.reset();
        }
        let parts: Vec<_> = compressed.chunks(fragment.unwrap_or(MAX)).collect();
        let mut frames = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            let opcode = if number == 0 {
                opcode
            } else {
                Opcode::Continuation
            };
            let start = frames.len();
            frames.extend_from_slice(&masked_frame(opcode, part, [1, 2, 3, 4]));
            if number == 0 {
                frames[start] |= 0x40;
            }
            if number + 1 < parts.len() {
                frames[start] &= 0x7f;
            }
        }
        self.tcp.write_all(&frames).await.unwrap();
    }

    /// Returns the next message: its first byte, its length on the wire, and its content.
    async fn receive(&mut self) -> (u8, usize, Vec<u8>) {
        let first = self.tcp.read_u8().await.unwrap();
        let length = match self.tcp.read_u8().await.unwrap() {
            126 => usize::from(self.tcp.read_u16().await.unwrap()),
            127 => usize::try_from(self.tcp.read_u64().await.unwrap()).unwrap(),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.tcp.read_exact(&mut payload).await.unwrap();
        if first & 0x40 == 0 {
            return (first, length, payload);
        }
        payload.extend(TAIL);
        let mut data = Vec::with_capacity(200_000);
        let flush = FlushDecompress::Sync;
        self.inflate
            .decompress_vec(&payload, &mut data, flush)
            .unwrap();
        if !self.parameters.server_takeover {
            self.inflate.reset(false);
        }
        (first, length, data)
    }
}

async fn case(kind: usize, size: (usize, Option<usize>), parameters: Parameters) {
    let (size, fragment) = size;
    let takeover = parameters.server_takeover && !parameters.answer.contains("bits=9");
    let mut client = Client::connect(parameters).await;
    let count = (100_000 / size).clamp(2, 20);
    let (mut on_the_wire, mut in_all) = (0, 0);
    for number in 0..count {
        let (opcode, data) = message(kind, number, size);
        client.send(opcode, &data, fragment).await;
        let (first, length, echo) = client.receive().await;
        assert_eq!(first & !0x40, 0x80 | opcode as u8);
        assert!(echo == data, "message {number}");
        on_the_wire += length;
        in_all += data.len();
    }
    if kind == 0 && size >= 256 {
        assert!(on_the_wire * 2 < in_all, "{on_the_wire} of {in_all}");
    }
    if (4096..=16384).contains(&size) {
        // A repeated message takes almost no bytes if it may refer to the previous one.
        let (opcode, data) = message(3, 7, size);
        let mut lengths = [0; 2];
        for length in &mut lengths {
            client.send(opcode, &data, None).await;
            *length = client.receive().await.1;
        }
        assert_eq!(lengths[1] * 4 < lengths[0], takeover, "{lengths:?}");
    }
    let close = masked_frame(Opcode::Close, &[], [0; 4]);
    client.tcp.write_all(&close).await.unwrap();
    assert_eq!(client.receive().await.0, 0x88);
}

#[tokio::test]
async fn section_12_sizes_and_kinds_of_compressed_messages() {
    for kind in 0..5 {
        for size in SIZES {
            case(kind, size, defaults()).await;
        }
    }
}

#[tokio::test]
async fn section_13_parameters_of_compression() {
    for number in 0..7 {
        for size in SIZES {
            let [parameters] = parameters()
                .into_iter()
                .skip(number)
                .take(1)
                .collect::<Vec<_>>()
                .try_into()
                .ok()
                .unwrap();
            case(0, size, parameters).await;
        }
    }
}
