//! One payment, folded from its stream, event by event: what the order asked, what the provider was asked, and where the money is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Looked;
use super::order::Asked;
use super::pieces::{number, text, units};
use crate::judge::case::Written;
use crate::shop::rules::orders as rules;

/// The provider's object of an attempt, as we have heard of it: amounts only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Object {
    /// Its place in ProviderStatus: 1 created, 2 action required, 3 authorised, 4 declined, 5 cancelled.
    pub(super) rank: i64,
    pub(super) authorised: i64,
    pub(super) captured: i64,
    pub(super) refunded: i64,
    /// After its first capture nothing is authorised any more.
    captures_once: bool,
}

/// What the provider is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Operation {
    /// As the proto names it, without its beginning.
    pub(super) name: String,
    pub(super) object: String,
    /// With its name and whether it is an undo, what is asked: what is asked again has the same.
    pub(super) number: i64,
    pub(super) undo: bool,
    pub(super) amount: i64,
    answered: bool,
    /// By what was asked before a restore alone.
    answered_by_the_void: bool,
}

impl Operation {
    /// As its ask says.
    pub(super) fn of(asked: &Value) -> Self {
        let name = text(asked, "operation").strip_prefix("OPERATION_").unwrap_or_default().to_owned();
        let (object, amount) = (text(asked, "objectId").to_owned(), units(&asked["amount"]));
        Self { name, object, number: number(asked, "number"), undo: asked["undo"] == true, amount, ..Self::default() }
    }
}

/// The state of a payment's stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Payment {
    /// The amount of each attempt, by number, and the event that answered it; empty: none has.
    attempts: BTreeMap<i64, (i64, String)>,
    /// Those that were asked for because of an event that a restore took away.
    void_attempts: BTreeSet<i64>,
    pub(super) captures: BTreeMap<i64, Asked>,
    pub(super) refunds: BTreeMap<i64, Asked>,
    /// Captures that try again what has failed: it may have been done after all, and nothing is taken then.
    tried_again: BTreeSet<i64>,
    /// Whether each was answered.
    voids: BTreeMap<i64, bool>,
    releases: BTreeMap<i64, bool>,
    /// By the provider's id.
    pub(super) objects: BTreeMap<String, Object>,
    /// By the number of the ask.
    pub(super) operations: BTreeMap<i64, Operation>,
    pub(super) authorised: i64,
    captured: i64,
    refunded: i64,
    /// Money has moved that nobody had asked for, and that was not settled since.
    pub(super) deviated: bool,
}

const STATUS: [&str; 6] = ["UNSPECIFIED", "CREATED", "ACTION_REQUIRED", "AUTHORISED", "DECLINED", "CANCELLED"];

impl Payment {
    /// Books an event; what was looked at joins `looked`.
    pub(super) fn book(&mut self, at: &Written<'_>, is_of_the_void: bool, looked: &mut Vec<Looked>) {
        let (kind, json) = (at.kind(), &at.json);
        let (n, amount) = (number(json, "number"), units(&json["amount"]));
        let retries = number(json, "retries");
        if kind == "CaptureRequested" && retries > 0 {
            self.tried_again.insert(n);
        }
        let is_asked = kind == "ProviderAsked" && json["operation"] == "OPERATION_CAPTURE";
        if is_asked || ["CaptureRequested", "PaymentCaptured"].contains(&kind) && !self.tried_again.contains(&n) {
            let released = self.releases.values().any(|answered| *answered);
            looked.push((rules::RELEASED_ONCE, !released, format!("{amount} for capture {n}, releases are {:?}", self.releases)));
        }
        match kind {
            "PaymentRequested" => {
                self.attempts.insert(number(json, "attempt"), (amount, String::new()));
                if is_of_the_void {
                    self.void_attempts.insert(number(json, "attempt"));
                }
            }
            "CaptureRequested" => request(&mut self.captures, n, amount, retries),
            "RefundRequested" => request(&mut self.refunds, n, amount, retries),
            "VoidRequested" => drop(self.voids.insert(n, false)),
            "ReleaseRequested" => drop(self.releases.insert(n, false)),
            "ProviderAsked" => self.ask(json, looked),
            "ProviderHeard" => self.hear(json, is_of_the_void, looked),
            "PaymentAuthorised" | "PaymentDeclined" | "PaymentEnded" => self.attempted(kind, json, is_of_the_void, looked),
            "PaymentCaptured" | "CaptureFailed" => {
                let done = kind == "PaymentCaptured";
                self.captured += if done { amount } else { 0 };
                answer(&mut self.captures, n, amount, done, looked);
            }
            "PaymentRefunded" | "RefundFailed" => {
                let done = kind == "PaymentRefunded";
                self.refunded += if done { amount } else { 0 };
                answer(&mut self.refunds, n, amount, done, looked);
            }
            "PaymentVoided" => {
                let was = self.voids.insert(n, true);
                looked.push((rules::ASK_ANSWERED, was == Some(false), format!("void {n}: {was:?}")));
            }
            "PaymentReleased" => {
                let was = self.releases.insert(n, true);
                looked.push((rules::RELEASED_ONCE, was == Some(false), format!("release {n}: {was:?}")));
            }
            // What was settled since deviates no more.
            "PaymentDeviated" => self.deviated = number(json, "captured") > 0 || number(json, "refunded") > 0,
            _ => {}
        }
        let (captured, refunded) = (self.captured <= self.authorised, self.refunded <= self.captured);
        looked.push((rules::OVER_CAPTURED, captured, format!("{} captured of {}", self.captured, self.authorised)));
        looked.push((rules::OVER_REFUNDED, refunded, format!("{} given back of {}", self.refunded, self.captured)));
    }

    fn ask(&mut self, json: &Value, looked: &mut Vec<Looked>) {
        let n = number(json, "ask");
        let open: Vec<i64> = self.operations.iter().filter(|(_, operation)| !operation.answered).map(|(n, _)| *n).collect();
        let is_new = self.operations.keys().next_back().is_none_or(|last| n > *last);
        looked.push((rules::TWO_IN_FLIGHT, open.is_empty() && is_new, format!("ask {n} while {open:?} are open")));
        self.operations.insert(n, Operation::of(json));
    }

    /// What was asked before a restore is asked again after it under the same key, and both are answered.
    fn hear(&mut self, json: &Value, is_of_the_void: bool, looked: &mut Vec<Looked>) {
        let ask = number(json, "ask");
        if ask > 0 {
            let asked = self.operations.get_mut(&ask);
            let holds = is_of_the_void || asked.as_ref().is_some_and(|asked| !asked.answered || asked.answered_by_the_void);
            looked.push((rules::ASK_ANSWERED, holds, format!("ask {ask} was {asked:?}")));
            if let Some(asked) = asked {
                asked.answered_by_the_void = is_of_the_void && (!asked.answered || asked.answered_by_the_void);
                asked.answered = true;
            }
        }
        let told = &json["payment"];
        let id = text(told, "objectId");
        if id.is_empty() {
            return;
        }
        let object = self.objects.entry(id.to_owned()).or_default();
        let status = text(told, "status").strip_prefix("PROVIDER_STATUS_").unwrap_or_default();
        let rank = STATUS.iter().position(|name| *name == status).and_then(|rank| i64::try_from(rank).ok()).unwrap_or_default();
        object.rank = object.rank.max(rank);
        for (known, field) in
            [(&mut object.authorised, "authorised"), (&mut object.captured, "captured"), (&mut object.refunded, "refunded")]
        {
            *known = (*known).max(number(told, field));
        }
        object.captures_once |= told["capturesOnce"] == true;
        let (captured, refunded) = (object.captured <= object.authorised, object.refunded <= object.captured);
        looked.push((rules::OVER_CAPTURED, captured, format!("{id} is {object:?}")));
        looked.push((rules::OVER_REFUNDED, refunded, format!("{id} is {object:?}")));
    }

    /// An attempt has its answer. What was declined may come to an end later; who asks when it is over hears that without an ask.
    fn attempted(&mut self, kind: &str, json: &Value, is_of_the_void: bool, looked: &mut Vec<Looked>) {
        let n = number(json, "attempt");
        let asked = self.attempts.get(&n);
        let holds = match (kind, asked) {
            ("PaymentAuthorised", Some((amount, told))) => told.is_empty() && *amount == units(&json["amount"]),
            ("PaymentDeclined", Some((_, told))) => told.is_empty(),
            // What was asked for because of a lost event is asked for again, and one of both hears that all is over.
            ("PaymentEnded", Some((_, told))) => {
                told.is_empty() || told == "PaymentDeclined" || is_of_the_void || self.void_attempts.contains(&n)
            }
            ("PaymentEnded", None) => true,
            _ => false,
        };
        looked.push((rules::ASK_ANSWERED, holds, format!("attempt {n} was {asked:?}")));
        if kind == "PaymentAuthorised" {
            self.authorised += units(&json["amount"]);
        }
        let amount = asked.map(|(amount, _)| *amount).unwrap_or_default();
        self.attempts.insert(n, (amount, kind.to_owned()));
    }

    /// Asks that have no answer, as texts.
    pub(super) fn unanswered(&self) -> Vec<String> {
        let is_void = self.voids.values().any(|answered| *answered);
        let attempts = self.attempts.iter().filter(|(_, (_, told))| told.is_empty() && !is_void).map(|(n, _)| format!("attempt {n}"));
        let open = |asks: &BTreeMap<i64, Asked>, name: &str| {
            let open = asks.iter().filter(|(_, asked)| asked.done.is_none());
            open.map(|(n, _)| format!("{name} {n}")).collect::<Vec<_>>()
        };
        let open_ones = |of: &BTreeMap<i64, bool>, name: &str| {
            let open = of.iter().filter(|(_, answered)| !**answered);
            open.map(|(n, _)| format!("{name} {n}")).collect::<Vec<_>>()
        };
        let undone = [open_ones(&self.voids, "void"), open_ones(&self.releases, "release")].concat();
        let operations = self.operations.iter().filter(|(_, operation)| !operation.answered);
        let operations = operations.map(|(n, operation)| format!("{} as ask {n}", operation.name));
        let money = [open(&self.captures, "capture"), open(&self.refunds, "refund")].concat();
        attempts.chain(undone).chain(operations).chain(money).collect()
    }

    /// Taken by the provider and not given back, as we have heard.
    pub(super) fn kept(&self) -> i64 {
        self.objects.values().map(|object| object.captured - object.refunded).sum()
    }

    /// Objects by which money may still be taken, or is not given back.
    pub(super) fn left(&self) -> Vec<(&String, &Object)> {
        self.objects.iter().filter(|(_, object)| object.is_open() || object.captured != object.refunded).collect()
    }

    /// Objects by which money may still be taken.
    pub(super) fn open(&self) -> Vec<(&String, &Object)> {
        self.objects.iter().filter(|(_, object)| object.is_open()).collect()
    }
}

impl Object {
    fn is_open(&self) -> bool {
        let is_used = self.captures_once && self.captured > 0;
        self.rank < 4 && self.captured < self.authorised.max(1) && !is_used
    }
}

/// Notes an ask of the order. What has failed is it no more when it is asked for again.
fn request(asks: &mut BTreeMap<i64, Asked>, n: i64, amount: i64, retries: i64) {
    asks.entry(retries).and_modify(|failed| failed.amount = 0);
    asks.insert(n, Asked { amount, done: None });
}

/// Notes the answer to an ask: once, of its amount. An ask that comes when all is over hears that it failed, and stands nowhere.
fn answer(asks: &mut BTreeMap<i64, Asked>, n: i64, amount: i64, done: bool, looked: &mut Vec<Looked>) {
    let asked = asks.get(&n);
    let holds = asked.map_or(!done, |asked| asked.done.is_none() && asked.amount == amount);
    looked.push((rules::ASK_ANSWERED, holds, format!("{amount} for {n}, which was {asked:?}")));
    asks.insert(n, Asked { amount, done: Some(done) });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_asked_before_a_restore_may_be_answered_beside_what_is_asked_after_it_and_nothing_else_twice() {
        let asked = json!({ "ask": 1, "operation": "OPERATION_CREATE", "number": 1, "objectId": "", "amount": { "currency": "EUR", "minorUnits": "10" } });
        let heard = json!({ "ask": 1, "payment": { "objectId": "ob-1", "status": "PROVIDER_STATUS_CREATED" } });
        let answers = |of_the_void: &[bool]| {
            let (mut payment, mut looked) = (Payment::default(), Vec::new());
            payment.ask(&asked, &mut looked);
            of_the_void.iter().for_each(|void| payment.hear(&heard, *void, &mut looked));
            looked.iter().all(|(_, holds, _)| *holds)
        };
        assert!(answers(&[true, false]) && answers(&[false, true]) && answers(&[true, true, false]));
        assert!(!answers(&[false, false]) && !answers(&[true, false, false]));
    }

    #[test]
    fn an_attempt_ends_twice_only_where_a_lost_event_had_asked_for_it() {
        let ends = |of_the_void: bool| {
            let (mut payment, mut looked) = (Payment::default(), Vec::new());
            payment.attempts.insert(3, (10, String::new()));
            payment.attempted("PaymentEnded", &json!({ "attempt": 3 }), false, &mut looked);
            payment.attempted("PaymentEnded", &json!({ "attempt": 3 }), of_the_void, &mut looked);
            looked.iter().all(|(_, holds, _)| *holds)
        };
        assert!(ends(true));
        assert!(!ends(false));
    }
}
