//! Deadlines: armed by an event, fired once when their time has come.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use daybook_kernel::ids::{EventPlace, deadline_id};
use daybook_kernel::{Begins, Deadline, Deadlines, ErasedDeadlines, EventAt, Instant as Moment, ServiceMessage};
use daybook_log::StoredEvent;
use daybook_reactors::{ArmedDeadline, ArmedDeadlines, Reactors, ReactorsConfig, Rule};
use daybook_testkit::eventually;
use prost::Message as _;
use shop_proto::inventory::v1::*;

use crate::support::*;

/// The tenth of a second that a delivery counts its pieces in, in microseconds.
const TENTH: i64 = 100_000;
const HOUR: i64 = 3_600_000_000;

/// A delivery ripens: as many tenths of a second later as it has pieces it opens a proposal. A reorder point that is set disarms it.
struct Ripening;

impl Deadlines for Ripening {
    const NAME: &'static str = "ripening";
    const BEGINS: Begins = Begins::AtTheBeginning;
    type Event = StockEvent;

    fn arms(event: &StockEvent, at: &EventAt<'_>) -> Vec<Deadline> {
        let StockEvent::StockReceived(e) = event else { return Vec::new() };
        let open = OpenReorderProposal {
            sku: e.sku.clone(),
            warehouse: e.warehouse.clone(),
            reorder_point: 1,
            available: e.quantity,
            stock_version: at.version.0.cast_signed(),
        };
        let due_at = Moment::from_micros(at.recorded_at.micros() + i64::from(e.quantity) * TENTH);
        vec![Deadline { name: "ripe", due_at, message: ServiceMessage::of(&ReorderCommand::from(open)) }]
    }

    fn disarms(event: &StockEvent) -> Vec<&'static str> {
        if matches!(event, StockEvent::ReorderPointSet(_)) { vec!["ripe"] } else { Vec::new() }
    }
}

pub(crate) fn ripening() -> Rule {
    <dyn ErasedDeadlines>::of::<Ripening>().into()
}

async fn armed(install: &Install) -> i64 {
    install.count("SELECT count(*) FROM inventory.call").await
}

async fn are_armed(install: &Install, count: i64) {
    eventually("deadlines to be armed", || async { (armed(install).await == count).then_some(()) }).await;
}

fn step(install: &Install, micros: i64) {
    install.clock.fetch_add(micros, Ordering::Relaxed);
}

async fn list(install: &Install) -> Vec<ArmedDeadline> {
    let armed = ArmedDeadlines::open(&install.database.databases(), &[ripening()]).await.expect("the database answers");
    armed.list(None, Moment::from_micros(i64::MAX / 2), 1_000).await.expect("the database answers")
}

/// The time of a delivery's deadline.
async fn due_at(install: &Install, sku: &str) -> i64 {
    let received = install.has_events(&stock(sku), 1).await.remove(0);
    let pieces = StockReceived::decode(received.payload.as_slice()).expect("it is one").quantity;
    received.recorded_at.micros() + i64::from(pieces) * TENTH
}

/// The event that a deadline's command has led to: once, from one message.
async fn fired(install: &Install, sku: &str) -> StoredEvent {
    let event = install.has_events(&reorder(sku), 1).await.remove(0);
    assert_eq!(install.messages_to(&reorder(sku)).await, 1, "{sku}");
    event
}

async fn pause(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_fires_at_its_time_and_once_under_the_id_of_the_event_that_armed_it() {
    let (install, lanes, process) = Install::running(ripening()).await;
    install.receive("A-1", 30).await;
    are_armed(&install, 1).await;
    let (armed, due) = (list(&install).await.remove(0), due_at(&install, "A-1").await);
    assert_eq!((armed.name.as_str(), armed.due_at.micros(), armed.stream), ("ripe", due, stock("A-1")));
    let event = fired(&install, "A-1").await;
    assert!((due..due + 1_500_000).contains(&event.recorded_at.micros()), "{} for {due}", event.recorded_at.micros());
    are_armed(&install, 0).await;
    let place = EventPlace { epoch: 1, service: SERVICE.into(), partition: install.partition(&stock("A-1")), offset: 0 };
    assert_eq!(armed.command_id, deadline_id(&place, "ripening", "ripe", &reorder("A-1")));
    let metadata = metadata(&event);
    assert_eq!(metadata.command_id, armed.command_id.as_bytes());
    assert_eq!(metadata.caller.map(|caller| caller.id), Some("deadlines/ripening".to_owned()));
    assert_eq!(metadata.causation_id, format!("inventory/{}:0@1", place.partition));
    process.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_goes_over_kafka_alone_so_that_it_overtakes_nothing_there_and_a_reaction_is_handed_over_too() {
    let install = Install::new(&[ripening(), picky::<1>()]).await;
    let lanes = install.lanes().await;
    let process = install.process(vec![ripening(), picky::<1>()]).await;
    // The lanes' own ends are replaced: what is handed over stands here.
    let topic: Arc<str> = install.bus.messages(SERVICE).into();
    install.receive("A-1", 3).await;
    install.has_events(&reorder("A-1"), 1).await;
    let mut handed: Vec<_> = (0..PARTITIONS.cast_signed()).map(|n| install.local.open(&topic, n)).collect();
    install.receive("B-1", 3).await;
    eventually("both to be sent", || async { (install.messages_to(&reorder("B-1")).await == 2).then_some(()) }).await;
    are_armed(&install, 0).await;
    let callers: Vec<String> = handed
        .iter_mut()
        .flat_map(|lane| std::iter::from_fn(|| lane.try_recv().ok()))
        .map(|record| format!("{:?}", record.headers))
        .collect();
    assert!(callers.iter().any(|headers| headers.contains("reactor/picky")), "{callers:?}");
    assert!(!callers.iter().any(|headers| headers.contains("deadlines/")), "{callers:?}");
    process.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_late_fires_at_once_in_the_order_of_its_times() {
    let install = Install::new(&[ripening()]).await;
    step(&install, -HOUR);
    let (lanes, process) = (install.lanes().await, install.process(vec![ripening()]).await);
    let skus: Vec<(String, u32)> = (0..60_u32).map(|n| (format!("A-{n}"), 10_000 - n)).collect();
    for (sku, pieces) in &skus {
        install.receive(sku, *pieces).await;
    }
    are_armed(&install, 60).await;
    step(&install, 2 * HOUR);
    let mut order = Vec::new();
    for (sku, _) in &skus {
        let event = fired(&install, sku).await;
        // Each partition's holder fires its own.
        let way = (install.partition(&stock(sku)), install.partition(&reorder(sku)));
        order.push((way, event.offset, due_at(&install, sku).await));
    }
    order.sort_unstable();
    assert!(order.is_sorted_by_key(|(way, _, due)| (*way, *due)), "{order:?}");
    are_armed(&install, 0).await;
    process.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_fires_nothing_twice_and_nothing_before_it_says_so() {
    let (install, lanes, process) = Install::running(ripening()).await;
    install.receive("A-1", 20_000).await;
    install.receive("A-2", 40_000).await;
    are_armed(&install, 2).await;
    step(&install, HOUR);
    fired(&install, "A-1").await;
    are_armed(&install, 1).await;
    step(&install, -HOUR);
    // Due before what its desk has read when the clock was an hour ahead: one of them soon, one later.
    let (soon, later) = (beside(&install, "B", "A-1"), beside(&install, "C", "A-1"));
    install.receive(&soon, 1).await;
    install.receive(&later, 10_000).await;
    fired(&install, &soon).await;
    are_armed(&install, 2).await;
    assert_eq!(install.messages_to(&reorder("A-2")).await + install.messages_to(&reorder(&later)).await, 0);
    step(&install, HOUR);
    fired(&install, &later).await;
    are_armed(&install, 1).await;
    assert_eq!(install.messages_to(&reorder("A-1")).await, 1);
    assert_eq!(install.messages_to(&reorder("A-2")).await, 0);
    process.stop().await;
    lanes.stop().await;
}

/// The log has recorded a later time, so it is over for whoever follows it: deciders and lanes have gone on from there.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_has_recorded_is_over_for_a_machine_whose_clock_is_behind() {
    let install = Install::new(&[ripening()]).await;
    step(&install, -HOUR);
    let (lanes, process) = (install.lanes().await, install.process(vec![ripening()]).await);
    install.receive("A-1", 20).await;
    install.receive("A-1", 10_000).await;
    are_armed(&install, 2).await;
    pause(3.0).await;
    assert_eq!(install.messages_to(&reorder("A-1")).await, 0, "its log has recorded nothing since");
    // Of the same partition, and of this rule's or not.
    install.reorder_below(&beside(&install, "B", "A-1"), 1, "").await;
    fired(&install, "A-1").await;
    are_armed(&install, 1).await;
    // So it is for whoever follows anew, also where no event says it but the page with which a lane has opened the partition.
    install.receive("A-1", 10).await;
    are_armed(&install, 2).await;
    process.stop().await;
    lanes.stop().await;
    let pages = async || install.count("SELECT count(*) FROM inventory.page").await;
    let before = pages().await;
    pause(2.0).await;
    let lanes = install.lanes().await;
    eventually("both to be opened", || async { (pages().await == before + i64::from(PARTITIONS)).then_some(()) }).await;
    let process = install.process(vec![ripening()]).await;
    are_armed(&install, 1).await;
    process.stop().await;
    lanes.stop().await;
}

/// The first of these names whose stock is in the partition of another.
fn beside(install: &Install, like: &str, other: &str) -> String {
    let same = |sku: &String| install.partition(&stock(sku)) == install.partition(&stock(other));
    (0..).map(|n| format!("{like}-{n}")).find(same).expect("every other one is")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_a_later_event_disarms_is_never_sent() {
    let install = Install::new(&[ripening()]).await;
    let lanes = install.lanes().await;
    // In one batch of the log, and one after the other.
    install.receive("A-1", 20).await;
    install.reorder_below("A-1", 1, "").await;
    install.receive("A-2", 60).await;
    install.has_events(&stock("A-1"), 2).await;
    install.has_events(&stock("A-2"), 1).await;
    let process = install.process(vec![ripening()]).await;
    are_armed(&install, 1).await;
    install.reorder_below("A-2", 1, "").await;
    are_armed(&install, 0).await;
    // What is armed after that counts.
    install.receive("A-1", 10).await;
    fired(&install, "A-1").await;
    pause(6.0).await;
    assert_eq!(install.messages_to(&reorder("A-1")).await, 1);
    assert_eq!(install.messages_to(&reorder("A-2")).await, 0);
    process.stop().await;
    lanes.stop().await;
}

/// Keeps a copy of each row as it comes.
const NOTING: &str = "CREATE TABLE public.noted AS TABLE inventory.call WITH NO DATA;
    CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
        $$ BEGIN INSERT INTO public.noted SELECT NEW.*; RETURN NULL; END $$;
    CREATE TRIGGER note AFTER INSERT ON inventory.call FOR EACH ROW EXECUTE FUNCTION public.note();";

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_a_dead_process_has_fired_is_not_fired_again() {
    let (install, lanes, process) = Install::running(ripening()).await;
    install.database.owner().await.batch_execute(NOTING).await.expect("the owner may");
    install.receive("A-1", 1).await;
    install.receive("A-2", 1).await;
    fired(&install, "A-1").await;
    fired(&install, "A-2").await;
    are_armed(&install, 0).await;
    process.stop().await;
    // As a process leaves it that was killed before the rows went.
    install.database.owner().await.batch_execute("INSERT INTO inventory.call SELECT * FROM public.noted").await.expect("the owner may");
    let process = install.process(vec![ripening()]).await;
    are_armed(&install, 0).await;
    fired(&install, "A-1").await;
    fired(&install, "A-2").await;
    process.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_holders_one_fires_and_the_other_takes_its_place() {
    let (install, lanes, first) = Install::running(ripening()).await;
    let second = install.process_of(vec![ripening()], "other").await;
    for n in 0..20_u32 {
        install.receive(&format!("A-{n}"), 10 + n).await;
    }
    install.receive("B-1", 80).await;
    install.receive("B-2", 90).await;
    for n in 0..20 {
        fired(&install, &format!("A-{n}")).await;
    }
    first.stop().await;
    fired(&install, "B-1").await;
    fired(&install, "B-2").await;
    are_armed(&install, 0).await;
    second.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_whose_term_is_over_fires_nothing() {
    let (install, lanes, process) = Install::running(ripening()).await;
    install.receive("A-1", 15).await;
    are_armed(&install, 1).await;
    // It hears of it in 5 s at the latest.
    install.database.owner().await.batch_execute("UPDATE inventory.reactor SET term = term + 1").await.expect("the owner may");
    pause(3.0).await;
    assert_eq!(install.messages_to(&reorder("A-1")).await, 0);
    process.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_downtime_nothing_fires_before_the_lanes_have_decided_what_waited() {
    let (install, lanes, process) = Install::running(ripening()).await;
    install.receive("A-1", 20).await;
    are_armed(&install, 1).await;
    process.stop().await;
    lanes.stop().await;
    // The good news: it disarms what is due by now.
    install.reorder_below("A-1", 1, "").await;
    pause(2.0).await;
    let process = install.process(vec![ripening()]).await;
    pause(6.0).await;
    assert_eq!(install.messages_to(&reorder("A-1")).await, 0, "late as it is, it waits");
    let lanes = install.lanes().await;
    are_armed(&install, 0).await;
    assert_eq!(install.messages_to(&reorder("A-1")).await, 0);
    // And whoever has heard all fires.
    install.receive("A-2", 1).await;
    fired(&install, "A-2").await;
    process.stop().await;
    lanes.stop().await;
}

/// A process of deadlines in a build that has this rule too, which runs elsewhere.
async fn process_beside(install: &Install, elsewhere: Rule) -> Process {
    let config = ReactorsConfig::new(install.database.databases(), install.bus.clone(), shop(), vec![ripening()], Vec::new());
    let config = ReactorsConfig { all_rules: vec![ripening(), elsewhere], ..config };
    install.follow(Reactors::new(config).await.expect("everything is there"), "")
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_downtime_nothing_fires_before_every_rule_has_come_to_the_ends_that_stood_then() {
    let install = Install::new(&[ripening(), picky::<1>()]).await;
    let lanes = install.lanes().await;
    install.receive("A-1", 1).await;
    install.has_events(&stock("A-1"), 1).await;
    let process = process_beside(&install, picky::<1>()).await;
    pause(5.0).await;
    assert_eq!(install.messages_to(&reorder("A-1")).await, 0, "nobody runs the other rule");
    let beside = install.process_of(vec![picky::<1>()], "beside").await;
    // Its own proposal is the first, and then the deadline's command, which is about the same version.
    eventually("the deadline to fire", || async { (install.messages_to(&reorder("A-1")).await == 2).then_some(()) }).await;
    are_armed(&install, 0).await;
    for process in [process, beside] {
        process.stop().await;
    }
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_hastens_a_deadline_under_its_own_id_and_it_fires_once() {
    let (install, lanes, process) = Install::running(ripening()).await;
    install.receive("A-1", 600).await;
    install.receive("A-2", 600).await;
    are_armed(&install, 2).await;
    // Once the good news are heard, a look is enough.
    install.receive("B-1", 1).await;
    fired(&install, "B-1").await;
    let armed = ArmedDeadlines::open(&install.database.databases(), &[ripening()]).await.expect("the database answers");
    assert_eq!(armed.hasten(&stock("A-1"), "rotten").await.expect("it answers"), []);
    let hastened = armed.hasten(&stock("A-1"), "ripe").await.expect("it answers").remove(0);
    let event = fired(&install, "A-1").await;
    assert_eq!(metadata(&event).command_id, hastened.command_id.as_bytes());
    assert!(event.recorded_at.micros() < hastened.hastened_at.expect("by the operator").micros() + 2_500_000);
    are_armed(&install, 1).await;
    step(&install, HOUR);
    fired(&install, "A-2").await;
    fired(&install, "A-1").await;
    process.stop().await;
    lanes.stop().await;
}

/// Rows that are read of the table of calls from now on, by whatever way, when all is written down.
async fn rows_read(install: &Install) -> i64 {
    pause(2.0).await;
    let sql =
        "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_all_tables WHERE relid = 'inventory.call'::regclass";
    install.count(sql).await
}

/// So many deadlines of a stream that is not there, due in a day and later.
const PENDING: &str = "INSERT INTO inventory.call (name, partition, \"offset\", service, target, outcome_id, due_at, deadline, source, type, command)
    SELECT 'ripening', n % 2, 1000000 + n, 'inventory', 'reorder/X-' || n || '@w-1', gen_random_uuid(), now() + interval '1 day' + n * interval '1 s',
        'ripe', 'stock/X-' || n || '@w-1', 'shop.inventory.v1.OpenReorderProposal', decode(repeat('00', 100), 'hex')
    FROM generate_series(1, 100000) AS n";

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_that_are_not_due_cost_nothing() {
    let install = Install::new(&[ripening()]).await;
    let owner = install.database.owner().await;
    owner.batch_execute(PENDING).await.expect("the owner may");
    owner.batch_execute("ANALYZE inventory.call").await.expect("the owner may");
    let before = rows_read(&install).await;
    let (lanes, process) = (install.lanes().await, install.process(vec![ripening()]).await);
    install.receive("A-1", 1).await;
    fired(&install, "A-1").await;
    pause(10.0).await;
    let rows = rows_read(&install).await - before;
    assert!(rows < 200, "{rows} rows were read");
    process.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadlines_of_one_stream_are_found_without_those_of_others() {
    let install = Install::new(&[ripening()]).await;
    let owner = install.database.owner().await;
    owner.batch_execute(PENDING).await.expect("the owner may");
    owner.batch_execute("ANALYZE inventory.call").await.expect("the owner may");
    let before = rows_read(&install).await;
    let armed = ArmedDeadlines::open(&install.database.databases(), &[ripening()]).await.expect("the database answers");
    let last = "stock/X-100000@w-1";
    let found = armed.list(Some(last), Moment::from_micros(i64::MAX / 2), 10).await.expect("the database answers");
    assert_eq!(found.iter().map(|one| one.stream.as_str()).collect::<Vec<_>>(), [last]);
    drop(armed);
    let rows = rows_read(&install).await - before;
    assert!(rows < 20, "{rows} rows were read");
}
