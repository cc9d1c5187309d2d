//! Reservations that end by their time.

use daybook_kernel::{Deadline, Deadlines, EventAt, Instant, ServiceMessage};
use shop_proto::inventory::v1::*;

/// Ends each reservation at its time. One that was given back, kept or extended meanwhile is not disarmed: a stock's stream holds
/// many orders' deadlines, which are disarmed by name alone. The stock compares the time with its own, and takes it for done.
pub struct Reservations;

impl Deadlines for Reservations {
    const NAME: &'static str = "reservations";
    type Event = StockEvent;

    fn arms(event: &StockEvent, _: &EventAt<'_>) -> Vec<Deadline> {
        let (order_id, due_at) = match event {
            StockEvent::StockReserved(e) => (&e.order_id, e.expires_at),
            StockEvent::ReservationExtended(e) => (&e.order_id, e.expires_at),
            _ => return Vec::new(),
        };
        let Some(time) = due_at else { return Vec::new() };
        let (sku, warehouse, order_id) = (event.sku().to_owned(), event.warehouse().to_owned(), order_id.clone());
        let command = StockCommand::from(ExpireReservation { sku, warehouse, order_id, due_at });
        vec![Deadline { name: "expiry", due_at: Instant::from_proto(&time), message: ServiceMessage::of(&command) }]
    }
}

#[cfg(test)]
mod tests {
    use daybook_kernel::spec::{SPEC_TIME, given};
    use daybook_kernel::{StreamId, Version};
    use shop_proto::samples::at;
    use shop_proto::samples::stock::{
        committed, confirmed, expire, expired, extended, place_closed, received, released, reserved, reserved_until,
    };

    use super::*;
    use crate::inventory::Stock;

    fn armed(event: &StockEvent) -> Vec<Deadline> {
        let stream = StreamId::new("stock", "A-1@w-1");
        Reservations::arms(event, &EventAt { stream: &stream, version: Version(2), recorded_at: SPEC_TIME })
    }

    #[test]
    fn a_reservation_ends_at_its_time_and_one_that_is_extended_at_its_new_one() {
        for (event, order, seconds) in [
            (reserved("o-1", 3), "o-1", 900),
            (reserved_until("o-2", 3, 60, "allocation/o-2"), "o-2", 60),
            (extended("o-1", 1800), "o-1", 1800),
        ] {
            let message = ServiceMessage::of(&StockCommand::from(expire(order, seconds)));
            assert_eq!(message.target.as_str(), "stock/A-1@w-1");
            assert_eq!(armed(&event), [Deadline { name: "expiry", due_at: Instant::from_proto(&at(seconds)), message }]);
        }
        let others = [
            received(5),
            confirmed("o-1", 3, ""),
            committed("o-1", 3),
            released("o-1", 3),
            expired("o-1", 3),
            place_closed("o-1", 1, 0),
            ReservationStands { expires_at: Some(at(900)), ..Default::default() }.into(),
        ];
        for event in others {
            assert_eq!(armed(&event), [], "{event:?}");
        }
    }

    #[test]
    fn no_order_disarms_anothers_deadline() {
        for event in [reserved("o-1", 3), extended("o-1", 1800), released("o-1", 3), committed("o-1", 3), expired("o-1", 3)] {
            assert_eq!(Reservations::disarms(&event), Vec::<&str>::new());
        }
    }

    #[test]
    fn what_fires_is_the_end_of_the_reservation_that_armed_it() {
        let event = reserved("o-1", 3);
        let fired = &armed(&event)[0].message;
        let command = <StockCommand as daybook_proto::MessageSet>::decode(fired.type_name, &fired.bytes).expect("one of its commands");
        given::<Stock>([received(5), event.clone()]).when(command.clone()).then([expired("o-1", 3)]);
        given::<Stock>([received(5), event, extended("o-1", 1800)]).when(command).then_nothing();
    }
}
