//! The times that an order waits. An install may set others.

use std::time::Duration;

use daybook_kernel::Wait;

/// For what its products cost.
pub(super) const PLACE: Wait = Wait { name: "place", by_default: Duration::from_secs(30) };
/// For pieces.
pub(super) const ALLOCATION: Wait = Wait { name: "allocation", by_default: Duration::from_secs(60) };
/// For its customer to pay.
pub(super) const PAYMENT: Wait = Wait { name: "payment", by_default: Duration::from_secs(15 * 60) };
/// Longer than for the payment are pieces held: its answer may come late.
pub(super) const HOLD: Wait = Wait { name: "hold-after-payment", by_default: Duration::from_secs(5 * 60) };
/// For pieces that are paid to be kept without an end.
pub(super) const CONFIRMATION: Wait = Wait { name: "confirmation", by_default: Duration::from_secs(60) };
/// Before the authorisation ends, what has not left is held: its money could not be taken any more.
pub(super) const AUTHORISATION: Wait = Wait { name: "authorisation", by_default: Duration::from_secs(24 * 60 * 60) };
/// For pieces that are sent back, from the last delivery on.
pub(super) const RETURNS: Wait = Wait { name: "returns", by_default: Duration::from_secs(30 * 24 * 60 * 60) };

/// All of them.
pub const WAITS: [Wait; 7] = [PLACE, ALLOCATION, PAYMENT, HOLD, CONFIRMATION, AUTHORISATION, RETURNS];
