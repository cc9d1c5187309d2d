//! `products`: what searching needs of a product. A part from the product's stream, one from each warehouse's; they are
//! joined by whoever searches.

use daybook_kernel::{EventAt, Part, Projection, ReadModel, StreamId};
use shop_proto::catalog::v1::ProductEvent;
use shop_proto::inventory::v1::StockEvent;
use shop_proto::read::v1::{SearchedProduct, SearchedProductView, SearchedStock, StockLineView};

use super::product_pages;

/// Without this part nothing is found: stock of a draft, of a retired product or of a SKU that nobody created.
const PRODUCT: &str = "product";

pub(crate) fn read_model() -> ReadModel {
    ReadModel::of::<SearchedProduct>("products", Some(PRODUCT)).with::<Product>().with::<Stock>()
}

/// The part `product`: everything but the stock.
struct Product;

impl Projection for Product {
    type Event = ProductEvent;
    type View = SearchedProductView;
    type Model = SearchedProduct;

    fn fold(view: &mut SearchedProductView, event: &ProductEvent, at: &EventAt<'_>) {
        use ProductEvent as E;
        let product = view.product.get_or_insert_default();
        match event {
            E::ProductCreated(e) => {
                product.sku.clone_from(&e.sku);
                product.describe(e);
                product.price.clone_from(&e.price);
                product.created_at = Some(at.recorded_at.to_proto());
                view.shown = !e.draft;
            }
            E::ProductRevised(e) => product.revise(e),
            E::ProductRepriced(e) => {
                let list = e.price.as_ref().and_then(|p| p.list.as_ref());
                // Prices are compared with each other: only the main currency's counts.
                if let (Some(price), Some(list)) = (&mut product.price, list)
                    && price.currency == list.currency
                {
                    price.clone_from(list);
                }
            }
            E::ProductCategorized(e) => product.category.clone_from(&e.category),
            E::ProductPublished(_) => view.shown = true,
            E::ProductRetired(_) => view.shown = false,
            E::MediaAttached(_) | E::MediaDetached(_) => {}
        }
    }

    fn render(view: &SearchedProductView, _: &StreamId) -> Vec<Part<SearchedProduct>> {
        match &view.product {
            Some(product) if view.shown => {
                vec![Part { key: product.sku.clone(), part: PRODUCT.to_owned(), message: product.clone() }]
            }
            _ => Vec::new(),
        }
    }
}

/// The parts `stock/<warehouse>`: what can be promised, of which `product-pages` shows more.
struct Stock;

impl Projection for Stock {
    type Event = StockEvent;
    type View = StockLineView;
    type Model = SearchedProduct;

    fn fold(view: &mut StockLineView, event: &StockEvent, at: &EventAt<'_>) {
        product_pages::Stock::fold(view, event, at);
    }

    fn render(view: &StockLineView, _: &StreamId) -> Vec<Part<SearchedProduct>> {
        let Some(line) = &view.line else { return Vec::new() };
        let stock = SearchedStock { warehouse: line.warehouse.clone(), available: line.available };
        let message = SearchedProduct { stock: vec![stock], ..Default::default() };
        vec![Part { key: view.sku.clone(), part: format!("stock/{}", line.warehouse), message }]
    }
}

#[cfg(test)]
pub(crate) use tests::samples;

#[cfg(test)]
mod tests {
    use daybook_kernel::{Instant, Version};
    use shop_proto::catalog::v1::*;
    use shop_proto::common::v1::Money;
    use shop_proto::samples::stock::{received, reserved};
    use shop_proto::samples::{self, product};

    use super::*;
    use crate::merging::Sample;

    fn money(currency: &str, minor_units: i64) -> Option<Money> {
        Some(samples::money(currency, minor_units))
    }

    fn created(draft: bool) -> ProductEvent {
        ProductCreated { draft, price: money("EUR", 2999), ..(&product::create()).into() }.into()
    }

    fn repriced(currency: &str, minor_units: i64) -> ProductEvent {
        product::repriced(samples::money(currency, minor_units), None)
    }

    /// See `crate::samples`.
    pub(crate) fn samples() -> Vec<Sample> {
        vec![
            Sample::of("A-1", [created(false), repriced("EUR", 1999), repriced("USD", 5)]),
            Sample::of("A-1@w-1", [received(5), reserved("o-1", 3)]),
        ]
    }

    fn parts<P: Projection>(events: &[P::Event]) -> Vec<Part<P::Model>> {
        let stream = StreamId::new("product", "A-1");
        let mut view = P::View::default();
        for (n, event) in (1..).zip(events) {
            let recorded_at = Instant::from_micros(1_000_000 * n);
            P::fold(&mut view, event, &EventAt { stream: &stream, version: Version(n.unsigned_abs()), recorded_at });
        }
        P::render(&view, &stream)
    }

    fn found(events: &[ProductEvent]) -> Option<SearchedProduct> {
        let mut parts = parts::<Product>(events);
        assert!(parts.len() < 2);
        parts.pop().map(|p| p.message)
    }

    #[test]
    fn a_published_product_is_found_as_it_was_created_and_revised() {
        let revised = ProductRevised {
            sku: "A-1".into(),
            title: Some("Lamp II".into()),
            set_attributes: [("watt".to_owned(), "5".to_owned())].into(),
            removed_attributes: vec!["colour".to_owned()],
            gtins: vec!["96385074".into()],
            removed_gtins: vec!["4006381333931".into()],
            manufacturer_number: Some("LX-200".into()),
            language: Some(String::new()),
            ..Default::default()
        };
        let found = found(&[created(false), revised.into(), product::categorized("Home")]).expect("published");
        assert_eq!((found.title.as_str(), found.brand.as_str(), found.category.as_str()), ("Lamp II", "Lux", "Home"));
        assert_eq!(found.attributes, [("watt".to_owned(), "5".to_owned())].into());
        assert_eq!(
            (found.gtins.as_slice(), found.manufacturer_number.as_str(), found.language.as_str()),
            (["96385074".to_owned()].as_slice(), "LX-200", "")
        );
        assert_eq!(found.created_at.map(|t| t.seconds), Some(1), "a revision makes nothing newer");
    }

    #[test]
    fn a_draft_and_a_retired_product_are_not_found() {
        assert_eq!(found(&[created(true)]), None);
        assert!(found(&[created(true), product::published()]).is_some());
        assert_eq!(found(&[created(false), product::retired()]), None);
    }

    #[test]
    fn the_price_is_that_of_the_main_currency() {
        let price = |events: &[ProductEvent]| found(events).and_then(|p| p.price);
        assert_eq!(price(&[created(false), repriced("EUR", 1999)]), money("EUR", 1999));
        assert_eq!(price(&[created(false), repriced("USD", 5)]), money("EUR", 2999));
    }

    #[test]
    fn a_warehouse_tells_what_it_can_promise() {
        let parts = parts::<Stock>(&[received(5), reserved("o-1", 3)]);
        let [part] = parts.as_slice() else { panic!("one part") };
        assert_eq!((part.key.as_str(), part.part.as_str()), ("A-1", "stock/w-1"));
        assert_eq!(part.message.stock, [SearchedStock { warehouse: "w-1".into(), available: 2 }]);
    }
}
