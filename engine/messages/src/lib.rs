//! Commands on their way over `<service>.messages`: written by endpoints and reactors, read by lanes.
//!
//! | to … | use |
//! |---|---|
//! | address a command and make its record | [`Addressed`] |
//! | read what a message's headers say, as far as it may be believed | [`Envelope`] |
//! | read an idempotency key as a client writes it | [`idempotency_key`] |
//! | hand a command to a lane of the same process, beside Kafka | [`LocalLanes`] |

mod envelope;
mod key;
mod local;

use daybook_bus::BusConfig;
use daybook_proto::v1::Request;

pub use envelope::{Addressed, Envelope, EnvelopeError, ReplyTo};
pub use key::idempotency_key;
pub use local::LocalLanes;

/// The scope of a request's idempotency key.
pub fn key_scope(request: &Request) -> &str {
    request.caller.as_ref().map_or("", |caller| caller.key_scope.as_str())
}

/// Largest command, in bytes.
pub const MAX_COMMAND: usize = 512 * 1024;

/// The full name of the consumer group of a service's lanes. A harness gives a process another one, to force two lanes onto each partition.
pub fn lanes_group(bus: &BusConfig, service: &str) -> String {
    let forced = daybook_failpoint::text(daybook_failpoint::GROUP).unwrap_or_default();
    bus.group(&format!("{service}.lanes{forced}"))
}
