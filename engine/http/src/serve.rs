//! Listening, and stopping in order: what has begun is answered, nothing new is begun.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::front::{Front, Surface};

/// Longest that requests in flight may take to end once a stop was asked for.
const GRACE: Duration = Duration::from_secs(35);

/// Tells every part of a process to stop. Clone it freely.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// A shutdown, and what sets it off.
pub fn shutdown() -> (watch::Sender<bool>, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (sender, Shutdown(receiver))
}

impl Shutdown {
    /// Returns once a stop was asked for, or nobody is left who could ask.
    pub async fn requested(&self) {
        let mut receiver = self.0.clone();
        let _ = receiver.wait_for(|stop| *stop).await;
    }

    /// Whether a stop was asked for.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}

/// A socket that is bound and not served yet.
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
}

/// Binds an address; port 0 takes any that is free.
///
/// # Errors
/// When the address is taken or not ours.
pub async fn bind(address: SocketAddr) -> std::io::Result<Listening> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok(Listening { listener, address })
}

impl Listening {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the shutdown, then ends what has begun.
    pub async fn serve(self, router: Router, shutdown: Shutdown) {
        self.serve_surface(Surface { front: None, router }, shutdown).await;
    }

    /// [Serves](Self::serve) routes that are asked only for what the front leaves to them.
    pub async fn serve_behind(self, front: Front, router: Router, shutdown: Shutdown) {
        self.serve_surface(Surface { front: Some(front), router }, shutdown).await;
    }

    async fn serve_surface(self, surface: Surface, shutdown: Shutdown) {
        let stop = shutdown.clone();
        let listener = axum::serve::ListenerExt::tap_io(self.listener, |stream| {
            // Answers are small and waited for: Nagle's algorithm would hold them back.
            let _ = stream.set_nodelay(true);
        });
        let serving = axum::serve(listener, surface).with_graceful_shutdown(async move { stop.requested().await });
        let late = async {
            shutdown.requested().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            result = async { serving.await } => {
                if let Err(error) = result {
                    tracing::error!(%error, "the HTTP server ended");
                }
            }
            () = late => tracing::warn!("requests were still open after the time given to them"),
        }
    }
}
