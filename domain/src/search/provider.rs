//! A provider that may do whatever it is asked, say no, or want something of the customer first.

use std::collections::BTreeMap;

use shop_proto::payment::v1::{
    Operation, OperationResult, PaymentCommand, PaymentState, ProviderAsked, ProviderPayment, ProviderStatus, RecordOperation,
};

use daybook_kernel::ServiceMessage;

use super::past::Id;
use super::world::{Letter, ORDER};

/// What the provider makes of a confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Says {
    Yes,
    No,
    /// The customer has to do something first.
    Act,
}

/// A payment, as the provider has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Object {
    status: i32,
    pub(super) authorised: i64,
    pub(super) captured: i64,
    pub(super) refunded: i64,
    wants: i64,
}

/// The provider's books.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Provider {
    /// By the attempt that made them.
    objects: BTreeMap<u32, Object>,
    pub(super) captures_once: bool,
    /// What came of each key, by operation, number, whether it undoes something, and how often it is asked again: who asks again hears the same.
    keys: BTreeMap<(i32, u32, bool, u32), (OperationResult, u32)>,
    /// It does again what it is asked again.
    pub(super) forgets_keys: bool,
    /// Captures that it has refused, by attempt and amount.
    refused: Vec<(u32, i64)>,
    /// What the customer's bank has taken back.
    pub(super) charged_back: i64,
    /// What somebody has taken by hand.
    pub(super) by_hand: i64,
    /// An authorisation has ended by itself.
    pub(super) has_expired: bool,
}

impl Object {
    pub(super) fn status(&self) -> ProviderStatus {
        ProviderStatus::try_from(self.status).unwrap_or_default()
    }

    fn stands(&mut self, status: ProviderStatus) {
        self.status = status.into();
    }
}

/// What somebody pays by hand: less than an order costs.
pub(super) const BY_HAND: i64 = 97;
/// The attempt of a payment that is none of ours.
const NO_ATTEMPT: u32 = 0;

fn name(attempt: u32) -> String {
    format!("pay_{attempt}")
}

/// The attempt that made the object of this name.
fn attempt_of(object_id: &str) -> u32 {
    object_id.trim_start_matches("pay_").parse().unwrap_or_default()
}

/// That of an operation, as the effect makes it of what it is asked.
fn key(asked: &ProviderAsked) -> (i32, u32, bool, u32) {
    (asked.operation, asked.number, asked.undo, asked.again)
}

impl Provider {
    pub(super) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
    }

    /// The attempts whose customer has to do something.
    pub(super) fn to_act(&self) -> Vec<u32> {
        self.objects.iter().filter(|(_, o)| o.status() == ProviderStatus::ActionRequired).map(|(attempt, _)| *attempt).collect()
    }

    /// The customer does it.
    pub(super) fn act(&mut self, attempt: u32) -> Option<ProviderPayment> {
        let object = self.objects.get_mut(&attempt)?;
        object.authorised = object.wants;
        object.stands(ProviderStatus::Authorised);
        self.shown(attempt)
    }

    /// The attempts whose authorisation may end by itself: more may be taken with it.
    pub(super) fn to_expire(&self) -> Vec<u32> {
        self.objects.iter().filter(|(_, object)| self.is_open(object)).map(|(attempt, _)| *attempt).collect()
    }

    pub(super) fn expire(&mut self, attempt: u32) {
        if let Some(object) = self.objects.get_mut(&attempt) {
            object.stands(ProviderStatus::Cancelled);
            self.has_expired = true;
        }
    }

    /// Whether more may be taken with an object.
    pub(super) fn is_open(&self, object: &Object) -> bool {
        let is_used = self.captures_once && object.captured > 0;
        object.status() == ProviderStatus::Authorised && !is_used && object.captured < object.authorised
    }

    /// Captures that it has refused, and might do after all, by attempt and amount.
    pub(super) fn to_do_late(&self) -> Vec<(u32, i64)> {
        let may_be = |(attempt, amount): &&(u32, i64)| {
            self.objects.get(attempt).is_some_and(|object| self.is_open(object) && object.captured + amount <= object.authorised)
        };
        self.refused.iter().filter(may_be).copied().collect()
    }

    pub(super) fn do_late(&mut self, late: (u32, i64)) {
        self.refused.retain(|refused| *refused != late);
        if let Some(object) = self.objects.get_mut(&late.0) {
            object.captured += late.1;
        }
    }

    /// Somebody takes so much by hand, as far as it is authorised.
    pub(super) fn take_by_hand(&mut self, attempt: u32, amount: i64) {
        if let Some(object) = self.objects.get_mut(&attempt) {
            let amount = amount.min(object.authorised - object.captured);
            object.captured += amount;
            self.by_hand += amount;
        }
    }

    /// Somebody pays by hand, and is given so much of it back. Tells the attempt that it counts as: none of ours.
    pub(super) fn pay_by_hand(&mut self, given_back: i64) -> u32 {
        let mut object = Object { authorised: BY_HAND, captured: BY_HAND, refunded: given_back, wants: BY_HAND, ..Default::default() };
        object.stands(ProviderStatus::Authorised);
        self.objects.insert(NO_ATTEMPT, object);
        self.by_hand += BY_HAND;
        NO_ATTEMPT
    }

    /// It knows nothing more of what it was asked. It may have done it.
    pub(super) fn forget(&mut self, asked: &ProviderAsked, id: &Id) -> Letter {
        self.keys.remove(&key(asked));
        let command =
            RecordOperation { order_id: ORDER.to_owned(), ask: asked.ask, result: OperationResult::NotBegun.into(), ..Default::default() };
        Letter::new(id.0, ServiceMessage::of(&PaymentCommand::from(command)))
    }

    /// Of what is asked again, having been forgotten, the payment shows whether it was done: the effect looks there first.
    fn is_done(&self, asked: &ProviderAsked, amount: i64) -> bool {
        let Some(object) = self.objects.get(&attempt_of(&asked.object_id)).filter(|_| asked.again > 0) else { return false };
        match asked.operation() {
            Operation::Capture => object.captured >= asked.before + amount,
            Operation::Refund => object.refunded >= asked.before + amount,
            _ => false,
        }
    }

    /// The attempts of which this payment has not heard all that was taken.
    pub(super) fn untold(&self, payment: &PaymentState) -> Vec<u32> {
        let known = |attempt: u32| payment.objects.iter().flat_map(|object| &object.known).find(|known| known.object_id == name(attempt));
        let is_untold = |(attempt, object): &(&u32, &Object)| known(**attempt).map_or(0, |known| known.captured) < object.captured;
        self.objects.iter().filter(is_untold).map(|(attempt, _)| *attempt).collect()
    }

    /// The attempts whose money may be taken back.
    pub(super) fn to_charge_back(&self) -> Vec<u32> {
        self.objects.iter().filter(|(_, object)| object.captured > object.refunded).map(|(attempt, _)| *attempt).collect()
    }

    /// The customer's bank takes back all that was taken.
    pub(super) fn charge_back(&mut self, attempt: u32) {
        if let Some(object) = self.objects.get_mut(&attempt) {
            self.charged_back += object.captured - object.refunded;
            object.refunded = object.captured;
        }
    }

    pub(super) fn shown(&self, attempt: u32) -> Option<ProviderPayment> {
        let object = self.objects.get(&attempt)?;
        Some(ProviderPayment {
            object_id: name(attempt),
            status: object.status,
            currency: "EUR".into(),
            authorised: object.authorised,
            captured: object.captured,
            refunded: object.refunded,
            captures_once: self.captures_once,
            capture_before: Some(shop_proto::samples::at(7 * 24 * 60 * 60)),
            action_url: if object.status() == ProviderStatus::ActionRequired { "https://bank.example/1".into() } else { String::new() },
            ..Default::default()
        })
    }

    /// Does what it is asked, or says no. Tells the answer, and the attempt whose object has changed.
    pub(super) fn perform(&mut self, asked: &ProviderAsked, id: &Id, says: Says) -> (Letter, u32) {
        use ProviderStatus as S;
        if let Some((result, attempt)) = self.known(asked) {
            return (self.answer(asked, id, result, attempt), attempt);
        }
        let amount = asked.amount.as_ref().map_or(0, |amount| amount.minor_units);
        if self.is_done(asked, amount) {
            let attempt = attempt_of(&asked.object_id);
            return (self.answer(asked, id, OperationResult::Done, attempt), attempt);
        }
        let attempt = if asked.operation() == Operation::Create { asked.number } else { attempt_of(&asked.object_id) };
        let once = self.captures_once;
        let mut result = OperationResult::Done;
        if asked.operation() == Operation::Create {
            let mut object = Object { wants: amount, ..Default::default() };
            object.stands(S::Created);
            self.objects.insert(attempt, object);
        }
        match self.objects.get_mut(&attempt) {
            None => result = OperationResult::Refused,
            Some(object) => match asked.operation() {
                Operation::Confirm if object.status() == S::Created => match says {
                    Says::Yes => {
                        object.authorised = object.wants;
                        object.stands(S::Authorised);
                    }
                    Says::No => object.stands(S::Declined),
                    Says::Act => object.stands(S::ActionRequired),
                },
                Operation::Confirm => result = OperationResult::Refused,
                Operation::Capture => {
                    let may =
                        object.status() == S::Authorised && object.captured + amount <= object.authorised && !(once && object.captured > 0);
                    if may && says == Says::Yes {
                        object.captured += amount;
                    } else {
                        result = OperationResult::Refused;
                        self.refused.push((attempt, amount));
                    }
                }
                Operation::Cancel if says == Says::No => result = OperationResult::Refused,
                Operation::Cancel if object.status() != S::Declined => object.stands(S::Cancelled),
                Operation::Refund if says == Says::Yes && object.refunded + amount <= object.captured => object.refunded += amount,
                Operation::Refund => result = OperationResult::Refused,
                Operation::Create | Operation::Cancel | Operation::Look | Operation::Unspecified => {}
            },
        }
        if asked.operation() != Operation::Look {
            self.keys.insert(key(asked), (result, attempt));
        }
        (self.answer(asked, id, result, attempt), attempt)
    }

    /// What came of it when it was asked before.
    fn known(&self, asked: &ProviderAsked) -> Option<(OperationResult, u32)> {
        self.keys.get(&key(asked)).copied().filter(|_| !self.forgets_keys)
    }

    /// It is too late to begin it: it is only asked about.
    pub(super) fn not_begun(&self, asked: &ProviderAsked, id: &Id) -> Letter {
        let (result, attempt) = self.known(asked).unwrap_or((OperationResult::NotBegun, attempt_of(&asked.object_id)));
        self.answer(asked, id, result, attempt)
    }

    fn answer(&self, asked: &ProviderAsked, id: &Id, result: OperationResult, attempt: u32) -> Letter {
        let (order_id, payment) = (ORDER.to_owned(), self.shown(attempt));
        let command = RecordOperation { order_id, ask: asked.ask, result: result.into(), payment, code: String::new() };
        Letter::new(id.0, ServiceMessage::of(&PaymentCommand::from(command)))
    }

    pub(super) fn wrong(&self, total: i64) -> Option<String> {
        let captured: i64 = self.objects().map(|object| object.captured).sum();
        let wrong = self.objects().find(|o| o.captured > o.authorised || o.refunded > o.captured);
        let beyond = (captured - self.by_hand > total).then(|| format!("{captured} are taken for an order of {total}"));
        wrong.map(|object| format!("the provider has {object:?}")).or(beyond)
    }
}
