//! Rules of the shop's books. They join those of the judge.

use std::sync::LazyLock;

use crate::judge::rules::{self, Rule, table};

table! {
    STOCK_BELOW_ZERO: "I6" Effects "stock-below-zero", "At no time is less than nothing on hand, or reserved.";
    RESERVED_ABOVE_HAND: "I6" Effects "reserved-above-hand", "At no time is more reserved than on hand.";
    RESERVATION_UNBALANCED: "I6" Effects "reservation-unbalanced", "What is committed or released was reserved, no more of it; what expired, as many, and it was not confirmed; a closed place gets nothing; a transfer counts once.";
    CROSSING_UNTOLD: "I6" Effects "crossing-untold", "A stock says that it fell below its reorder point, or is back at it, when it does, and only then.";
    SUM_OF_EFFECTS: "I2" Answers "sum-of-effects", "A stream has received as many pieces as the commands that were accepted for it brought.";
}

/// Rules of orders, and of all that an order sets going.
pub mod orders {
    use crate::judge::rules::table;

    table! {
        ORDER_STEP: "I9" Effects "order-step", "An event of an order is one that is possible where the order stands.";
        ORDER_PIECES: "I9" Effects "order-pieces", "Every piece that an order has placed, has held, sends, cancels or takes back is one of those that were ordered, and has one fate.";
        ORDER_SUM: "I7" Effects "order-sum", "An order's total is the sum of its lines and its delivery, and what the shopper was shown.";
        MONEY_UNLIKE_PIECES: "I7" Effects "money-unlike-pieces", "What an order asks to be authorised, taken and given back is what the pieces cost that it is about.";
        OVER_CAPTURED: "I7" Effects "captured-beyond-authorised", "At no time is more captured of a payment than is authorised.";
        OVER_REFUNDED: "I7" Effects "refunded-beyond-captured", "At no time is more given back of a payment than was captured.";
        ASK_ANSWERED: "I7" Effects "ask-answered-once", "Each ask of an order to its payment, and of the payment to its provider, has one answer, of its number and amount.";
        TWO_IN_FLIGHT: "I7" Effects "two-in-flight", "A payment asks its provider for one operation at a time.";
        CART_ORDERS: "I9" Effects "cart-orders", "A cart that is checked out makes one order, with its lines, and no other order is its.";
        PAYMENT_UNLIKE_ORDER: "I7" Effects "payment-unlike-order", "An order's books of money are those of its payment.";
        SHIPMENT_UNLIKE_ORDER: "I9" Effects "shipment-unlike-order", "An order's pieces left, arrived, were lost and came back with its shipments, each once.";
        HOLD_UNLIKE_ORDER: "I6" Effects "hold-unlike-order", "At the end a stock holds of an order what that has still to send: of one that has ended, nothing.";
        COMMIT_UNLIKE_ORDER: "I6" Effects "commit-unlike-order", "Of an order as many pieces left a shelf as the order has sent from there.";
        RESTOCK_UNLIKE_ORDER: "I6" Effects "restock-unlike-order", "As many pieces are back on a shelf as orders have taken back to it.";
        MONEY_LEFT: "I7" Effects "money-left", "Of an order that was cancelled or rejected nothing is authorised any more, and what was taken was given back.";
        MONEY_UNLIKE_KEPT: "I7" Effects "money-unlike-kept", "Of an order that is completed, the money that was taken and not given back is what the pieces cost that the customer has.";
        ORDER_UNFINISHED: "I9" Effects "order-unfinished", "Every order comes to an end.";
        AUTHORISATION_LEFT: "I7" Effects "authorisation-left", "Of an order that is completed nothing more is authorised, but for what could not be taken and may be tried again.";
        RELEASED_ONCE: "I7" Effects "released-once", "Each release that an order asks its payment for has one answer, and behind it nothing is taken.";
        LEFT_IN_DOUBT: "I9" Effects "left-in-doubt", "When an authorisation is lost, or money was taken back, what has not left is held; and nothing leaves that is held.";
        DEADLINE_EARLY: "I9" Effects "deadline-early", "What the scheduler sends is decided at its time, by the log's clock, or later.";
        DEADLINE_TWICE: "I9" Effects "deadline-twice", "A deadline is sent under one id: it takes effect once.";
        PROVIDER_DIFFERS: "I7" Effects "provider-differs", "The provider's books and ours are equal, payment by payment.";
        CARRIER_DIFFERS: "I9" Effects "carrier-differs", "The carrier has one parcel of each shipment that has a label, and no others.";
        MONEY_MOVED_TWICE: "I7" Effects "money-moved-twice", "The provider moved no more money than it was asked to, each ask once.";
    }
}

fn in_order(tables: &[&[Rule]]) -> Vec<Rule> {
    let mut all = tables.concat();
    all.sort_by_key(|rule| rule.layer);
    all
}

/// Every rule, in the order of causes: within a layer the books come first, for answers rest on them.
pub static ALL: LazyLock<Vec<Rule>> = LazyLock::new(|| in_order(&[RULES, orders::RULES, rules::RULES, rules::restored::RULES]));

static WITHOUT_ORDERS: LazyLock<Vec<Rule>> = LazyLock::new(|| in_order(&[RULES, rules::RULES]));

/// The rules that a run is held to: those of orders where clients placed some.
pub fn of(orders: bool) -> &'static [Rule] {
    if orders { &ALL } else { &WITHOUT_ORDERS }
}

/// Invariants that a run says nothing of, and why.
pub fn not_yet(orders: bool) -> &'static [(&'static str, &'static str)] {
    if orders { &[] } else { &[("I7", "no orders, no payments"), ("I9", "no orders, no payments")] }
}
