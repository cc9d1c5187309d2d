//! The provider and the books: what the payment provider has and our books have not, and the other way, payment by payment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use daybook_kernel::{Instant, ReadModel};
use daybook_postgres::Databases;
use daybook_projections::lifecycle::{GenerationState, describe, each_part};
use prost::Message as _;
use serde::Serialize;
use shop_outside::{Listed, Payment, PaymentProvider, Unreadable};
use shop_proto::payment::v1::ProviderStatus;
use shop_proto::read::v1::{PaymentObject, PaymentPage};

use super::{read_models, replay_error};

/// The read model with our books.
const PAYMENTS: &str = "payments";
/// A list of the provider's is asked for so often, with so long between two times.
const TRIES: u32 = 4;
const BETWEEN_TRIES: Duration = Duration::from_millis(500);
/// Longest wait for the read model to have what stood in the log.
const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Which side has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Both have the payment, with other amounts.
    Amount,
    /// Our books know no such payment.
    OnlyTheirs,
    /// The provider lists no such payment.
    OnlyOurs,
    /// The provider tells something of it that nobody can read.
    Unreadable,
    /// It differs, and is under way: no difference yet.
    UnderWay,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Amount => "amount",
            Self::OnlyTheirs => "only-theirs",
            Self::OnlyOurs => "only-ours",
            Self::Unreadable => "unreadable",
            Self::UnderWay => "under-way",
        }
    }
}

/// A place where the books differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    order: String,
    /// The provider's id; of all payments of the order together, where there is none.
    payment: Option<String>,
    /// `authorised` (less what was voided), `captured`, `refunded`, `disputed`, or `payment` where no money tells them apart.
    field: &'static str,
    currency: String,
    /// In minor units.
    ours: Option<i64>,
    theirs: Option<i64>,
    kind: Kind,
}

/// All that differs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reconciled {
    pub(crate) rows: Vec<Row>,
    /// What was compared.
    orders: usize,
    payments: usize,
    /// Streams whose pages are not what their logs say.
    parked: i64,
}

impl Reconciled {
    /// Whether anything differs that is not under way.
    pub(crate) fn differs(&self) -> bool {
        self.rows.iter().any(|row| row.kind != Kind::UnderWay)
    }

    /// A table with the names of its columns.
    ///
    /// # Errors
    /// Never: memory takes it.
    pub(crate) fn csv(&self) -> anyhow::Result<String> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(["order", "payment", "field", "currency", "ours", "theirs", "kind"])?;
        for row in &self.rows {
            let amount = |amount: Option<i64>| amount.map(|amount| amount.to_string()).unwrap_or_default();
            let payment = row.payment.as_deref().unwrap_or_default();
            csv.write_record([&row.order, payment, row.field, &row.currency, &amount(row.ours), &amount(row.theirs), row.kind.as_str()])?;
        }
        Ok(String::from_utf8(csv.into_inner()?)?)
    }
}

impl Display for Reconciled {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.rows.is_empty() {
            writeln!(f, "{:<24} {:<40} {:<10} {:<4} {:>14} {:>14}  kind", "order", "payment", "field", "", "ours", "theirs")?;
        }
        for row in &self.rows {
            let amount = |amount: Option<i64>| amount.map_or_else(|| "-".to_owned(), |amount| amount.to_string());
            let (payment, ours, theirs) = (row.payment.as_deref().unwrap_or("-"), amount(row.ours), amount(row.theirs));
            let (order, field, currency, kind) = (&row.order, row.field, &row.currency, row.kind.as_str());
            writeln!(f, "{order:<24} {payment:<40} {field:<10} {currency:<4} {ours:>14} {theirs:>14}  {kind}")?;
        }
        let of = |is: fn(Kind) -> bool| self.rows.iter().filter(|row| is(row.kind)).count();
        let (differences, under_way) = (of(|kind| kind != Kind::UnderWay), of(|kind| kind == Kind::UnderWay));
        let (payments, orders) = (self.payments, self.orders);
        writeln!(f, "{payments} payments of {orders} orders compared: {differences} differences, {under_way} under way")?;
        if self.parked > 0 {
            writeln!(f, "{} streams are parked in {PAYMENTS}: their pages are not what happened (`daybook parked list`)", self.parked)?;
        }
        Ok(())
    }
}

/// Compares our books with the provider's. What has changed within `under_way` is under way.
///
/// # Errors
/// When the provider or a database does not answer, or the read model does not come as far as the log.
pub(crate) async fn reconcile(
    databases: &Databases,
    provider: &dyn PaymentProvider,
    under_way: chrono::Duration,
) -> anyhow::Result<Reconciled> {
    let since = Utc::now() - under_way;
    // Theirs first: what we ask of them stands in our books before they have it.
    let theirs = listed(provider).await?;
    let model = read_models::named(PAYMENTS)?;
    let parked = caught_up(databases, &model).await?;
    let (mut ours, mut unreadable) = (BTreeMap::new(), None);
    each_part(databases, PAYMENTS, |key, bytes| match PaymentPage::decode(bytes) {
        Ok(page) => _ = ours.insert(key.to_owned(), page),
        Err(why) => unreadable = Some(format!("the page {PAYMENTS}/{key} can't be read: {why}")),
    })
    .await
    .map_err(replay_error)?;
    match unreadable {
        Some(why) => anyhow::bail!(why),
        None => Ok(Reconciled { parked, ..compare(&ours, theirs, since) }),
    }
}

/// Every payment that the provider has.
async fn listed(provider: &dyn PaymentProvider) -> anyhow::Result<Vec<Result<Payment, Unreadable>>> {
    let (mut all, mut after): (Vec<_>, Option<String>) = (Vec::new(), None);
    loop {
        let mut tries = 1;
        let Listed { payments, next } = loop {
            match provider.list(after.as_deref()).await {
                Ok(listed) => break listed,
                Err(why) if tries == TRIES => return Err(why).context("the payment provider does not list its payments"),
                Err(_) => tokio::time::sleep(BETWEEN_TRIES * tries).await,
            }
            tries += 1;
        };
        all.extend(payments);
        match next {
            // One that told the same place for ever would have no end.
            Some(next) if after.as_ref() != Some(&next) => after = Some(next),
            Some(next) => anyhow::bail!("the payment provider's list of payments does not go on after {next}"),
            None => return Ok(all),
        }
    }
}

/// Waits until the read model has what stands in the log now. Answers how many streams are parked in it.
async fn caught_up(databases: &Databases, model: &ReadModel) -> anyhow::Result<i64> {
    let live = async || -> anyhow::Result<_> {
        let all = describe(databases, model).await.map_err(replay_error)?;
        all.into_iter()
            .find(|generation| generation.state == GenerationState::Live)
            .context("no generation of payments is live: run `daybook migrate`")
    };
    let ends: Vec<i64> = live().await?.sources.iter().map(|source| source.next_offset + source.behind).collect();
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let now = live().await?;
        if now.sources.iter().zip(&ends).all(|(source, end)| source.next_offset >= *end) {
            return Ok(now.parked);
        }
        if tokio::time::Instant::now() > until {
            anyhow::bail!("the read model {PAYMENTS} is {} events behind its log: see that `daybook projectors` runs", now.behind());
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

/// What the two sides of a payment say: authorised and not voided, captured, refunded.
#[derive(Clone, Copy, Default)]
struct Amounts {
    authorised: i64,
    captured: i64,
    refunded: i64,
}

impl Amounts {
    fn fields(self) -> [(&'static str, i64); 3] {
        [("authorised", self.authorised), ("captured", self.captured), ("refunded", self.refunded)]
    }

    /// Of what we have heard. What is cancelled, and what is left when there is one capture only, can't be taken any more.
    fn ours(object: &PaymentObject) -> Self {
        let is_over =
            matches!(object.status(), ProviderStatus::Cancelled | ProviderStatus::Declined) || object.captures_once && object.captured > 0;
        let authorised = if is_over { object.captured } else { object.authorised };
        Self { authorised, captured: object.captured, refunded: object.refunded }
    }

    fn theirs(payment: &Payment) -> Self {
        let authorised = payment.authorised.saturating_sub(payment.voided);
        Self { authorised, captured: payment.captured, refunded: payment.refunded }
    }
}

fn compare(ours: &BTreeMap<String, PaymentPage>, theirs: Vec<Result<Payment, Unreadable>>, since: DateTime<Utc>) -> Reconciled {
    let payments = theirs.len();
    let (mut rows, mut by_order): (Vec<Row>, BTreeMap<String, Vec<Payment>>) = (Vec::new(), BTreeMap::new());
    let mut unreadable = BTreeSet::new();
    for one in theirs {
        match one {
            Ok(payment) => by_order.entry(payment.order.clone()).or_default().push(payment),
            Err(Unreadable { id, order, why }) => {
                tracing::warn!(payment = id, order, why, "a payment of the provider's can't be read");
                rows.push(Row {
                    order,
                    payment: Some(id.clone()),
                    field: "payment",
                    currency: String::new(),
                    ours: None,
                    theirs: None,
                    kind: Kind::Unreadable,
                });
                unreadable.insert(id);
            }
        }
    }
    let orders: BTreeSet<&String> = ours.keys().chain(by_order.keys()).collect();
    for order in &orders {
        let (page, payments) = (ours.get(*order), by_order.get(*order).map(Vec::as_slice).unwrap_or_default());
        let mut found = of_order(order, page, payments, &unreadable);
        let is_new = payments.iter().any(|payment| payment.created.is_some_and(|created| created >= since));
        if is_new || page.is_some_and(|page| is_under_way(page, since)) {
            found.iter_mut().for_each(|row| row.kind = Kind::UnderWay);
        }
        rows.extend(found);
    }
    rows.sort();
    Reconciled { rows, orders: orders.len(), payments, parked: 0 }
}

/// The provider is asked something, the customer has still to act, or it has just changed.
fn is_under_way(page: &PaymentPage, since: DateTime<Utc>) -> bool {
    let is_new = page.changed_at.as_ref().is_some_and(|at| Instant::from_proto(at).to_utc() >= since);
    page.asked.is_some() || matches!(page.status.as_str(), "requested" | "action-required") || is_new
}

/// The differences of an order.
fn of_order(order: &str, page: Option<&PaymentPage>, theirs: &[Payment], unreadable: &BTreeSet<String>) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut differs = |payment: Option<&str>, currency: &str, kind, field, ours, theirs| {
        let (order, payment, currency) = (order.to_owned(), payment.map(str::to_owned), currency.to_owned());
        rows.push(Row { order, payment, field, currency, ours, theirs, kind });
    };
    let objects = page.map(|page| page.objects.as_slice()).unwrap_or_default();
    for payment in theirs {
        let (id, told) = (Some(payment.id.as_str()), Amounts::theirs(payment));
        match objects.iter().find(|object| object.object_id == payment.id) {
            Some(known) => {
                for ((field, ours), (_, theirs)) in Amounts::ours(known).fields().into_iter().zip(told.fields()) {
                    if ours != theirs || known.currency != payment.currency {
                        differs(id, &payment.currency, Kind::Amount, field, Some(ours), Some(theirs));
                    }
                }
            }
            None => {
                let moved = told.fields().into_iter().filter(|(_, amount)| *amount != 0).collect::<Vec<_>>();
                for (field, amount) in &moved {
                    differs(id, &payment.currency, Kind::OnlyTheirs, field, None, Some(*amount));
                }
                if moved.is_empty() {
                    differs(id, &payment.currency, Kind::OnlyTheirs, "payment", None, None);
                }
            }
        }
    }
    let is_theirs = |id: &str| unreadable.contains(id) || theirs.iter().any(|payment| payment.id == id);
    for known in objects.iter().filter(|object| !is_theirs(&object.object_id)) {
        let id = Some(known.object_id.as_str());
        let moved = Amounts::ours(known).fields().into_iter().filter(|(_, amount)| *amount != 0).collect::<Vec<_>>();
        for (field, amount) in &moved {
            differs(id, &known.currency, Kind::OnlyOurs, field, Some(*amount), None);
        }
        if moved.is_empty() {
            differs(id, &known.currency, Kind::OnlyOurs, "payment", None, None);
        }
    }
    // What the order relies on: no more than the provider has done.
    let Some(page) = page.filter(|_| theirs.iter().all(|payment| objects.iter().any(|object| object.object_id == payment.id))) else {
        return rows;
    };
    let currency = page.amount.as_ref().map(|amount| amount.currency.clone()).unwrap_or_default();
    let sum = |of: fn(&Payment) -> i64| theirs.iter().map(of).fold(0_i64, i64::saturating_add);
    let (captured, refunded, disputed) = (sum(|p| p.captured), sum(|p| p.refunded), sum(|p| p.disputed));
    for (field, booked, done) in [("captured", page.captured, captured), ("refunded", page.refunded, refunded)] {
        if booked > done {
            differs(None, &currency, Kind::Amount, field, Some(booked), Some(done));
        }
    }
    // What the order did not ask to be given back is a dispute, or something that was undone.
    let heard = objects.iter().map(|object| object.refunded).fold(0_i64, i64::saturating_add);
    let unasked = heard.saturating_sub(page.refunded).max(0);
    // A dispute that was settled by a return counts as asked for: what the books have heard of covers it all the same.
    if disputed > heard {
        differs(None, &currency, Kind::Amount, "disputed", Some(unasked), Some(disputed));
    }
    rows
}

#[cfg(test)]
mod tests {
    use shop_outside::PaymentStatus;
    use shop_proto::common::v1::Money;
    use shop_proto::read::v1::PaymentAsked;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a time")
    }

    /// Of which 600 of 1,000 are captured, and 100 given back.
    fn theirs(order: &str, id: &str) -> Payment {
        Payment {
            id: id.into(),
            order: order.into(),
            status: PaymentStatus::Authorised,
            currency: "EUR".into(),
            authorised: 1_000,
            captured: 600,
            refunded: 100,
            disputed: 0,
            voided: 0,
            captures_once: false,
            capture_before: None,
            action_url: None,
            code: None,
            created: Some(at(NOW - 1_000)),
        }
    }

    fn object(id: &str) -> PaymentObject {
        let status = ProviderStatus::Authorised.into();
        let (object_id, currency) = (id.to_owned(), "EUR".to_owned());
        PaymentObject { object_id, status, currency, authorised: 1_000, captured: 600, refunded: 100, captures_once: false }
    }

    fn ours(order: &str, id: &str) -> PaymentPage {
        PaymentPage {
            order_id: order.into(),
            status: "authorised".into(),
            amount: Some(Money { currency: "EUR".into(), minor_units: 1_000 }),
            authorised: 1_000,
            captured: 600,
            refunded: 100,
            objects: vec![object(id)],
            changed_at: Some(Instant::from(at(NOW - 900)).to_proto()),
            ..PaymentPage::default()
        }
    }

    fn compared(pages: Vec<PaymentPage>, theirs: Vec<Result<Payment, Unreadable>>) -> Reconciled {
        let pages = pages.into_iter().map(|page| (page.order_id.clone(), page)).collect();
        compare(&pages, theirs, at(NOW - 60))
    }

    /// Order, payment, field, ours, theirs, kind.
    type Told<'r> = (&'r str, &'r str, &'r str, Option<i64>, Option<i64>, Kind);

    fn told(found: &Reconciled) -> Vec<Told<'_>> {
        found.rows.iter().map(|r| (r.order.as_str(), r.payment.as_deref().unwrap_or("-"), r.field, r.ours, r.theirs, r.kind)).collect()
    }

    #[test]
    fn books_that_say_the_same_have_no_difference() {
        let voided = |page: PaymentPage| PaymentPage { status: "voided".into(), authorised: 0, ..page };
        let cancelled = PaymentObject { status: ProviderStatus::Cancelled.into(), ..object("p-2") };
        let pages = vec![
            ours("o-1", "p-1"),
            voided(PaymentPage { objects: vec![cancelled], ..ours("o-2", "p-2") }),
            // One capture only lets go of the rest.
            PaymentPage { objects: vec![PaymentObject { captures_once: true, ..object("p-3") }], ..ours("o-3", "p-3") },
            // Nothing was ever made there.
            PaymentPage { captured: 0, refunded: 0, objects: Vec::new(), status: "ended".into(), ..ours("o-4", "") },
        ];
        let released = |order: &str, id: &str| Payment { voided: 400, ..theirs(order, id) };
        let found = compared(pages, vec![Ok(theirs("o-1", "p-1")), Ok(released("o-2", "p-2")), Ok(released("o-3", "p-3"))]);
        assert_eq!((told(&found), found.differs(), found.orders, found.payments), (vec![], false, 4, 3));
    }

    #[test]
    fn what_one_side_has_and_the_other_has_not_is_named_by_payment() {
        let nothing = Payment { authorised: 0, captured: 0, refunded: 0, ..theirs("o-3", "p-4") };
        let found =
            compared(vec![ours("o-1", "p-1"), ours("o-2", "p-2")], vec![Ok(theirs("o-2", "p-2")), Ok(theirs("o-2", "p-3")), Ok(nothing)]);
        use Kind::{Amount, OnlyOurs, OnlyTheirs};
        assert_eq!(
            told(&found),
            [
                ("o-1", "-", "captured", Some(600), Some(0), Amount),
                ("o-1", "-", "refunded", Some(100), Some(0), Amount),
                ("o-1", "p-1", "authorised", Some(1_000), None, OnlyOurs),
                ("o-1", "p-1", "captured", Some(600), None, OnlyOurs),
                ("o-1", "p-1", "refunded", Some(100), None, OnlyOurs),
                ("o-2", "p-3", "authorised", None, Some(1_000), OnlyTheirs),
                ("o-2", "p-3", "captured", None, Some(600), OnlyTheirs),
                ("o-2", "p-3", "refunded", None, Some(100), OnlyTheirs),
                ("o-3", "p-4", "payment", None, None, OnlyTheirs),
            ]
        );
        assert!(found.differs());
    }

    #[test]
    fn money_that_was_moved_behind_our_back_is_told_field_by_field() {
        let dispute = Payment { refunded: 600, disputed: 500, ..theirs("o-1", "p-1") };
        let found = compared(vec![ours("o-1", "p-1")], vec![Ok(dispute)]);
        let rows =
            [("o-1", "-", "disputed", Some(0), Some(500), Kind::Amount), ("o-1", "p-1", "refunded", Some(100), Some(600), Kind::Amount)];
        assert_eq!(told(&found), rows);
        // Once we have heard of it, nothing differs.
        let heard =
            PaymentPage { objects: vec![PaymentObject { refunded: 600, ..object("p-1") }], refunded_beyond: 500, ..ours("o-1", "p-1") };
        let dispute = Payment { refunded: 600, disputed: 500, ..theirs("o-1", "p-1") };
        assert_eq!(told(&compared(vec![heard.clone()], vec![Ok(dispute.clone())])), []);
        // Nor where a return has settled it: the order counts as given back what the bank took.
        let settled = PaymentPage { refunded: 600, refunded_beyond: 0, ..heard };
        assert_eq!(told(&compared(vec![settled], vec![Ok(dispute)])), []);
        let voided = Payment { voided: 400, ..theirs("o-1", "p-1") };
        let found = compared(vec![ours("o-1", "p-1")], vec![Ok(voided)]);
        assert_eq!(told(&found), [("o-1", "p-1", "authorised", Some(1_000), Some(600), Kind::Amount)]);
        // Booked for the order, and never done.
        let booked = PaymentPage { captured: 700, ..ours("o-1", "p-1") };
        let found = compared(vec![booked], vec![Ok(theirs("o-1", "p-1"))]);
        assert_eq!(told(&found), [("o-1", "-", "captured", Some(700), Some(600), Kind::Amount)]);
    }

    #[test]
    fn what_is_under_way_is_named_and_is_no_difference() {
        let moved = || Ok(Payment { captured: 601, ..theirs("o-1", "p-1") });
        let just_now = Some(Instant::from(at(NOW - 60)).to_proto());
        for page in [
            PaymentPage { asked: Some(PaymentAsked::default()), ..ours("o-1", "p-1") },
            PaymentPage { status: "action-required".into(), ..ours("o-1", "p-1") },
            PaymentPage { changed_at: just_now, ..ours("o-1", "p-1") },
        ] {
            let found = compared(vec![page], vec![moved()]);
            assert_eq!(told(&found), [("o-1", "p-1", "captured", Some(600), Some(601), Kind::UnderWay)]);
            assert!(!found.differs());
        }
        let made_now = Payment { created: Some(at(NOW)), ..theirs("o-2", "p-2") };
        assert!(!compared(Vec::new(), vec![Ok(made_now)]).differs());
        assert!(compared(vec![ours("o-1", "p-1")], vec![moved()]).differs());
    }

    #[test]
    fn what_can_t_be_read_is_a_difference_and_not_missing_as_well() {
        let unreadable = Unreadable { id: "p-1".into(), order: "o-1".into(), why: "it is none".into() };
        let page = PaymentPage { captured: 0, refunded: 0, ..ours("o-1", "p-1") };
        let found = compared(vec![page], vec![Err(unreadable)]);
        assert_eq!(told(&found), [("o-1", "p-1", "payment", None, None, Kind::Unreadable)]);
        assert!(found.differs());
    }

    #[test]
    fn a_table_is_for_people_and_csv_for_programs() {
        let found = compared(vec![ours("o-1", "p-1")], vec![Ok(Payment { captured: 601, ..theirs("o-1", "p-1") })]);
        assert_eq!(
            found.csv().expect("memory takes it"),
            "order,payment,field,currency,ours,theirs,kind\no-1,p-1,captured,EUR,600,601,amount\n"
        );
        let text = found.to_string();
        assert!(text.ends_with("1 payments of 1 orders compared: 1 differences, 0 under way\n"), "{text}");
    }
}
