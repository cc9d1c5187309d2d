//! Who may speak at any time does so, in every state that a stream is found in.

use shop_proto::cart::v1::{AddItem, CartCommand, ChangeQuantity, MergeCart, RemoveItem};
use shop_proto::inventory::v1::{
    AdjustStock, CountStock, FinishTransfer, ReceiveStock, SetReorderPoint, StartTransfer, StockCommand, StockState,
};
use shop_proto::order::v1::*;
use shop_proto::payment::v1::{PaymentCommand, ProviderPayment, ProviderStatus, RecordProviderNotice};
use shop_proto::shipping::v1::{
    DispatchShipment, RecordCarrierNotice, RecordDelivered as ArrivedThere, RecordLabel, RecordLost as LostThere,
    RecordReturnedToSender as BackThere, ReportShortPick, ShipmentCommand, ShipmentLine, ShipmentStatus,
};

use super::moves::checkout;
use super::table::Table;
use super::world::{CART, Letter, ORDER, OTHER_CART, Rules, World};

/// Something that is said.
#[derive(Clone, Debug)]
pub(super) enum Speech {
    Says(Letter),
    /// Another cart is checked out under the same order's id.
    OtherCart,
    /// The same cart is checked out once more, with another total.
    CheckOut,
    /// A guest's cart is merged into this one.
    TakeIn,
}

impl World {
    /// Streams in which people, the provider and the carrier may speak.
    pub(super) fn audience(&self) -> Vec<String> {
        let one = ["order", "payment"].map(|aggregate| format!("{aggregate}/{ORDER}"));
        let shipments = [1, 2].map(|number| format!("shipment/{ORDER}@{number}"));
        let stocks = self.stocks().map(|(stream, _)| stream.to_owned());
        one.into_iter().chain(shipments).chain([format!("cart/{CART}")]).chain(stocks).collect()
    }

    /// All that may be said to a stream at any time.
    pub(super) fn speeches(&mut self, stream: &str) -> Vec<Speech> {
        let (aggregate, key) = stream.split_once('/').expect("a stream's id");
        match aggregate {
            "order" => self.tell_order(),
            "payment" => self.tell_payment(),
            "shipment" => self.tell_shipment(key.rsplit('@').next().and_then(|number| number.parse().ok()).expect("a number")),
            "stock" => {
                let (sku, warehouse) = key.split_once('@').expect("a stock's key");
                let stock: StockState = self.state(stream);
                self.tell_stock(sku, warehouse, &stock)
            }
            _ => self.tell_cart(),
        }
    }

    fn tell_order(&mut self) -> Vec<Speech> {
        let (id, none) = (|| ORDER.to_owned(), String::new);
        let lines = || vec![OrderedLine { sku: "A-1".into(), quantity: 1 }];
        let payment = Some(PaymentMeans { token: "tok_third".into() });
        let commands: [OrderCommand; 10] = [
            CancelOrder { order_id: id(), reason: none() }.into(),
            CancelLines { order_id: id(), lines: lines(), reason: none() }.into(),
            ChangePayment { order_id: id(), payment }.into(),
            HoldOrder { order_id: id(), reason: none() }.into(),
            EndOrderHold { order_id: id(), reason: none() }.into(),
            RetryCapture { order_id: id(), number: 1 }.into(),
            RetryRefund { order_id: id(), number: 1 }.into(),
            RequestReturn { order_id: id(), lines: lines(), reason: none() }.into(),
            RefuseReturn { order_id: id(), lines: lines(), reason: none() }.into(),
            ReceiveReturn { order_id: id(), lines: lines(), condition: Condition::Resalable.into(), ..Default::default() }.into(),
        ];
        commands.into_iter().map(|command| Speech::Says(self.said::<OrderCommand>(command))).chain([Speech::OtherCart]).collect()
    }

    fn tell_payment(&mut self) -> Vec<Speech> {
        let of_nobody = ProviderPayment {
            object_id: "pay_9".into(),
            status: ProviderStatus::Created.into(),
            currency: "EUR".into(),
            ..Default::default()
        };
        let told = |payment| RecordProviderNotice { order_id: ORDER.into(), notice_id: "n-told".into(), kind: "told".into(), payment };
        let payments = [self.provider.shown(1).unwrap_or(of_nobody), ProviderPayment::default()];
        // One that this build does not understand is kept without its object.
        let notices = payments.map(|payment| told(Some(payment).filter(|payment| !payment.object_id.is_empty())));
        notices.into_iter().map(|notice| Speech::Says(self.said::<PaymentCommand>(notice))).collect()
    }

    fn tell_shipment(&mut self, number: u32) -> Vec<Speech> {
        let order_id = || ORDER.to_owned();
        let first = self.shipment(number).lines.first().map_or_else(|| "A-1".to_owned(), |line| line.sku.clone());
        let lines = vec![ShipmentLine { sku: first, quantity: 1 }];
        let tracking = format!("P-{number}");
        let notice = |status: ShipmentStatus| RecordCarrierNotice {
            order_id: order_id(),
            number,
            notice_id: format!("n-{status:?}"),
            status: status.into(),
            kind: "told".into(),
        };
        let mut commands: Vec<ShipmentCommand> = vec![
            DispatchShipment { order_id: order_id(), number }.into(),
            ReportShortPick { order_id: order_id(), number, lines }.into(),
            ArrivedThere { order_id: order_id(), number }.into(),
            LostThere { order_id: order_id(), number }.into(),
            BackThere { order_id: order_id(), number }.into(),
            notice(ShipmentStatus::Delivered).into(),
            notice(ShipmentStatus::Dispatched).into(),
        ];
        // The carrier is asked for a label when there is something to send.
        if self.shipment(number).created {
            commands.push(RecordLabel { order_id: order_id(), number, carrier: "parcel".into(), tracking, ..Default::default() }.into());
            commands.push(RecordLabel { order_id: order_id(), number, code: "too-heavy".into(), ..Default::default() }.into());
        }
        commands.into_iter().map(|command| Speech::Says(self.said::<ShipmentCommand>(command))).collect()
    }

    fn tell_stock(&mut self, sku: &str, warehouse: &str, stock: &StockState) -> Vec<Speech> {
        let (sku, warehouse, reason) = (|| sku.to_owned(), || warehouse.to_owned(), || "Somebody has looked.".to_owned());
        let (to, from, transfer_id) = ("w-9".to_owned(), "w-9".to_owned(), || "t-1".to_owned());
        let commands: [StockCommand; 7] = [
            ReceiveStock { sku: sku(), warehouse: warehouse(), quantity: 1, ..Default::default() }.into(),
            AdjustStock { sku: sku(), warehouse: warehouse(), delta: -1, reason: reason() }.into(),
            CountStock { sku: sku(), warehouse: warehouse(), counted: stock.on_hand + 1, reason: reason() }.into(),
            CountStock { sku: sku(), warehouse: warehouse(), counted: stock.on_hand, reason: reason() }.into(),
            SetReorderPoint { sku: sku(), warehouse: warehouse(), reorder_point: 3 }.into(),
            StartTransfer { sku: sku(), warehouse: warehouse(), transfer_id: transfer_id(), to, quantity: 1 }.into(),
            FinishTransfer { sku: sku(), warehouse: warehouse(), transfer_id: transfer_id(), from, quantity: 1 }.into(),
        ];
        commands.into_iter().map(|command| Speech::Says(self.said::<StockCommand>(command))).collect()
    }

    fn tell_cart(&mut self) -> Vec<Speech> {
        let (cart_id, sku) = (|| CART.to_owned(), || "A-1".to_owned());
        let commands: [CartCommand; 4] = [
            AddItem { cart_id: cart_id(), sku: sku(), quantity: 1 }.into(),
            ChangeQuantity { cart_id: cart_id(), sku: sku(), quantity: 5 }.into(),
            RemoveItem { cart_id: cart_id(), sku: sku() }.into(),
            MergeCart { cart_id: cart_id(), into: OTHER_CART.into() }.into(),
        ];
        let says = commands.into_iter().map(|command| Speech::Says(self.said::<CartCommand>(command)));
        says.chain([Speech::CheckOut, Speech::TakeIn]).collect()
    }

    /// It is said. Pieces that staff brings or takes away are there, or not, from then on.
    pub(super) fn hear(&mut self, speech: &Speech, rules: &Rules, table: &mut Table) {
        let (before, place) = (self.on_shelves(), (format!("cart/{OTHER_CART}"), format!("order/{ORDER}")));
        match speech {
            Speech::Says(letter) => self.decide(letter, rules, table),
            Speech::OtherCart => {
                self.check_out(OTHER_CART, [1, 0], rules, table);
                self.deliver(&place, rules, table);
            }
            Speech::CheckOut => {
                self.send::<CartCommand>(checkout(CART, 7), rules, table);
            }
            Speech::TakeIn => {
                self.send::<CartCommand>(AddItem { cart_id: OTHER_CART.into(), sku: "B-1".into(), quantity: 1 }, rules, table);
                self.send::<CartCommand>(MergeCart { cart_id: OTHER_CART.into(), into: CART.into() }, rules, table);
                self.deliver(&(format!("cart/{OTHER_CART}"), format!("cart/{CART}")), rules, table);
            }
        }
        self.pieces = self.pieces + self.on_shelves() - before;
    }
}
