//! HTTP by hand, for what a client's library would not send; and the routes that an OpenAPI document names, so that a table
//! of routes can't lack one.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The methods and paths that a document describes: `("get", "/v1/product-pages/{key}")`.
pub fn routes(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().expect("a document has paths");
    let operations = paths.iter().flat_map(|(path, item)| item.as_object().expect("a path has operations").keys().map(move |m| (m, path)));
    operations.map(|(method, path)| (method.clone(), path.clone())).collect()
}

/// A request on a connection of its own, which ends with the answer. `Host` and the body's length are added.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: daybook\r\nConnection: close\r\n");
    headers.iter().for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
    if !body.is_empty() || method == "POST" {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    [text.as_bytes(), b"\r\n", body].concat()
}

/// An answer as it came over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body; of one in chunks, with them.
    pub body: Vec<u8>,
}

impl Answer {
    /// Of what came; none: its head is not complete.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        // What comes before the answer.
        if status == 100 {
            return Self::read(&bytes[end + 4..]);
        }
        let headers = lines.filter_map(|l| l.split_once(':')).map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        Some(Self { status, headers: headers.collect(), body: bytes[end + 4..].to_vec() })
    }

    /// A header's value; of several, the first.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// All of a header's values, one behind the other.
    pub fn all(&self, name: &str) -> String {
        self.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// That it is a problem, of this status; its body.
    #[track_caller]
    pub fn problem(&self, status: u16) -> Value {
        assert_eq!((self.status, self.header("content-type")), (status, Some("application/problem+json")), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem}");
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{problem}");
        problem
    }

    /// That it is a 400 that names this field.
    #[track_caller]
    pub fn names(&self, field: &str) {
        let problem = self.problem(400);
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
}

/// One exchange over a socket.
pub struct Exchange(TcpStream);

impl Exchange {
    /// Sends bytes, to an address or URL without a path.
    pub async fn begin(address: &str, bytes: &[u8]) -> Self {
        let mut stream = TcpStream::connect(address.trim_start_matches("http://")).await.expect("it listens");
        stream.write_all(bytes).await.expect("it takes them");
        Self(stream)
    }

    /// Sends more.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("it takes them");
    }

    /// Shuts the sending side.
    pub async fn shut(&mut self) {
        self.0.shutdown().await.expect("it can be shut");
    }

    /// Everything that comes, until the other side ends.
    pub async fn whole(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut all)).await.expect("an end in time").expect("no broken connection");
        all
    }

    /// What comes until these bytes have.
    pub async fn until(&mut self, end: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        while !all.windows(end.len()).any(|w| w == end) {
            let read = tokio::time::timeout(PATIENCE, self.0.read_buf(&mut all)).await.expect("more in time");
            assert!(read.expect("no broken connection") > 0, "it ended after {:?}", String::from_utf8_lossy(&all));
        }
        all
    }
}

/// Sends a request and reads the answer to its end.
pub async fn ask(address: &str, bytes: &[u8]) -> Answer {
    let all = Exchange::begin(address, bytes).await.whole().await;
    Answer::read(&all).unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(&all)))
}

/// A body in a content coding: `gzip`, `deflate` or `zstd`.
pub fn packed(coding: &str, body: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(body).and_then(|()| encoder.finish()).expect("into memory")
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(body).and_then(|()| encoder.finish()).expect("into memory")
        }
        "zstd" => zstd::stream::encode_all(body, 3).expect("into memory"),
        other => panic!("{other} is none of the codings"),
    }
}
