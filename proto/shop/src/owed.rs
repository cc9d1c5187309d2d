//! What the customer owes of captures that have failed, by an order's events: for its decisions, and for read models.

use crate::order::v1::{OrderEvent, OwedCapture};

impl OrderEvent {
    /// Money that could not be taken, and that the customer owes no more since this event: its pieces do not stay.
    pub fn no_longer_owed(&self) -> &[OwedCapture] {
        match self {
            Self::OrderLinesCancelled(e) => &e.no_longer_owed,
            Self::OrderLost(e) => &e.no_longer_owed,
            Self::OrderReturnedToSender(e) => &e.no_longer_owed,
            Self::OrderReturned(e) => &e.no_longer_owed,
            _ => &[],
        }
    }
}
