//! What the shop asks of a carrier.

mod effect;
mod http;

use shop_proto::common::v1::Address as PostalAddress;
use uuid::Uuid;

use crate::said::{Asking, Said};

pub use effect::LabelEffect;
pub use http::HttpCarrier;

/// A carrier of parcels; keys as a [`PaymentProvider`](crate::PaymentProvider) has them.
pub trait Carrier: Send + Sync + 'static {
    /// Takes a parcel into its books.
    fn label<'a>(&'a self, key: Uuid, parcel: &'a LabelRequest) -> Asking<'a, Said<Label>>;
    /// What came of a key; none: the carrier has never heard of it.
    fn outcome(&self, key: Uuid) -> Asking<'_, Option<Said<Label>>>;
    /// The label of a shipment that is in its books, by the order's id and the shipment's number; none: there is none. It never forgets one.
    fn find<'a>(&'a self, order: &'a str, number: u32) -> Asking<'a, Option<Label>>;
}

/// A parcel that a label is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelRequest {
    /// The order's id.
    pub order: String,
    /// The shipment's number.
    pub number: u32,
    /// Where it goes.
    pub address: PostalAddress,
    /// Grams, where it is known.
    pub weight: Option<u64>,
}

/// A carrier's label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The carrier's name.
    pub carrier: String,
    /// The number that a parcel is followed by.
    pub tracking: String,
    /// Where it can be printed.
    pub url: String,
}
