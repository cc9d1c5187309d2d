//! An HTTP/1.1 client that costs next to nothing: one connection, kept alive, one request at a time, answers with a
//! Content-Length. A general one takes more CPU than the server that it is to measure.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer's head may be so long, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// A connection that opens when it is needed.
pub(crate) struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

/// An answer, until the next request.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    head: &'a str,
    pub(crate) body: &'a [u8],
}

impl Answer<'_> {
    /// A header's value; names are compared without regard to case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(self.head, name)
    }
}

/// The head of an answer.
#[derive(Debug, PartialEq)]
struct Head {
    status: u16,
    /// The beginning of the body.
    body: usize,
    length: usize,
    closes: bool,
}

impl Connection {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, buffer: Vec::with_capacity(4096) }
    }

    /// Sends a request as it stands, and reads the answer. After an error the connection opens anew.
    ///
    /// # Errors
    /// When the connection fails, or the answer is none that this client reads.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if let Some(head) = read_head(&self.buffer)? {
                break head;
            }
        };
        while self.buffer.len() < head.body + head.length {
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        if self.buffer.len() > head.body + head.length {
            return Err(invalid("more than one answer came"));
        }
        if !head.closes {
            self.stream = Some(stream);
        }
        let text = std::str::from_utf8(&self.buffer[..head.body]).map_err(|_| invalid("the head is not text"))?;
        Ok(Answer { status: head.status, head: text, body: &self.buffer[head.body..] })
    }
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.split("\r\n").skip(1);
    lines.find_map(|line| line.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()))
}

/// None when it has not all come yet.
fn read_head(buffer: &[u8]) -> Result<Option<Head>> {
    let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") else {
        return if buffer.len() > MAX_HEAD { Err(invalid("the head does not end")) } else { Ok(None) };
    };
    let body = end + 4;
    let text = std::str::from_utf8(&buffer[..end]).map_err(|_| invalid("the head is not text"))?;
    let status = text.strip_prefix("HTTP/1.1 ").and_then(|t| t.get(..3)).and_then(|t| t.parse().ok());
    let status: u16 = status.ok_or_else(|| invalid("the status line is not HTTP/1.1's"))?;
    let length = match header(text, "content-length") {
        Some(length) => length.parse().map_err(|_| invalid("Content-Length is no number"))?,
        None if matches!(status, 204 | 304) => 0,
        None => return Err(invalid("the answer has no Content-Length")),
    };
    let closes = header(text, "connection").is_some_and(|c| c.eq_ignore_ascii_case("close"));
    Ok(Some(Head { status, body, length, closes }))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let whole = b"HTTP/1.1 409 Conflict\r\nContent-Type: x\r\ncontent-LENGTH: 12\r\n\r\n";
        assert_eq!(read_head(&whole[..whole.len() - 1]).expect("so far good"), None);
        assert_eq!(read_head(whole).expect("good"), Some(Head { status: 409, body: whole.len(), length: 12, closes: false }));
        for bad in ["HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"] {
            assert!(read_head(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn answers_in_pieces_are_put_together_and_a_closed_connection_is_opened_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            for closing in ["", "Connection: close\r\n"] {
                let (mut stream, _) = listener.accept().await.expect("a client");
                let mut request = [0; 5];
                for last in [false, true] {
                    stream.read_exact(&mut request).await.expect("a request");
                    let head = format!("HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 4\r\n{}\r\nab", if last { closing } else { "" });
                    stream.write_all(head.as_bytes()).await.expect("sent");
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                    stream.write_all(b"cd").await.expect("sent");
                }
            }
        });
        let mut connection = Connection::new(address);
        for request in 0..5 {
            match connection.send(b"hello").await {
                Ok(answer) => assert_eq!((answer.status, answer.header("x"), answer.body), (200, Some("y"), &b"abcd"[..])),
                // The first connection ends without a word: that is an error, and the next request opens another.
                Err(error) => assert_eq!(request, 2, "{error}"),
            }
        }
    }
}
