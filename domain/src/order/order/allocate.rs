//! The lookup that reads which warehouses could send an order, and what lies there.

use daybook_kernel::{Asks, EventAt, Instant, Lookup, PageError, PageKey, Pages, ServiceMessage};
use shop_proto::inventory::v1::{AllocateOrder, AllocatedLine, AllocationCommand, Candidate};
use shop_proto::order::v1::{OrderEvent, OrderPlaced};
use shop_proto::read::v1::{ProductPage, StockLevel, Warehouses};

/// The read model that lists the warehouses that send to a country.
const WAREHOUSES: &str = "warehouses";
/// The read model that shows what lies where.
const PAGES: &str = "product-pages";

/// The read model that shows what lies where, also of what is not sold any more.
const LEVELS: &str = "stock-levels";

/// The most places that an allocation is told of.
const MOST_CANDIDATES: usize = 10_000;

/// Has pieces looked for when an order is placed: in the warehouses that send to its country, with what lies there when it reads. The stocks
/// have the last word.
pub struct Allocate;

/// A product's stock line has the key of its stream.
fn level(sku: &str, warehouse: &str) -> PageKey {
    PageKey::new(LEVELS, format!("{sku}@{warehouse}"))
}

impl Lookup for Allocate {
    const NAME: &'static str = "allocate";
    const RULE_VERSION: u32 = 2;
    type Event = OrderEvent;

    fn asks(event: &OrderEvent, at: &EventAt<'_>) -> Option<Asks> {
        let OrderEvent::OrderPlaced(e) = event else { return None };
        let products = e.lines.iter().map(|line| PageKey::new(PAGES, &line.sku));
        let pages = products.chain([PageKey::new(WAREHOUSES, &e.country)]).collect();
        Some(Asks::of::<AllocationCommand>(at.stream.key(), pages))
    }

    /// A product that was retired since has no page. What was placed is sent all the same: what lies where is read of each warehouse.
    fn asks_further(event: &OrderEvent, read: &Pages) -> Result<Vec<PageKey>, PageError> {
        let OrderEvent::OrderPlaced(e) = event else { return Ok(Vec::new()) };
        let warehouses = read.page::<Warehouses>(WAREHOUSES, &e.country)?.unwrap_or_default();
        let mut further = Vec::new();
        for line in &e.lines {
            if read.page::<ProductPage>(PAGES, &line.sku)?.is_none() {
                further.extend(warehouses.items.iter().map(|item| level(&line.sku, &item.warehouse)));
            }
        }
        Ok(further)
    }

    fn answer(&self, event: &OrderEvent, read: &Pages, _: Instant) -> Result<ServiceMessage, PageError> {
        let nothing = OrderPlaced::default();
        let e = if let OrderEvent::OrderPlaced(e) = event { e } else { &nothing };
        let warehouses = read.page::<Warehouses>(WAREHOUSES, &e.country)?.unwrap_or_default();
        let mut candidates = Vec::new();
        for line in &e.lines {
            let page = read.page::<ProductPage>(PAGES, &line.sku)?;
            for item in &warehouses.items {
                let available = match &page {
                    Some(page) => page.stock.iter().find(|stock| stock.warehouse == item.warehouse).map_or(0, |stock| stock.available),
                    None => {
                        let key = level(&line.sku, &item.warehouse);
                        read.page::<StockLevel>(LEVELS, key.key())?.map_or(0, |level| level.available)
                    }
                };
                // Where nothing lies there is nothing to ask for.
                if available > 0 {
                    let (sku, warehouse) = (line.sku.clone(), item.warehouse.clone());
                    candidates.push(Candidate { sku, warehouse, priority: item.priority, available });
                }
            }
        }
        // The warehouses that are asked last are left out, each with what it has of every line.
        if candidates.len() > MOST_CANDIDATES {
            candidates.sort_by(|a, b| (a.priority, &a.warehouse).cmp(&(b.priority, &b.warehouse)));
            candidates.truncate(MOST_CANDIDATES);
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
        for (warehouse, _) in warehouses.iter().filter(|_| page.is_none()) {
            read.put(level("A-1", warehouse), None);
        }
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
    fn every_warehouse_of_the_country_is_a_candidate_where_something_lies_there() {
        let asked = answer(&[("w-1", 1), ("w-2", 2), ("w-3", 3)], Some(&[("w-2", 5), ("w-3", 0), ("w-9", 7)]));
        assert_eq!(asked.candidates, [candidate("w-2", 2, 5)]);
        assert_eq!((asked.attempt, asked.undeliverable, asked.hold_until), (1, false, Some(at(60 + 20 * 60))));
        assert_eq!(asked.lines, [AllocatedLine { sku: "A-1".into(), quantity: 2 }]);
    }

    #[test]
    fn a_country_that_nobody_sends_to_is_said_and_a_product_that_nobody_has_lies_nowhere() {
        assert!(answer(&[], Some(&[("w-1", 5)])).undeliverable);
        assert_eq!(answer(&[("w-1", 1)], None).candidates, []);
    }

    #[test]
    fn a_product_that_was_retired_since_is_looked_for_in_each_warehouse() {
        let mut read = Pages::default();
        let item = |(warehouse, priority): (&str, u32)| WarehouseItem { warehouse: warehouse.into(), priority };
        let warehouses = Warehouses { items: [("w-1", 1), ("w-2", 2)].map(item).to_vec() };
        read.put(PageKey::new(WAREHOUSES, "DE"), Some(warehouses.encode_to_vec()));
        read.put(PageKey::new(PAGES, "A-1"), None);
        let levels = [PageKey::new(LEVELS, "A-1@w-1"), PageKey::new(LEVELS, "A-1@w-2")];
        assert_eq!(Allocate::asks_further(&placed(), &read), Ok(levels.to_vec()));
        let [first, second] = levels;
        read.put(first, None);
        read.put(second, Some(StockLevel { on_hand: 7, available: 5, ..Default::default() }.encode_to_vec()));
        let message = Allocate.answer(&placed(), &read, SPEC_TIME).expect("it is read");
        let command = AllocationCommand::decode(message.type_name, &message.bytes).expect("a command of allocations");
        let AllocationCommand::AllocateOrder(command) = command else { panic!("another command") };
        assert_eq!(command.candidates, [candidate("w-2", 2, 5)]);
        // What has a page is not read once more.
        read.put(PageKey::new(PAGES, "A-1"), Some(ProductPage::default().encode_to_vec()));
        assert_eq!(Allocate::asks_further(&placed(), &read), Ok(vec![]));
    }

    #[test]
    fn of_more_places_than_may_be_told_those_that_are_asked_first_are() {
        let warehouses: Vec<(String, u32)> = (1..=10_001).map(|n| (format!("w-{n:05}"), if n == 1 { 9 } else { 1 })).collect();
        let each: Vec<(&str, u32)> = warehouses.iter().map(|(warehouse, priority)| (warehouse.as_str(), *priority)).collect();
        let stock: Vec<(&str, u32)> = warehouses.iter().map(|(warehouse, _)| (warehouse.as_str(), 1)).collect();
        let asked = answer(&each, Some(&stock));
        assert_eq!(asked.candidates.len(), 10_000);
        assert!(asked.candidates.iter().all(|candidate| candidate.priority == 1));
    }
}
