//! Commands and events to try the shop with: one lamp, `A-1`, one warehouse, `w-1`. For specs, read models and their samples; behind
//! the feature `samples`, so that no release holds them.

pub mod customer;
pub mod email;
pub mod order;
pub mod payment;
pub mod shipment;
pub mod wishlist;

use daybook_proto::EventSet;
use prost_reflect::{DynamicMessage, Value};
use prost_types::Timestamp;

use crate::common::v1::Money;

/// The SKU that all is about.
pub const SKU: &str = "A-1";
/// The warehouse that all is about.
pub const WAREHOUSE: &str = "w-1";
/// The GTIN of the lamp.
pub const LAMP: &str = "4006381333931";
/// When all specs begin, 2026-01-01T00:00:00Z, in seconds.
pub const BEGIN: i64 = 1_767_225_600;

/// The SKU, owned.
pub fn sku() -> String {
    SKU.to_owned()
}

/// The warehouse, owned.
pub fn warehouse() -> String {
    WAREHOUSE.to_owned()
}

/// So many seconds after all specs begin.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds: BEGIN + seconds, nanos: 0 }
}

/// An amount of money.
pub fn money(currency: &str, minor_units: i64) -> Money {
    Money { currency: currency.to_owned(), minor_units }
}

/// The same event of another warehouse, or product: with another text in a field that it has.
pub fn with<E: EventSet>(event: &E, field: &str, text: &str) -> E {
    let of = E::pool().get_message_by_name(event.type_name()).expect("an event is described");
    let mut message = DynamicMessage::decode(of, event.encode_to_vec().as_slice()).expect("as it was encoded");
    message.set_field_by_name(field, Value::String(text.to_owned()));
    E::decode(event.type_name(), &prost::Message::encode_to_vec(&message)).expect("as it was encoded")
}

pub mod cart;

/// Of a product.
pub mod product {
    use super::{LAMP, money, sku};
    use crate::catalog::v1::*;
    use crate::common::v1::Money;

    /// A lamp with all that can be said of it.
    pub fn create() -> CreateProduct {
        CreateProduct {
            sku: sku(),
            title: "Lamp".into(),
            description: "Gives light.".into(),
            brand: "Lux".into(),
            category: "Home > Lamps".into(),
            price: Some(money("EUR", 1999)),
            attributes: [("colour".into(), "red".into())].into(),
            draft: false,
            gtins: vec![LAMP.into()],
            manufacturer_number: "LX-100/B".into(),
            language: "en".into(),
            tax_class: "standard".into(),
            weight_grams: 1_200,
            max_per_order: 10,
        }
    }

    /// The event of [`create`].
    pub fn created() -> ProductEvent {
        ProductCreated::from(&create()).into()
    }

    /// A draft that lacks most.
    pub fn drafted() -> ProductEvent {
        ProductCreated { sku: sku(), title: "Lamp".into(), price: Some(money("EUR", 1999)), draft: true, ..Default::default() }.into()
    }

    /// Changes nothing yet.
    pub fn revise() -> ReviseProduct {
        ReviseProduct { sku: sku(), ..Default::default() }
    }

    /// The event of a revision of which everything changes something.
    pub fn revised(revise: &ReviseProduct) -> ProductEvent {
        ProductRevised::from(revise).into()
    }

    /// A price without a period.
    pub fn sale(minor_units: i64) -> Sale {
        Sale { minor_units, ..Default::default() }
    }

    /// All that a product costs in one currency.
    pub fn price(currency: &str, minor_units: i64, sale: Option<Sale>) -> Price {
        Price { list: Some(money(currency, minor_units)), sale }
    }

    /// Says a price.
    pub fn reprice(price: Money, sale: Option<Sale>) -> RepriceProduct {
        RepriceProduct { sku: sku(), price: Some(price), sale }
    }

    /// The event of [`reprice`].
    pub fn repriced(list: Money, sale: Option<Sale>) -> ProductEvent {
        ProductRepriced { sku: sku(), price: Some(Price { list: Some(list), sale }) }.into()
    }

    /// Moves the lamp.
    pub fn categorize(category: &str) -> CategorizeProduct {
        CategorizeProduct { sku: sku(), category: category.to_owned() }
    }

    /// The event of [`categorize`].
    pub fn categorized(category: &str) -> ProductEvent {
        ProductCategorized::from(&categorize(category)).into()
    }

    /// A picture at an address.
    pub fn picture(url: &str, alt: &str) -> Media {
        Media { url: url.to_owned(), kind: MediaKind::Image.into(), alt: alt.to_owned() }
    }

    /// Attaches a picture.
    pub fn attach(url: &str, alt: &str) -> AttachMedia {
        AttachMedia { sku: sku(), media: Some(picture(url, alt)) }
    }

    /// The event of [`attach`].
    pub fn attached(url: &str, alt: &str) -> ProductEvent {
        MediaAttached::from(&attach(url, alt)).into()
    }

    /// Takes a medium away.
    pub fn detach(url: &str) -> DetachMedia {
        DetachMedia { sku: sku(), url: url.to_owned() }
    }

    /// The event of [`detach`].
    pub fn detached(url: &str) -> ProductEvent {
        MediaDetached::from(&detach(url)).into()
    }

    /// Shows the lamp.
    pub fn publish() -> PublishProduct {
        PublishProduct { sku: sku() }
    }

    /// The event of [`publish`].
    pub fn published() -> ProductEvent {
        ProductPublished::from(&publish()).into()
    }

    /// Takes the lamp out of the catalogue.
    pub fn retire(reason: &str) -> RetireProduct {
        RetireProduct { sku: sku(), reason: reason.to_owned() }
    }

    /// It broke.
    pub fn retired() -> ProductEvent {
        ProductRetired::from(&retire("broke")).into()
    }
}

/// Of its stock.
pub mod stock {
    use super::{at, sku, warehouse};
    use crate::inventory::v1::*;

    /// Goods come in.
    pub fn receive(quantity: u32) -> ReceiveStock {
        ReceiveStock { sku: sku(), warehouse: warehouse(), quantity, ..Default::default() }
    }

    /// The event of [`receive`].
    pub fn received(quantity: u32) -> StockEvent {
        StockReceived::from(&receive(quantity)).into()
    }

    /// Something broke, or was found.
    pub fn adjust(delta: i32) -> AdjustStock {
        AdjustStock { sku: sku(), warehouse: warehouse(), delta, reason: "broken".into() }
    }

    /// The event of [`adjust`].
    pub fn adjusted(delta: i32) -> StockEvent {
        StockAdjusted::from(&adjust(delta)).into()
    }

    /// The year's end.
    pub fn count(counted: u32) -> CountStock {
        CountStock { sku: sku(), warehouse: warehouse(), counted, reason: "year's end".into() }
    }

    /// Promises pieces.
    pub fn reserve(order: &str, quantity: u32) -> ReserveStock {
        ReserveStock { sku: sku(), warehouse: warehouse(), order_id: order.to_owned(), quantity, ..Default::default() }
    }

    /// The event of [`reserve`] when it is asked as all begins: a promise for a quarter of an hour.
    pub fn reserved(order: &str, quantity: u32) -> StockEvent {
        reserved_until(order, quantity, 900, "")
    }

    /// The same, until so many seconds after all begins, for a process.
    pub fn reserved_until(order: &str, quantity: u32, seconds: i64, process: &str) -> StockEvent {
        StockReserved { expires_at: Some(at(seconds)), process: process.to_owned(), ..(&reserve(order, quantity)).into() }.into()
    }

    /// Promises pieces for so many seconds from now on.
    pub fn extend(order: &str, seconds: u32) -> ExtendReservation {
        let (order_id, expires_in_seconds) = (order.to_owned(), Some(seconds));
        ExtendReservation { sku: sku(), warehouse: warehouse(), order_id, expires_in_seconds, ..Default::default() }
    }

    /// Pieces are promised until so many seconds after all begins.
    pub fn extended(order: &str, seconds: i64) -> StockEvent {
        ReservationExtended { expires_at: Some(at(seconds)), ..(&extend(order, 1)).into() }.into()
    }

    /// An order is paid.
    pub fn confirm(order: &str) -> ConfirmReservation {
        ConfirmReservation { sku: sku(), warehouse: warehouse(), order_id: order.to_owned(), ..Default::default() }
    }

    /// The event of [`confirm`], of what a process had reserved.
    pub fn confirmed(order: &str, quantity: u32, process: &str) -> StockEvent {
        ReservationConfirmed { quantity, process: process.to_owned(), ..(&confirm(order)).into() }.into()
    }

    /// Pieces leave.
    pub fn commit(order: &str) -> CommitStock {
        CommitStock { sku: sku(), warehouse: warehouse(), order_id: order.to_owned(), ..Default::default() }
    }

    /// The event of [`commit`].
    pub fn committed(order: &str, quantity: u32) -> StockEvent {
        StockCommitted { quantity, ..(&commit(order)).into() }.into()
    }

    /// An order is cancelled.
    pub fn release(order: &str) -> ReleaseStock {
        let (order_id, reason) = (order.to_owned(), "cancelled".to_owned());
        ReleaseStock { sku: sku(), warehouse: warehouse(), order_id, reason, ..Default::default() }
    }

    /// The event of [`release`].
    pub fn released(order: &str, quantity: u32) -> StockEvent {
        StockReleased { quantity, ..(&release(order)).into() }.into()
    }

    /// Pieces of an order were not found.
    pub fn write_off(order: &str) -> WriteOffStock {
        let (order_id, reason) = (order.to_owned(), "short-pick".to_owned());
        WriteOffStock { sku: sku(), warehouse: warehouse(), order_id, reason, ..Default::default() }
    }

    /// The event of [`write_off`].
    pub fn written_off(order: &str, quantity: u32) -> StockEvent {
        StockWrittenOff { quantity, ..(&write_off(order)).into() }.into()
    }

    /// The process of an order's allocation gave up what was not there, so many seconds after all begins.
    pub fn place_closed(order: &str, attempt: u32, seconds: i64) -> StockEvent {
        let (process, until) = (format!("allocation/{order}"), Some(at(seconds + 30 * 24 * 60 * 60)));
        StockPlaceClosed { process, attempt, at: Some(at(seconds)), until, ..(&release(order)).into() }.into()
    }

    /// Pieces leave for another warehouse.
    pub fn leaves(transfer: &str, to: &str, quantity: u32) -> StartTransfer {
        StartTransfer { sku: sku(), warehouse: warehouse(), transfer_id: transfer.to_owned(), to: to.to_owned(), quantity }
    }

    /// The event of [`leaves`].
    pub fn left(transfer: &str, to: &str, quantity: u32) -> StockEvent {
        TransferStarted::from(&leaves(transfer, to, quantity)).into()
    }

    /// Pieces come from another warehouse.
    pub fn arrives(transfer: &str, from: &str, quantity: u32) -> FinishTransfer {
        FinishTransfer { sku: sku(), warehouse: warehouse(), transfer_id: transfer.to_owned(), from: from.to_owned(), quantity }
    }

    /// The event of [`arrives`].
    pub fn arrived(transfer: &str, from: &str, quantity: u32) -> StockEvent {
        TransferFinished::from(&arrives(transfer, from, quantity)).into()
    }

    /// The time of a reservation has come: so many seconds after all begins.
    pub fn expire(order: &str, seconds: i64) -> ExpireReservation {
        ExpireReservation { sku: sku(), warehouse: warehouse(), order_id: order.to_owned(), due_at: Some(at(seconds)) }
    }

    /// The event of [`expire`].
    pub fn expired(order: &str, quantity: u32) -> StockEvent {
        ReservationExpired { quantity, ..(&expire(order, 0)).into() }.into()
    }

    /// Says below what to reorder.
    pub fn set_reorder_point(reorder_point: u32) -> SetReorderPoint {
        SetReorderPoint { sku: sku(), warehouse: warehouse(), reorder_point }
    }

    /// The event of [`set_reorder_point`].
    pub fn reorder_point_set(reorder_point: u32) -> StockEvent {
        ReorderPointSet::from(&set_reorder_point(reorder_point)).into()
    }

    /// A fall.
    pub fn crossed(reorder_point: u32, available: u32) -> StockEvent {
        ReorderPointCrossed { sku: sku(), warehouse: warehouse(), reorder_point, available }.into()
    }

    /// A rise.
    pub fn regained(reorder_point: u32, available: u32) -> StockEvent {
        ReorderPointRegained { sku: sku(), warehouse: warehouse(), reorder_point, available }.into()
    }
}

/// Of its reordering.
pub mod reorder {
    use super::{sku, warehouse};
    use crate::inventory::v1::*;

    /// A stock fell.
    pub fn open(stock_version: i64) -> OpenReorderProposal {
        OpenReorderProposal { sku: sku(), warehouse: warehouse(), reorder_point: 5, available: 3, stock_version }
    }

    /// The event of [`open`].
    pub fn opened(stock_version: i64) -> ReorderEvent {
        ReorderProposalOpened::from(&open(stock_version)).into()
    }

    /// Goods are ordered.
    pub fn raise(quantity: u32) -> RaiseReorderProposal {
        RaiseReorderProposal { sku: sku(), warehouse: warehouse(), quantity, reference: "PO-7".into() }
    }

    /// The event of [`raise`].
    pub fn raised(quantity: u32) -> ReorderEvent {
        ReorderProposalRaised::from(&raise(quantity)).into()
    }

    /// A stock is back.
    pub fn close(stock_version: i64) -> CloseReorderProposal {
        CloseReorderProposal { sku: sku(), warehouse: warehouse(), available: 9, stock_version }
    }

    /// The event of [`close`].
    pub fn closed(stock_version: i64) -> ReorderEvent {
        ReorderProposalClosed::from(&close(stock_version)).into()
    }
}

/// Of the warehouse.
pub mod warehouse {
    use super::warehouse;
    use crate::inventory::v1::*;

    /// Goods are sent from it.
    pub fn open(priority: u32, countries: &[&str]) -> OpenWarehouse {
        let countries = countries.iter().map(|country| (*country).to_owned()).collect();
        OpenWarehouse { warehouse: warehouse(), priority, countries, address: None }
    }

    /// The event of [`open`], with countries in their order.
    pub fn opened(priority: u32, countries: &[&str]) -> WarehouseEvent {
        WarehouseOpened::from(&open(priority, countries)).into()
    }

    /// Nothing is sent from it any more.
    pub fn close() -> CloseWarehouse {
        CloseWarehouse { warehouse: warehouse(), reason: "moved".into() }
    }

    /// The event of [`close`].
    pub fn closed() -> WarehouseEvent {
        WarehouseClosed::from(&close()).into()
    }
}
