//! The provider of the world: it does what it is asked, and has its own ways.

use super::*;

impl World {
    /// The object has changed: the provider says so.
    fn notify(&mut self, object_id: &str) {
        self.notices += 1;
        let notice = shop_proto::samples::payment::notice(&format!("n-{}", self.notices), self.objects[object_id].clone());
        self.on_their_way.push(notice.into());
    }

    pub(super) fn operate(&mut self, refuses: bool) {
        use {OperationResult as R, ProviderStatus as S};
        let done = self.done;
        let Some(asked) = self.asked.clone().filter(|asked| asked.ask > done) else { return };
        self.done = asked.ask;
        let means = usize::try_from(asked.number).ok().and_then(|n| self.means.get(n.wrapping_sub(1))).copied();
        let amount = books::units(&asked.amount);
        let is_begun = !(self.is_late && asked.not_after.is_some());
        if asked.operation() == Operation::Create {
            let object_id = shop_proto::samples::payment::object(asked.number);
            let result = match means {
                _ if !is_begun => R::NotBegun,
                _ if refuses || means == Some(Means::Unknown) => R::Refused,
                _ => {
                    let made = ProviderPayment { captures_once: means == Some(Means::Once), ..Default::default() };
                    let made = ProviderPayment { object_id: object_id.clone(), currency: "EUR".into(), status: S::Created.into(), ..made };
                    self.objects.insert(object_id.clone(), made);
                    self.notify(&object_id);
                    R::Done
                }
            };
            self.outcome = Some((result, (result == R::Done).then_some(object_id)));
            return;
        }
        let is_lax = self.is_lax;
        let object = self.objects.get_mut(&asked.object_id).expect("only what was made is asked for");
        let before = object.clone();
        // The effect looks first, and has nothing done that is done.
        let moved = if asked.operation() == Operation::Capture { object.captured } else { object.refunded };
        if asked.again > 0 && asked.operation() != Operation::Look && moved != asked.before {
            assert_eq!(moved, asked.before + amount, "it shows whether it was done: {asked:?} of {object:?}");
            self.outcome = Some((R::Done, Some(asked.object_id)));
            return;
        }
        let is_open = matches!(object.status(), S::Created | S::ActionRequired | S::Authorised);
        let result = match asked.operation() {
            Operation::Confirm if !is_begun => R::NotBegun,
            Operation::Confirm if refuses || object.status() != S::Created => R::Refused,
            Operation::Confirm => {
                object.set_status(match means {
                    Some(Means::Declined) => S::Declined,
                    Some(Means::Acts) => S::ActionRequired,
                    _ => S::Authorised,
                });
                object.authorised = if object.status() == S::Authorised { amount } else { 0 };
                R::Done
            }
            Operation::Cancel if is_open && !refuses => {
                object.set_status(S::Cancelled);
                R::Done
            }
            Operation::Capture if !refuses && (is_lax || can_capture(object, amount)) => {
                object.captured += amount;
                R::Done
            }
            Operation::Refund if !refuses && (is_lax || object.refunded + amount <= object.captured) => {
                object.refunded += amount;
                R::Done
            }
            Operation::Look => R::Done,
            _ => R::Refused,
        };
        if *object != before {
            self.notify(&asked.object_id);
        }
        if asked.operation() == Operation::Capture && result == R::Refused {
            self.refused.push((asked.object_id.clone(), amount));
        }
        self.outcome = Some((result, Some(asked.object_id)));
    }

    /// Of what moves money: the payment alone shows whether it was done.
    pub(super) fn forget(&mut self, does: bool) {
        let moves_money = |asked: &&ProviderAsked| matches!(asked.operation(), Operation::Capture | Operation::Refund);
        let done = self.done;
        let Some(asked) = self.asked.as_ref().filter(moves_money).filter(|asked| asked.ask > done).cloned() else { return };
        if does {
            self.operate(false);
        }
        self.done = asked.ask;
        let (order_id, ask) = (asked.order_id, asked.ask);
        self.outcome = None;
        self.on_their_way.push(RecordOperation { order_id, ask, result: OperationResult::NotBegun.into(), ..Default::default() }.into());
    }

    pub(super) fn answer(&mut self) {
        let Some(asked) = &self.asked else { return };
        let Some((result, object_id)) = self.outcome.take() else { return };
        let is_curt = self.is_curt && asked.operation() != Operation::Create && asked.operation() != Operation::Look;
        let payment = object_id.filter(|_| !is_curt).map(|id| self.objects[&id].clone());
        let (order_id, ask) = (asked.order_id.clone(), asked.ask);
        self.on_their_way.push(RecordOperation { order_id, ask, result: result.into(), payment, code: String::new() }.into());
    }

    pub(super) fn act(&mut self, yes: bool) {
        use ProviderStatus as S;
        let waits = |object: &&mut ProviderPayment| object.status() == S::ActionRequired;
        let Some(object) = self.objects.values_mut().find(waits) else { return };
        object.set_status(if yes { S::Authorised } else { S::Declined });
        object.authorised = if yes { shop_proto::samples::payment::TOTAL } else { 0 };
        let id = object.object_id.clone();
        self.notify(&id);
    }

    /// What it has refused, and can do, in whatever order.
    pub(super) fn do_late(&mut self) {
        let Some(n) = self.refused.iter().position(|(id, amount)| can_capture(&self.objects[id], *amount)) else { return };
        let (id, amount) = self.refused.remove(n);
        self.objects.get_mut(&id).expect("it was asked for").captured += amount;
        self.notify(&id);
    }

    pub(super) fn by_hand(&mut self, refund: bool, amount: i64) {
        let may = |object: &ProviderPayment| match refund {
            // A bank asks nobody.
            true => object.captured > 0,
            false => can_capture(object, amount),
        };
        let Some(object) = self.objects.values_mut().find(|object| may(object)) else { return };
        if refund {
            object.refunded += amount;
        } else {
            object.captured += amount;
        }
        let id = object.object_id.clone();
        self.notify(&id);
    }
}

fn can_capture(object: &ProviderPayment, amount: i64) -> bool {
    let is_taken = object.captures_once && object.captured > 0;
    object.status() == ProviderStatus::Authorised && !is_taken && object.captured + amount <= object.authorised
}
