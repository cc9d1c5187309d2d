//! Listening, and stopping in order: what has begun is answered, nothing new is begun.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use daybook_process::Shutdown;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;

use crate::Cors;
use crate::front::{Connection, Front, Surface};
use crate::wire::Wire;

/// Longest that requests in flight may take to end once a stop was asked for.
const GRACE: Duration = Duration::from_secs(35);

/// A socket that is bound and not served yet.
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    cors: Option<Cors>,
}

/// Binds an address; port 0 takes any that is free.
///
/// # Errors
/// When the address is taken or not ours.
pub async fn bind(address: SocketAddr) -> std::io::Result<Listening> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok(Listening { listener, address, cors: None })
}

impl Listening {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// For web pages of these origins too.
    pub fn with_cors(self, cors: Option<Cors>) -> Self {
        Self { cors, ..self }
    }

    /// Serves until the shutdown, then ends what has begun.
    pub async fn serve(self, router: Router, shutdown: Shutdown) {
        self.serve_surface(None, router, shutdown).await;
    }

    /// [Serves](Self::serve) routes that are asked only for what the front leaves to them.
    pub async fn serve_behind(self, front: Front, router: Router, shutdown: Shutdown) {
        self.serve_surface(Some(front), router, shutdown).await;
    }

    async fn serve_surface(self, front: Option<Front>, router: Router, shutdown: Shutdown) {
        let Self { mut listener, cors, .. } = self;
        let surface = Arc::new(Surface { front, router, cors });
        let graceful = GracefulShutdown::new();
        let mut server = auto::Builder::new(TokioExecutor::new());
        // A client that sends nothing more may still wait for its answer.
        server.http1().half_close(true);
        let mut stop = std::pin::pin!(shutdown.requested());
        loop {
            let (stream, peer) = tokio::select! {
                accepted = axum::serve::Listener::accept(&mut listener) => accepted,
                () = &mut stop => break,
            };
            // Answers are small and waited for: Nagle's algorithm would hold them back.
            let _ = stream.set_nodelay(true);
            let wire = Wire::new(stream);
            let service = Connection { surface: surface.clone(), peer, client: wire.client() };
            let connection = server.serve_connection(TokioIo::new(wire), service);
            let connection = graceful.watch(connection.into_owned());
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::trace!(%error, "a connection ended early");
                }
            });
        }
        drop(listener);
        if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests were still open after the time given to them");
        }
    }
}
