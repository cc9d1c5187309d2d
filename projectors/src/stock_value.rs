//! `stock-value`: what lies in the warehouses of a product, and what it is worth; `stock_value` is its view.

use daybook_kernel::{EventAt, Part, Projection, ReadModel, SqlView, StreamId};
use shop_proto::catalog::v1::ProductEvent;
use shop_proto::inventory::v1::StockEvent;
use shop_proto::read::v1::{StockLineView, StockValue, StockValueLine};

use super::product_pages;

/// Stock of a SKU that nobody created has no page. It has rows, without a price.
const PRODUCT: &str = "product";

const VIEWS: &[SqlView] = &[SqlView {
    name: "stock_value",
    select: "
        SELECT s.key AS sku, coalesce(p.title, '') AS title, coalesce(p.category, '') AS category, s.warehouse, s.on_hand, s.reserved,
            s.available, p.price_currency AS currency, p.price_minor_units AS price,
            s.on_hand::numeric * p.price_minor_units AS value
        FROM {rows} s
        LEFT JOIN {rows} p ON p.key = s.key AND p.part = 'product'
        WHERE s.warehouse IS NOT NULL",
}];

pub(crate) fn read_model() -> ReadModel {
    let model = ReadModel::of::<StockValue>("stock-value", Some(PRODUCT)).with::<Product>().with::<Stock>();
    model.kept_as_sql::<StockValue>(Some("stock"), VIEWS)
}

/// The part `product`: what a piece is and costs.
struct Product;

impl Projection for Product {
    type Event = ProductEvent;
    type View = StockValue;
    type Model = StockValue;

    fn fold(page: &mut StockValue, event: &ProductEvent, _: &EventAt<'_>) {
        use ProductEvent as E;
        match event {
            E::ProductCreated(e) => {
                (page.sku, page.title, page.category) = (e.sku.clone(), e.title.clone(), e.category.clone());
                page.price.clone_from(&e.price);
            }
            E::ProductRevised(e) => page.title = e.title.clone().unwrap_or_else(|| std::mem::take(&mut page.title)),
            E::ProductCategorized(e) => page.category.clone_from(&e.category),
            E::ProductRepriced(e) => {
                let list = e.price.as_ref().and_then(|price| price.list.as_ref());
                if let (Some(main), Some(list)) = (&mut page.price, list)
                    && main.currency == list.currency
                {
                    main.clone_from(list);
                }
            }
            E::MediaAttached(_) | E::MediaDetached(_) | E::ProductPublished(_) | E::ProductRetired(_) => {}
        }
    }

    fn render(page: &StockValue, _: &StreamId) -> Vec<Part<StockValue>> {
        if page.sku.is_empty() {
            return Vec::new();
        }
        vec![Part { key: page.sku.clone(), part: PRODUCT.to_owned(), message: page.clone() }]
    }
}

/// The parts `stock/<warehouse>`: one line each, as a product's page shows it.
struct Stock;

impl Projection for Stock {
    type Event = StockEvent;
    type View = StockLineView;
    type Model = StockValue;

    fn fold(view: &mut StockLineView, event: &StockEvent, at: &EventAt<'_>) {
        product_pages::Stock::fold(view, event, at);
    }

    fn render(view: &StockLineView, _: &StreamId) -> Vec<Part<StockValue>> {
        let Some(line) = &view.line else { return Vec::new() };
        let shown =
            StockValueLine { warehouse: line.warehouse.clone(), on_hand: line.on_hand, reserved: line.reserved, available: line.available };
        let message = StockValue { stock: vec![shown], ..Default::default() };
        vec![Part { key: view.sku.clone(), part: format!("stock/{}", line.warehouse), message }]
    }

    fn keys(view: &StockLineView, stream: &StreamId, tell: &mut dyn FnMut(&str)) {
        product_pages::Stock::keys(view, stream, tell);
    }
}

#[cfg(test)]
pub(crate) use spec::samples;

#[cfg(test)]
mod spec {
    use daybook_kernel::{Instant, Version};
    use shop_proto::catalog::v1::{ProductCreated, ProductRevised};
    use shop_proto::samples::product::{self, categorized, retired};
    use shop_proto::samples::stock::{received, reserved};
    use shop_proto::samples::{money, with};

    use super::*;
    use crate::merging::Sample;

    fn created() -> ProductEvent {
        ProductCreated::from(&product::create()).into()
    }

    /// See `crate::samples`.
    pub(crate) fn samples() -> Vec<Sample> {
        vec![
            Sample::of("A-1", [created()]),
            Sample::of("A-1@w-1", [received(5), reserved("o-1", 2)]),
            Sample::of("A-1@w-2", [with(&received(5), "warehouse", "w-2")]),
        ]
    }

    fn product(events: &[ProductEvent]) -> StockValue {
        let stream = StreamId::new("product", "A-1");
        let mut view = StockValue::default();
        for event in events {
            Product::fold(&mut view, event, &EventAt { stream: &stream, version: Version(1), recorded_at: Instant::default() });
        }
        let part = Product::render(&view, &stream).pop().expect("it is there");
        assert_eq!((part.key.as_str(), part.part.as_str(), &part.message), ("A-1", "product", &view));
        part.message
    }

    #[test]
    fn a_piece_is_worth_the_list_price_in_the_products_main_currency_also_after_it_is_retired() {
        let repriced = |currency: &str, units| product::repriced(money(currency, units), None);
        let shown = product(&[created(), repriced("USD", 1), repriced("EUR", 2500), retired()]);
        assert_eq!((shown.title.as_str(), shown.price), ("Lamp", Some(money("EUR", 2500))));
    }

    #[test]
    fn title_and_category_are_those_that_stand() {
        let retitled = ProductRevised { sku: "A-1".into(), title: Some("Lantern".into()), ..Default::default() };
        let untouched = ProductRevised { sku: "A-1".into(), ..Default::default() };
        let shown = product(&[created(), retitled.into(), untouched.into(), categorized("Garden")]);
        assert_eq!((shown.title.as_str(), shown.category.as_str()), ("Lantern", "Garden"));
    }

    #[test]
    fn a_line_shows_what_lies_in_one_warehouse() {
        let stream = StreamId::new("stock", "A-1@w-1");
        let mut view = StockLineView::default();
        for event in [received(5), reserved("o-1", 2)] {
            Stock::fold(&mut view, &event, &EventAt { stream: &stream, version: Version(1), recorded_at: Instant::default() });
        }
        let part = Stock::render(&view, &stream).pop().expect("it is there");
        let line = &part.message.stock[0];
        assert_eq!((part.key.as_str(), part.part.as_str()), ("A-1", "stock/w-1"));
        assert_eq!((line.warehouse.as_str(), line.on_hand, line.reserved, line.available), ("w-1", 5, 2, 3));
    }
}
