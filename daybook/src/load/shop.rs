//! A product of the shop, as the query API shows it, and the commands that make it what its row says.

use std::time::{Duration, Instant, SystemTime};

use daybook_proto::{TextForm, canonical};
use prost::Message as _;
use reqwest::{Client, StatusCode};
use shop_catalogue::Product;
use shop_proto::catalog::v1::{CategorizeProduct, ProductCommand, RepriceProduct, ReviseProduct, Sale};
use shop_proto::read::v1::ProductPage;

use super::post::{FIRST_PAUSE, LAST_PAUSE, Unavailable, reason};

/// In place of a token: a page no older than what is stored when it is asked for.
pub(super) const STORED: &str = "stored";

/// The query API.
pub(super) struct Shop {
    client: Client,
    url: String,
    patience: Duration,
}

impl Shop {
    /// `patience`: how long one page may fail to come.
    pub(super) fn new(client: Client, url: &str, patience: Duration) -> Self {
        Self { client, url: url.trim_end_matches('/').to_owned(), patience }
    }

    /// The page of a product, at least as new as the token; none where none is shown: it was never created, is a draft, or is
    /// retired.
    ///
    /// # Errors
    /// When there is no answer in time, or this is no query API.
    pub(super) async fn page(&self, sku: &str, token: Option<&str>) -> Result<Option<ProductPage>, Unavailable> {
        let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
        let url = format!("{}/v1/product-pages/{sku}", self.url);
        loop {
            let mut request = self.client.get(&url).header("Accept", "application/x-protobuf");
            if let Some(token) = token {
                request = request.header("Consistency-Token", token).header("Prefer", "wait=20");
            }
            let last = match request.send().await {
                Ok(response) => {
                    let status = response.status();
                    match (status, response.bytes().await) {
                        (StatusCode::OK, Ok(body)) => match ProductPage::decode(body) {
                            Ok(page) => return Ok(Some(page)),
                            Err(_) => return Err(self.wrong("a page that this build can't read")),
                        },
                        (StatusCode::NOT_FOUND, Ok(_)) => return Ok(None),
                        (StatusCode::TOO_MANY_REQUESTS, _) => status.to_string(),
                        (status, _) if status.is_server_error() => status.to_string(),
                        (status, Ok(_)) => return Err(self.wrong(&status.to_string())),
                        (_, Err(error)) => reason(&error),
                    }
                }
                Err(error) => reason(&error),
            };
            if begun.elapsed().saturating_add(pause) > self.patience {
                return Err(Unavailable(format!("{url} gave no page in {} s ({last})", self.patience.as_secs())));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    fn wrong(&self, what: &str) -> Unavailable {
        Unavailable(format!("{} answered {what}: is it a Daybook query API of this build? --queries-url names it", self.url))
    }
}

/// The commands that make a product what its row says, in order; none when it is that. A field that the row does not name stays.
pub(super) fn differences(page: &ProductPage, product: &Product) -> Vec<ProductCommand> {
    let (wanted, said) = (&product.create, &product.said);
    let differs = |is_said: bool, form, has: &str, wants: &str| (is_said && !same(form, has, wants)).then(|| wants.to_owned());
    let mut commands = Vec::new();
    let mut revise = ReviseProduct {
        sku: wanted.sku.clone(),
        title: differs(said.title, TextForm::Trimmed, &page.title, &wanted.title),
        description: differs(said.description, TextForm::Trimmed, &page.description, &wanted.description),
        brand: differs(said.brand, TextForm::Name, &page.brand, &wanted.brand),
        manufacturer_number: differs(said.manufacturer_number, TextForm::Name, &page.manufacturer_number, &wanted.manufacturer_number),
        language: differs(said.language, TextForm::Language, &page.language, &wanted.language),
        ..Default::default()
    };
    if said.gtins {
        revise.gtins = without(&wanted.gtins, &page.gtins);
        revise.removed_gtins = without(&page.gtins, &wanted.gtins);
    }
    if said.attributes {
        let of = |name: &str| page.attributes.iter().find(|(has, _)| same(TextForm::Name, has, name)).map(|(_, value)| value);
        let is_new = |(name, value): &(&String, &String)| of(name).is_none_or(|has| !same(TextForm::Trimmed, has, value));
        revise.set_attributes = wanted.attributes.iter().filter(is_new).map(|(n, v)| (n.clone(), v.clone())).collect();
        let is_gone = |name: &&String| !wanted.attributes.keys().any(|wants| same(TextForm::Name, wants, name));
        revise.removed_attributes = page.attributes.keys().filter(is_gone).cloned().collect();
    }
    if revise != (ReviseProduct { sku: wanted.sku.clone(), ..Default::default() }) {
        commands.push(revise.into());
    }
    if let Some(price) = wanted.price.as_ref().filter(|_| said.price) {
        let has = page.prices.get(&price.currency);
        if has.and_then(|p| p.list.as_ref()).is_none_or(|list| list.minor_units != price.minor_units) {
            // A row says nothing of a sale: one that goes on stays, as long as it is one.
            let sale = has.and_then(|p| p.sale).filter(|sale| sale.minor_units < price.minor_units && !is_over(sale));
            commands.push(RepriceProduct { sku: wanted.sku.clone(), price: Some(price.clone()), sale }.into());
        }
    }
    if said.category && !same(TextForm::Levels, &page.category, &wanted.category) {
        commands.push(CategorizeProduct { sku: wanted.sku.clone(), category: wanted.category.clone() }.into());
    }
    commands
}

fn is_over(sale: &Sale) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs().cast_signed());
    sale.ends_at.as_ref().is_some_and(|end| end.seconds <= now)
}

/// Numbers that are in one list alone; zeros before one make no other number of it.
fn without(some: &[String], others: &[String]) -> Vec<String> {
    let plain = |gtin: &String| gtin.trim_start_matches('0').to_owned();
    some.iter().filter(|gtin| !others.iter().any(|other| plain(other) == plain(gtin))).cloned().collect()
}

/// Whether two texts are the same to the shop, which keeps the canonical form of a field's texts.
fn same(form: TextForm, a: &str, b: &str) -> bool {
    a == b || canonical(a, form) == canonical(b, form)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use shop_catalogue::Said;
    use shop_proto::catalog::v1::{CreateProduct, Price};
    use shop_proto::common::v1::Money;

    use super::*;

    const ALL: Said = Said {
        title: true,
        price: true,
        description: true,
        brand: true,
        category: true,
        gtins: true,
        manufacturer_number: true,
        language: true,
        attributes: true,
    };

    fn money(minor_units: i64) -> Option<Money> {
        Some(Money { currency: "EUR".into(), minor_units })
    }

    fn page() -> ProductPage {
        ProductPage {
            sku: "A".into(),
            title: "Café lamp".into(),
            description: "d".into(),
            brand: "Lux".into(),
            category: "Home > Lamps".into(),
            gtins: vec!["4006381333931".into()],
            manufacturer_number: "LX-1".into(),
            language: "de".into(),
            prices: BTreeMap::from([(
                "EUR".into(),
                Price { list: money(100), sale: Some(Sale { minor_units: 80, ..Default::default() }) },
            )]),
            attributes: BTreeMap::from([("colour".into(), "red".into()), ("old".into(), "x".into())]),
            ..Default::default()
        }
    }

    fn row(said: Said) -> Product {
        let create = CreateProduct {
            sku: "A".into(),
            title: "Cafe\u{301} lamp\u{a0}".into(),
            description: "d".into(),
            brand: "Lux ".into(),
            category: "Home>Lamps".into(),
            gtins: vec!["04006381333931".into()],
            manufacturer_number: "LX-1".into(),
            language: "de".into(),
            price: money(100),
            attributes: BTreeMap::from([("colour".into(), "red".into()), ("old".into(), "x".into())]),
            ..Default::default()
        };
        Product { create, shortened: 0, bad_gtins: 0, said }
    }

    #[test]
    fn what_is_the_same_in_another_form_is_left_alone() {
        assert_eq!(differences(&page(), &row(ALL)), []);
    }

    #[test]
    fn only_what_differs_is_sent() {
        let mut product = row(ALL);
        product.create.title = "Another lamp".into();
        product.create.description = String::new();
        product.create.gtins = vec!["96385074".into()];
        product.create.language = String::new();
        product.create.price = money(90);
        product.create.category = "Home > Lights".into();
        product.create.attributes = BTreeMap::from([("colour".into(), "blue".into()), ("new".into(), "y".into())]);
        let sku = || "A".to_owned();
        let revise = ReviseProduct {
            sku: sku(),
            title: Some("Another lamp".into()),
            description: Some(String::new()),
            language: Some(String::new()),
            gtins: vec!["96385074".into()],
            removed_gtins: vec!["4006381333931".into()],
            set_attributes: BTreeMap::from([("colour".into(), "blue".into()), ("new".into(), "y".into())]),
            removed_attributes: vec!["old".into()],
            ..Default::default()
        };
        let sale = Some(Sale { minor_units: 80, ..Default::default() });
        let expected: [ProductCommand; 3] = [
            revise.into(),
            RepriceProduct { sku: sku(), price: money(90), sale }.into(),
            CategorizeProduct { sku: sku(), category: "Home > Lights".into() }.into(),
        ];
        assert_eq!(differences(&page(), &product), expected);
    }

    #[test]
    fn what_a_row_does_not_say_stays() {
        let mut product = row(Said { title: true, price: true, ..Said::default() });
        product.create = CreateProduct { sku: "A".into(), title: "Café lamp".into(), price: money(100), ..Default::default() };
        assert_eq!(differences(&page(), &product), []);
        // Nor is what a later row says anew.
        product.create = CreateProduct { sku: "A".into(), title: "Another".into(), price: money(70), ..Default::default() };
        product.said = Said::default();
        assert_eq!(differences(&page(), &product), []);
    }

    #[test]
    fn a_sale_ends_with_its_period_or_where_it_is_none_any_more_and_another_currency_is_added() {
        let reprice = |page: &ProductPage, price: Option<Money>| {
            let mut product = row(ALL);
            product.create.price = price;
            match differences(page, &product).pop() {
                Some(ProductCommand::RepriceProduct(reprice)) => reprice,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(reprice(&page(), money(70)).sale, None);
        let mut over = page();
        let sale = over.prices.get_mut("EUR").expect("there").sale.as_mut().expect("there");
        // At the very beginning of time.
        sale.ends_at = Some(Default::default());
        assert_eq!(reprice(&over, money(90)).sale, None);
        let yen = Some(Money { currency: "JPY".into(), minor_units: 1_980 });
        assert_eq!(reprice(&page(), yen.clone()).price, yen);
    }
}
