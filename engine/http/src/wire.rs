//! A connection's two halves: one that is served from, and a look at whether the client still sends.
//!
//! A client may shut its sending side and wait for its answer, and one that has closed its socket looks just the same until
//! something is written to it. So connections are served to their end (`half_close`), and answers without end use this look.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// A connection, as hyper reads and writes it.
pub(crate) struct Wire {
    read: Client,
    write: OwnedWriteHalf,
}

/// The client's side of an HTTP/1 connection: a handler finds it among a request's extensions.
#[derive(Clone)]
pub struct Client(Arc<Mutex<OwnedReadHalf>>);

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let (read, write) = stream.into_split();
        Self { read: Client(Arc::new(Mutex::new(read))), write }
    }

    pub(crate) fn client(&self) -> Client {
        self.read.clone()
    }
}

impl Client {
    /// Returns once the client has shut its sending side, or its connection is broken. Not where it has sent another request
    /// already: then nobody can tell. To be awaited while this one is answered, from the task that does it.
    pub async fn shut(&self) {
        std::future::poll_fn(|context| {
            let mut byte = [0];
            let mut peeked = ReadBuf::new(&mut byte);
            let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match ready!(read.poll_peek(context, &mut peeked)) {
                Ok(0) | Err(_) => Poll::Ready(()),
                Ok(_) => Poll::Pending,
            }
        })
        .await;
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut read = self.read.0.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut *read).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(context, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, all: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write_vectored(context, all)
    }

    fn is_write_vectored(&self) -> bool {
        self.write.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_shutdown(context)
    }
}
