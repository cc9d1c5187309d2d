//! From a command to a committed page, in the order that the data goes: [`endpoint`] → `intake` → `lane` (`batch`, `memory`,
//! `aside`) → `relay`. One process may run all of it, or several share the partitions.

mod aside;
mod batch;
mod config;
pub mod endpoint;
mod error;
#[cfg(test)]
mod fuzz;
mod handle;
mod intake;
mod lane;
mod lost;
mod memory;
mod parked;
mod producers;
mod published;
mod relay;
mod replies;
mod service;
mod setup;
mod standing;
mod webhook;

pub use config::{HandlerConfig, HandlerParts, OnCommit};
pub use error::HandlerError;
pub use handle::HandleError;
pub use parked::ParkedMessages;
pub use service::CommandHandlers;
pub use setup::{check_topics, ensure_topics};
pub use webhook::{Notice, ReadNotice, Webhook, WebhookRefusal};
