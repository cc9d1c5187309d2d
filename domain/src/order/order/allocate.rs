//! The lookup that reads which warehouses could send an order, and what lies there.

use daybook_kernel::{Asks, EventAt, Instant, Lookup, PageError, PageKey, Pages, ServiceMessage};
use shop_proto::inventory::v1::{AllocateOrder, AllocatedLine, AllocationCommand, Candidate};
use shop_proto::order::v1::{OrderEvent, OrderPlaced};
use shop_proto::read::v1::{ProductPage, Warehouses};

/// The read model that lists the warehouses that send to a country.
const WAREHOUSES: &str = "warehouses";
/// The read model that shows what lies where.
const PAGES: &str = "product-pages";

/// Has pieces looked for when an order is placed: in the warehouses that send to its country, with what lies there when it reads. The stocks
/// have the last word.
pub struct Allocate;

impl Lookup for Allocate {
    const NAME: &'static str = "allocate";
    type Event = OrderEvent;

    fn asks(event: &OrderEvent, at: &EventAt<'_>) -> Option<Asks> {
        let OrderEvent::OrderPlaced(e) = event else { return None };
        let products = e.lines.iter().map(|line| PageKey::new(PAGES, &line.sku));
        let pages = products.chain([PageKey::new(WAREHOUSES, &e.country)]).collect();
        Some(Asks::of::<AllocationCommand>(at.stream.key(), pages))
    }

    fn answer(&self, event: &OrderEvent, read: &Pages, _: Instant) -> Result<ServiceMessage, PageError> {
        let nothing = OrderPlaced::default();
        let e = if let OrderEvent::OrderPlaced(e) = event { e } else { &nothing };
        let warehouses = read.page::<Warehouses>(WAREHOUSES, &e.country)?.unwrap_or_default();
        let mut candidates = Vec::new();
        for line in &e.lines {
            // One that is not shown any more may still lie there, but nobody can read where.
            let page = read.page::<ProductPage>(PAGES, &line.sku)?.unwrap_or_default();
            for item in &warehouses.items {
                let stock = page.stock.iter().find(|stock| stock.warehouse == item.warehouse);
                candidates.push(Candidate {
                    sku: line.sku.clone(),
                    warehouse: item.warehouse.clone(),
                    priority: item.priority,
                    available: stock.map_or(0, |stock| stock.available),
                });
            }
        }
        let command = AllocateOrder {
            order_id: event.order_id().to_owned(),
            attempt: e.attempt,
            lines: e.lines.iter().map(|line| AllocatedLine { sku: line.sku.clone(), quantity: line.quantity }).collect(),
            candidates,
            undeliverable: warehouses.items.is_empty(),
            hold_until: e.hold_until,
        };
        Ok(ServiceMessage::of(&AllocationCommand::from(command)))
    }
}

#[cfg(test)]
mod tests {
    use daybook_kernel::spec::SPEC_TIME;
    use daybook_kernel::{StreamId, Version};
    use daybook_proto::{CommandSet as _, MessageSet as _};
    use prost::Message as _;
    use shop_proto::read::v1::{StockLine, WarehouseItem};
    use shop_proto::samples::at;
    use shop_proto::samples::order::{opened, placed};

    use super::*;

    fn asks(event: &OrderEvent) -> Option<Asks> {
        let stream = StreamId::new("order", "o-1");
        Allocate::asks(event, &EventAt { stream: &stream, version: Version(1), recorded_at: SPEC_TIME })
    }

    fn answer(warehouses: &[(&str, u32)], stock: Option<&[(&str, u32)]>) -> AllocateOrder {
        let mut read = Pages::default();
        let items = warehouses.iter().map(|(w, priority)| WarehouseItem { warehouse: (*w).into(), priority: *priority }).collect();
        read.put(PageKey::new(WAREHOUSES, "DE"), Some(Warehouses { items }.encode_to_vec()));
        let line = |(w, available): &(&str, u32)| StockLine { warehouse: (*w).into(), available: *available, ..Default::default() };
        let page = stock.map(|stock| ProductPage { stock: stock.iter().map(line).collect(), ..Default::default() }.encode_to_vec());
        read.put(PageKey::new(PAGES, "A-1"), page);
        let message = Allocate.answer(&placed(), &read, SPEC_TIME).expect("it is read");
        assert_eq!(message.target.as_str(), "allocation/o-1");
        let command = AllocationCommand::decode(message.type_name, &message.bytes).expect("a command of allocations");
        assert_eq!(command.violations(), [], "the lane would reject it");
        let AllocationCommand::AllocateOrder(command) = command else { panic!("another command") };
        command
    }

    fn candidate(warehouse: &str, priority: u32, available: u32) -> Candidate {
        Candidate { sku: "A-1".into(), warehouse: warehouse.into(), priority, available }
    }

    #[test]
    fn a_placed_order_asks_for_the_warehouses_of_its_country_and_for_each_product() {
        let pages = vec![PageKey::new(PAGES, "A-1"), PageKey::new(WAREHOUSES, "DE")];
        assert_eq!(asks(&placed()), Some(Asks { service: "inventory", target: StreamId::new("allocation", "o-1"), pages }));
        assert_eq!(asks(&opened()), None);
    }

    #[test]
    fn every_warehouse_of_the_country_is_a_candidate_with_what_lies_there() {
        let asked = answer(&[("w-1", 1), ("w-2", 2)], Some(&[("w-2", 5), ("w-9", 7)]));
        assert_eq!(asked.candidates, [candidate("w-1", 1, 0), candidate("w-2", 2, 5)]);
        assert_eq!((asked.attempt, asked.undeliverable, asked.hold_until), (1, false, Some(at(60 + 20 * 60))));
        assert_eq!(asked.lines, [AllocatedLine { sku: "A-1".into(), quantity: 2 }]);
    }

    #[test]
    fn a_country_that_nobody_sends_to_is_said_and_a_product_without_a_page_lies_nowhere() {
        assert!(answer(&[], Some(&[("w-1", 5)])).undeliverable);
        assert_eq!(answer(&[("w-1", 1)], None).candidates, [candidate("w-1", 1, 0)]);
    }
}
