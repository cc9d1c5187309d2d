//! The keys of read models.

use std::collections::BTreeSet;

use super::names::{CATEGORY_LISTINGS, ORDERS, PRODUCT_PAGES, REORDER_ALERTS, SEARCH, STOCK_LEVELS};
use crate::history::{Asked, Entry};

/// Keys that read models may have: those that commands touched.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// SKUs that were named in a command.
    pub skus: BTreeSet<String>,
    /// `sku@warehouse` that was named in a command.
    pub stocks: BTreeSet<String>,
    /// Categories that products were put into.
    pub categories: BTreeSet<String>,
    /// Orders that carts were checked out under.
    pub orders: BTreeSet<String>,
    /// Warehouses whose stock was named in a command.
    pub warehouses: BTreeSet<String>,
}

impl Keys {
    /// All that commands of a history named.
    pub fn of(history: &[Entry]) -> Self {
        let mut keys = Self::default();
        for entry in history {
            let Asked::Command(command) = &entry.asked else { continue };
            keys.categories.extend(command.body["category"].as_str().map(str::to_owned));
            keys.orders.extend(command.body["orderId"].as_str().filter(|_| command.stream.starts_with("cart/")).map(str::to_owned));
            match command.stream.split_once('/') {
                Some(("product", sku)) => drop(keys.skus.insert(sku.to_owned())),
                Some(("stock", stock)) => {
                    keys.skus.extend(stock.split('@').next().map(str::to_owned));
                    keys.warehouses.extend(stock.split_once('@').map(|(_, warehouse)| warehouse.to_owned()));
                    keys.stocks.insert(stock.to_owned());
                }
                _ => {}
            }
        }
        keys
    }

    /// Each read model with its keys, and whether what stands under one is a list.
    pub(crate) fn of_models(&self) -> [(&'static str, &BTreeSet<String>, bool); 5] {
        [
            (PRODUCT_PAGES, &self.skus, false),
            (STOCK_LEVELS, &self.stocks, false),
            (CATEGORY_LISTINGS, &self.categories, true),
            (REORDER_ALERTS, &self.warehouses, true),
            (ORDERS, &self.orders, false),
        ]
    }

    /// The search that finds all that clients made: read model, key, and query.
    pub(crate) fn search() -> (&'static str, &'static str, &'static str) {
        (SEARCH, "search", "brand=Nemesis&")
    }
}
