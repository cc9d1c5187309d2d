//! Commands on their way over `<service>.messages`: written by endpoints and reactors, read by lanes.
//!
//! | to … | use |
//! |---|---|
//! | address a command and make its record | [`Addressed`] |
//! | read what a message's headers say, as far as it may be believed | [`Envelope`] |
//! | read an idempotency key as a client writes it | [`idempotency_key`] |

mod envelope;
mod key;

use daybook_bus::BusConfig;

pub use envelope::{ANONYMOUS, Addressed, Envelope, ReplyTo};
pub use key::idempotency_key;

/// What the callers of the engine's own processes begin with; nobody else can have such a name, for callers are signed.
const REACTOR: &str = "reactor/";

/// The caller of what a reactor sends.
pub fn reactor(name: &str) -> String {
    format!("{REACTOR}{name}")
}

/// Whether a caller is one of the engine's own processes: nobody waits for the answer, and nobody would read it.
pub fn is_process(caller: &str) -> bool {
    caller.starts_with(REACTOR)
}

/// Largest command, in bytes.
pub const MAX_COMMAND: usize = 512 * 1024;

/// The full name of the consumer group of a service's lanes. A harness gives a process another one, to force two lanes onto each partition.
pub fn lanes_group(bus: &BusConfig, service: &str) -> String {
    let forced = daybook_failpoint::text(daybook_failpoint::GROUP).unwrap_or_default();
    bus.group(&format!("{service}.lanes{forced}"))
}
