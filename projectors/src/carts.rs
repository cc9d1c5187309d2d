//! `carts`: what a shopper means to buy. The lines come from the cart's stream; what the shop says of their products is filled in when a
//! cart is served, and added up then.

use daybook_kernel::{EventAt, Fill, Finished, Instant, Part, Projection, ReadModel, StreamId};
use shop_proto::cart::v1::{CartEvent, CartLine};
use shop_proto::common::v1::Money;
use shop_proto::first_picture;
use shop_proto::read::v1::{CartLineParts, CartPage, CartPageLine, CartParts, CartStatus, CartView};

const CART: &str = "cart";

pub(crate) fn read_model() -> ReadModel {
    ReadModel::of::<CartParts>("carts", Some(CART)).with::<Carts>().filled(PRODUCTS).finished(finish)
}

/// A fold never looks sideways: what a product costs is put to a line when it is shown.
const PRODUCTS: Fill = Fill { items: "lines", by: "sku", model: "product-pages", parts: "" };

struct Carts;

impl Projection for Carts {
    type Event = CartEvent;
    type View = CartView;
    type Model = CartParts;

    fn fold(view: &mut CartView, event: &CartEvent, at: &EventAt<'_>) {
        event.cart_id().clone_into(&mut view.cart_id);
        view.version = at.version.0;
        view.updated_at = Some(at.recorded_at.to_proto());
        view.contents.get_or_insert_default().apply(event);
        if let CartEvent::CartClaimed(e) = event {
            view.owner.clone_from(&e.owner);
        }
    }

    fn render(view: &CartView, stream: &StreamId) -> Vec<Part<CartParts>> {
        let Some(contents) = &view.contents else { return Vec::new() };
        let status = match &contents.order {
            _ if !contents.into.is_empty() => CartStatus::Merged,
            Some(_) => CartStatus::CheckedOut,
            None => CartStatus::Open,
        };
        let lines = contents.order.as_ref().map_or(&contents.lines, |order| &order.lines);
        let line = |line: &CartLine| CartLineParts { sku: line.sku.clone(), quantity: line.quantity, ..Default::default() };
        let message = CartParts {
            cart_id: view.cart_id.clone(),
            owner: view.owner.clone(),
            status: status.into(),
            lines: lines.iter().map(line).collect(),
            order_id: contents.order.as_ref().map(|order| order.order_id.clone()).unwrap_or_default(),
            into: contents.into.clone(),
            version: view.version,
            updated_at: view.updated_at,
        };
        vec![Part { key: stream.key().to_owned(), part: CART.to_owned(), message }]
    }

    fn keys(view: &CartView, stream: &StreamId, tell: &mut dyn FnMut(&str)) {
        if view.contents.is_some() {
            tell(stream.key());
        }
    }
}

/// The page of a cart at a time: prices change by themselves where a sale begins or ends.
fn finish(cart: CartParts, now: Instant) -> Finished<CartPage> {
    let currency = cart.lines.iter().find_map(|line| line.price.as_ref()).map(|price| price.currency.clone()).unwrap_or_default();
    let price = |line: &CartLineParts| line.price.as_ref().and_then(|_| line.prices.get(&currency)).cloned();
    let ends = cart.lines.iter().filter_map(|line| price(line)?.changes_after(&now.to_proto())).map(|at| Instant::from_proto(&at));
    let until = ends.min();
    let money = |minor_units: i64| Money { currency: currency.clone(), minor_units };
    let line = |line: &CartLineParts| {
        let price = price(line).and_then(|price| price.at(&now.to_proto()));
        let total = price.as_ref().and_then(|price| price.minor_units.checked_mul(line.quantity.into()));
        let available = line.stock.iter().fold(0_u32, |sum, stock| sum.saturating_add(stock.available));
        CartPageLine {
            sku: line.sku.clone(),
            quantity: line.quantity,
            available: if price.is_some() { available } else { 0 },
            price,
            title: line.title.clone(),
            image: first_picture(&line.media),
            total: total.map(money),
        }
    };
    let lines: Vec<CartPageLine> = cart.lines.iter().map(line).collect();
    let totals = || lines.iter().filter_map(|line| line.total.as_ref());
    let sum = totals().try_fold(0_i64, |sum, total| sum.checked_add(total.minor_units));
    let total = sum.filter(|_| totals().next().is_some()).map(money);
    let message = CartPage {
        cart_id: cart.cart_id,
        status: cart.status,
        complete: sum.is_some() && lines.iter().all(|line| line.total.is_some()),
        lines,
        total,
        order_id: cart.order_id,
        into: cart.into,
        version: cart.version,
        updated_at: cart.updated_at,
    };
    Finished { message, until }
}

#[cfg(test)]
pub(crate) use spec::samples;

#[cfg(test)]
mod spec {
    use daybook_kernel::Version;
    use shop_proto::cart::v1::CartClaimed;
    use shop_proto::catalog::v1::{Media, MediaKind, Price, Sale};
    use shop_proto::read::v1::StockLine;
    use shop_proto::samples::cart::{CART as ID, added, checked_out, closed, line, merged, reopened};
    use shop_proto::samples::product::{picture, price};
    use shop_proto::samples::{at, money, with};

    use super::*;
    use crate::merging::Sample;

    fn claimed() -> CartEvent {
        CartClaimed { cart_id: ID.into(), owner: "g-1".into() }.into()
    }

    fn ordered() -> CartEvent {
        checked_out("o-1", &[line("A-1", 2)]).into()
    }

    /// See `crate::samples`.
    pub(crate) fn samples() -> Vec<Sample> {
        vec![Sample::of(ID, [claimed(), added(2), ordered(), merged("k-2", &[])]), Sample::of("k-2", [with(&added(1), "cart_id", "k-2")])]
    }

    fn parts(events: &[CartEvent]) -> CartParts {
        let stream = StreamId::new("cart", ID);
        let mut view = CartView::default();
        for (n, event) in (1..).zip(events) {
            let at = EventAt { stream: &stream, version: Version(n), recorded_at: Instant::from_micros(n.cast_signed() * 1_000_000) };
            Carts::fold(&mut view, event, &at);
        }
        Carts::render(&view, &stream).remove(0).message
    }

    fn shown(events: &[CartEvent]) -> (CartStatus, Vec<(String, u32)>, String, String) {
        let page = parts(events);
        let lines = page.lines.iter().map(|line| (line.sku.clone(), line.quantity)).collect();
        (page.status(), lines, page.order_id, page.into)
    }

    #[test]
    fn a_cart_shows_its_lines_or_those_of_its_order() {
        let lamps = |n| vec![("A-1".to_owned(), n)];
        let none = String::new;
        assert_eq!(shown(&[added(2), added(1)]), (CartStatus::Open, lamps(3), none(), none()));
        assert_eq!(shown(&[added(2), ordered()]), (CartStatus::CheckedOut, lamps(2), "o-1".into(), none()));
        assert_eq!(shown(&[added(2), ordered(), merged("k-2", &[])]), (CartStatus::Merged, lamps(2), "o-1".into(), "k-2".into()));
        assert_eq!(shown(&[added(2), ordered(), closed("o-1")]), (CartStatus::Open, vec![], none(), none()));
        assert_eq!(shown(&[added(2), ordered(), reopened("o-1", &[line("A-1", 2)])]), (CartStatus::Open, lamps(2), none(), none()));
        assert_eq!(shown(&[added(2), merged("k-2", &[line("A-1", 2)])]), (CartStatus::Merged, vec![], none(), "k-2".into()));
    }

    #[test]
    fn a_cart_says_whose_it_is_and_when_it_changed() {
        let page = parts(&[claimed(), added(2)]);
        assert_eq!((page.owner.as_str(), page.version, page.updated_at.map(|at| at.seconds)), ("g-1", 2, Some(2)));
    }

    /// A line of a product with these prices, the first one its main one, of which eight pieces are to be had in two warehouses.
    fn sold(sku: &str, quantity: u32, prices: &[Price]) -> CartLineParts {
        let stock = |available| StockLine { available, ..Default::default() };
        CartLineParts {
            sku: sku.into(),
            quantity,
            title: format!("Title of {sku}"),
            price: prices.first().and_then(|price| price.list.clone()),
            prices: prices.iter().map(|price| (price.list.clone().unwrap_or_default().currency, price.clone())).collect(),
            media: vec![Media { kind: MediaKind::Document.into(), ..picture("https://a/0.pdf", "") }, picture("https://a/1.jpg", "")],
            stock: vec![stock(5), stock(3)],
        }
    }

    fn page(lines: Vec<CartLineParts>, seconds: i64) -> Finished<CartPage> {
        finish(CartParts { lines, ..Default::default() }, Instant::from_proto(&at(seconds)))
    }

    #[test]
    fn lines_show_what_their_products_pages_say_and_are_added_up() {
        let Finished { message: page, until } =
            page(vec![sold("A", 2, &[price("EUR", 1999, None)]), sold("B", 3, &[price("EUR", 5, None)])], 0);
        let shown = &page.lines[0];
        assert_eq!((shown.title.as_str(), shown.image.as_str(), shown.available), ("Title of A", "https://a/1.jpg", 8));
        assert_eq!((shown.price.clone(), shown.total.clone()), (Some(money("EUR", 1999)), Some(money("EUR", 3998))));
        assert_eq!((page.total, page.complete, until), (Some(money("EUR", 4013)), true, None));
    }

    #[test]
    fn a_product_that_is_not_sold_is_left_out_of_the_total() {
        let gone = CartLineParts { sku: "B".into(), quantity: 1, stock: sold("B", 1, &[]).stock, ..Default::default() };
        let dollars = sold("C", 1, &[price("USD", 7, None)]);
        let both = sold("D", 1, &[price("USD", 7, None), price("EUR", 6, None)]);
        let page = page(vec![gone, sold("A", 1, &[price("EUR", 10, None)]), dollars, both], 0).message;
        let lines: Vec<_> = page.lines.iter().map(|line| (line.sku.as_str(), line.price.clone(), line.available)).collect();
        assert_eq!(
            lines,
            [("B", None, 0), ("A", Some(money("EUR", 10)), 8), ("C", None, 0), ("D", Some(money("EUR", 6)), 8)],
            "the cart's currency is that of its first line that is sold"
        );
        assert_eq!((page.total, page.complete), (Some(money("EUR", 16)), false));
    }

    #[test]
    fn an_empty_cart_costs_nothing_in_no_currency() {
        let page = page(vec![], 0).message;
        assert_eq!((page.total, page.complete), (None, true));
    }

    #[test]
    fn what_costs_nothing_is_counted_and_what_cannot_be_counted_is_not() {
        let free = page(vec![sold("A", 3, &[price("EUR", 0, None)])], 0).message;
        assert_eq!((free.total, free.complete), (Some(money("EUR", 0)), true));
        let much = page(vec![sold("A", 2, &[price("EUR", i64::MAX, None)])], 0).message;
        assert_eq!((much.lines[0].total.clone(), much.total, much.complete), (None, None, false));
        let one = || sold("A", 1, &[price("EUR", i64::MAX, None)]);
        let sum = page(vec![one(), one()], 0).message;
        assert_eq!((sum.lines[0].total.clone(), sum.total, sum.complete), (Some(money("EUR", i64::MAX)), None, false));
    }

    #[test]
    fn a_sale_counts_while_its_period_runs_and_says_when_it_changes() {
        let sale = Sale { minor_units: 6, starts_at: Some(at(10)), ends_at: Some(at(20)) };
        let seen = |seconds| {
            let Finished { message, until } = page(vec![sold("A", 2, &[price("EUR", 10, Some(sale))])], seconds);
            (message.total.map(|total| total.minor_units), until.map(|until| until.to_proto()))
        };
        assert_eq!(seen(9), (Some(20), Some(at(10))));
        assert_eq!(seen(10), (Some(12), Some(at(20))));
        assert_eq!(seen(19), (Some(12), Some(at(20))));
        assert_eq!(seen(20), (Some(20), None));
    }
}
