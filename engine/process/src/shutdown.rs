//! The end of a process, told to all its parts.

use tokio::sync::watch;

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
