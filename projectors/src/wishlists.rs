//! `wishlists`: what a shopper wants to remember, newest first. A list: one part an item.

use daybook_kernel::{EventAt, Fill, Part, Projection, ReadModel, StreamId};
use shop_proto::cart::v1::WishlistEvent;
use shop_proto::read::v1::{SavedItem, Wishlist, WishlistItem, WishlistView};

pub(crate) fn read_model() -> ReadModel {
    ReadModel::of::<Wishlist>("wishlists", None).with::<Items>().filled(PRODUCT)
}

/// A fold never looks sideways: what a product is, costs and has in stock is put to it when it is shown.
const PRODUCT: Fill = Fill { items: "items", by: "sku", model: "product-pages", parts: "" };

struct Items;

impl Projection for Items {
    type Event = WishlistEvent;
    type View = WishlistView;
    type Model = Wishlist;

    fn fold(view: &mut WishlistView, event: &WishlistEvent, at: &EventAt<'_>) {
        view.items.retain(|item| item.sku != event.sku());
        match event {
            WishlistEvent::ItemSaved(e) => {
                view.items.push(SavedItem { sku: e.sku.clone(), saved_at: Some(at.recorded_at.to_proto()), version: at.version.0 });
            }
            WishlistEvent::ItemDropped(_) | WishlistEvent::MovedToCart(_) => {}
        }
    }

    fn render(view: &WishlistView, stream: &StreamId) -> Vec<Part<Wishlist>> {
        let part = |saved: &SavedItem| {
            let item = WishlistItem { sku: saved.sku.clone(), saved_at: saved.saved_at, ..Default::default() };
            // Not the time: what is saved in one moment has one version each.
            let part = format!("{:016x}/{}", u64::MAX - saved.version, saved.sku);
            Part { key: stream.key().to_owned(), part, message: Wishlist { items: vec![item] } }
        };
        view.items.iter().map(part).collect()
    }

    fn keys(view: &WishlistView, stream: &StreamId, tell: &mut dyn FnMut(&str)) {
        if !view.items.is_empty() {
            tell(stream.key());
        }
    }
}

#[cfg(test)]
pub(crate) use spec::samples;

#[cfg(test)]
mod spec {
    use daybook_kernel::{Instant, Version};
    use shop_proto::samples::wishlist::{dropped, moved, saved};
    use shop_proto::samples::with;

    use super::*;
    use crate::merging::Sample;

    /// See `crate::samples`.
    pub(crate) fn samples() -> Vec<Sample> {
        let others = with(&saved("A-1"), "customer_id", "c-2");
        vec![Sample::of("c-1", [saved("A-1"), saved("A-2"), saved("A-3"), moved("A-2", 2), dropped("A-3")]), Sample::of("c-2", [others])]
    }

    /// The items' parts, as a list shows them.
    fn parts(events: &[WishlistEvent]) -> Vec<Part<Wishlist>> {
        let stream = StreamId::new("wishlist", "c-1");
        let mut view = WishlistView::default();
        for (n, event) in (1..).zip(events) {
            let at = EventAt { stream: &stream, version: Version(n), recorded_at: Instant::from_micros(1_000_000) };
            Items::fold(&mut view, event, &at);
        }
        let mut parts = Items::render(&view, &stream);
        let mut told = Vec::new();
        Items::keys(&view, &stream, &mut |key| told.push(key.to_owned()));
        assert!(parts.iter().all(|part| told.contains(&part.key)));
        parts.sort_by(|a, b| a.part.cmp(&b.part));
        parts
    }

    fn skus(events: &[WishlistEvent]) -> Vec<String> {
        parts(events).into_iter().map(|part| part.message.items[0].sku.clone()).collect()
    }

    #[test]
    fn items_stand_newest_first_until_they_are_dropped_or_moved() {
        let all = [saved("A-1"), saved("C-1"), saved("B-1")];
        assert_eq!(skus(&all), ["B-1", "C-1", "A-1"]);
        assert_eq!(skus(&[&all[..], &[dropped("C-1")]].concat()), ["B-1", "A-1"]);
        assert_eq!(skus(&[&all[..], &[moved("B-1", 2)]].concat()), ["C-1", "A-1"]);
        assert_eq!(skus(&[&all[..], &[dropped("A-1"), saved("A-1")]].concat()), ["A-1", "B-1", "C-1"], "saved anew");
        assert_eq!(skus(&[saved("A-1"), dropped("A-1")]), Vec::<String>::new());
        let long: Vec<WishlistEvent> = (0..20).map(|n| saved(&format!("S-{n}"))).collect();
        assert_eq!(skus(&long), (0..20).rev().map(|n| format!("S-{n}")).collect::<Vec<_>>());
    }

    #[test]
    fn an_item_says_when_it_was_saved_and_its_part_can_be_kept() {
        let parts = parts(&[saved(&"s".repeat(128))]);
        assert_eq!((parts[0].key.as_str(), parts[0].part.len()), ("c-1", 145));
        assert_eq!(parts[0].message.items[0].saved_at.as_ref().map(|at| at.seconds), Some(1));
    }

    /// An item that is served is the item's bytes and then those of the page's parts.
    #[test]
    fn a_product_pages_parts_behind_an_item_are_what_it_shows_of_the_product() {
        use daybook_proto::bytes_as_json;
        use prost::Message as _;
        use shop_proto::catalog::v1::ProductCreated;
        use shop_proto::read::v1::{ProductPage, StockLine};
        use shop_proto::samples::product;

        let saved = parts(&[saved("A-1")]).remove(0).message.items.remove(0);
        let price = product::create().price;
        let prices = [("EUR".to_owned(), product::price("EUR", 1999, None))];
        let media = vec![product::picture("https://a/1.jpg", "")];
        let mut details = ProductPage { sku: "A-1".into(), price, prices: prices.into(), media, version: 9, ..Default::default() };
        details.describe(&ProductCreated::from(&product::create()));
        let stock = vec![StockLine { warehouse: "w-1".into(), on_hand: 5, reserved: 2, available: 3 }];
        let line = ProductPage { stock: stock.clone(), ..Default::default() };
        let bytes = [saved.encode_to_vec(), details.encode_to_vec(), line.encode_to_vec()].concat();
        let ProductPage { title, brand, price, prices, media, .. } = details;
        let shown = WishlistItem { title, brand, price, prices, media, stock, ..saved };
        assert_eq!(WishlistItem::decode(bytes.as_slice()).expect("it merges"), shown);

        let of = shop_proto::descriptors().get_message_by_name("shop.read.v1.WishlistItem").expect("it is described");
        let json = bytes_as_json(&of, &bytes).expect("what the item lacks is left out");
        assert_eq!((&json["title"], json["stock"][0]["available"].as_u64()), (&"Lamp".into(), Some(3)));
        assert!(json.get("description").is_none() && json.get("attributes").is_none(), "{json}");
    }

    #[test]
    fn each_number_of_a_product_page_is_the_items_own_or_left_out() {
        let of = |name: &str| shop_proto::descriptors().get_message_by_name(name).expect("it is described");
        let (item, page) = (of("shop.read.v1.WishlistItem"), of("shop.read.v1.ProductPage"));
        for field in page.fields() {
            let is_left_out = item.reserved_ranges().any(|numbers| numbers.contains(&field.number()));
            match item.get_field(field.number()) {
                Some(same) => {
                    assert_eq!((same.name(), format!("{:?}", same.cardinality())), (field.name(), format!("{:?}", field.cardinality())))
                }
                None => assert!(is_left_out, "{} is neither shown nor left out", field.name()),
            }
        }
        for field in item.fields().filter(|field| field.number() < 100) {
            assert!(page.get_field(field.number()).is_some(), "{} has a number of the page's", field.name());
        }
    }
}
