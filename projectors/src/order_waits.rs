//! `order-waits`: what an order waits for, and who owes it; `order_waits` and `orders_late` are its views.

use daybook_kernel::{EventAt, Instant, Part, Projection, ReadModel, SqlView, StreamId};
use shop_proto::holds;
use shop_proto::order::v1::{OrderEvent, OrderedLine};
use shop_proto::read::v1::{OrderWait, OrderWaits as Page, OrderWaitsView};

const VIEWS: &[SqlView] = &[
    SqlView { name: "order_waits", select: "SELECT order_id, status, step, number, reason, owes, since, due_at FROM {rows}" },
    SqlView {
        name: "orders_late",
        select: "
            SELECT order_id, status, step, number, reason, owes, since, due_at, now() - due_at AS late_by
            FROM {rows}
            WHERE due_at <= now()",
    },
];

/// Seconds that steps take at most when all is well, where the order itself waits without an end. Another process of ours, or the payment
/// provider, answers within moments.
const ANSWER: i64 = 5 * 60;
/// The carrier makes a label.
const LABEL: i64 = 60 * 60;
/// A shipment is packed and fetched.
const DISPATCH: i64 = 3 * 24 * 60 * 60;
/// A parcel arrives.
const DELIVERY: i64 = 14 * 24 * 60 * 60;

pub(crate) fn read_model() -> ReadModel {
    ReadModel::of::<Page>("order-waits", None).with::<OrderWaits>().kept_as_sql::<Page>(Some("items"), VIEWS)
}

struct OrderWaits;

impl Projection for OrderWaits {
    type Event = OrderEvent;
    type View = OrderWaitsView;
    type Model = Page;

    fn fold(view: &mut OrderWaitsView, event: &OrderEvent, at: &EventAt<'_>) {
        use OrderEvent as E;
        if let Some(status) = event.leads_to() {
            view.set_status(status);
        }
        let until = |at: &Option<_>| at.as_ref().map(Instant::from_proto);
        let mut waits = Waits { view, now: at.recorded_at };
        match event {
            E::OrderOpened(e) => {
                (waits.view.order_id, waits.view.cart_id) = (e.order_id.clone(), e.cart_id.clone());
                waits.begin("place", 0, waits.order(), until(&e.place_by));
            }
            E::OrderPlaced(e) => waits.instead("place", "allocation", waits.allocation(), until(&e.allocate_by)),
            E::OrderAllocated(_) => waits.end("allocation", 0),
            E::OrderAwaitingPayment(e) => waits.begin("payment", 0, waits.payment(), until(&e.pay_until)),
            E::OrderActionRequired(_) => waits.because("payment", "action-required"),
            E::OrderPaymentDeclined(_) => waits.because("payment", "declined"),
            E::OrderPaid(e) => {
                waits.end("allocation", 0);
                waits.instead("payment", "confirmation", waits.allocation(), until(&e.confirm_by));
            }
            E::OrderConfirmed(e) => {
                waits.end("confirmation", 0);
                (waits.view.shipments, waits.view.hold_at) = (e.shipments.clone(), e.hold_at);
                for shipment in &e.shipments {
                    waits.begin("label", shipment.number, waits.shipment(shipment.number), waits.after(LABEL));
                }
            }
            E::OrderLabelled(e) => waits.labelled(e.number),
            E::OrderLinesCancelling(e) => {
                waits.begin("cancellation", e.number, waits.shipment(e.number), waits.after(ANSWER));
            }
            E::OrderCancelTooLate(e) => waits.end("cancellation", e.number),
            E::OrderLinesCancelled(e) => {
                if e.ask > 0 {
                    waits.end("cancellation", e.number);
                }
                waits.leave_out(e.number, &e.lines);
                waits.refund(e.refund);
            }
            E::OrderShipped(e) => {
                waits.has_left(e.number);
                waits.begin("delivery", e.number, waits.shipment(e.number), waits.after(DELIVERY));
                if e.capture > 0 {
                    waits.begin("capture", e.capture, waits.payment(), waits.after(ANSWER));
                }
            }
            E::OrderDelivered(e) => waits.end("delivery", e.number),
            E::OrderLost(e) => {
                waits.end("delivery", e.number);
                waits.refund(e.refund);
            }
            E::OrderReturnedToSender(e) => {
                waits.end("delivery", e.number);
                waits.refund(e.refund);
            }
            E::OrderReturned(e) => waits.refund(e.refund),
            E::OrderRefundDue(e) => waits.refund(e.refund),
            E::OrderRefundRetried(e) => waits.refund(e.refund),
            E::OrderCaptureRetried(e) => waits.begin("capture", e.capture, waits.payment(), waits.after(ANSWER)),
            E::OrderCaptured(e) => waits.end("capture", e.number),
            E::OrderCaptureFailed(e) => waits.end("capture", e.number),
            E::OrderRefunded(e) => waits.end("refund", e.number),
            E::OrderRefundFailed(e) => waits.end("refund", e.number),
            E::OrderHeld(_) | E::OrderHoldEnded(_) => holds::apply(&mut waits.view.holds, event),
            E::OrderRejecting(e) => waits.undo(&e.reason, e.undo_allocation, e.undo_payment, true),
            E::OrderCancelling(e) => waits.undo(&e.reason, e.undo_allocation, e.undo_payment, false),
            E::OrderUndone(e) => waits.end(undo_of(&e.what), 0),
            E::OrderRejected(_) | E::OrderCancelled(_) | E::OrderCompleted(_) => waits.view.waits.clear(),
            E::OrderOpeningRefused(_)
            | E::OrderReturnRequested(_)
            | E::OrderReturnRefused(_)
            // What they hold is told.
            | E::OrderAuthorisationLost(_)
            | E::OrderRestReleased(_)
            | E::OrderFound(_)
            | E::OrderDisputed(_) => {}
        }
    }

    fn render(view: &OrderWaitsView, _: &StreamId) -> Vec<Part<Page>> {
        if view.order_id.is_empty() {
            return Vec::new();
        }
        let part = |wait: &OrderWait| {
            let mut wait = OrderWait { order_id: view.order_id.clone(), status: view.status, ..wait.clone() };
            if wait.reason.is_empty() && ["label", "dispatch"].contains(&wait.step.as_str()) {
                wait.reason = view.holds.join(",");
            }
            let part = format!("{}/{}", wait.step, wait.number);
            Part { key: view.order_id.clone(), part, message: Page { items: vec![wait] } }
        };
        view.waits.iter().map(part).collect()
    }
}

fn undo_of(what: &str) -> &'static str {
    match what {
        "allocation" => "undo-allocation",
        "payment" => "undo-payment",
        _ => "undo-cart",
    }
}

/// What an order waits for, while an event changes it.
struct Waits<'a> {
    view: &'a mut OrderWaitsView,
    now: Instant,
}

impl Waits<'_> {
    fn order(&self) -> String {
        format!("order/{}", self.view.order_id)
    }

    fn allocation(&self) -> String {
        format!("allocation/{}", self.view.order_id)
    }

    fn payment(&self) -> String {
        format!("payment/{}", self.view.order_id)
    }

    fn shipment(&self, number: u32) -> String {
        format!("shipment/{}@{number}", self.view.order_id)
    }

    fn after(&self, seconds: i64) -> Option<Instant> {
        Some(Instant::from_micros(self.now.micros().saturating_add(seconds * 1_000_000)))
    }

    /// From now on. One that is awaited already is awaited anew.
    fn begin(&mut self, step: &str, number: u32, owes: String, due_at: Option<Instant>) {
        self.end(step, number);
        let due_at = due_at.or_else(|| self.after(ANSWER)).map(Instant::to_proto);
        self.view.waits.push(OrderWait {
            step: step.to_owned(),
            number,
            owes,
            since: Some(self.now.to_proto()),
            due_at,
            ..Default::default()
        });
    }

    fn end(&mut self, step: &str, number: u32) {
        self.view.waits.retain(|wait| (wait.step.as_str(), wait.number) != (step, number));
    }

    fn instead(&mut self, ended: &str, step: &str, owes: String, due_at: Option<Instant>) {
        self.end(ended, 0);
        self.begin(step, 0, owes, due_at);
    }

    fn because(&mut self, step: &str, reason: &str) {
        for wait in self.view.waits.iter_mut().filter(|wait| wait.step == step) {
            reason.clone_into(&mut wait.reason);
        }
    }

    fn refund(&mut self, number: u32) {
        if number > 0 {
            self.begin("refund", number, self.payment(), self.after(ANSWER));
        }
    }

    /// A label may come after the shipment has left.
    fn labelled(&mut self, number: u32) {
        self.end("label", number);
        if self.view.shipments.iter().any(|shipment| shipment.number == number) {
            let due_at = self.view.hold_at.as_ref().map(Instant::from_proto).or_else(|| self.after(DISPATCH));
            self.begin("dispatch", number, self.shipment(number), due_at);
        }
    }

    fn has_left(&mut self, number: u32) {
        self.view.shipments.retain(|shipment| shipment.number != number);
        self.end("label", number);
        self.end("dispatch", number);
    }

    /// A shipment in which nothing is left does not leave.
    fn leave_out(&mut self, number: u32, lines: &[OrderedLine]) {
        let Some(shipment) = self.view.shipments.iter_mut().find(|shipment| shipment.number == number) else { return };
        for line in lines {
            for packed in shipment.lines.iter_mut().filter(|packed| packed.sku == line.sku) {
                packed.quantity = packed.quantity.saturating_sub(line.quantity);
            }
        }
        if shipment.lines.iter().all(|packed| packed.quantity == 0) {
            self.has_left(number);
        }
    }

    /// All else is awaited no more.
    fn undo(&mut self, reason: &str, allocation: bool, payment: bool, cart: bool) {
        self.view.waits.clear();
        let cart_stream = format!("cart/{}", self.view.cart_id);
        for (is_asked, what, owes) in
            [(allocation, "allocation", self.allocation()), (payment, "payment", self.payment()), (cart, "cart", cart_stream)]
        {
            if is_asked {
                self.begin(undo_of(what), 0, owes, self.after(ANSWER));
                self.because(undo_of(what), reason);
            }
        }
    }
}

#[cfg(test)]
pub(crate) use spec::samples;

#[cfg(test)]
mod spec {
    use daybook_kernel::Version;
    use shop_proto::order::v1::*;
    use shop_proto::samples::at;
    use shop_proto::samples::order::{
        allocated, awaiting, cancelled, captured, completed, delivered, in_two_shipments, opened, ordered, paid, placed, prices_changed,
        rejected, shipped, undoing,
    };

    use super::*;
    use crate::merging::Sample;

    fn id() -> String {
        "o-1".into()
    }

    /// See `crate::samples`.
    pub(crate) fn samples() -> Vec<Sample> {
        vec![
            Sample::of("o-1", whole_way()),
            Sample::of("o-2", [opened(), placed()].map(|e| shop_proto::samples::with(&e, "order_id", "o-2"))),
        ]
    }

    fn labelled(number: u32) -> OrderEvent {
        OrderLabelled { order_id: id(), number, carrier: "parcel".into(), tracking: "P-1".into() }.into()
    }

    fn not_sent(number: u32, ask: u32) -> OrderEvent {
        OrderLinesCancelled { order_id: id(), number, ask, lines: vec![ordered("A-1", 1)], refund: 1, ..Default::default() }.into()
    }

    /// Two lamps in two shipments: one arrives, the other does not leave.
    fn whole_way() -> Vec<OrderEvent> {
        use OrderStatus as S;
        let asked = OrderLinesCancelling { order_id: id(), number: 2, ask: 1, lines: vec![ordered("A-1", 1)], ..Default::default() };
        let ended = [shipped(1, 1, 1999, S::PartlyShipped), asked.into(), not_sent(2, 1), captured(1, 1999), delivered(1, S::Delivered)];
        let refunded = OrderRefunded { order_id: id(), number: 1, amount: None };
        [in_two_shipments(), vec![labelled(1)], ended.into(), vec![refunded.into(), completed()]].concat()
    }

    fn waits(events: &[OrderEvent]) -> Vec<OrderWait> {
        let stream = StreamId::new("order", "o-1");
        let mut view = OrderWaitsView::default();
        for (n, event) in (1..).zip(events) {
            let recorded_at = Instant::from_micros(1_000_000 * n);
            OrderWaits::fold(&mut view, event, &EventAt { stream: &stream, version: Version(n.unsigned_abs()), recorded_at });
        }
        OrderWaits::render(&view, &stream).into_iter().flat_map(|part| part.message.items).collect()
    }

    fn steps(events: &[OrderEvent]) -> Vec<String> {
        waits(events).into_iter().map(|wait| if wait.number > 0 { format!("{} {}", wait.step, wait.number) } else { wait.step }).collect()
    }

    #[test]
    fn each_step_names_who_owes_the_answer_since_when_and_until_when() {
        let waited = |events: &[OrderEvent]| {
            let [wait] = &waits(events)[..] else { panic!("for one thing") };
            let [since, due_at] = [wait.since, wait.due_at].map(|at| at.expect("it is said").seconds);
            (wait.step.clone(), wait.owes.clone(), since, due_at)
        };
        let due = |seconds| at(seconds).seconds;
        let (of, before) = (|step: &str, owes: &str, since, due_at| (step.to_owned(), owes.to_owned(), since, due_at), in_two_shipments());
        assert_eq!(waited(&before[..1]), of("place", "order/o-1", 1, due(30)));
        assert_eq!(waited(&before[..2]), of("allocation", "allocation/o-1", 2, due(60)));
        assert_eq!(waited(&before[..4]), of("payment", "payment/o-1", 4, due(900)));
        assert_eq!(waited(&before[..5]), of("confirmation", "allocation/o-1", 5, due(60)));
        let first = &waits(&before)[0];
        assert_eq!(
            (first.step.as_str(), first.owes.as_str(), first.due_at.map(|at| at.seconds)),
            ("label", "shipment/o-1@1", Some(6 + LABEL))
        );
        assert_eq!((first.order_id.as_str(), first.status()), ("o-1", OrderStatus::Confirmed));
    }

    #[test]
    fn an_order_waits_for_each_shipment_and_each_amount_until_these_have_an_end() {
        let all = whole_way();
        let upto = |events: usize| steps(&all[..events]);
        assert_eq!(upto(6), ["label 1", "label 2"]);
        assert_eq!(upto(7), ["label 2", "dispatch 1"]);
        assert_eq!(upto(8), ["label 2", "delivery 1", "capture 1"]);
        assert_eq!(upto(9), ["label 2", "delivery 1", "capture 1", "cancellation 2"]);
        assert_eq!(upto(10), ["delivery 1", "capture 1", "refund 1"]);
        assert_eq!(upto(12), ["refund 1"]);
        assert_eq!((upto(13), upto(14)), (vec![], vec![]));
    }

    #[test]
    fn a_shipment_leaves_before_the_authorisation_ends_or_within_three_days() {
        let due = |hold_at| {
            let mut events = in_two_shipments();
            if let Some(OrderEvent::OrderConfirmed(e)) = events.last_mut() {
                e.hold_at = hold_at;
            }
            events.push(labelled(1));
            waits(&events).pop().and_then(|wait| wait.due_at)
        };
        assert_eq!((due(Some(at(99))), due(None).map(|at| at.seconds)), (Some(at(99)), Some(7 + DISPATCH)));
    }

    #[test]
    fn what_is_undone_is_awaited_with_the_reason_and_nothing_else_is() {
        let given_up = [opened(), placed(), allocated(), awaiting(1, "tok"), undoing(true, true)];
        let waited: Vec<_> = waits(&given_up).into_iter().map(|wait| (wait.step, wait.reason, wait.owes)).collect();
        let of = |step: &str, owes: &str| (step.to_owned(), "cancelled".to_owned(), owes.to_owned());
        assert_eq!(waited, [of("undo-allocation", "allocation/o-1"), of("undo-payment", "payment/o-1")]);
        let undone = OrderUndone { order_id: id(), what: "allocation".into(), reopened: false };
        assert_eq!(steps(&[&given_up[..], &[undone.into()]].concat()), ["undo-payment"]);
        assert_eq!(steps(&[&given_up[..], &[cancelled()]].concat()), [""; 0]);
        let changed = [opened(), prices_changed(1)];
        assert_eq!(waits(&changed)[0].owes, "cart/k-1");
        assert_eq!(steps(&[&changed[..], &[rejected("prices-changed", true)]].concat()), [""; 0]);
    }

    #[test]
    fn the_reason_says_what_the_customer_has_to_do_or_why_the_order_is_held() {
        let reason = |events: &[OrderEvent]| waits(events)[0].reason.clone();
        let waiting = [opened(), placed(), allocated(), awaiting(1, "tok")];
        let after = |event: OrderEvent| reason(&[&waiting[..], &[event]].concat());
        assert_eq!(after(OrderActionRequired { order_id: id(), attempt: 1, url: String::new() }.into()), "action-required");
        assert_eq!(after(OrderPaymentDeclined { order_id: id(), attempt: 1, code: "expired".into() }.into()), "declined");
        assert_eq!((reason(&waiting), after(awaiting(2, "tok")), after(paid())), (String::new(), String::new(), String::new()));
        let held = |reason: &str| -> OrderEvent {
            OrderHeld {
                order_id: id(),
                numbers: vec![1],
                reason: reason.into(),
                explanation: "Says who.".into(),
                customer_id: "c-1".into(),
            }
            .into()
        };
        let ended = |reason: &str| OrderHoldEnded { order_id: id(), numbers: vec![1], reason: reason.into(), left: vec![] }.into();
        let told = |holds: &[OrderEvent]| reason(&[&in_two_shipments()[..], holds].concat());
        assert_eq!(told(&[held("staff")]), "staff");
        assert_eq!(told(&[held("staff"), held("disputed")]), "staff,disputed");
        assert_eq!(told(&[held("staff"), held("disputed"), ended("staff")]), "disputed");
        assert_eq!(told(&[held("staff"), ended("staff")]), "");
    }
}
