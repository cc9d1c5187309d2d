//! `category-listings`: the products of a category and of those below it, by title. A list: one part a product and category.

use daybook_kernel::{EventAt, Fill, Part, Projection, ReadModel, StreamId};
use daybook_proto::levels;
use shop_proto::catalog::v1::{Price, ProductEvent};
use shop_proto::first_picture;
use shop_proto::read::v1::{CategoryItem, CategoryItemView, CategoryListing};

/// Characters of a title that its products are sorted by; where they are the same, by SKU.
const SORTED_BY: usize = 100;
/// Between the title and the SKU: it sorts before all that a title's sort key holds, so that "lamp" stands before "lamp shade".
const SEPARATOR: char = '\t';
/// The longest category that can be asked for, in bytes. (It may have 200 characters, of up to four bytes each.)
const LONGEST_KEY: usize = 512;

pub(crate) fn read_model() -> ReadModel {
    ReadModel::of::<CategoryListing>("category-listings", None).with::<Items>().filled(STOCK)
}

/// A fold never looks sideways: what a product has in stock is put to it when it is shown.
const STOCK: Fill = Fill { items: "items", by: "sku", model: "product-pages", parts: "stock/" };

struct Items;

impl Projection for Items {
    type Event = ProductEvent;
    type View = CategoryItemView;
    type Model = CategoryListing;

    /// 2: a slash separates no levels.
    const FOLD_VERSION: u32 = 2;

    fn fold(view: &mut CategoryItemView, event: &ProductEvent, _: &EventAt<'_>) {
        use ProductEvent as E;
        let item = view.item.get_or_insert_default();
        match event {
            E::ProductCreated(e) => {
                item.sku.clone_from(&e.sku);
                item.title.clone_from(&e.title);
                item.brand.clone_from(&e.brand);
                item.category.clone_from(&e.category);
                item.price.clone_from(&e.price);
                view.shown = !e.draft;
            }
            E::ProductRevised(e) => {
                for (field, new) in [(&mut item.title, &e.title), (&mut item.brand, &e.brand)] {
                    if let Some(new) = new {
                        field.clone_from(new);
                    }
                }
            }
            E::ProductRepriced(e) => {
                if let Some(price) = &e.price {
                    set_price(item, price);
                }
            }
            E::ProductCategorized(e) => item.category.clone_from(&e.category),
            E::MediaAttached(e) => e.apply(&mut view.media),
            E::MediaDetached(e) => view.media.retain(|m| m.url != e.url),
            E::ProductPublished(_) => view.shown = true,
            E::ProductRetired(_) => view.shown = false,
        }
    }

    fn render(view: &CategoryItemView, _: &StreamId) -> Vec<Part<CategoryListing>> {
        let Some(item) = view.item.as_ref().filter(|_| view.shown) else { return Vec::new() };
        let item = CategoryItem { image: first_picture(&view.media), ..item.clone() };
        let part = format!("{}{SEPARATOR}{}", sort_key(&item.title), item.sku);
        let categories = levels::with_those_above(&item.category).filter(|key| key.len() <= LONGEST_KEY);
        let message = CategoryListing { items: vec![item.clone()] };
        categories.map(|key| Part { key: key.to_owned(), part: part.clone(), message: message.clone() }).collect()
    }
}

/// Of a sale and a list price in the main currency, which is that of the first price; other currencies are not listed.
fn set_price(item: &mut CategoryItem, price: &Price) {
    let Some(list) = &price.list else { return };
    if item.price.as_ref().is_none_or(|main| main.currency == list.currency) {
        item.price.clone_from(&price.list);
        item.sale.clone_from(&price.sale);
    }
}

/// A title as it is sorted by: in lower case, one space between words, not too long.
fn sort_key(title: &str) -> String {
    let words: Vec<&str> = title.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    words.join(" ").to_lowercase().chars().take(SORTED_BY).collect()
}

#[cfg(test)]
pub(crate) use spec::samples;

#[cfg(test)]
mod spec {
    use daybook_kernel::{Instant, Version};
    use proptest::prelude::*;
    use shop_proto::catalog::v1::*;
    use shop_proto::common::v1::Money;
    use shop_proto::samples;
    use shop_proto::samples::product::{self, categorized, detached, published, retired};

    use super::*;
    use crate::merging::Sample;

    fn money(currency: &str, minor_units: i64) -> Option<Money> {
        Some(samples::money(currency, minor_units))
    }

    fn created(sku: &str, title: &str, category: &str) -> ProductEvent {
        let (sku, title, category) = (sku.to_owned(), title.to_owned(), category.to_owned());
        ProductCreated { sku, title, category, brand: "Lux".into(), price: money("EUR", 1999), ..Default::default() }.into()
    }

    fn repriced(currency: &str, minor_units: i64, sale: Option<i64>) -> ProductEvent {
        product::repriced(samples::money(currency, minor_units), sale.map(product::sale))
    }

    fn attached(url: &str, kind: MediaKind) -> ProductEvent {
        MediaAttached { sku: "A-1".into(), media: Some(Media { kind: kind.into(), ..product::picture(url, "") }) }.into()
    }

    /// See `crate::samples`.
    pub(crate) fn samples() -> Vec<Sample> {
        vec![
            Sample::of("A-1", [created("A-1", "Lamp", "Home > Lamps"), repriced("EUR", 1500, Some(999)), categorized("Home > Lights")]),
            Sample::of("A-2", [created("A-2", "Lamp", "Home>Lamps"), attached("https://a/1.jpg", MediaKind::Image)]),
            Sample::of("A-3", [created("A-3", "Chair", "Home")]),
        ]
    }

    fn parts(events: &[ProductEvent]) -> Vec<Part<CategoryListing>> {
        let stream = StreamId::new("product", "A-1");
        let mut view = CategoryItemView::default();
        for (n, event) in (1..).zip(events) {
            let at = EventAt { stream: &stream, version: Version(n), recorded_at: Instant::from_micros(1_000_000) };
            Items::fold(&mut view, event, &at);
        }
        Items::render(&view, &stream)
    }

    fn keys(events: &[ProductEvent]) -> Vec<String> {
        parts(events).into_iter().map(|p| p.key).collect()
    }

    fn item(events: &[ProductEvent]) -> CategoryItem {
        let part = parts(events).remove(0);
        let [item] = part.message.items.as_slice() else { panic!("one item a part") };
        item.clone()
    }

    #[test]
    fn a_product_is_listed_in_its_category_and_in_each_above_it() {
        assert_eq!(keys(&[created("A-1", "Lamp", "Home > Lamps > Desk")]), ["Home", "Home > Lamps", "Home > Lamps > Desk"]);
        assert_eq!(keys(&[created("A-1", "Lamp", "Home > Lamps")]), ["Home", "Home > Lamps"]);
        assert_eq!(keys(&[created("A-1", "Lamp", "Home")]), ["Home"]);
        assert_eq!(keys(&[created("A-1", "Lamp", "Home"), categorized("Garden > Lights")]), ["Garden", "Garden > Lights"]);
        assert_eq!(keys(&[created("A-1", "Lamp", "")]), Vec::<String>::new());
    }

    #[test]
    fn a_slash_separates_no_levels() {
        assert_eq!(keys(&[created("A-1", "Lamp", "Audio/Video > A/B testing")]), ["Audio/Video", "Audio/Video > A/B testing"]);
    }

    #[test]
    fn a_category_that_nobody_could_ask_for_does_not_stop_the_product() {
        let long = format!("Home > {}", "\u{1F4A1}".repeat(195));
        assert_eq!(keys(&[created("A-1", "Lamp", &long)]), ["Home"]);
    }

    #[test]
    fn a_draft_and_a_retired_product_are_not_listed() {
        let drafted = ProductCreated { sku: "A-1".into(), category: "Home".into(), draft: true, ..Default::default() };
        assert!(keys(&[drafted.clone().into()]).is_empty());
        assert_eq!(keys(&[drafted.into(), published()]), ["Home"]);
        assert!(keys(&[created("A-1", "Lamp", "Home"), retired()]).is_empty());
    }

    #[test]
    fn an_item_shows_the_main_currencys_price_and_the_first_picture() {
        let events = [
            created("A-1", "Lamp", "Home"),
            repriced("USD", 5, None),
            repriced("EUR", 1500, Some(999)),
            attached("https://a/manual.pdf", MediaKind::Document),
            attached("https://a/1.jpg", MediaKind::Image),
            attached("https://a/2.jpg", MediaKind::Image),
        ];
        let shown = item(&events);
        assert_eq!(
            (shown.sku.as_str(), shown.title.as_str(), shown.brand.as_str(), shown.category.as_str()),
            ("A-1", "Lamp", "Lux", "Home")
        );
        assert_eq!((shown.price, shown.sale.map(|s| s.minor_units)), (money("EUR", 1500), Some(999)));
        assert_eq!((shown.image.as_str(), shown.stock.len()), ("https://a/1.jpg", 0));
        assert_eq!(item(&[&events[..], &[detached("https://a/1.jpg")]].concat()).image, "https://a/2.jpg");
    }

    #[test]
    fn parts_in_byte_order_are_the_list_by_title_and_then_by_sku() {
        let mut parts: Vec<String> = [("B", "lamp shade"), ("C", "Lamp"), ("A", "LAMP"), ("D", "lamp\tpost"), ("E", "chair"), ("F", "")]
            .iter()
            .map(|(sku, title)| parts(&[created(sku, title, "Home")]).remove(0).part)
            .collect();
        parts.sort();
        assert_eq!(parts, ["\tF", "chair\tE", "lamp\tA", "lamp\tC", "lamp post\tD", "lamp shade\tB"]);
    }

    /// An item that is served with stock is the item's bytes and then those of the page's parts: field 11 is the same in both.
    #[test]
    fn a_pages_stock_parts_behind_an_item_are_its_stock() {
        use prost::Message as _;
        use shop_proto::read::v1::{ProductPage, StockLine};
        let listed = item(&[created("A-1", "Lamp", "Home")]);
        let line = |warehouse: &str| StockLine { warehouse: warehouse.into(), on_hand: 5, reserved: 2, available: 3 };
        let part = |warehouse| ProductPage { stock: vec![line(warehouse)], ..Default::default() }.encode_to_vec();
        let bytes = [listed.encode_to_vec(), part("w-1"), part("w-2")].concat();
        let expected = CategoryItem { stock: vec![line("w-1"), line("w-2")], ..listed };
        assert_eq!(CategoryItem::decode(bytes.as_slice()).expect("it merges"), expected);
    }

    proptest! {
        /// For all titles and categories: parts that can be kept.
        #[test]
        fn every_product_can_be_listed(title in ".{0,500}", category in ".{0,200}") {
            for part in parts(&[created("A-1", &title, &category)]) {
                prop_assert!(!part.key.is_empty() && part.key.len() <= 512);
                prop_assert!(!part.part.is_empty() && part.part.len() <= 1_024 && !part.part.contains('\0'));
            }
        }
    }
}
