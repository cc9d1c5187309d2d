//! Why shipments of an order may not leave for now: a set of reasons, for the order's decisions and for read models. They leave when it is
//! empty.

use crate::order::v1::OrderEvent;

/// Staff says so.
pub const STAFF: &str = "staff";
/// The authorisation is about to end: money of what leaves then could not be taken.
pub const AUTHORISATION_ENDS: &str = "authorisation-ends";
/// What was authorised has ended at the provider by itself.
pub const AUTHORISATION_LOST: &str = "authorisation-lost";
/// Money was given back that nobody here had given.
pub const DISPUTED: &str = "disputed";

/// The reason of a hold, as an event tells it. Events of earlier builds have staff's own words there.
fn known(told: &str) -> &str {
    match told {
        AUTHORISATION_ENDS | AUTHORISATION_LOST | DISPUTED => told,
        _ => STAFF,
    }
}

/// The reasons after an event; it may be one that says nothing of holds.
pub fn apply(holds: &mut Vec<String>, event: &OrderEvent) {
    match event {
        OrderEvent::OrderHeld(e) if !holds.iter().any(|held| held == known(&e.reason)) => holds.push(known(&e.reason).to_owned()),
        // An earlier build's: it knew one hold only.
        OrderEvent::OrderHoldEnded(e) if e.reason.is_empty() => holds.clear(),
        OrderEvent::OrderHoldEnded(e) => holds.retain(|held| *held != e.reason),
        _ => {}
    }
}
