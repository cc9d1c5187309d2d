//! The shop's protobuf contract: messages, their JSON, message sets and checks, generated from the `.proto` files
//! beside this crate. Their comments are the documentation.

use std::sync::LazyLock;

pub mod currency;

use daybook_proto::DescriptorPool;

mod generated {
    include!(concat!(env!("OUT_DIR"), "/daybook_generated.rs"));
}
pub use generated::shop::{catalog, common, inventory, read};

/// The encoded `FileDescriptorSet` of the shop's messages and all that they import, with their options: what a client
/// in another language, or a tool, needs to read everything that the shop says.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// [`DESCRIPTORS`], decoded once.
pub fn descriptors() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).expect("written by build.rs"));
    &POOL
}

#[cfg(test)]
mod tests {
    use daybook_proto::CommandSet as _;
    use pbjson_types::Timestamp;

    use super::catalog::v1::{CreateProduct, ProductCommand, RepriceProduct, Sale};
    use super::common::v1::Money;
    use super::inventory::v1::InsufficientStock;
    use super::*;

    fn said(command: impl Into<ProductCommand>) -> Vec<String> {
        command.into().violations().into_iter().map(|v| v.field).collect()
    }

    fn money(currency: &str, minor_units: i64) -> Option<Money> {
        Some(Money { currency: currency.into(), minor_units })
    }

    #[test]
    fn a_price_may_be_zero_never_negative_and_only_in_currencies_of_iso_4217() {
        let reprice = |price| RepriceProduct { sku: "A-1".into(), price, sale: None };
        assert!(said(reprice(money("EUR", 0))).is_empty());
        assert_eq!(said(reprice(money("EUR", -1))), ["price.minorUnits"]);
        for fancy in ["", "eur", "EURO", "XXX", "ABC"] {
            assert_eq!(said(reprice(money(fancy, 1))), ["price.currency"], "{fancy:?}");
        }
        assert_eq!(said(reprice(None)), ["price"]);
    }

    #[test]
    fn an_instant_that_json_could_not_tell_is_no_instant() {
        let sale = |seconds, nanos| RepriceProduct {
            sku: "A-1".into(),
            price: money("EUR", 1),
            sale: Some(Sale { minor_units: 0, starts_at: Some(Timestamp { seconds, nanos }), ends_at: None }),
        };
        assert!(said(sale(0, 0)).is_empty());
        assert_eq!(said(sale(i64::MAX, -1)), ["sale.startsAt.seconds", "sale.startsAt.nanos"]);
    }

    #[test]
    fn an_empty_command_names_each_field_that_it_lacks() {
        assert_eq!(said(CreateProduct::default()), ["sku", "title", "price"]);
    }

    #[test]
    fn a_refusal_tells_its_zeros() {
        let json = daybook_proto::json_of(&InsufficientStock { requested: 2, available: 0 });
        assert_eq!(json.to_string(), r#"{"available":0,"requested":2}"#);
    }

    #[test]
    fn the_descriptors_hold_every_package_of_the_shop() {
        for name in ["shop.catalog.v1.CreateProduct", "shop.inventory.v1.StockState", "shop.read.v1.ProductPage"] {
            assert!(descriptors().get_message_by_name(name).is_some(), "{name}");
        }
    }
}
