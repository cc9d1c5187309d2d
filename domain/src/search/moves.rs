//! What may happen next.

use daybook_kernel::ServiceMessage;
use shop_proto::cart::v1::{AddItem, CartCommand, Checkout, PaymentMeans as CartMeans};
use shop_proto::order::v1::*;
use shop_proto::payment::v1::{Operation, PaymentCommand, RecordProviderNotice};
use shop_proto::samples::money;
use shop_proto::shipping::v1::{
    DispatchShipment, RecordDelivered as ArrivedThere, RecordLost as LostThere, RecordReturnedToSender as BackThere, ReportShortPick,
    ShipmentCommand, ShipmentLine, ShipmentStatus,
};

use super::provider::Says;
use super::table::Table;
use super::world::{Armed, CART, CUSTOMER, Letter, ORDER, PRODUCTS, Rules, World};

/// Moves that customer and staff have left: so many, and then no more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Left {
    pub(super) cancel_order: u8,
    pub(super) cancel_lines: u8,
    pub(super) change_payment: u8,
    pub(super) returns: u8,
    /// Losses, short picks, parcels that nobody takes.
    pub(super) mishaps: u8,
    /// Holds, and their ends.
    pub(super) holds: u8,
    /// Notices that the provider sends by itself.
    pub(super) notices: u8,
    /// Whether the provider may say no, or want something of the customer.
    pub(super) free_provider: bool,
    /// Whether the provider may refuse to take money, or to give it back.
    pub(super) may_refuse: bool,
    /// Whether deadlines may fire before all else is done.
    pub(super) deadlines: bool,
    /// Whether read models are away, so that nothing is read.
    pub(super) no_lookups: bool,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// The next message of a sender arrives.
    Deliver(String, String),
    Read(usize),
    /// The provider does what it is asked; nobody hears of it yet.
    Perform(usize, Says),
    /// The answer to a question arrives.
    Answer(usize),
    /// It was too late to begin.
    NotBegun(usize),
    Notice(usize),
    LoseNotice(usize),
    Act(u32),
    Fire(Box<Armed>),
    CancelOrder,
    CancelLine(&'static str),
    ChangePayment,
    Dispatch(u32),
    Delivered(u32),
    Lost(u32),
    ShortPick(u32),
    ToSender(u32),
    Hold,
    EndHold,
    RequestReturn(&'static str),
    RefuseReturn(&'static str),
    Return(&'static str),
}

/// One piece of a product.
fn one_of(sku: &str) -> Vec<OrderedLine> {
    vec![OrderedLine { sku: sku.to_owned(), quantity: 1 }]
}

/// The most shipments that an order of the search has.
pub(super) const SHIPMENTS: [u32; 2] = [1, 2];

impl World {
    /// Two products in a cart, which is checked out at what they cost.
    pub(super) fn checked_out(mut self, quantities: [u32; 2], rules: &Rules, table: &mut Table) -> Self {
        let mut total = 0;
        for ((sku, price), quantity) in PRODUCTS.iter().zip(quantities).filter(|(_, quantity)| *quantity > 0) {
            self.send::<CartCommand>(AddItem { cart_id: CART.into(), sku: (*sku).into(), quantity }, rules, table);
            total += price * i64::from(quantity);
        }
        let open = shop_proto::samples::order::open();
        let checkout = Checkout {
            cart_id: CART.into(),
            order_id: ORDER.into(),
            customer_id: CUSTOMER.into(),
            email: open.email,
            delivery: open.delivery,
            shipping_address: open.shipping_address,
            payment: Some(CartMeans { token: "tok_ok".into() }),
            expected_total: Some(money("EUR", total)),
            ..Default::default()
        };
        self.send::<CartCommand>(checkout, rules, table);
        self
    }

    /// All that may happen now.
    pub(super) fn moves(&self) -> Vec<Move> {
        let mut moves: Vec<Move> = self.waiting().map(|(from, to)| Move::Deliver(from.clone(), to.clone())).collect();
        moves.extend((0..self.reads()).map(Move::Read));
        for (n, asked) in self.asked.iter().enumerate() {
            let operation = asked.event().operation();
            if asked.outcome.is_some() {
                moves.push(Move::Answer(n));
                continue;
            }
            moves.push(Move::Perform(n, Says::Yes));
            if self.left.free_provider && operation == Operation::Confirm {
                moves.extend([Move::Perform(n, Says::No), Move::Perform(n, Says::Act)]);
            }
            if self.left.free_provider && matches!(operation, Operation::Create | Operation::Confirm) {
                moves.push(Move::NotBegun(n));
            }
            if self.left.may_refuse && matches!(operation, Operation::Capture | Operation::Refund) {
                moves.push(Move::Perform(n, Says::No));
            }
        }
        moves.extend((0..self.notices.len()).flat_map(|n| [Move::Notice(n), Move::LoseNotice(n)]));
        moves
    }

    /// What people may do now, and what time does.
    pub(super) fn moves_of_people(&self) -> Vec<Move> {
        let mut moves: Vec<Move> = self.provider.to_act().into_iter().map(Move::Act).collect();
        if self.left.deadlines {
            moves.extend(self.armed().map(|armed| Move::Fire(Box::new(armed.clone()))));
        }
        if self.left.cancel_order > 0 {
            moves.push(Move::CancelOrder);
        }
        if self.left.holds > 0 {
            moves.extend([Move::Hold, Move::EndHold]);
        }
        for (sku, _) in PRODUCTS {
            moves.extend((self.left.cancel_lines > 0).then_some(Move::CancelLine(sku)));
            if self.left.returns > 0 {
                moves.extend([Move::RequestReturn(sku), Move::RefuseReturn(sku), Move::Return(sku)]);
            }
        }
        if self.left.change_payment > 0 {
            moves.push(Move::ChangePayment);
        }
        for number in SHIPMENTS {
            match self.shipment(number).status() {
                ShipmentStatus::Created | ShipmentStatus::Labelled => {
                    moves.push(Move::Dispatch(number));
                    moves.extend((self.left.mishaps > 0).then_some(Move::ShortPick(number)));
                }
                ShipmentStatus::Dispatched => {
                    moves.push(Move::Delivered(number));
                    if self.left.mishaps > 0 {
                        moves.extend([Move::Lost(number), Move::ToSender(number)]);
                    }
                }
                _ => {}
            }
        }
        moves
    }

    /// It happens.
    pub(super) fn go(&mut self, one: &Move, rules: &Rules, table: &mut Table) {
        let order_id = || ORDER.to_owned();
        match one {
            Move::Deliver(from, to) => self.deliver(&(from.clone(), to.clone()), rules, table),
            Move::Read(n) => self.read(*n, rules, table),
            Move::Perform(n, says) => {
                let asked = self.asked[*n].event();
                let (answer, attempt) = self.provider.perform(&asked, *says);
                self.asked[*n].outcome = Some(answer);
                self.tell_of(attempt);
            }
            Move::Answer(n) => {
                let answered = self.asked.remove(*n).outcome;
                answered.iter().for_each(|letter| self.decide(letter, rules, table));
            }
            Move::NotBegun(n) => {
                let asked = self.asked.remove(*n).event();
                let letter = self.provider.not_begun(&asked);
                self.decide(&letter, rules, table);
            }
            Move::Notice(n) => {
                let letter = self.notices.remove(*n);
                self.decide(&letter, rules, table);
            }
            Move::LoseNotice(n) => _ = self.notices.remove(*n),
            Move::Act(attempt) => {
                self.provider.act(*attempt);
                self.tell_of(*attempt);
            }
            Move::Fire(armed) => self.fire(armed, rules, table),
            Move::CancelOrder => {
                self.left.cancel_order -= 1;
                self.send::<OrderCommand>(CancelOrder { order_id: order_id(), reason: String::new() }, rules, table);
            }
            Move::CancelLine(sku) => {
                self.left.cancel_lines -= 1;
                let lines = one_of(sku);
                self.send::<OrderCommand>(CancelLines { order_id: order_id(), lines, reason: String::new() }, rules, table);
            }
            Move::ChangePayment => {
                self.left.change_payment -= 1;
                let payment = Some(PaymentMeans { token: "tok_other".into() });
                self.send::<OrderCommand>(ChangePayment { order_id: order_id(), payment }, rules, table);
            }
            Move::Return(sku) => {
                self.left.returns -= 1;
                let lines = one_of(sku);
                let condition = Condition::Resalable.into();
                self.send::<OrderCommand>(ReceiveReturn { order_id: order_id(), lines, condition, ..Default::default() }, rules, table);
            }
            Move::RequestReturn(sku) => {
                self.left.returns -= 1;
                let lines = one_of(sku);
                self.send::<OrderCommand>(RequestReturn { order_id: order_id(), lines, reason: String::new() }, rules, table);
            }
            Move::RefuseReturn(sku) => {
                self.left.returns -= 1;
                let lines = one_of(sku);
                self.send::<OrderCommand>(RefuseReturn { order_id: order_id(), lines, reason: String::new() }, rules, table);
            }
            Move::Hold => {
                self.left.holds -= 1;
                self.send::<OrderCommand>(HoldOrder { order_id: order_id(), reason: String::new() }, rules, table);
            }
            Move::EndHold => {
                self.left.holds = self.left.holds.saturating_sub(1);
                self.send::<OrderCommand>(EndOrderHold { order_id: order_id() }, rules, table);
            }
            Move::ToSender(number) => {
                self.left.mishaps -= 1;
                self.ship(BackThere { order_id: order_id(), number: *number }, rules, table);
            }
            Move::Dispatch(number) => self.ship(DispatchShipment { order_id: order_id(), number: *number }, rules, table),
            Move::Delivered(number) => self.ship(ArrivedThere { order_id: order_id(), number: *number }, rules, table),
            Move::Lost(number) => {
                self.left.mishaps -= 1;
                self.ship(LostThere { order_id: order_id(), number: *number }, rules, table);
            }
            Move::ShortPick(number) => {
                self.left.mishaps -= 1;
                let first = self.shipment(*number).lines.first().map(|line| line.sku.clone()).unwrap_or_default();
                let lines = vec![ShipmentLine { sku: first, quantity: 1 }];
                self.ship(ReportShortPick { order_id: order_id(), number: *number, lines }, rules, table);
            }
        }
    }

    pub(super) fn ship(&mut self, command: impl Into<ShipmentCommand>, rules: &Rules, table: &mut Table) {
        self.send::<ShipmentCommand>(command, rules, table);
    }

    /// The provider may say by itself what has changed.
    fn tell_of(&mut self, attempt: u32) {
        if self.left.notices == 0 {
            return;
        }
        self.left.notices -= 1;
        let (order_id, notice_id) = (ORDER.to_owned(), format!("n-{}", self.left.notices));
        let notice = RecordProviderNotice { order_id, notice_id, kind: "changed".into(), payment: self.provider.shown(attempt) };
        self.notices.push(Letter::from(ServiceMessage::of(&PaymentCommand::from(notice))));
    }
}
