//! A product as its row describes it.

use shop_proto::catalog::v1::CreateProduct;

/// A product as its row describes it: it keeps the rules of its fields.
#[derive(Clone, Debug)]
pub struct Product {
    /// The command that makes it.
    pub create: CreateProduct,
    /// Texts that were cut to the length that the shop takes.
    pub shortened: u64,
    /// Numbers that are no GTINs, and were left out as the mapping says.
    pub bad_gtins: u64,
    /// The fields that the row says something of. The others stay as they are when the product is there already.
    pub said: Said,
}

/// The meaning of a row.
#[derive(Debug)]
pub enum What {
    /// A product that keeps all rules of its fields.
    Product(Box<Product>),
    /// The mapping passes it over, for this reason.
    Skipped(String),
    /// No product.
    Bad {
        /// Its SKU, where it can be read.
        sku: Option<String>,
        /// Everything that is wrong with it, for people.
        reason: String,
    },
}

/// Of these fields the row says something, be it that there is nothing. Every row says title and price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, clippy::struct_excessive_bools, reason = "the fields of a product by their names")]
pub struct Said {
    pub title: bool,
    pub price: bool,
    pub description: bool,
    pub brand: bool,
    pub category: bool,
    pub gtins: bool,
    pub manufacturer_number: bool,
    pub language: bool,
    pub attributes: bool,
}
