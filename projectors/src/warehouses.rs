//! `warehouses`: where goods for one country are sent from. A list: one part a warehouse, the best first.

use daybook_kernel::{EventAt, Part, Projection, ReadModel, StreamId};
use shop_proto::inventory::v1::WarehouseEvent;
use shop_proto::read::v1::{WarehouseItem, WarehouseView, Warehouses};

pub(crate) fn read_model() -> ReadModel {
    ReadModel::of::<Warehouses>("warehouses", None).with::<Items>()
}

/// Between the priority and the name.
const SEPARATOR: char = '\t';

struct Items;

impl Projection for Items {
    type Event = WarehouseEvent;
    type View = WarehouseView;
    type Model = Warehouses;

    fn fold(view: &mut WarehouseView, event: &WarehouseEvent, _: &EventAt<'_>) {
        match event {
            WarehouseEvent::WarehouseOpened(e) => {
                view.item = Some(WarehouseItem { warehouse: e.warehouse.clone(), priority: e.priority });
                view.countries.clone_from(&e.countries);
            }
            WarehouseEvent::WarehouseClosed(_) => *view = WarehouseView::default(),
        }
    }

    fn render(view: &WarehouseView, _: &StreamId) -> Vec<Part<Warehouses>> {
        let Some(item) = &view.item else { return Vec::new() };
        // As many digits as any number has: parts are kept in the order of their bytes.
        let part = format!("{:010}{SEPARATOR}{}", item.priority, item.warehouse);
        let message = Warehouses { items: vec![item.clone()] };
        view.countries.iter().map(|country| Part { key: country.clone(), part: part.clone(), message: message.clone() }).collect()
    }
}

#[cfg(test)]
pub(crate) use spec::samples;

#[cfg(test)]
mod spec {
    use daybook_kernel::{Instant, Version};
    use proptest::prelude::*;
    use shop_proto::samples::warehouse::{closed, opened};
    use shop_proto::samples::with;

    use super::*;
    use crate::merging::Sample;

    /// See `crate::samples`.
    pub(crate) fn samples() -> Vec<Sample> {
        let other = |event: &WarehouseEvent| with(event, "warehouse", "w-2");
        vec![Sample::of("w-1", [opened(1, &["DE", "US"]), opened(2, &["DE"])]), Sample::of("w-2", [other(&opened(1, &["DE"]))])]
    }

    fn shown(events: &[WarehouseEvent]) -> Vec<(String, String, u32)> {
        let stream = StreamId::new("warehouse", "w-1");
        let mut view = WarehouseView::default();
        for (n, event) in (1..).zip(events) {
            let at = EventAt { stream: &stream, version: Version(n), recorded_at: Instant::from_micros(1_000_000) };
            Items::fold(&mut view, event, &at);
        }
        Items::render(&view, &stream).into_iter().map(|part| (part.key, part.part, part.message.items[0].priority)).collect()
    }

    #[test]
    fn a_warehouse_is_listed_in_each_country_that_it_sends_to_until_it_is_closed() {
        let part = |country: &str, priority: u32| (country.to_owned(), format!("{priority:010}\tw-1"), priority);
        assert_eq!(shown(&[opened(1, &["DE", "US"])]), [part("DE", 1), part("US", 1)]);
        assert_eq!(shown(&[opened(1, &["DE", "US"]), opened(20, &["FR"])]), [part("FR", 20)]);
        assert_eq!(shown(&[opened(1, &["DE", "US"]), closed()]), []);
        assert_eq!(shown(&[opened(1, &["DE"]), closed(), opened(3, &["DE"])]), [part("DE", 3)]);
    }

    proptest! {
        /// Parts in the order of their bytes are the list by priority.
        #[test]
        fn the_best_comes_first(one in 0..=u32::MAX, other in 0..=u32::MAX) {
            let part = |priority| shown(&[opened(priority, &["DE"])]).remove(0).1;
            prop_assert_eq!(part(one).cmp(&part(other)), one.cmp(&other));
        }
    }
}
