//! A lookup that reads what projectors have made of the log, and hands it over.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use daybook_follow::Ask;
use daybook_kernel::ids::{EventPlace, effect_outcome_id};
use daybook_kernel::{Asks, Begins, ErasedLookup, EventAt, Lookup, PageError, PageKey, Pages, ReadModel, ServiceMessage};
use daybook_process::shutdown;
use daybook_projections::{Projectors, ProjectorsConfig, prepare};
use daybook_reactors::Rule;
use daybook_testkit::{eventually, recreate_topic};
use prost::Message as _;
use shop_proto::inventory::v1::*;
use shop_proto::read::v1::{ProductPage, StockLevel};
use tokio::sync::watch;

use crate::support::{Install, Lanes, PARTITIONS, Process, SERVICE, metadata, reorder, stock};

/// A delivery of so many pieces makes the rule panic while it stands here.
static PANICS_AT: AtomicU32 = AtomicU32::new(0);

/// For each delivery, opens a proposal that says what is on hand by then. A product that has a page asks for a thousand more.
struct Counting;

impl Lookup for Counting {
    const NAME: &'static str = "counting";
    const BEGINS: Begins = Begins::AtTheBeginning;
    type Event = StockEvent;

    fn asks(event: &StockEvent, at: &EventAt<'_>) -> Option<Asks> {
        let StockEvent::StockReceived(e) = event else { return None };
        assert!(e.quantity != PANICS_AT.load(Ordering::Relaxed), "as it was told");
        Some(Asks::of::<ReorderCommand>(at.stream.key(), vec![PageKey::new("stock-levels", at.stream.key())]))
    }

    fn asks_further(event: &StockEvent, read: &Pages) -> Result<Vec<PageKey>, PageError> {
        let level: Option<StockLevel> = read.page("stock-levels", format!("{}@{}", event.sku(), event.warehouse()))?;
        Ok(level.into_iter().map(|level| PageKey::new("product-pages", level.sku)).collect())
    }

    fn answer(&self, event: &StockEvent, read: &Pages, _: daybook_kernel::Instant) -> Result<ServiceMessage, PageError> {
        let StockEvent::StockReceived(e) = event else { unreachable!("it asks for nothing else") };
        let level: Option<StockLevel> = read.page("stock-levels", format!("{}@{}", e.sku, e.warehouse))?;
        let product: Option<ProductPage> = level.as_ref().map_or(Ok(None), |level| read.page("product-pages", &level.sku))?;
        let open = OpenReorderProposal {
            sku: e.sku.clone(),
            warehouse: e.warehouse.clone(),
            reorder_point: if product.is_some() { 1_001 } else { 1 },
            available: level.map_or(0, |level| level.on_hand),
            stock_version: e.quantity.into(),
        };
        Ok(ServiceMessage::of(&ReorderCommand::from(open)))
    }
}

/// The read models that it reads.
fn read() -> Vec<ReadModel> {
    let mut models = shop_projectors::read_models();
    models.retain(|model| ["stock-levels", "product-pages"].contains(&model.name));
    models
}

fn counting() -> Rule {
    <dyn ErasedLookup>::of(Counting).into()
}

/// One process of projectors, in this one.
struct Projecting {
    stop: watch::Sender<bool>,
    projectors: Projectors,
}

impl Projecting {
    async fn begin(install: &Install) -> Self {
        let (stop, stopping) = shutdown();
        let config = ProjectorsConfig::new(install.database.databases(), install.bus.clone(), read());
        Self { projectors: Projectors::start(config, stopping).await.expect("everything is there"), stop }
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        self.projectors.stopped().await;
    }
}

async fn install() -> (Install, Lanes) {
    let install = Install::new(&[counting()]).await;
    prepare(&install.database.databases(), &install.bus, &read()).await.expect("the database answers");
    let lanes = install.lanes().await;
    (install, lanes)
}

async fn open(install: &Install) -> i64 {
    install.count("SELECT count(*) FROM inventory.call").await
}

async fn all_are_done(install: &Install) {
    eventually("no call to be open", || async { (open(install).await == 0).then_some(()) }).await;
}

/// Waits until a call has failed so often.
async fn has_failed(install: &Install, tries: i64) -> String {
    eventually("a call to fail", || async {
        let row = install.database.owner().await.query_opt("SELECT tries::bigint, failure FROM inventory.call", &[]).await.ok()??;
        (row.get::<_, i64>(0) >= tries).then(|| row.get::<_, Option<String>>(1).unwrap_or_default())
    })
    .await
}

/// Read models can't be read, as while a database is being restored; and can be again.
async fn serve(install: &Install, state: &str) {
    let sql = format!("UPDATE read.generation SET state = '{state}' WHERE state IN ('live', 'kept')");
    install.database.owner().await.batch_execute(&sql).await.expect("the owner may");
}

/// Keeps a copy of each row as it comes.
const NOTING: &str = "CREATE TABLE public.noted AS TABLE inventory.call WITH NO DATA;
    CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
        $$ BEGIN INSERT INTO public.noted SELECT NEW.*; RETURN NULL; END $$;
    CREATE TRIGGER note AFTER INSERT ON inventory.call FOR EACH ROW EXECUTE FUNCTION public.note();";

/// (reorder point, available) of each proposal.
async fn proposals(install: &Install, sku: &str, count: usize) -> Vec<(u32, u32)> {
    let events = install.has_events(&reorder(sku), count).await;
    let opened = |event: &daybook_log::StoredEvent| ReorderProposalOpened::decode(event.payload.as_slice()).expect("it opens");
    events.iter().map(opened).map(|e| (e.reorder_point, e.available)).collect()
}

async fn ended(lanes: Lanes, process: Process, projecting: Projecting) {
    process.stop().await;
    projecting.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_is_at_least_as_new_as_the_event_that_asks() {
    let (install, lanes) = install().await;
    let process = install.process(vec![counting()]).await;
    install.receive("A-1", 5).await;
    install.receive("A-2", 7).await;
    eventually("both to be asked for", || async { (open(&install).await == 2).then_some(()) }).await;
    // The projectors are late.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(install.messages_to(&reorder("A-1")).await, 0, "nothing is said of what is not known yet");
    let projecting = Projecting::begin(&install).await;
    assert_eq!(proposals(&install, "A-1", 1).await, [(1, 5)]);
    assert_eq!(proposals(&install, "A-2", 1).await, [(1, 7)], "and there is no page of the product");
    all_are_done(&install).await;

    let opened = install.has_events(&reorder("A-1"), 1).await.remove(0);
    let (metadata, asked) = (metadata(&opened), install.has_events(&stock("A-1"), 1).await.remove(0));
    assert_eq!(metadata.caller.map(|caller| caller.id), Some("lookup/counting".to_owned()));
    assert_eq!(metadata.causation_id, format!("inventory/{}:{}@1", install.partition(&stock("A-1")), asked.offset));
    ended(lanes, process, projecting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_one_target_are_done_one_after_the_other_in_the_order_of_their_events() {
    let (install, lanes) = install().await;
    for quantity in 1..=40 {
        install.receive("A-1", quantity).await;
    }
    install.has_events(&stock("A-1"), 40).await;
    let (projecting, process) = (Projecting::begin(&install).await, install.process(vec![counting()]).await);
    let events = install.has_events(&reorder("A-1"), 40).await;
    let causes: Vec<i64> = events
        .iter()
        .map(|event| metadata(event).causation_id.split([':', '@']).nth(1).and_then(|at| at.parse().ok()).expect("a place"))
        .collect();
    assert!(causes.is_sorted(), "{causes:?}");
    all_are_done(&install).await;
    ended(lanes, process, projecting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_can_t_be_done_is_tried_again_and_the_next_holder_goes_on_with_it() {
    let (install, lanes) = install().await;
    let projecting = Projecting::begin(&install).await;
    serve(&install, "kept").await;
    let process = install.process(vec![counting()]).await;
    install.receive("A-1", 5).await;
    let why = has_failed(&install, 2).await;
    assert!(why.contains("stock-levels is live"), "{why}");
    process.stop().await;
    assert_eq!(open(&install).await, 1, "its row stands");
    serve(&install, "live").await;
    let process = install.process(vec![counting()]).await;
    assert_eq!(proposals(&install, "A-1", 1).await, [(1, 5)]);
    all_are_done(&install).await;
    ended(lanes, process, projecting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_is_kept_is_sent_as_it_stands() {
    let (install, lanes) = install().await;
    let projecting = Projecting::begin(&install).await;
    serve(&install, "kept").await;
    let process = install.process(vec![counting()]).await;
    install.receive("A-1", 5).await;
    has_failed(&install, 1).await;
    process.stop().await;
    // As a process leaves it that was killed between keeping and sending, when the page said something else.
    let other = OpenReorderProposal { sku: "A-1".into(), warehouse: "w-1".into(), reorder_point: 9, available: 3, stock_version: 5 };
    let sql = "UPDATE inventory.call SET type = 'shop.inventory.v1.OpenReorderProposal', command = $1";
    install.database.owner().await.execute(sql, &[&other.encode_to_vec()]).await.expect("the owner may");
    serve(&install, "live").await;
    let process = install.process(vec![counting()]).await;
    assert_eq!(proposals(&install, "A-1", 1).await, [(9, 3)]);
    all_are_done(&install).await;
    ended(lanes, process, projecting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_outcome_the_ledger_has_is_not_done_again() {
    let (install, lanes) = install().await;
    install.database.owner().await.batch_execute(NOTING).await.expect("the owner may");
    let (projecting, process) = (Projecting::begin(&install).await, install.process(vec![counting()]).await);
    install.receive("A-1", 5).await;
    install.receive("A-1", 6).await;
    install.has_events(&reorder("A-1"), 2).await;
    all_are_done(&install).await;
    let sent = install.messages_to(&reorder("A-1")).await;
    process.stop().await;
    // As a process leaves it that was killed before the rows went.
    install.database.owner().await.batch_execute("INSERT INTO inventory.call SELECT * FROM public.noted").await.expect("the owner may");
    assert_eq!(open(&install).await, 2);
    let process = install.process(vec![counting()]).await;
    all_are_done(&install).await;
    assert_eq!(install.messages_to(&reorder("A-1")).await, sent, "nothing is sent again");
    install.has_events(&reorder("A-1"), 2).await;
    ended(lanes, process, projecting).await;
}

/// Notes where the mark stands when a call's statement has ended.
const BESIDE: &str = "CREATE TABLE public.beside (at bigint, mark bigint);
    CREATE FUNCTION public.beside() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
        $$ BEGIN
            INSERT INTO public.beside SELECT NEW.\"offset\", r.next_offset FROM inventory.reactor r WHERE r.name = NEW.name AND r.partition = NEW.partition;
            RETURN NULL;
        END $$;
    CREATE TRIGGER beside AFTER INSERT ON inventory.call FOR EACH ROW EXECUTE FUNCTION public.beside();";

#[tokio::test(flavor = "multi_thread")]
async fn the_mark_moves_over_an_event_in_the_statement_that_notes_its_call() {
    let (install, lanes) = install().await;
    install.database.owner().await.batch_execute(BESIDE).await.expect("the owner may");
    // Some are read from the log, the others come from Kafka.
    install.receive("A-1", 1).await;
    install.has_events(&stock("A-1"), 1).await;
    let (projecting, process) = (Projecting::begin(&install).await, install.process(vec![counting()]).await);
    install.has_events(&reorder("A-1"), 1).await;
    for quantity in 2..=5 {
        install.receive("A-1", quantity).await;
        install.has_events(&reorder("A-1"), quantity as usize).await;
    }
    all_are_done(&install).await;
    assert_eq!(install.count("SELECT count(*) FROM public.beside").await, 5);
    assert_eq!(install.count("SELECT count(*) FROM public.beside WHERE mark <= at").await, 0, "it would be noted again after a death");
    ended(lanes, process, projecting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_this_build_can_t_do_stays_and_holds_up_no_other() {
    let (install, lanes) = install().await;
    let (projecting, process) = (Projecting::begin(&install).await, install.process(vec![counting()]).await);
    install.reorder_below("A-1", 1, "").await;
    eventually("the event to be passed", || async { (install.mark("counting", &stock("A-1")).await.0 >= 1).then_some(()) }).await;
    process.stop().await;
    // As a newer build notes it, whose rule asks more events.
    let place = EventPlace { epoch: 1, service: SERVICE.into(), partition: install.partition(&stock("A-1")), offset: 0 };
    let id = effect_outcome_id(&place, "counting", &reorder("A-1"));
    let sql =
        "INSERT INTO inventory.call (name, partition, \"offset\", service, target, outcome_id) VALUES ('counting', $1, 0, $2, $3, $4)";
    let owner = install.database.owner().await;
    owner.execute(sql, &[&place.partition, &SERVICE, &reorder("A-1"), &id]).await.expect("the owner may");
    let process = install.process(vec![counting()]).await;
    let why = has_failed(&install, 1).await;
    assert!(why.contains("does not ask"), "{why}");
    install.receive("A-1", 5).await;
    install.receive("A-2", 5).await;
    assert_eq!(proposals(&install, "A-1", 1).await, [(1, 5)]);
    assert_eq!(proposals(&install, "A-2", 1).await, [(1, 5)]);
    eventually("the others to be done", || async { (open(&install).await == 1).then_some(()) }).await;
    ended(lanes, process, projecting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_whose_term_is_over_sends_nothing() {
    let (install, lanes) = install().await;
    let projecting = Projecting::begin(&install).await;
    serve(&install, "kept").await;
    let process = install.process(vec![counting()]).await;
    install.receive("A-1", 5).await;
    has_failed(&install, 1).await;
    install.database.owner().await.batch_execute("UPDATE inventory.reactor SET term = term + 1").await.expect("the owner may");
    serve(&install, "live").await;
    // Longer than the longest pause between two tries.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(install.messages_to(&reorder("A-1")).await, 0);
    assert_eq!(open(&install).await, 1);
    ended(lanes, process, projecting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_a_wiped_topic_has_lost_is_sent_again() {
    let (install, lanes) = install().await;
    install.receive("A-1", 5).await;
    install.has_events(&stock("A-1"), 1).await;
    // Nobody decides: the outcome stays on the topic.
    lanes.stop().await;
    let (projecting, process) = (Projecting::begin(&install).await, install.process(vec![counting()]).await);
    eventually("Kafka to have the outcome", || async { (install.messages_to(&reorder("A-1")).await == 1).then_some(()) }).await;
    recreate_topic(&install.bus, &install.bus.messages(SERVICE), PARTITIONS.cast_signed()).await;
    let lanes = install.lanes().await;
    assert_eq!(proposals(&install, "A-1", 1).await, [(1, 5)]);
    all_are_done(&install).await;
    ended(lanes, process, projecting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_no_event_asks_for_is_dropped() {
    let (install, lanes) = install().await;
    let (projecting, process) = (Projecting::begin(&install).await, install.process(vec![counting()]).await);
    install.receive("A-1", 5).await;
    all_are_done(&install).await;
    process.stop().await;
    let sql = format!(
        "INSERT INTO {SERVICE}.call (name, partition, \"offset\", service, target, outcome_id)
         VALUES ('counting', 0, 1000000, '{SERVICE}', 'reorder/A-9@w-1', gen_random_uuid()),
                ('counting', {}, 0, '{SERVICE}', 'reorder/A-1@w-1', gen_random_uuid())",
        install.partition(&stock("A-1"))
    );
    install.database.owner().await.batch_execute(&sql).await.expect("the owner may");
    let process = install.process(vec![counting()]).await;
    all_are_done(&install).await;
    assert_eq!(install.events(&reorder("A-9")).await.len(), 0);
    ended(lanes, process, projecting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_a_lookup_panics_at_parks_its_stream_and_is_taken_up_again() {
    let (install, lanes) = install().await;
    let (projecting, process) = (Projecting::begin(&install).await, install.process(vec![counting()]).await);
    PANICS_AT.store(666, Ordering::Relaxed);
    install.receive("A-1", 666).await;
    install.receive("A-1", 667).await;
    install.receive("A-2", 8).await;
    assert_eq!(proposals(&install, "A-2", 1).await, [(1, 8)], "others flow");
    assert_eq!(install.events(&reorder("A-1")).await.len(), 0);
    let parked = "SELECT count(*) FROM inventory.reactor_parked";
    eventually("the stream to be parked", || async { (install.count(parked).await == 1).then_some(()) }).await;
    PANICS_AT.store(0, Ordering::Relaxed);
    assert!(install.ask_rules(&[counting()], &stock("A-1"), Ask::Retry).await);
    assert_eq!(proposals(&install, "A-1", 2).await.len(), 2);
    all_are_done(&install).await;
    ended(lanes, process, projecting).await;
}
