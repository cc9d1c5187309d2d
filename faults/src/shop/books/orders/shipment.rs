//! One shipment, folded from its stream: whether it may leave.

use super::Looked;
use crate::judge::case::Written;
use crate::shop::rules::orders as rules;

/// The state of a shipment's stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shipment {
    held: bool,
}

impl Shipment {
    /// Books an event; what was looked at joins `looked`.
    pub(super) fn book(&mut self, at: &Written<'_>, looked: &mut Vec<Looked>) {
        match at.kind() {
            "ShipmentHeld" => self.held = true,
            "ShipmentHoldEnded" => self.held = false,
            "ShipmentDispatched" => looked.push((rules::LEFT_IN_DOUBT, !self.held, format!("held: {}", self.held))),
            _ => {}
        }
    }
}
