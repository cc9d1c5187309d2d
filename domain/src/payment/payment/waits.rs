//! The times that a payment waits. An install may set others.

use std::time::Duration;

use daybook_kernel::Wait;

/// At most until the provider is asked again to cancel, or to give back, what it has refused to: customers miss money that is blocked, or gone.
pub(super) const CANCEL: Wait = Wait { name: "cancel-refused", by_default: Duration::from_secs(24 * 60 * 60) };

/// All of them.
pub const WAITS: [Wait; 1] = [CANCEL];
