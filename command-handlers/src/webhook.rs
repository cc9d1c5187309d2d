//! Webhooks: what others tell by themselves, as commands of ours.

use std::fmt;
use std::sync::Arc;

use axum::http::HeaderMap;
use daybook_kernel::{Instant, ServiceMessage};

/// A notice that has come, and that is theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The provider's id of it, 1 to 255 printable characters: the same one again is the same notice.
    pub key: String,
    /// The command that it is to us.
    pub command: ServiceMessage,
}

/// A notice that leads to no command; the reason is for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookRefusal {
    /// Its signature is missing or not good, or it is too old. Answered 401, and nothing of it is kept.
    #[error("{0}")]
    Forged(String),
    /// It is theirs, and about nothing that we know by a name. Answered 202, for they would send it for ever; it is kept with what its service has
    /// rejected.
    #[error("{0}")]
    Unaddressed(String),
}

/// Reads a notice, by its headers and its bytes, at this time.
pub type ReadNotice = dyn Fn(&HeaderMap, &[u8], Instant) -> Result<Notice, WebhookRefusal> + Send + Sync;

/// A webhook of the endpoint: `POST /v1/webhooks/{name}`.
#[derive(Clone)]
pub struct Webhook {
    /// Of the path, and of the caller that its commands have.
    pub name: &'static str,
    /// The service that its commands are for.
    pub service: &'static str,
    /// Checks the signature, and reads.
    pub read: Arc<ReadNotice>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("name", &self.name).field("service", &self.service).finish_non_exhaustive()
    }
}
