//! A payment and its rules. Pure: what is asked for, and what comes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::books::Object;
use crate::desk::{Done, Manner, Wrong};
use crate::notice::Sending;

/// Codes of ISO 4217 that nobody pays with: metals, units of account, funds.
const NOT_TAKEN: &[&str] = &[
    "BOV", "CHE", "CHW", "CLF", "COU", "MXV", "USN", "UYI", "UYW", "XAD", "XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT",
    "XSU", "XUA",
];
/// The most that a payment may be, in minor units: twelve digits, as cards have it.
pub(super) const MOST: i64 = 999_999_999_999;

/// On what terms payments are made.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How often an authorisation may be captured.
    pub captures: Captures,
    /// The currencies that are taken; none: every one that somebody pays with, from one minor unit on.
    pub currencies: Option<BTreeMap<String, Least>>,
}

impl From<Captures> for Terms {
    fn from(captures: Captures) -> Self {
        Self { captures, currencies: None }
    }
}

/// What a payment in a currency is at least, in minor units, and of what it is a multiple.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Least {
    /// At least 1.
    pub minimum: i64,
    /// At least 1.
    pub step: i64,
}

impl Terms {
    fn least(&self, currency: &str) -> Option<Least> {
        let is_code = currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase());
        match &self.currencies {
            Some(taken) => taken.get(currency).copied(),
            None => (is_code && !NOT_TAKEN.contains(&currency)).then_some(Least { minimum: 1, step: 1 }),
        }
    }
}

/// An authorisation ends so long after its payment was made.
const CAPTURE_WITHIN: chrono::Duration = chrono::Duration::days(7);

/// How often an authorisation may be captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Captures {
    /// Once: what the first one leaves is released.
    Once,
    /// Until nothing is left.
    Many,
}

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Created,
    ActionRequired,
    Authorised,
    Declined,
    Cancelled,
}

/// A payment. Amounts are in minor units, each all that there ever was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Payment {
    pub(super) id: String,
    order: String,
    currency: String,
    amount: i64,
    status: Status,
    authorised: i64,
    captured: i64,
    /// Released: authorised and never captured.
    voided: i64,
    refunded: i64,
    /// Of the refunded, what the customers' banks have taken back.
    #[serde(default)]
    disputed: i64,
    /// When it was made.
    #[serde(default)]
    pub(super) created: DateTime<Utc>,
    captures: Captures,
    capture_before: DateTime<Utc>,
    /// Where the customer has to go.
    action_url: Option<String>,
    /// Why it was declined.
    code: Option<String>,
    /// Its captures fail.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    captures_fail: bool,
}

impl Object for Payment {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Payment {
    pub(super) fn create(order: String, amount: i64, currency: String, terms: &Terms, now: DateTime<Utc>) -> Done<Self> {
        let Some(Least { minimum, step }) = terms.least(&currency) else {
            return Done::refused(None, "currency-not-taken", format!("{currency:?} is not taken here"));
        };
        if !(minimum..=MOST).contains(&amount) || amount % step.max(1) != 0 {
            let why = format!("an amount in {currency} is {minimum} to {MOST} and a multiple of {step}, not {amount}");
            return Done::refused(None, "amount-not-taken", why);
        }
        let id = format!("pay_{}", uuid::Uuid::new_v4().simple());
        let payment = Self {
            id,
            order,
            currency,
            amount,
            status: Status::Created,
            authorised: 0,
            captured: 0,
            voided: 0,
            refunded: 0,
            disputed: 0,
            created: now,
            captures: terms.captures,
            capture_before: now + CAPTURE_WITHIN,
            action_url: None,
            code: None,
            captures_fail: false,
        };
        Done::changed(payment, "payment.created")
    }

    /// By the token's name.
    pub(super) fn confirm(&self, token: &str, act_at: &str) -> Done<Self> {
        if self.status != Status::Created {
            return self.refused("not-confirmable", "it was confirmed before, or cancelled");
        }
        let authorised = Done::changed(self.authorised(), "payment.authorised");
        let sending = Sending::default();
        match token {
            "tok_ok" => authorised,
            "tok_slow" => Done { manner: Manner::Late(Duration::from_secs(5)), ..authorised },
            "tok_action" => {
                let action_url = Some(format!("{act_at}{}", self.id));
                Done::changed(Self { status: Status::ActionRequired, action_url, ..self.clone() }, "payment.action_required")
            }
            "tok_charged_then_timeout" => Done { manner: Manner::Never, ..authorised },
            "tok_error_after_charge" => Done { manner: Manner::Error, ..authorised },
            "tok_webhook_twice" => Done { sending: Sending { twice: true, ..sending }, ..authorised },
            "tok_webhook_late" => Done { sending: Sending { late_ms: 10_000, ..sending }, ..authorised },
            "tok_webhook_only" => Done { manner: Manner::OnlyNotice, ..authorised },
            "tok_webhook_forged" => Done { sending: Sending { forged_first: true, ..sending }, ..authorised },
            "tok_capture_fails" => Done::changed(Self { captures_fail: true, ..self.authorised() }, "payment.authorised"),
            "tok_declined" => self.declined("card-declined"),
            _ => self.declined("unknown-token"),
        }
    }

    pub(super) fn capture(&self, amount: i64, now: DateTime<Utc>) -> Done<Self> {
        if self.status != Status::Authorised {
            return self.refused("not-authorised", "nothing is authorised");
        }
        if self.captures_fail {
            return self.refused("capture-failed", "the bank says no");
        }
        if now >= self.capture_before {
            return self.refused("authorisation-expired", "the authorisation has ended");
        }
        if self.captures == Captures::Once && self.captured > 0 {
            return self.refused("already-captured", "it can be captured once");
        }
        if amount < 1 || amount > self.authorised - self.captured {
            return self.refused("amount-not-taken", "more than is authorised and not captured yet, or nothing");
        }
        let captured = self.captured + amount;
        let voided = if self.captures == Captures::Once { self.authorised - captured } else { self.voided };
        Done::changed(Self { captured, voided, ..self.clone() }, "payment.captured")
    }

    /// Releases what is not captured; a confirmation that comes later fails.
    pub(super) fn cancel(&self) -> Done<Self> {
        if self.status == Status::Cancelled {
            return Done::already(self.clone());
        }
        Done::changed(Self { status: Status::Cancelled, voided: self.authorised - self.captured, ..self.clone() }, "payment.cancelled")
    }

    pub(super) fn refund(&self, amount: i64) -> Done<Self> {
        if amount < 1 || amount > self.captured - self.refunded {
            return self.refused("amount-not-taken", "more than is captured and not refunded yet, or nothing");
        }
        Done::changed(Self { refunded: self.refunded + amount, ..self.clone() }, "payment.refunded")
    }

    /// The customer does what was asked for, or declines.
    pub(super) fn act(&self, decline: bool) -> Result<(Self, &'static str), Wrong> {
        if self.status != Status::ActionRequired {
            return Err(Wrong(StatusCode::CONFLICT, "no-action", "nothing is asked of the customer".to_owned()));
        }
        let payment = Self { action_url: None, ..self.clone() };
        Ok(match decline {
            false => (payment.authorised(), "payment.authorised"),
            true => (Self { status: Status::Declined, code: Some("customer-declined".to_owned()), ..payment }, "payment.declined"),
        })
    }

    /// The customer's bank takes money back: nobody here asked for it.
    pub(super) fn charge_back(&self, amount: i64) -> Result<(Self, &'static str), Wrong> {
        if amount < 1 || amount > self.captured - self.refunded {
            return Err(Wrong(
                StatusCode::CONFLICT,
                "amount-not-taken",
                "more than is captured and not refunded yet, or nothing".to_owned(),
            ));
        }
        let (refunded, disputed) = (self.refunded + amount, self.disputed + amount);
        Ok((Self { refunded, disputed, ..self.clone() }, "payment.refunded"))
    }

    /// The authorisation ends by itself, as it does when its time is over or the bank takes it back.
    pub(super) fn expire(&self) -> Result<(Self, &'static str), Wrong> {
        if self.status != Status::Authorised {
            return Err(Wrong(StatusCode::CONFLICT, "not-authorised", "nothing is authorised".to_owned()));
        }
        let voided = self.authorised - self.captured;
        Ok((Self { status: Status::Cancelled, voided, ..self.clone() }, "payment.cancelled"))
    }

    /// Captures fail no more: the bank has no longer anything against them.
    pub(super) fn relent(&self) -> (Self, &'static str) {
        (Self { captures_fail: false, ..self.clone() }, "payment.updated")
    }

    fn authorised(&self) -> Self {
        Self { status: Status::Authorised, authorised: self.amount, ..self.clone() }
    }

    fn declined(&self, code: &str) -> Done<Self> {
        let payment = Self { status: Status::Declined, code: Some(code.to_owned()), ..self.clone() };
        Done { kind: Some("payment.declined"), ..Done::refused(Some(payment), code, "the means of payment were declined") }
    }

    fn refused(&self, code: &str, why: &str) -> Done<Self> {
        Done::refused(Some(self.clone()), code, why)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn created(captures: Captures) -> Payment {
        Payment::create("o-1".into(), 1_000, "EUR".into(), &captures.into(), Utc::now()).object.expect("it is taken")
    }

    fn code(done: &Done<Payment>) -> &str {
        done.refused.as_ref().map_or("", |(code, _)| code)
    }

    #[test]
    fn what_is_not_taken_makes_no_payment() {
        let create = |amount, currency: &str, terms: &Terms| Payment::create("o-1".into(), amount, currency.into(), terms, Utc::now());
        let all = Terms::from(Captures::Many);
        for (amount, currency, refused) in [
            (1, "EUR", ""),
            (MOST, "JPY", ""),
            (0, "EUR", "amount-not-taken"),
            (MOST + 1, "EUR", "amount-not-taken"),
            (1, "XAU", "currency-not-taken"),
            (1, "eur", "currency-not-taken"),
        ] {
            let done = create(amount, currency, &all);
            assert_eq!((code(&done), done.object.is_none()), (refused, !refused.is_empty()), "{amount} {currency}");
        }
        let some = Terms { currencies: Some([("KWD".to_owned(), Least { minimum: 100, step: 10 })].into()), ..all };
        for (amount, currency, refused) in
            [(100, "KWD", ""), (99, "KWD", "amount-not-taken"), (101, "KWD", "amount-not-taken"), (100, "EUR", "currency-not-taken")]
        {
            assert_eq!(code(&create(amount, currency, &some)), refused, "{amount} {currency}");
        }
    }

    #[test]
    fn captured_once_the_rest_is_released() {
        let authorised = created(Captures::Once).authorised();
        let captured = authorised.capture(400, Utc::now()).object.expect("captured");
        assert_eq!((captured.captured, captured.voided), (400, 600));
        assert_eq!(code(&captured.capture(1, Utc::now())), "already-captured");
        let many = created(Captures::Many).authorised().capture(400, Utc::now()).object.expect("captured");
        assert_eq!(code(&many.capture(601, Utc::now())), "amount-not-taken");
        assert_eq!(many.capture(600, Utc::now()).object.expect("captured").captured, 1_000);
    }

    #[test]
    fn a_cancelled_payment_can_t_be_confirmed_or_captured_and_still_be_refunded() {
        assert_eq!(code(&created(Captures::Many).cancel().object.expect("cancelled").confirm("tok_ok", "")), "not-confirmable");
        let captured = created(Captures::Many).authorised().capture(400, Utc::now()).object.expect("captured");
        let cancelled = captured.cancel().object.expect("cancelled");
        assert_eq!((code(&cancelled.capture(1, Utc::now())), cancelled.voided), ("not-authorised", 600));
        assert_eq!(code(&cancelled.refund(401)), "amount-not-taken");
        assert_eq!(cancelled.refund(400).object.expect("refunded").refunded, 400);
    }

    #[test]
    fn what_the_bank_does_not_let_be_captured_is_captured_once_it_relents() {
        let refused = created(Captures::Many).confirm("tok_capture_fails", "").object.expect("authorised");
        assert_eq!(code(&refused.capture(400, Utc::now())), "capture-failed");
        let (taken, _) = refused.relent();
        assert_eq!(taken.capture(400, Utc::now()).object.expect("captured").captured, 400);
    }

    #[test]
    fn an_authorisation_ends() {
        let authorised = created(Captures::Many).authorised();
        assert_eq!(code(&authorised.capture(1, authorised.capture_before)), "authorisation-expired");
    }

    #[test]
    fn an_authorisation_that_has_ended_by_itself_takes_nothing_more_and_what_was_taken_can_be_given_back() {
        let code = |what: Result<(Payment, &'static str), Wrong>| what.map_err(|wrong| wrong.1);
        assert_eq!(code(created(Captures::Many).expire()), Err("not-authorised"));
        let captured = created(Captures::Many).authorised().capture(400, Utc::now()).object.expect("captured");
        let (ended, kind) = captured.expire().ok().expect("it ends");
        assert_eq!((ended.voided, kind, super::tests::code(&ended.capture(1, Utc::now()))), (600, "payment.cancelled", "not-authorised"));
        assert_eq!(ended.refund(400).object.expect("refunded").refunded, 400);
    }

    proptest! {
        /// Whatever is asked for, in whatever order.
        #[test]
        fn no_more_is_captured_than_authorised_and_no_more_refunded_than_captured(
            once: bool,
            asked in prop::collection::vec((0..5_u8, -1_i64..1_100), 0..20),
        ) {
            let mut payment = created(if once { Captures::Once } else { Captures::Many });
            for (what, amount) in asked {
                let before = payment.clone();
                let done = match what {
                    0 => payment.confirm("tok_ok", ""),
                    1 | 2 => payment.capture(amount, Utc::now()),
                    3 => payment.refund(amount),
                    _ => payment.cancel(),
                };
                payment = done.object.expect("there is one");
                prop_assert!(payment.captured <= payment.authorised && payment.refunded <= payment.captured && payment.authorised <= 1_000);
                prop_assert!(payment.captured + payment.voided <= payment.authorised);
                prop_assert!(payment.captured >= before.captured && payment.refunded >= before.refunded && payment.voided >= before.voided);
            }
        }
    }
}
