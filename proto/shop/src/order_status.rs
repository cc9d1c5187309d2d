//! Where an order stands, by its events: for the state of its decisions, and for its read models.

use crate::order::v1::{OrderEvent, OrderStatus};

impl OrderEvent {
    /// Where the order stands after this event; none where that is where it stood before.
    pub fn leads_to(&self) -> Option<OrderStatus> {
        match self {
            Self::OrderOpened(_) => Some(OrderStatus::Opened),
            Self::OrderPlaced(_) => Some(OrderStatus::Placed),
            Self::OrderAllocated(_) | Self::OrderPaid(_) => Some(OrderStatus::Allocated),
            Self::OrderAwaitingPayment(_) | Self::OrderPaymentDeclined(_) => Some(OrderStatus::AwaitingPayment),
            Self::OrderActionRequired(_) => Some(OrderStatus::ActionRequired),
            Self::OrderConfirmed(_) => Some(OrderStatus::Confirmed),
            Self::OrderShipped(e) => Some(e.status()),
            Self::OrderDelivered(e) => Some(e.status()),
            Self::OrderLost(e) => Some(e.status()),
            Self::OrderReturnedToSender(e) => Some(e.status()),
            Self::OrderLinesCancelled(e) => Some(e.status()),
            Self::OrderCompleted(_) => Some(OrderStatus::Completed),
            Self::OrderRejecting(_) => Some(OrderStatus::Rejecting),
            Self::OrderRejected(_) => Some(OrderStatus::Rejected),
            Self::OrderCancelling(_) => Some(OrderStatus::Cancelling),
            Self::OrderCancelled(_) => Some(OrderStatus::Cancelled),
            Self::OrderOpeningRefused(_)
            | Self::OrderLabelled(_)
            | Self::OrderFound(_)
            | Self::OrderCaptured(_)
            | Self::OrderCaptureFailed(_)
            | Self::OrderLinesCancelling(_)
            | Self::OrderCancelTooLate(_)
            | Self::OrderReturnRequested(_)
            | Self::OrderReturnRefused(_)
            | Self::OrderReturned(_)
            | Self::OrderRefundDue(_)
            | Self::OrderRefundRetried(_)
            | Self::OrderCaptureRetried(_)
            | Self::OrderRestReleased(_)
            | Self::OrderRefunded(_)
            | Self::OrderRefundFailed(_)
            | Self::OrderHeld(_)
            | Self::OrderHoldEnded(_)
            | Self::OrderAuthorisationLost(_)
            | Self::OrderDisputed(_)
            | Self::OrderUndone(_) => None,
        }
    }
}
