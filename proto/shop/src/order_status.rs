//! Where an order stands, by its events: for the state of its decisions, and for its read models.

use crate::order::v1::{OrderEvent, OrderStatus};

impl OrderEvent {
    /// Where the order stands after this event; none where that is where it stood before.
    pub fn leads_to(&self) -> Option<OrderStatus> {
        match self {
            Self::OrderOpened(_) => Some(OrderStatus::Opened),
            Self::OrderPlaced(_) => Some(OrderStatus::Placed),
            Self::OrderRejecting(_) => Some(OrderStatus::Rejecting),
            Self::OrderRejected(_) => Some(OrderStatus::Rejected),
            Self::OrderCancelling(_) => Some(OrderStatus::Cancelling),
            Self::OrderCancelled(_) => Some(OrderStatus::Cancelled),
            Self::OrderOpeningRefused(_) => None,
        }
    }
}
