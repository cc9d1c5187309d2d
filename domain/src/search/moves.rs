//! What may happen next.

use shop_proto::cart::v1::{AddItem, CartCommand, Checkout, PaymentMeans as CartMeans};
use shop_proto::holds::STAFF;
use shop_proto::order::v1::*;
use shop_proto::payment::v1::{Operation, PaymentCommand, RecordProviderNotice};
use shop_proto::samples::money;
use shop_proto::shipping::v1::{
    DispatchShipment, RecordDelivered as ArrivedThere, RecordLabel, RecordLost as LostThere, RecordReturnedToSender as BackThere,
    ReportShortPick, ShipmentCommand, ShipmentLine, ShipmentStatus,
};

use super::provider::{BY_HAND, Says};
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
    /// Captures and refunds that are tried again.
    pub(super) retries: u8,
    /// Notices that the provider sends by itself.
    pub(super) notices: u8,
    /// Authorisations that end by themselves, and money that a bank takes back.
    pub(super) troubles: u8,
    /// Captures and refunds that the provider forgets, captures that it does though it had refused them, and cancellations that it refuses.
    pub(super) whims: u8,
    /// Money that somebody moves at the provider by hand.
    pub(super) by_hand: u8,
    /// Processes that die: before a checkpoint, or after a call to the provider.
    pub(super) crashes: u8,
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
    /// The effect dies after its call: nobody has heard what came of it.
    Die(usize),
    /// The followers of a service's log die before their checkpoint.
    Crash(&'static str),
    Notice(usize),
    LoseNotice(usize),
    Act(u32),
    /// The authorisation of an attempt ends by itself.
    Expire(u32),
    ChargeBack(u32),
    /// The provider forgets what came of what it is asked, or has done.
    Forget(usize),
    /// It does a capture after all that it had refused, by attempt and amount.
    DoLate(u32, i64),
    /// Somebody takes so much of the payment of an attempt at the provider, by hand.
    TakeByHand(u32, i64),
    /// Somebody makes a payment of the order at the provider, takes it, and gives so much of it back.
    PayByHand(i64),
    /// It is told once more how the payment of an attempt stands: staff has compared the books.
    Tell(u32),
    /// The carrier has a label.
    Label(u32),
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
    /// Of this reason.
    EndHold(String),
    /// Staff has money tried again that could not be moved.
    RetryCapture(u32),
    RetryRefund(u32),
    RequestReturn(&'static str),
    RefuseReturn(&'static str),
    Return(&'static str),
}

/// One piece of a product.
fn one_of(sku: &str) -> Vec<OrderedLine> {
    vec![OrderedLine { sku: sku.to_owned(), quantity: 1 }]
}

/// A cart is checked out under the order's id, at what its customer was shown.
pub(super) fn checkout(cart: &str, total: i64) -> Checkout {
    let open = shop_proto::samples::order::open();
    Checkout {
        cart_id: cart.into(),
        order_id: ORDER.into(),
        customer_id: CUSTOMER.into(),
        email: open.email,
        delivery: open.delivery,
        shipping_address: open.shipping_address,
        payment: Some(CartMeans { token: "tok_ok".into() }),
        expected_total: Some(money("EUR", total)),
        ..Default::default()
    }
}

/// The most shipments that an order of the search has.
pub(super) const SHIPMENTS: [u32; 2] = [1, 2];

impl World {
    /// Two products in a cart, which is checked out at what they cost.
    pub(super) fn checked_out(mut self, quantities: [u32; 2], rules: &Rules, table: &mut Table) -> Self {
        self.check_out(CART, quantities, rules, table);
        self
    }

    pub(super) fn check_out(&mut self, cart: &str, quantities: [u32; 2], rules: &Rules, table: &mut Table) {
        self.check_out_with(cart, quantities, [0, 0], rules, table);
    }

    /// So many more are put into a cart that has some already, and it is checked out.
    pub(super) fn check_out_with(&mut self, cart: &str, more: [u32; 2], are_in_it: [u32; 2], rules: &Rules, table: &mut Table) {
        let mut total = 0;
        for ((sku, price), (quantity, before)) in PRODUCTS.iter().zip(more.into_iter().zip(are_in_it)) {
            if quantity > 0 {
                self.send::<CartCommand>(AddItem { cart_id: cart.into(), sku: (*sku).into(), quantity }, rules, table);
            }
            total += price * i64::from(quantity + before);
        }
        self.send::<CartCommand>(checkout(cart, total), rules, table);
    }

    /// So many of the first product are put into the cart.
    pub(super) fn fill(&mut self, quantity: u32, rules: &Rules, table: &mut Table) {
        let sku = PRODUCTS[0].0.to_owned();
        self.send::<CartCommand>(AddItem { cart_id: CART.into(), sku, quantity }, rules, table);
    }

    /// All that may happen now.
    pub(super) fn moves(&self) -> Vec<Move> {
        let mut moves: Vec<Move> = self.waiting().map(|(from, to)| Move::Deliver(from.clone(), to.clone())).collect();
        moves.extend((0..self.reads()).map(Move::Read));
        for (n, asked) in self.asked.iter().enumerate() {
            let operation = asked.event().operation();
            if self.left.whims > 0 && matches!(operation, Operation::Capture | Operation::Refund) {
                moves.push(Move::Forget(n));
            }
            if asked.outcome.is_some() {
                moves.push(Move::Answer(n));
                moves.extend((self.left.crashes > 0).then_some(Move::Die(n)));
                continue;
            }
            moves.push(Move::Perform(n, Says::Yes));
            if self.left.free_provider && operation == Operation::Confirm {
                moves.extend([Move::Perform(n, Says::No), Move::Perform(n, Says::Act)]);
            }
            if self.left.free_provider && matches!(operation, Operation::Create | Operation::Confirm) {
                moves.push(Move::NotBegun(n));
            }
            if self.left.whims > 0 && operation == Operation::Cancel {
                moves.push(Move::Perform(n, Says::No));
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
        if self.left.crashes > 0 {
            moves.extend(self.services().into_iter().map(Move::Crash));
        }
        if self.left.troubles > 0 {
            moves.extend(self.provider.to_expire().into_iter().map(Move::Expire));
            moves.extend(self.provider.to_charge_back().into_iter().map(Move::ChargeBack));
        }
        if self.left.whims > 0 {
            moves.extend(self.provider.to_do_late().into_iter().map(|(attempt, amount)| Move::DoLate(attempt, amount)));
        }
        if self.left.by_hand > 0 {
            moves.extend(self.provider.to_expire().into_iter().map(|attempt| Move::TakeByHand(attempt, BY_HAND)));
            // Of an order that never asks to be paid, nobody gives back what was: the comparison of the books shows it.
            moves.extend([0, BY_HAND].map(Move::PayByHand).into_iter().filter(|_| self.order().payment_attempt > 0));
        }
        if self.left.cancel_order > 0 {
            moves.push(Move::CancelOrder);
        }
        if self.left.holds > 0 {
            moves.extend([Move::Hold, Move::EndHold(STAFF.to_owned())]);
            moves.extend(self.order().holds.into_iter().filter(|reason| reason != STAFF).map(Move::EndHold));
        }
        moves.extend(self.to_try_again().into_iter().filter(|_| self.left.retries > 0));
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
                    moves.extend((!self.shipment(number).labelled).then_some(Move::Label(number)));
                    moves.extend((self.left.mishaps > 0).then_some(Move::ShortPick(number)));
                }
                ShipmentStatus::Dispatched => {
                    moves.push(Move::Delivered(number));
                    if self.left.mishaps > 0 {
                        moves.extend([Move::Lost(number), Move::ToSender(number)]);
                    }
                }
                // It turns up.
                ShipmentStatus::Lost if self.left.mishaps > 0 => moves.extend([Move::Delivered(number), Move::ToSender(number)]),
                _ => {}
            }
        }
        moves
    }

    /// Money that could not be moved, and that staff may have tried again.
    pub(super) fn to_try_again(&self) -> Vec<Move> {
        let order = self.order();
        // Where nothing is owed, or can be taken, staff tries it when the books show that something was taken all the same.
        let (payment, may_be_taken) = (self.payment(), !order.authorisation_lost);
        let undone: i64 = payment.objects.iter().map(|object| object.undone).sum();
        let is_tried = |owed: &&FailedMove| payment.deviated_captured > undone || owed.minor_units > 0 && may_be_taken;
        let captures = order.captures_owed.iter().filter(is_tried).map(|owed| Move::RetryCapture(owed.number));
        captures.chain(order.refunds_owed.iter().map(|owed| Move::RetryRefund(owed.number))).collect()
    }

    /// It happens.
    pub(super) fn go(&mut self, one: &Move, rules: &Rules, table: &mut Table) {
        let order_id = || ORDER.to_owned();
        match one {
            Move::Deliver(from, to) => self.deliver(&(from.clone(), to.clone()), rules, table),
            Move::Read(n) => self.read(*n, rules, table),
            Move::Perform(n, says) => {
                let (asked, id) = (self.asked[*n].event(), self.asked[*n].id.clone());
                self.left.whims -= u8::from(asked.operation() == Operation::Cancel && *says == Says::No);
                let (answer, attempt) = self.provider.perform(&asked, &id, *says);
                self.asked[*n].outcome = Some(answer);
                self.tell_of(attempt);
            }
            Move::Die(n) => {
                self.left.crashes -= 1;
                self.asked[*n].outcome = None;
            }
            Move::Crash(service) => {
                self.left.crashes -= 1;
                self.crash(service, rules);
            }
            Move::Answer(n) => {
                let answered = self.asked.remove(*n).outcome;
                answered.iter().for_each(|letter| self.decide(letter, rules, table));
            }
            Move::NotBegun(n) => {
                let asked = self.asked.remove(*n);
                let letter = self.provider.not_begun(&asked.event(), &asked.id);
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
            Move::Expire(attempt) => {
                self.left.troubles -= 1;
                self.provider.expire(*attempt);
                self.tell_of(*attempt);
            }
            Move::ChargeBack(attempt) => {
                self.left.troubles -= 1;
                self.provider.charge_back(*attempt);
                self.tell_of(*attempt);
            }
            Move::Forget(n) => {
                self.left.whims -= 1;
                let asked = self.asked.remove(*n);
                let letter = self.provider.forget(&asked.event(), &asked.id);
                self.decide(&letter, rules, table);
            }
            Move::DoLate(attempt, amount) => {
                self.left.whims -= 1;
                self.provider.do_late((*attempt, *amount));
                self.tell_of(*attempt);
            }
            Move::TakeByHand(attempt, amount) => {
                self.left.by_hand -= 1;
                self.provider.take_by_hand(*attempt, *amount);
                self.tell_of(*attempt);
            }
            Move::PayByHand(given_back) => {
                self.left.by_hand -= 1;
                let made = self.provider.pay_by_hand(*given_back);
                self.tell_of(made);
            }
            Move::Tell(attempt) => {
                let shown = self.provider.shown(*attempt).map_or(0, |object| object.captured);
                let letter = self.noticed(format!("told-{attempt}-{shown}"), *attempt);
                self.decide(&letter, rules, table);
            }
            Move::Label(number) => {
                let (carrier, tracking) = ("parcel".to_owned(), format!("P-{number}"));
                self.ship(RecordLabel { order_id: order_id(), number: *number, carrier, tracking, ..Default::default() }, rules, table);
            }
            Move::Fire(armed) => self.fire(armed),
            Move::CancelOrder => {
                self.left.cancel_order = self.left.cancel_order.saturating_sub(1);
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
            Move::EndHold(reason) => {
                self.left.holds = self.left.holds.saturating_sub(1);
                self.send::<OrderCommand>(EndOrderHold { order_id: order_id(), reason: reason.clone() }, rules, table);
            }
            Move::RetryCapture(number) => {
                self.left.retries = self.left.retries.saturating_sub(1);
                self.send::<OrderCommand>(RetryCapture { order_id: order_id(), number: *number }, rules, table);
            }
            Move::RetryRefund(number) => {
                self.left.retries = self.left.retries.saturating_sub(1);
                self.send::<OrderCommand>(RetryRefund { order_id: order_id(), number: *number }, rules, table);
            }
            Move::ToSender(number) => {
                self.left.mishaps -= 1;
                self.ship(BackThere { order_id: order_id(), number: *number }, rules, table);
            }
            Move::Dispatch(number) => self.ship(DispatchShipment { order_id: order_id(), number: *number }, rules, table),
            Move::Delivered(number) => {
                let was_lost = self.shipment(*number).status() == ShipmentStatus::Lost;
                self.left.mishaps -= u8::from(was_lost).min(self.left.mishaps);
                self.ship(ArrivedThere { order_id: order_id(), number: *number }, rules, table);
            }
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
        let letter = self.noticed(format!("n-{}", self.left.notices), attempt);
        self.notices.push(letter);
    }

    fn noticed(&mut self, notice_id: String, attempt: u32) -> Letter {
        let payment = self.provider.shown(attempt);
        self.said::<PaymentCommand>(RecordProviderNotice { order_id: ORDER.to_owned(), notice_id, kind: "changed".into(), payment })
    }
}
