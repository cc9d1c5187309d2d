//! Commands for a product.

use daybook_kernel::{digest, ids};
use daybook_proto::{CommandSet as _, MessageSet};
use shop_catalogue::Product;
use shop_proto::catalog::v1::{CreateProduct, ProductCommand};
use shop_proto::common::v1::Money;
use shop_proto::inventory::v1::{ReceiveStock, StockCommand};
use uuid::Uuid;

/// A command, ready to be posted.
#[derive(Clone, Debug)]
pub(super) struct Post {
    /// The command as URLs name it, for example `create-product`.
    pub(super) name: &'static str,
    service: &'static str,
    /// The same for the same command, whenever and wherever it is made: a load that is repeated finds its own results.
    pub(super) key: Uuid,
    /// The version that the stream must have.
    pub(super) if_match: Option<u64>,
    /// Protobuf.
    pub(super) body: Vec<u8>,
}

impl Post {
    /// `/v1/<service>/<command>`.
    pub(super) fn path(&self) -> String {
        format!("/v1/{}/{}", self.service, self.name)
    }

    /// `create-product`. Its key holds a digest of the whole command: a row that has changed is another attempt, and is
    /// refused as one whose SKU is taken.
    pub(super) fn create(product: &Product) -> Self {
        let command = ProductCommand::from(product.create.clone());
        Self::new("create-product", &product.create.sku, &command, None)
    }

    /// A change of what the product was at `version`. The version is a part of the key: a price that goes back and forth is set
    /// each time.
    pub(super) fn change(sku: &str, command: &ProductCommand, version: u64) -> Self {
        let name = match command {
            ProductCommand::ReviseProduct(_) => "revise-product",
            ProductCommand::RepriceProduct(_) => "reprice-product",
            _ => "categorize-product",
        };
        Self::new(name, sku, command, Some(version))
    }

    /// `receive-stock`: 1 to 200 pieces, as the SKU and the warehouse have it.
    pub(super) fn receive(sku: &str, warehouse: &str) -> Self {
        let digest = digest::sha256(format!("{sku}@{warehouse}").as_bytes());
        let quantity = u32::from(u16::from_be_bytes([digest[0], digest[1]])) % 200 + 1;
        let receive = ReceiveStock {
            sku: sku.to_owned(),
            warehouse: warehouse.to_owned(),
            quantity,
            reference: "daybook load catalogue".to_owned(),
            ..Default::default()
        };
        Self::new("receive-stock", sku, &StockCommand::from(receive), None)
    }

    /// The key: UUIDv5 of the command's type, its SKU, the version that it is for, and a digest of its encoding, which is the
    /// same on every machine.
    fn new<C: MessageSet>(name: &'static str, sku: &str, command: &C, if_match: Option<u64>) -> Self {
        let body = command.encode_to_vec();
        let version = if_match.map(|version| format!("{version}/")).unwrap_or_default();
        let mut named = format!("load/{}/{sku}/{version}", command.type_name()).into_bytes();
        named.extend_from_slice(&digest::sha256(&body));
        Self { name, service: C::SERVICE, key: Uuid::new_v5(&ids::NAMESPACE, &named), if_match, body }
    }
}

/// The fault of a warehouse or a currency, before anything is sent under it.
pub(super) fn fault_of_settings(warehouse: Option<&str>, currency: Option<&str>) -> Option<String> {
    let receive = ReceiveStock { sku: "A".into(), warehouse: warehouse.unwrap_or("w").to_owned(), quantity: 1, ..Default::default() };
    let create = CreateProduct {
        sku: "A".into(),
        title: "A".into(),
        price: Some(Money { currency: currency.unwrap_or("EUR").to_owned(), minor_units: 0 }),
        ..Default::default()
    };
    let violations = [StockCommand::from(receive).violations(), ProductCommand::from(create).violations()].concat();
    violations.first().map(|v| match v.field.as_str() {
        "price.currency" => format!("--currency {}", v.message),
        _ => format!("--{} {}", v.field, v.message),
    })
}

#[cfg(test)]
mod tests {
    use shop_proto::catalog::v1::RepriceProduct;

    use super::*;

    fn product(minor_units: i64) -> Product {
        let price = Some(Money { currency: "EUR".into(), minor_units });
        let create = CreateProduct { sku: "392".into(), title: "Toner".into(), price, ..Default::default() };
        Product { create, shortened: 0, bad_gtins: 0, said: Default::default() }
    }

    #[test]
    fn the_same_command_has_the_same_key_and_a_changed_one_another() {
        let key = |minor_units| Post::create(&product(minor_units)).key;
        assert_eq!(key(4_995), key(4_995));
        assert_ne!(key(4_995), key(4_996));
        let reprice = ProductCommand::from(RepriceProduct { sku: "392".into(), price: product(1).create.price, sale: None });
        let at = |version| Post::change("392", &reprice, version);
        assert_eq!(at(3).key, at(3).key);
        assert_ne!(at(3).key, at(5).key, "the same price again, after another, is another attempt");
        assert_eq!((at(3).path().as_str(), at(3).if_match), ("/v1/catalog/reprice-product", Some(3)));
    }

    #[test]
    fn the_stock_of_a_product_is_the_same_every_time_and_within_bounds() {
        let receive = Post::receive("392", "w-1");
        assert_eq!(receive.key, Post::receive("392", "w-1").key, "it does not come again because the product's text changed");
        assert_ne!(receive.key, Post::receive("392", "w-2").key);
        let StockCommand::ReceiveStock(command) = StockCommand::decode("shop.inventory.v1.ReceiveStock", &receive.body).expect("a command")
        else {
            panic!("another command")
        };
        assert_eq!(command.warehouse, "w-1");
        assert!((1..=200).contains(&command.quantity));
    }

    #[test]
    fn settings_are_checked_before_anything_is_sent() {
        assert_eq!(fault_of_settings(Some("w-1"), Some("EUR")), None);
        assert!(fault_of_settings(Some("w 1"), None).expect("bad").starts_with("--warehouse"));
        assert!(fault_of_settings(None, Some("EURO")).expect("bad").starts_with("--currency"));
    }
}
