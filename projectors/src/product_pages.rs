//! `product-pages`: all that the page of one product shows. The details come from the product's stream, a line of
//! stock from each warehouse's.

use daybook_kernel::{EventAt, Part, Projection, ReadModel, StreamId};
use shop_proto::catalog::v1::{Price, ProductEvent};
use shop_proto::inventory::v1::StockEvent;
use shop_proto::read::v1::{ProductDetailsView, ProductPage, StockLine, StockLineView};

/// Without this part there is no page: stock of a draft, of a retired product or of a SKU that nobody created is not shown.
const DETAILS: &str = "details";

pub(crate) fn read_model() -> ReadModel {
    ReadModel::of::<ProductPage>("product-pages", Some(DETAILS)).with::<Details>().with::<Stock>()
}

/// The part `details`: everything but the stock.
struct Details;

impl Projection for Details {
    type Event = ProductEvent;
    type View = ProductDetailsView;
    type Model = ProductPage;

    fn fold(view: &mut ProductDetailsView, event: &ProductEvent, at: &EventAt<'_>) {
        use ProductEvent as E;
        let page = view.page.get_or_insert_default();
        page.version = at.version.0;
        page.updated_at = Some(at.recorded_at.to_proto());
        match event {
            E::ProductCreated(e) => {
                page.sku.clone_from(&e.sku);
                page.describe(e);
                page.sell(e);
                page.price.clone_from(&e.price);
                set_price(page, &Price { list: e.price.clone(), sale: None });
                view.shown = !e.draft;
            }
            E::ProductRevised(e) => {
                page.revise(e);
                page.resell(e);
            }
            E::ProductRepriced(e) => {
                if let Some(price) = &e.price {
                    set_price(page, price);
                }
            }
            E::ProductCategorized(e) => page.category.clone_from(&e.category),
            E::MediaAttached(e) => e.apply(&mut page.media),
            E::MediaDetached(e) => page.media.retain(|m| m.url != e.url),
            E::ProductPublished(_) => view.shown = true,
            E::ProductRetired(_) => view.shown = false,
        }
    }

    fn render(view: &ProductDetailsView, _: &StreamId) -> Vec<Part<ProductPage>> {
        match &view.page {
            Some(page) if view.shown => {
                vec![Part { key: page.sku.clone(), part: DETAILS.to_owned(), message: page.clone() }]
            }
            _ => Vec::new(),
        }
    }

    fn keys(view: &ProductDetailsView, _: &StreamId, tell: &mut dyn FnMut(&str)) {
        if let Some(page) = view.page.as_ref().filter(|_| view.shown) {
            tell(&page.sku);
        }
    }
}

/// The main currency's price stands by itself too: it is the one that `ProductCreated` named.
fn set_price(page: &mut ProductPage, price: &Price) {
    let Some(list) = &price.list else { return };
    if page.price.as_ref().is_some_and(|main| main.currency == list.currency) {
        page.price.clone_from(&price.list);
        page.sale.clone_from(&price.sale);
    }
    page.prices.insert(list.currency.clone(), price.clone());
}

/// The parts `stock/<warehouse>`: one line each.
pub(super) struct Stock;

impl Projection for Stock {
    type Event = StockEvent;
    type View = StockLineView;
    type Model = ProductPage;

    fn fold(view: &mut StockLineView, event: &StockEvent, _: &EventAt<'_>) {
        let is_new = view.line.is_none();
        let line = view.line.get_or_insert_default();
        if !moved(line, event) {
            if is_new {
                // A stream of nothing else is a warehouse that never had the product: it has no line.
                view.line = None;
            }
            return;
        }
        event.sku().clone_into(&mut view.sku);
        event.warehouse().clone_into(&mut line.warehouse);
        line.available = line.on_hand.saturating_sub(line.reserved);
    }

    fn render(view: &StockLineView, _: &StreamId) -> Vec<Part<ProductPage>> {
        let Some(line) = &view.line else { return Vec::new() };
        let message = ProductPage { stock: vec![line.clone()], ..Default::default() };
        vec![Part { key: view.sku.clone(), part: format!("stock/{}", line.warehouse), message }]
    }

    fn keys(view: &StockLineView, _: &StreamId, tell: &mut dyn FnMut(&str)) {
        if view.line.is_some() {
            tell(&view.sku);
        }
    }
}

/// The pieces of a line after an event; false: none has moved, onto a shelf, off it, into a promise or out of one.
pub(super) fn moved(line: &mut StockLine, event: &StockEvent) -> bool {
    use StockEvent as E;
    let (on_hand, reserved) = (&mut line.on_hand, &mut line.reserved);
    match event {
        E::StockReceived(e) => *on_hand = on_hand.saturating_add(e.quantity),
        E::StockAdjusted(e) => *on_hand = on_hand.saturating_add_signed(e.delta),
        E::TransferStarted(e) => *on_hand = on_hand.saturating_sub(e.quantity),
        E::TransferFinished(e) => *on_hand = on_hand.saturating_add(e.quantity),
        E::StockReserved(e) => *reserved = reserved.saturating_add(e.quantity),
        E::StockCommitted(e) => {
            *on_hand = on_hand.saturating_sub(e.quantity);
            *reserved = reserved.saturating_sub(e.quantity);
        }
        E::StockWrittenOff(e) => {
            *on_hand = on_hand.saturating_sub(e.quantity);
            *reserved = reserved.saturating_sub(e.quantity);
        }
        E::StockReleased(e) => *reserved = reserved.saturating_sub(e.quantity),
        E::ReservationExpired(e) => *reserved = reserved.saturating_sub(e.quantity),
        E::ReservationStands(_)
        | E::ReservationExtended(_)
        | E::ReservationConfirmed(_)
        | E::ReservationRefused(_)
        | E::ExtendRefused(_)
        | E::ConfirmRefused(_)
        | E::CommitRefused(_)
        | E::ReleaseRefused(_)
        | E::WriteOffRefused(_)
        | E::StockPlaceClosed(_)
        | E::ReorderPointSet(_)
        | E::ReorderPointCrossed(_)
        | E::ReorderPointRegained(_) => return false,
    }
    true
}

#[cfg(test)]
pub(crate) use spec::samples;

#[cfg(test)]
mod spec {
    use daybook_kernel::{Instant, Version};
    use proptest::prelude::*;
    use prost::Message as _;
    use shop_proto::catalog::v1::*;
    use shop_proto::common::v1::Money;
    use shop_proto::inventory::v1::*;
    use shop_proto::samples::product::{categorized, drafted, published, retired};
    use shop_proto::samples::{self, product, sku, stock, with};

    use super::*;
    use crate::merging::Sample;

    fn created() -> ProductEvent {
        let mut attributes = product::create().attributes;
        attributes.insert("size".into(), "M".into());
        ProductCreated { attributes, ..(&product::create()).into() }.into()
    }

    fn money(currency: &str, minor_units: i64) -> Option<Money> {
        Some(samples::money(currency, minor_units))
    }

    fn price(currency: &str, minor_units: i64, sale: Option<i64>) -> Price {
        product::price(currency, minor_units, sale.map(product::sale))
    }

    fn repriced(price: Price) -> ProductEvent {
        product::repriced(price.list.expect("a price"), price.sale)
    }

    fn media(alt: &str) -> Media {
        product::picture("https://a/1.jpg", alt)
    }

    fn attached(alt: &str) -> ProductEvent {
        product::attached("https://a/1.jpg", alt)
    }

    fn received(warehouse: &str, quantity: u32) -> StockEvent {
        with(&stock::received(quantity), "warehouse", warehouse)
    }

    fn adjusted(warehouse: &str, delta: i32) -> StockEvent {
        with(&stock::adjusted(delta), "warehouse", warehouse)
    }

    fn reserved(warehouse: &str, quantity: u32) -> StockEvent {
        with(&stock::reserved("o-1", quantity), "warehouse", warehouse)
    }

    fn committed(warehouse: &str, quantity: u32) -> StockEvent {
        with(&stock::committed("o-1", quantity), "warehouse", warehouse)
    }

    fn released(warehouse: &str, quantity: u32) -> StockEvent {
        with(&stock::released("o-1", quantity), "warehouse", warehouse)
    }

    fn expired(warehouse: &str, quantity: u32) -> StockEvent {
        with(&stock::expired("o-1", quantity), "warehouse", warehouse)
    }

    /// See `crate::samples`.
    pub(crate) fn samples() -> Vec<Sample> {
        vec![
            Sample::of("A-1", [created(), repriced(price("EUR", 1999, Some(999))), repriced(price("USD", 5, None)), attached("front")]),
            Sample::of("A-1@w-1", [received("w-1", 5), reserved("w-1", 3)]),
            Sample::of("A-1@w-2", [received("w-2", 1), reserved("w-2", 1), committed("w-2", 1)]),
        ]
    }

    /// The parts of a stream with these events, each a second after the one before.
    fn parts<P: Projection>(key: &str, events: &[P::Event]) -> Vec<Part<P::Model>> {
        use daybook_proto::MessageSet as _;
        let stream = StreamId::new(P::Event::AGGREGATE, key);
        let mut view = P::View::default();
        for (n, event) in (1..).zip(events) {
            let recorded_at = Instant::from_micros(1_000_000 * n);
            P::fold(&mut view, event, &EventAt { stream: &stream, version: Version(n.unsigned_abs()), recorded_at });
        }
        P::render(&view, &stream)
    }

    fn details(events: &[ProductEvent]) -> Option<ProductPage> {
        let mut parts = parts::<Details>("A-1", events);
        assert!(parts.len() < 2);
        let part = parts.pop()?;
        assert_eq!((part.key.as_str(), part.part.as_str()), ("A-1", "details"));
        Some(part.message)
    }

    fn line(events: &[StockEvent]) -> Option<(u32, u32, u32)> {
        let mut parts = parts::<Stock>("A-1@w-1", events);
        assert!(parts.len() < 2);
        let part = parts.pop()?;
        assert_eq!((part.key.as_str(), part.part.as_str()), ("A-1", "stock/w-1"));
        let [line] = part.message.stock.as_slice() else { panic!("one element a part") };
        Some((line.on_hand, line.reserved, line.available))
    }

    #[test]
    fn a_page_shows_what_was_created() {
        let page = details(&[created()]).expect("published at once");
        assert_eq!((page.title.as_str(), page.brand.as_str(), page.category.as_str()), ("Lamp", "Lux", "Home > Lamps"));
        assert_eq!((page.price, page.sale), (money("EUR", 1999), None));
        assert_eq!(page.prices, [("EUR".to_owned(), price("EUR", 1999, None))].into());
        assert_eq!(page.attributes["colour"], "red");
        assert_eq!(
            (page.gtins.as_slice(), page.manufacturer_number.as_str(), page.language.as_str()),
            (["4006381333931".to_owned()].as_slice(), "LX-100/B", "en")
        );
        assert_eq!((page.tax_class.as_str(), page.weight_grams, page.max_per_order), ("standard", 1_200, 10));
        assert_eq!((page.version, page.updated_at.map(|t| t.seconds)), (1, Some(1)));
    }

    #[test]
    fn a_draft_and_a_retired_product_have_no_page() {
        assert_eq!(details(&[]), None);
        assert_eq!(details(&[drafted()]), None);
        assert!(details(&[drafted(), published()]).is_some());
        assert_eq!(details(&[created(), retired()]), None);
    }

    #[test]
    fn a_draft_is_shown_as_it_was_revised_before() {
        let page = details(&[drafted(), categorized("Home"), published()]).expect("published");
        assert_eq!((page.category.as_str(), page.version), ("Home", 3));
    }

    #[test]
    fn a_revision_changes_only_what_it_says() {
        let revised = ProductRevised {
            sku: sku(),
            brand: Some(String::new()),
            set_attributes: [("colour".into(), "blue".into())].into(),
            removed_attributes: vec!["size".into()],
            gtins: vec!["96385074".into()],
            removed_gtins: vec!["4006381333931".into()],
            language: Some("de".into()),
            weight_grams: Some(900),
            ..Default::default()
        };
        let page = details(&[created(), revised.into()]).expect("published");
        assert_eq!(
            (page.gtins.as_slice(), page.manufacturer_number.as_str(), page.language.as_str()),
            (["96385074".to_owned()].as_slice(), "LX-100/B", "de")
        );
        assert_eq!((page.tax_class.as_str(), page.weight_grams, page.max_per_order), ("standard", 900, 10));
        assert_eq!((page.title.as_str(), page.brand.as_str()), ("Lamp", ""));
        assert_eq!(page.attributes, [("colour".to_owned(), "blue".to_owned())].into());
    }

    #[test]
    fn the_price_is_the_main_currencys_and_others_stand_beside_it() {
        let page = details(&[created(), repriced(price("USD", 500, None)), repriced(price("EUR", 1500, Some(999)))]).expect("published");
        assert_eq!(page.price, money("EUR", 1500));
        assert_eq!(page.sale.map(|s| s.minor_units), Some(999));
        assert_eq!(page.prices.keys().collect::<Vec<_>>(), ["EUR", "USD"]);
        let page = details(&[created(), repriced(price("EUR", 1500, Some(999))), repriced(price("EUR", 1500, None))]).expect("published");
        assert_eq!(page.sale, None);
    }

    #[test]
    fn media_stand_once_an_address() {
        let page = details(&[created(), attached("front"), attached("back")]).expect("published");
        assert_eq!(page.media, [media("back")]);
        assert!(details(&[created(), attached("front"), product::detached("https://a/1.jpg")]).expect("published").media.is_empty());
    }

    #[test]
    fn a_line_shows_what_is_on_hand_reserved_and_available() {
        assert_eq!(line(&[received("w-1", 5), reserved("w-1", 3)]), Some((5, 3, 2)));
        assert_eq!(line(&[received("w-1", 5), reserved("w-1", 3), committed("w-1", 3)]), Some((2, 0, 2)));
        assert_eq!(line(&[received("w-1", 5), reserved("w-1", 3), released("w-1", 3)]), Some((5, 0, 5)));
        assert_eq!(line(&[received("w-1", 5), reserved("w-1", 3), expired("w-1", 3)]), Some((5, 0, 5)));
        assert_eq!(line(&[received("w-1", 5), adjusted("w-1", -2)]), Some((3, 0, 3)));
        assert_eq!(line(&[received("w-1", 5), reserved("w-1", 3), released("w-1", 1), committed("w-1", 1)]), Some((4, 1, 3)));
        assert_eq!(line(&[received("w-1", 5), stock::left("t-1", "w-2", 2)]), Some((3, 0, 3)));
        assert_eq!(line(&[stock::arrived("t-1", "w-2", 2), stock::confirmed("o-1", 2, "")]), Some((2, 0, 2)));
    }

    #[test]
    fn a_warehouse_that_is_empty_has_a_line_and_one_that_never_had_any_has_none() {
        assert_eq!(line(&[received("w-1", 5), adjusted("w-1", -5)]), Some((0, 0, 0)));
        let refused = ReservationRefused { sku: sku(), warehouse: "w-1".into(), ..Default::default() };
        let watched = ReorderPointSet { sku: sku(), warehouse: "w-1".into(), reorder_point: 5 };
        let closed = stock::place_closed("o-1", 1, 0);
        assert_eq!(line(&[refused.into(), watched.into(), closed, stock::confirmed("o-1", 2, "")]), None);
    }

    /// An event that may happen to a shelf, kept legal as the decider keeps it.
    fn happens(on_hand: &mut u32, promised: &mut u32, warehouse: &str, what: u8, n: u32) -> StockEvent {
        let take = n.min(*promised);
        match what {
            0 => {
                *on_hand += n;
                received(warehouse, n)
            }
            1 => {
                let n = n.min(*on_hand - *promised);
                *promised += n;
                reserved(warehouse, n)
            }
            2 => {
                (*on_hand, *promised) = (*on_hand - take, *promised - take);
                committed(warehouse, take)
            }
            3 => {
                *promised -= take;
                released(warehouse, take)
            }
            _ => {
                let n = n.min(*on_hand - *promised);
                *on_hand -= n;
                adjusted(warehouse, -n.cast_signed())
            }
        }
    }

    proptest! {
        /// The page that is served is the concatenation: it shows the details, and each warehouse's line in order.
        #[test]
        fn the_concatenated_parts_are_the_page(
            what in prop::collection::vec((0..4_usize, 0..5_u8, 1..20_u32), 0..60),
            minor_units in 0..5000_i64,
        ) {
            let names = ["w-1", "W-2", "a", "a.b"];
            let mut shelves = [(0, 0, Vec::new()), (0, 0, Vec::new()), (0, 0, Vec::new()), (0, 0, Vec::new())];
            for (at, what, n) in what {
                let (on_hand, promised, events) = &mut shelves[at];
                let event = happens(on_hand, promised, names[at], what, n);
                events.push(event);
            }
            let product = [created(), repriced(price("EUR", minor_units, None))];
            let mut all = parts::<Details>("A-1", &product);
            for (name, (_, _, events)) in names.iter().zip(&shelves) {
                all.extend(parts::<Stock>(&format!("A-1@{name}"), events));
            }
            all.sort_by(|a, b| a.part.cmp(&b.part));
            let bytes: Vec<u8> = all.iter().flat_map(|p| p.message.encode_to_vec()).collect();

            let mut page = details(&product).expect("published");
            page.stock = names
                .iter()
                .zip(&shelves)
                .filter(|(_, (_, _, events))| !events.is_empty())
                .map(|(name, &(on_hand, reserved, _))| {
                    StockLine { warehouse: (*name).to_owned(), on_hand, reserved, available: on_hand - reserved }
                })
                .collect();
            page.stock.sort_by(|a, b| a.warehouse.cmp(&b.warehouse));
            prop_assert_eq!(ProductPage::decode(bytes.as_slice()).expect("a page"), page);
        }
    }
}
