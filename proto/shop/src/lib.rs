//! The shop's protobuf contract: messages, their JSON, message sets and checks, generated from the `.proto` files
//! beside this crate. Their comments are the documentation.

use std::sync::LazyLock;

mod cart_contents;
pub mod currency;
pub mod holds;
mod order_status;
mod owed;
pub mod pieces;
mod product;
#[cfg(feature = "samples")]
pub mod samples;

use daybook_proto::DescriptorPool;

mod generated {
    include!(concat!(env!("OUT_DIR"), "/daybook_generated.rs"));
}
pub use generated::shop::*;
pub use product::first_picture;

/// The encoded `FileDescriptorSet` of the shop's messages and all that they import, with their options: what a client
/// in another language, or a tool, needs to read everything that the shop says.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// [`DESCRIPTORS`], decoded once.
pub fn descriptors() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).expect("written by build.rs"));
    &POOL
}

#[cfg(test)]
mod json_mapping;

#[cfg(test)]
mod tests {
    use daybook_proto::CommandSet as _;
    use prost_types::Timestamp;

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

    /// By the rule, not by the field: every number of every command that is required.
    #[test]
    fn a_number_that_is_required_is_named_in_json_and_zero_is_written_out() {
        use inventory::v1::StockCommand;

        let told = |name: &str, body: &str| -> Vec<(String, String)> {
            let read = |all: Vec<daybook_proto::Violation>| all.into_iter().map(|v| (v.field, v.message)).collect();
            match name.starts_with("shop.catalog") {
                true => ProductCommand::from_json(name, body.as_bytes()).map_or_else(read, |c| read(c.violations())),
                false => StockCommand::from_json(name, body.as_bytes()).map_or_else(read, |c| read(c.violations())),
            }
        };
        let stock = r#""sku":"A","warehouse":"w","orderId":"o","reason":"r","#;
        for (name, before, field) in [
            ("catalog.v1.CreateProduct", r#"{"sku":"A","title":"t","price":{"currency":"EUR""#, "price.minorUnits"),
            ("catalog.v1.RepriceProduct", r#"{"sku":"A","price":{"currency":"JPY""#, "price.minorUnits"),
            (
                "catalog.v1.RepriceProduct",
                r#"{"sku":"A","price":{"currency":"EUR","minorUnits":5},"sale":{"endsAt":"2030-01-01T00:00:00Z""#,
                "sale.minorUnits",
            ),
            ("inventory.v1.AdjustStock", stock, "delta"),
            ("inventory.v1.CountStock", stock, "counted"),
            ("inventory.v1.SetReorderPoint", stock, "reorderPoint"),
        ] {
            let name = format!("shop.{name}");
            let whole = |number: &str| {
                let own = field.rsplit('.').next().expect("a name");
                let (before, end) = match before.strip_suffix(',') {
                    Some(fields) => {
                        let message = descriptors().get_message_by_name(&name).expect("it is described");
                        let has = |f: &&str| message.get_field_by_json_name(f.split('"').nth(1).unwrap_or_default()).is_some();
                        (format!("{{{}", fields.split(',').filter(has).collect::<Vec<_>>().join(",")), "}".to_owned())
                    }
                    None => (before.to_owned(), "}".repeat(before.matches('{').count() - before.matches('}').count())),
                };
                if number.is_empty() { format!("{before}{end}") } else { format!("{before},\"{own}\":{number}{end}") }
            };
            for missing in ["", "null"] {
                let all = told(&name, &whole(missing));
                assert!(all.len() == 1 && all[0].0 == field, "{name} {}: {all:?}", whole(missing));
                assert!(all[0].1.starts_with("is required: a whole number, ") && all[0].1.ends_with("; 0 is written out too"), "{all:?}");
            }
            for zero in ["0", "\"0\"", "0.0"] {
                assert_eq!(told(&name, &whole(zero)), [], "{name} {}", whole(zero));
            }
        }
        // All is told at once, of one field once.
        let all = told("shop.inventory.v1.ReserveStock", r#"{"sku":"a b","warehouse":"w"}"#);
        assert_eq!(all.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), ["quantity", "sku", "orderId"]);
        let all = told("shop.catalog.v1.CreateProduct", r#"{"sku":"A","price":{"currency":"usd"}}"#);
        assert_eq!(all.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), ["price.minorUnits", "title", "price.currency"]);
        assert!(all[2].1.contains("(perhaps USD), is \"usd\"") && all[2].1.contains(" more "), "{all:?}");
        // A value that can't be read stands alone, for the rest is not known.
        let all = told("shop.catalog.v1.CreateProduct", r#"{"sku":7,"price":{"currency":"usd"}}"#);
        assert_eq!(all.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), ["sku", "price.minorUnits"]);
        // Protobuf writes no zero: one that is not there is one.
        assert!(said(RepriceProduct { sku: "A-1".into(), price: money("EUR", 0), sale: None }).is_empty());
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
    fn a_name_is_kept_as_it_is_spelled_whatever_blanks_stand_around_it_and_however_it_is_composed() {
        let tidied = |brand: &str, title: &str, key: &str| {
            let attributes = [(key.to_owned(), "\u{a0}rot ".to_owned())].into();
            let mut command =
                ProductCommand::from(CreateProduct { brand: brand.into(), title: title.into(), attributes, ..Default::default() });
            assert_eq!(command.tidy(), []);
            command
        };
        assert_eq!(tidied("Acme\u{a0} Co ", " Cafe\u{301}\n", "Farbe "), tidied("Acme Co", "Café", "Farbe"));
        let mut twice = ProductCommand::from(CreateProduct {
            attributes: [("Farbe".to_owned(), "rot".to_owned()), (" Farbe".to_owned(), "blau".to_owned())].into(),
            ..Default::default()
        });
        assert_eq!(twice.tidy().into_iter().map(|v| v.field).collect::<Vec<_>>(), ["attributes[\"Farbe\"]"]);
    }

    /// By the rule, not by the field: every text of every command that is required, in every service.
    #[test]
    fn no_required_text_of_any_command_may_show_nothing() {
        use daybook_proto::{JsonValue, MessageSet as _};

        let mut checked = 0;
        let mut check = |type_name: &str, read: &dyn Fn(&[u8]) -> Vec<String>| {
            let message = descriptors().get_message_by_name(type_name).expect("it is described");
            for field in message.fields().filter(|f| f.kind() == prost_reflect::Kind::String && !f.is_list() && !f.is_map()) {
                let rules =
                    field.options().get_extension(&descriptors().get_extension_by_name("daybook.v1.rules").expect("imported")).into_owned();
                let flag = |name| rules.as_message().and_then(|m| m.get_field_by_name(name)?.as_bool()).unwrap_or_default();
                if !flag("required") && !flag("id") {
                    continue;
                }
                for nothing in ["", " \u{3000}", "\u{200b}", "\u{7}\u{9f}", "\u{202e}\u{ad}", "\u{e000}", "\u{378}", "\u{ffa0}"] {
                    let body = JsonValue::Object([(field.json_name().to_owned(), nothing.into())].into_iter().collect()).to_string();
                    assert!(read(body.as_bytes()).contains(&field.json_name().to_owned()), "{type_name} {} {nothing:?}", field.name());
                }
                checked += 1;
            }
        };
        let told = |mut all: Vec<daybook_proto::Violation>, more: Vec<daybook_proto::Violation>| {
            all.extend(more);
            all.into_iter().map(|v| v.field).collect::<Vec<_>>()
        };
        for name in ProductCommand::TYPES {
            check(name, &|body| {
                // Where a number is missing the rules are told with it.
                match ProductCommand::from_json(name, body) {
                    Ok(mut command) => told(command.tidy(), command.violations()),
                    Err(all) => told(all, Vec::new()),
                }
            });
        }
        for name in super::inventory::v1::StockCommand::TYPES {
            check(name, &|body| match super::inventory::v1::StockCommand::from_json(name, body) {
                Ok(mut command) => told(command.tidy(), command.violations()),
                Err(all) => told(all, Vec::new()),
            });
        }
        for name in super::cart::v1::CartCommand::TYPES {
            check(name, &|body| match super::cart::v1::CartCommand::from_json(name, body) {
                Ok(mut command) => told(command.tidy(), command.violations()),
                Err(all) => told(all, Vec::new()),
            });
        }
        for name in super::order::v1::OrderCommand::TYPES {
            check(name, &|body| match super::order::v1::OrderCommand::from_json(name, body) {
                Ok(mut command) => told(command.tidy(), command.violations()),
                Err(all) => told(all, Vec::new()),
            });
        }
        for name in super::shipping::v1::ShipmentCommand::TYPES {
            check(name, &|body| match super::shipping::v1::ShipmentCommand::from_json(name, body) {
                Ok(mut command) => told(command.tidy(), command.violations()),
                Err(all) => told(all, Vec::new()),
            });
        }
        assert!(checked > 45, "{checked}");
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
        for name in ["shop.catalog.v1.CreateProduct", "shop.cart.v1.Checkout", "shop.inventory.v1.StockState", "shop.read.v1.ProductPage"] {
            assert!(descriptors().get_message_by_name(name).is_some(), "{name}");
        }
    }
}
