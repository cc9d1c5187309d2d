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

/// Every rule, in the order of causes: within a layer the books come first, for answers rest on them.
pub static ALL: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let mut all = [RULES, rules::RULES].concat();
    all.sort_by_key(|rule| rule.layer);
    all
});

/// Invariants that nothing can be judged by yet, and why. Orders and payments join the judge here, each as a rule above.
pub const NOT_YET: &[(&str, &str)] = &[("I7", "no orders, no payments"), ("I9", "no orders, no payments")];
