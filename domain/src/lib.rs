//! The shop: a folder a service, a file an aggregate. Pure: what a command leads to, and what an event means.
//!
//! A new aggregate is one `.proto` file, one file here, and one line in the list of aggregates; a new reactor, lookup
//! or rule of deadlines is a function or two, and one line in its list.

use std::sync::Arc;

use daybook_kernel::{Aggregate, ErasedDeadlines, ErasedLookup, ErasedReactor, Wait};

/// The list: a new aggregate is a file in its service's folder, and a line here.
macro_rules! aggregates {
    ($($(#[$doc:meta])* $service:ident { $($file:ident::$aggregate:ident),* $(,)? })*) => {
        $(
            $(#[$doc])*
            pub mod $service {
                $(
                    #[allow(clippy::module_inception, reason = "a service is often named as its first aggregate is")]
                    mod $file;
                    pub use $file::*;
                )*
            }
        )*

        /// Every aggregate of the shop.
        pub fn aggregates() -> Vec<Arc<dyn Aggregate>> {
            vec![$($(<dyn Aggregate>::of::<$service::$aggregate>(),)*)*]
        }
    };
}

aggregates! {
    /// Service `catalog`: what the shop sells, and what it costs.
    catalog {
        product::Product,
    }
    /// Service `inventory`: what lies where, and for whom.
    inventory {
        stock::Stock,
        reorder::Reorder,
        warehouse::Warehouse,
        allocation::Allocation,
    }
    /// Service `cart`: what shoppers mean to buy.
    cart {
        cart::Cart,
        wishlist::Wishlist,
    }
    /// Service `customer`: who buys, and how to reach them.
    customer {
        customer::Customer,
        email::Email,
    }
    /// Service `order`: the way from a cart to goods at somebody's door.
    order {
        order::Order,
    }
    /// Service `payment`: the money of orders, at a payment provider.
    payment {
        payment::Payment,
    }
    /// Service `shipping`: what leaves the warehouses, and what becomes of it.
    shipping {
        shipment::Shipment,
    }
}

/// The list: a new reactor is a function, and a line here.
macro_rules! reactors {
    ($($reactor:ty),* $(,)?) => {
        /// Every reactor of the shop.
        pub fn reactors() -> Vec<Arc<dyn ErasedReactor>> {
            vec![$(<dyn ErasedReactor>::of::<$reactor>()),*]
        }
    };
}

reactors! {
    inventory::Reordering,
    inventory::Holding,
    inventory::Answering,
    inventory::AllocationAnswers,
    customer::EmailClaims,
    customer::EmailAnswers,
    cart::Merging,
    cart::Moving,
    cart::CheckingOut,
    order::ToCart,
    order::ToAllocation,
    order::ToPayment,
    order::ToShipments,
    order::ToStocks,
    payment::PaymentAnswers,
    shipping::ShipmentAnswers,
}

/// Every lookup of the shop: a new one is two functions, and a line here. `limits`: what may be paid, as the install's settings say.
pub fn lookups(limits: order::LimitsOfPayments) -> Vec<Arc<dyn ErasedLookup>> {
    vec![<dyn ErasedLookup>::of(order::Place::new(limits)), <dyn ErasedLookup>::of(order::Allocate)]
}

/// The list: a new rule of deadlines is a function or two, and a line here.
macro_rules! deadlines {
    ($($deadlines:ty),* $(,)?) => {
        /// Every rule of deadlines of the shop.
        pub fn deadlines() -> Vec<Arc<dyn ErasedDeadlines>> {
            vec![$(<dyn ErasedDeadlines>::of::<$deadlines>()),*]
        }
    };
}

deadlines! {
    order::OrderDeadlines,
    inventory::Reservations,
    cart::Carts,
    payment::PaymentDeadlines,
}

/// The times that the shop's processes wait: an install may set others.
pub fn waits() -> Vec<Wait> {
    [&order::WAITS[..], &payment::WAITS[..]].concat()
}

#[cfg(test)]
mod any;
#[cfg(test)]
mod search;

#[cfg(test)]
mod tests {
    use daybook_kernel::Registry;

    use super::*;

    /// The bodies that `contract.md` promises to understand.
    #[test]
    fn the_contracts_examples_are_commands() {
        let registry = Registry::new(aggregates()).expect("no name stands twice");
        for (service, command, json, stream) in [
            (
                "catalog",
                "create-product",
                r#"{"sku":"A-1","title":"…","description":"…","brand":"…","category":"…","price":{"currency":"EUR","minorUnits":1999},"attributes":{"colour":"red"}}"#,
                "product/A-1",
            ),
            ("catalog", "reprice-product", r#"{"sku":"A-1","price":{"currency":"EUR","minorUnits":"0"}}"#, "product/A-1"),
            ("inventory", "receive-stock", r#"{"sku":"A-1","warehouse":"w-1","quantity":5}"#, "stock/A-1@w-1"),
            ("customer", "register-customer", r#"{"customerId":"c-1","email":"someone@example.org","name":"…"}"#, "customer/c-1"),
            ("inventory", "reserve-stock", r#"{"sku":"A-1","warehouse":"w-1","orderId":"o-1","quantity":2}"#, "stock/A-1@w-1"),
            ("cart", "add-item", r#"{"cartId":"k-1","sku":"A-1","quantity":2}"#, "cart/k-1"),
            ("cart", "change-quantity", r#"{"cartId":"k-1","sku":"A-1","quantity":2}"#, "cart/k-1"),
            ("cart", "remove-item", r#"{"cartId":"k-1","sku":"A-1"}"#, "cart/k-1"),
            ("cart", "merge-cart", r#"{"cartId":"guest-1","into":"k-1"}"#, "cart/guest-1"),
            (
                "cart",
                "checkout",
                r#"{"cartId":"k-1","orderId":"o-1","customerId":"c-1","email":"…","delivery":"standard",
                    "shippingAddress":{"name":"…","line1":"…","city":"…","postalCode":"…","country":"DE"},
                    "payment":{"token":"tok_ok"},"expectedTotal":{"currency":"EUR","minorUnits":3998}}"#,
                "cart/k-1",
            ),
            ("inventory", "open-warehouse", r#"{"warehouse":"w-1","priority":1,"countries":["DE","US"]}"#, "warehouse/w-1"),
            ("order", "cancel-order", r#"{"orderId":"o-1","reason":"…"}"#, "order/o-1"),
            ("order", "cancel-lines", r#"{"orderId":"o-1","lines":[{"sku":"A-1","quantity":1}],"reason":"…"}"#, "order/o-1"),
            ("order", "request-return", r#"{"orderId":"o-1","lines":[{"sku":"A-1","quantity":1}],"reason":"…"}"#, "order/o-1"),
            (
                "order",
                "receive-return",
                r#"{"orderId":"o-1","lines":[{"sku":"A-1","quantity":1}],"reason":"…","condition":"RESALABLE"}"#,
                "order/o-1",
            ),
            ("shipping", "dispatch-shipment", r#"{"orderId":"o-1","number":1}"#, "shipment/o-1@1"),
            ("shipping", "record-delivered", r#"{"orderId":"o-1","number":1}"#, "shipment/o-1@1"),
        ] {
            let type_name = registry.command_type(service, command).expect("a command");
            let aggregate = registry.of_command(type_name).expect("decided by someone");
            match aggregate.read_json(type_name, json.as_bytes()) {
                Ok(command) => assert_eq!(command.stream.as_str(), stream),
                Err(fault) => panic!("{command}: {fault}"),
            }
        }
    }

    #[test]
    fn the_list_makes_a_registry_that_finds_a_command_by_its_url() {
        let registry = Registry::new(aggregates()).expect("no name stands twice");
        assert_eq!(registry.services(), ["cart", "catalog", "customer", "inventory", "order", "payment", "shipping"]);
        assert_eq!(registry.command_type("catalog", "create-product"), Some("shop.catalog.v1.CreateProduct"));
        assert_eq!(registry.command_type("inventory", "reserve-stock"), Some("shop.inventory.v1.ReserveStock"));
    }
}

#[cfg(test)]
mod list {
    use daybook_kernel::Registry;

    /// A name is part of the ids of what a rule sends, and of where its checkpoint is kept.
    #[test]
    fn no_two_rules_have_one_name() {
        let reactors = super::reactors().iter().map(|rule| rule.name()).collect::<Vec<_>>();
        let lookups = super::lookups(super::order::any_payment()).iter().map(|rule| rule.name()).collect::<Vec<_>>();
        let deadlines = super::deadlines().iter().map(|rule| rule.name()).collect::<Vec<_>>();
        let all = [reactors, lookups, deadlines].concat();
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len(), "{all:?}");
    }

    #[test]
    fn two_commands_of_one_name_in_a_service_are_refused() {
        assert!(Registry::new(super::aggregates()).is_ok());
        let twice = super::aggregates().into_iter().chain(super::aggregates());
        let error = Registry::new(twice).err().expect("the same names again").to_string();
        assert!(error.contains("rename one"), "{error}");
    }
}
