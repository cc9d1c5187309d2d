//! `stock-levels`: what one warehouse has of one product, and whether someone has to reorder. What is kept of the stream is
//! what is shown, so it is stored once.

use daybook_kernel::{EventAt, Part, Projection, ReadModel, StreamId};
use shop_proto::inventory::v1::StockEvent;
use shop_proto::read::v1::{StockLevel, StockLine};

use super::product_pages::moved;

const LEVEL: &str = "level";

pub(crate) fn read_model() -> ReadModel {
    ReadModel::of::<StockLevel>("stock-levels", Some(LEVEL)).with::<Levels>()
}

struct Levels;

impl Projection for Levels {
    type Event = StockEvent;
    type View = StockLevel;
    type Model = StockLevel;

    fn fold(level: &mut StockLevel, event: &StockEvent, _: &EventAt<'_>) {
        use StockEvent as E;
        let mut line = StockLine { on_hand: level.on_hand, reserved: level.reserved, ..Default::default() };
        // A reorder point, too: who is to reorder wants to see a product that has never come in.
        if !moved(&mut line, event) && !matches!(event, E::ReorderPointSet(_) | E::ReorderPointCrossed(_) | E::ReorderPointRegained(_)) {
            return;
        }
        (level.on_hand, level.reserved) = (line.on_hand, line.reserved);
        event.sku().clone_into(&mut level.sku);
        event.warehouse().clone_into(&mut level.warehouse);
        if let E::ReorderPointSet(e) = event {
            level.reorder_point = e.reorder_point;
        }
        level.available = level.on_hand.saturating_sub(level.reserved);
        level.below = level.available < level.reorder_point;
    }

    fn render(level: &StockLevel, stream: &StreamId) -> Vec<Part<StockLevel>> {
        if level.sku.is_empty() {
            return Vec::new();
        }
        vec![Part { key: stream.key().to_owned(), part: LEVEL.to_owned(), message: level.clone() }]
    }
}

#[cfg(test)]
pub(crate) use spec::samples;

#[cfg(test)]
mod spec {
    use daybook_kernel::{Instant, Version};
    use shop_proto::inventory::v1::*;
    use shop_proto::samples::stock::{left, place_closed, received, reorder_point_set, reserved};
    use shop_proto::samples::with;

    use super::*;
    use crate::merging::Sample;

    /// See `crate::samples`.
    pub(crate) fn samples() -> Vec<Sample> {
        vec![
            Sample::of("A-1@w-1", [received(5), reorder_point_set(4), reserved("o-1", 2)]),
            Sample::of("A-2@w-1", [with(&reorder_point_set(1), "sku", "A-2")]),
        ]
    }

    fn level(events: &[StockEvent]) -> Option<StockLevel> {
        let stream = StreamId::new("stock", "A-1@w-1");
        let mut view = StockLevel::default();
        for (n, event) in (1..).zip(events) {
            let at = EventAt { stream: &stream, version: Version(n), recorded_at: Instant::from_micros(1_000_000) };
            Levels::fold(&mut view, event, &at);
        }
        let mut parts = Levels::render(&view, &stream);
        assert!(parts.len() < 2);
        let part = parts.pop()?;
        assert_eq!((part.key.as_str(), part.part.as_str(), &part.message), ("A-1@w-1", "level", &view), "it is kept once");
        Some(part.message)
    }

    #[test]
    fn a_level_shows_what_there_is_and_whether_that_is_below_the_reorder_point() {
        let shown = |events: &[StockEvent]| level(events).map(|l| (l.on_hand, l.reserved, l.available, l.reorder_point, l.below));
        assert_eq!(shown(&[received(5), reserved("o-1", 2)]), Some((5, 2, 3, 0, false)));
        assert_eq!(shown(&[received(5), reserved("o-1", 2), reorder_point_set(3)]), Some((5, 2, 3, 3, false)));
        assert_eq!(shown(&[received(5), reorder_point_set(4), reserved("o-1", 2)]), Some((5, 2, 3, 4, true)));
        assert_eq!(shown(&[received(5), reorder_point_set(4), reserved("o-1", 2), received(1)]), Some((6, 2, 4, 4, false)));
        assert_eq!(shown(&[received(5), reorder_point_set(4), left("t-1", "w-2", 2)]), Some((3, 0, 3, 4, true)));
        assert_eq!(shown(&[reorder_point_set(4)]), Some((0, 0, 0, 4, true)));
        assert_eq!(shown(&[reorder_point_set(4), reorder_point_set(0)]), Some((0, 0, 0, 0, false)));
    }

    #[test]
    fn a_stream_that_only_refused_has_no_level() {
        let refused = ReservationRefused { sku: "A-1".into(), ..Default::default() };
        assert_eq!(level(&[refused.into(), place_closed("o-1", 1, 0)]), None);
    }
}
