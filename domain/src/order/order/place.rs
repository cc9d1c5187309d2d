//! The lookup that reads what the products of an order cost.

use std::sync::Arc;

use daybook_kernel::{Asks, EventAt, Instant, Lookup, PageError, PageKey, Pages, ServiceMessage};
use shop_proto::order::v1::*;
use shop_proto::read::v1::ProductPage;

/// The read model that shows products. A draft, a retired product and a SKU that nobody created have no page there.
const PAGES: &str = "product-pages";

/// What may be paid in a currency: of the install's settings.
pub type LimitsOfPayments = Arc<dyn Fn(&str) -> PaymentLimits + Send + Sync>;

/// Any payment may be made: the provider says what it does not take when it is asked.
pub fn any_payment() -> LimitsOfPayments {
    Arc::new(|_| PaymentLimits { taken: true, ..PaymentLimits::default() })
}

/// Reads price, tax class and limits of each product of an order that was opened: those that stand when it reads. And hands over what may be paid
/// in its currency, for the order knows no settings.
pub struct Place(LimitsOfPayments);

impl Place {
    /// With these limits of payments.
    pub fn new(limits: LimitsOfPayments) -> Self {
        Self(limits)
    }
}

impl Lookup for Place {
    const NAME: &'static str = "place";
    const RULE_VERSION: u32 = 2;
    type Event = OrderEvent;

    fn asks(event: &OrderEvent, at: &EventAt<'_>) -> Option<Asks> {
        let OrderEvent::OrderOpened(e) = event else { return None };
        let pages = e.lines.iter().map(|line| PageKey::new(PAGES, &line.sku)).collect();
        Some(Asks::of::<OrderCommand>(at.stream.key(), pages))
    }

    fn answer(&self, event: &OrderEvent, read: &Pages, now: Instant) -> Result<ServiceMessage, PageError> {
        let (lines, currency) = match event {
            OrderEvent::OrderOpened(e) => (e.lines.as_slice(), e.expected_total.as_ref().map_or("", |total| total.currency.as_str())),
            _ => (&[][..], ""),
        };
        let product = |line: &OrderedLine| {
            let page: Option<ProductPage> = read.page(PAGES, &line.sku)?;
            Ok(page.map_or_else(|| absent(&line.sku), |page| shown(page, currency, now)))
        };
        let products = lines.iter().map(product).collect::<Result<_, PageError>>()?;
        let payment_limits = Some((self.0)(currency));
        let command = PlaceOrder { order_id: event.order_id().to_owned(), products, payment_limits };
        Ok(ServiceMessage::of(&OrderCommand::from(command)))
    }
}

fn absent(sku: &str) -> ProductRead {
    ProductRead { sku: sku.to_owned(), ..Default::default() }
}

fn shown(page: ProductPage, currency: &str, now: Instant) -> ProductRead {
    ProductRead {
        found: true,
        // As the cart's page shows it.
        price: page.prices.get(currency).and_then(|price| price.at(&now.to_proto())),
        sku: page.sku,
        title: page.title,
        tax_class: page.tax_class,
        weight_grams: page.weight_grams,
        max_per_order: page.max_per_order,
        category: page.category,
    }
}

#[cfg(test)]
mod tests {
    use daybook_kernel::spec::SPEC_TIME;
    use daybook_kernel::{StreamId, Version};
    use daybook_proto::{CommandSet as _, MessageSet as _};
    use prost::Message as _;
    use shop_proto::catalog::v1::Sale;
    use shop_proto::samples::order::{from_minor_units, lamp, open, opened, ordered, place, placed};
    use shop_proto::samples::{at, money, product, sku};

    use super::*;

    fn asks(event: &OrderEvent) -> Option<Asks> {
        let stream = StreamId::new("order", "o-1");
        Place::asks(event, &EventAt { stream: &stream, version: Version(1), recorded_at: SPEC_TIME })
    }

    /// The lamp's page with this sale.
    fn page(sale: Option<Sale>) -> ProductPage {
        let create = product::create();
        ProductPage {
            sku: sku(),
            title: create.title,
            prices: [("EUR".to_owned(), product::price("EUR", 1999, sale)), ("USD".to_owned(), product::price("USD", 2100, None))].into(),
            tax_class: create.tax_class,
            weight_grams: create.weight_grams,
            max_per_order: create.max_per_order,
            category: create.category,
            ..Default::default()
        }
    }

    fn answer(event: &OrderEvent, pages: &[(&str, Option<ProductPage>)]) -> Result<PlaceOrder, PageError> {
        let mut read = Pages::default();
        for (sku, page) in pages {
            read.put(PageKey::new(PAGES, *sku), page.as_ref().map(ProductPage::encode_to_vec));
        }
        let limits = |currency: &str| from_minor_units(if currency == "EUR" { 50 } else { 70 });
        let message = Place::new(Arc::new(limits)).answer(event, &read, SPEC_TIME)?;
        assert_eq!(message.target.as_str(), "order/o-1");
        let command = OrderCommand::decode(message.type_name, &message.bytes).expect("a command of the order");
        assert_eq!(command.violations(), [], "the lane would reject it");
        let OrderCommand::PlaceOrder(mut command) = command else { panic!("another command") };
        let of_currency = match event {
            OrderEvent::OrderOpened(e) if e.expected_total.as_ref().is_some_and(|total| total.currency == "EUR") => 50,
            _ => 70,
        };
        assert_eq!(command.payment_limits.take(), Some(from_minor_units(of_currency)), "of the order's currency");
        Ok(command)
    }

    fn with(open: OpenOrder) -> OrderEvent {
        OrderOpened::from(&open).into()
    }

    #[test]
    fn an_order_that_is_opened_asks_for_the_page_of_each_line_and_nothing_else_asks() {
        let lines = vec![ordered("A-1", 2), ordered("B-2", 1)];
        let pages = vec![PageKey::new(PAGES, "A-1"), PageKey::new(PAGES, "B-2")];
        let asked = asks(&with(OpenOrder { lines, ..open() }));
        assert_eq!(asked, Some(Asks { service: "order", target: StreamId::new("order", "o-1"), pages }));
        assert_eq!(asks(&placed()), None);
    }

    #[test]
    fn what_was_read_is_what_the_pages_say_and_a_product_without_a_page_is_not_found() {
        assert_eq!(answer(&opened(), &[("A-1", Some(page(None)))]), Ok(place([lamp()])));
        let lines = vec![ordered("B-2", 1), ordered("A-1", 2)];
        let read = answer(&with(OpenOrder { lines, ..open() }), &[("A-1", Some(page(None))), ("B-2", None)]);
        assert_eq!(read, Ok(place([ProductRead { sku: "B-2".into(), ..Default::default() }, lamp()])));
        let not_asked = PageError::NotAsked(PageKey::new(PAGES, "A-1"));
        assert_eq!(answer(&opened(), &[]), Err(not_asked));
    }

    #[test]
    fn the_price_is_that_of_the_orders_currency() {
        let priced = |currency: &str| {
            let order = OpenOrder { expected_total: Some(money(currency, 1)), ..open() };
            let read = answer(&with(order), &[("A-1", Some(page(None)))]).expect("it is read");
            (read.products[0].found, read.products[0].price.clone())
        };
        assert_eq!(priced("USD"), (true, Some(money("USD", 2100))));
        assert_eq!(priced("GBP"), (true, None));
    }

    #[test]
    fn a_sale_counts_from_its_beginning_to_just_before_its_end() {
        let priced = |starts_at: Option<i64>, ends_at: Option<i64>| {
            let sale = Sale { minor_units: 1499, starts_at: starts_at.map(at), ends_at: ends_at.map(at) };
            let read = answer(&opened(), &[("A-1", Some(page(Some(sale))))]).expect("it is read");
            read.products[0].price.as_ref().map(|price| price.minor_units)
        };
        for covers in [(None, None), (Some(0), None), (Some(-1), Some(1)), (None, Some(1))] {
            assert_eq!(priced(covers.0, covers.1), Some(1499), "{covers:?}");
        }
        for covers_not in [(Some(1), None), (None, Some(0)), (Some(-9), Some(-1)), (Some(1), Some(2))] {
            assert_eq!(priced(covers_not.0, covers_not.1), Some(1999), "{covers_not:?}");
        }
    }
}
