//! The deadlines of an order's steps. Each goes to the stream that could still succeed: prices to the order, pieces to its allocation. The
//! time to pay is the payment's own.

use daybook_kernel::{Deadline, Deadlines, EventAt, Instant, ServiceMessage};
use prost_types::Timestamp;
use shop_proto::inventory::v1::{AllocationCommand, TimeOutAllocation};
use shop_proto::order::v1::*;

use super::waits::{ALLOCATION, AUTHORISATION, CONFIRMATION, PLACE};

/// Ends steps that take too long.
pub struct OrderDeadlines;

impl Deadlines for OrderDeadlines {
    const NAME: &'static str = "order-deadlines";
    type Event = OrderEvent;

    fn arms(event: &OrderEvent, _: &EventAt<'_>) -> Vec<Deadline> {
        let order_id = event.order_id().to_owned();
        let (name, due_at, message) = match event {
            OrderEvent::OrderOpened(e) => {
                let command = TimeOutStep { order_id, step: PLACE.name.to_owned(), due_at: e.place_by };
                (PLACE.name, e.place_by, ServiceMessage::of(&OrderCommand::from(command)))
            }
            OrderEvent::OrderPlaced(e) => {
                let command = TimeOutAllocation { order_id, attempt: e.attempt, confirm: false };
                (ALLOCATION.name, e.allocate_by, ServiceMessage::of(&AllocationCommand::from(command)))
            }
            OrderEvent::OrderPaid(e) => {
                let command = TimeOutAllocation { order_id, attempt: e.attempt, confirm: true };
                (CONFIRMATION.name, e.confirm_by, ServiceMessage::of(&AllocationCommand::from(command)))
            }
            OrderEvent::OrderConfirmed(e) => {
                let command = TimeOutStep { order_id, step: AUTHORISATION.name.to_owned(), due_at: e.hold_at };
                (AUTHORISATION.name, e.hold_at, ServiceMessage::of(&OrderCommand::from(command)))
            }
            _ => return Vec::new(),
        };
        let armed = |due_at: &Timestamp| Deadline { name, due_at: Instant::from_proto(due_at), message };
        due_at.as_ref().map(armed).into_iter().collect()
    }

    fn disarms(event: &OrderEvent) -> Vec<&'static str> {
        match event {
            OrderEvent::OrderPlaced(_) => vec![PLACE.name],
            OrderEvent::OrderAllocated(_) => vec![ALLOCATION.name],
            OrderEvent::OrderConfirmed(_) => vec![CONFIRMATION.name],
            OrderEvent::OrderRejecting(_) | OrderEvent::OrderCancelling(_) => {
                vec![PLACE.name, ALLOCATION.name, CONFIRMATION.name, AUTHORISATION.name]
            }
            OrderEvent::OrderCompleted(_) => vec![AUTHORISATION.name],
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use daybook_kernel::spec::SPEC_TIME;
    use daybook_kernel::{StreamId, Version};
    use shop_proto::samples::at;
    use shop_proto::samples::order::{allocated, awaiting, cancelling, in_two_shipments, opened, paid, placed, prices_changed};

    use super::*;

    fn armed(event: &OrderEvent) -> Vec<(&'static str, Instant, String)> {
        let stream = StreamId::new("order", "o-1");
        let at = EventAt { stream: &stream, version: Version(1), recorded_at: SPEC_TIME };
        let told = |d: Deadline| (d.name, d.due_at, format!("{} {}", d.message.type_name, d.message.target.as_str()));
        OrderDeadlines::arms(event, &at).into_iter().map(told).collect()
    }

    #[test]
    fn each_step_ends_in_the_stream_that_could_still_succeed() {
        let due = |seconds| Instant::from_proto(&at(seconds));
        assert_eq!(armed(&opened()), [("place", due(30), "shop.order.v1.TimeOutStep order/o-1".to_owned())]);
        assert_eq!(armed(&placed()), [("allocation", due(60), "shop.inventory.v1.TimeOutAllocation allocation/o-1".to_owned())]);
        assert_eq!(armed(&paid()), [("confirmation", due(60), "shop.inventory.v1.TimeOutAllocation allocation/o-1".to_owned())]);
        let confirmed = in_two_shipments().pop().expect("it is confirmed");
        assert_eq!(armed(&confirmed), [("authorisation", due(6 * 24 * 60 * 60), "shop.order.v1.TimeOutStep order/o-1".to_owned())]);
        for event in [allocated(), awaiting(1, "tok"), cancelling()] {
            assert_eq!(armed(&event), []);
        }
    }

    #[test]
    fn a_step_that_is_done_needs_its_deadline_no_more() {
        assert_eq!(OrderDeadlines::disarms(&placed()), ["place"]);
        assert_eq!(OrderDeadlines::disarms(&allocated()), ["allocation"]);
        assert_eq!(in_two_shipments().last().map(OrderDeadlines::disarms), Some(vec!["confirmation"]));
        for end in [cancelling(), prices_changed(1)] {
            assert_eq!(OrderDeadlines::disarms(&end), ["place", "allocation", "confirmation", "authorisation"]);
        }
        assert_eq!(OrderDeadlines::disarms(&opened()), [""; 0]);
    }
}
