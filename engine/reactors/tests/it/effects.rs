//! Effects: calls to a real server, each done once whatever happens to who calls.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use daybook_follow::{Follower, Kind, Limits};
use daybook_kernel::{Attempt, Begins, Effect, ErasedEffect, EventAt, Instant as Moment, Outward, ServiceMessage, Unknown};
use daybook_log::{Log, PartitionLog, Writer, WriterSessions};
use daybook_postgres::Role;
use daybook_reactors::{OpenCall, OpenCalls, Reactors, ReactorsConfig, Rule};
use daybook_testkit::eventually;
use prost::Message as _;
use shop_proto::inventory::v1::*;

use crate::deadlines::ripening;
use crate::support::*;

/// A delivery of so many pieces may be told for two seconds only; of so many, the first attempt panics.
const BRIEFLY: u32 = 99;
const PANICS: u32 = 13;
/// The limit of a call, and how much longer it may be under way.
const LIMIT: Duration = Duration::from_secs(1);
const MARGIN: Duration = Duration::from_secs(5);

/// What came of a call.
const DONE: u32 = 1;
const FOUND: u32 = 2;
const DONE_AFTER_ASKING: u32 = 3;
const NEVER_BEGUN: u32 = 4;

/// Somebody outside, who remembers what was done under which key.
#[derive(Default)]
struct Outside {
    /// Pieces that were told under a key, in order.
    told: Mutex<BTreeMap<String, Vec<u32>>>,
    asked: Mutex<Vec<Instant>>,
    requests: AtomicU32,
    /// It answers 500, and does nothing.
    fails: AtomicBool,
    /// It does what it is told, and gives no answer.
    hangs: AtomicBool,
    /// It says what can't be of so many pieces.
    babbles_of: AtomicU32,
    /// Milliseconds until it answers.
    delay: AtomicU64,
    under_way: AtomicU32,
    most_under_way: AtomicU32,
}

impl Outside {
    fn times(&self, key: &str) -> usize {
        self.told.lock().expect("whole").get(key).map_or(0, Vec::len)
    }

    fn times_asked(&self) -> usize {
        self.asked.lock().expect("whole").len()
    }

    async fn answer(&self) {
        let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_under_way.fetch_max(under_way, Ordering::SeqCst);
        let delay = if self.hangs.load(Ordering::SeqCst) { 60_000 } else { self.delay.load(Ordering::SeqCst) };
        tokio::time::sleep(Duration::from_millis(delay)).await;
        self.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn tell(State(outside): State<Arc<Outside>>, Path((key, pieces)): Path<(String, u32)>) -> StatusCode {
    outside.requests.fetch_add(1, Ordering::SeqCst);
    if outside.fails.load(Ordering::SeqCst) {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    if outside.babbles_of.load(Ordering::SeqCst) == pieces {
        return StatusCode::IM_A_TEAPOT;
    }
    outside.told.lock().expect("whole").entry(key).or_default().push(pieces);
    outside.answer().await;
    StatusCode::OK
}

async fn ask(State(outside): State<Arc<Outside>>, Path((key, pieces)): Path<(String, u32)>) -> StatusCode {
    outside.requests.fetch_add(1, Ordering::SeqCst);
    outside.asked.lock().expect("whole").push(Instant::now());
    if outside.fails.load(Ordering::SeqCst) {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    let knows = outside.told.lock().expect("whole").get(&key).is_some_and(|told| told.contains(&pieces));
    if knows { StatusCode::OK } else { StatusCode::NOT_FOUND }
}

/// Serves for as long as the test runs; its address.
async fn serve() -> (Arc<Outside>, String) {
    let outside = Arc::new(Outside::default());
    let routes = Router::new().route("/{key}/{pieces}", post(tell)).route("/{key}/{pieces}", get(ask)).with_state(outside.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (outside, url)
}

/// Tells the outside of each delivery; what came of it opens a proposal. There are two, with a destination each.
struct Telling<const N: usize> {
    /// Empty: nobody is there.
    url: String,
    client: reqwest::Client,
}

impl<const N: usize> Effect for Telling<N> {
    const NAME: &'static str = if N == 0 { "telling" } else { "whispering" };
    const DESTINATION: &'static str = if N == 0 { "outside" } else { "elsewhere" };
    const BEGINS: Begins = Begins::AtTheBeginning;
    const TIME_LIMIT: Duration = LIMIT;
    type Event = StockEvent;

    fn asks(event: &StockEvent, at: &EventAt<'_>) -> Option<Outward> {
        let StockEvent::StockReceived(e) = event else { return None };
        if e.sku.starts_with("B-") != (N == 1) {
            return None;
        }
        let end = Moment::from_micros(at.recorded_at.micros() + 2_000_000);
        Some(Outward::of::<ReorderCommand>(at.stream.key(), (e.quantity == BRIEFLY).then_some(end)))
    }

    async fn call(&self, event: &StockEvent, attempt: Attempt) -> Result<ServiceMessage, Unknown> {
        let StockEvent::StockReceived(e) = event else { unreachable!("it asks for nothing else") };
        assert!(e.quantity != PANICS || attempt != Attempt::First, "as it was told");
        let url = format!("{}/{}/{}", self.url, e.sku, e.quantity);
        let unknown = |why: String| Unknown::Unanswered(why);
        let known = if attempt == Attempt::First {
            StatusCode::NOT_FOUND
        } else {
            self.client.get(&url).send().await.map_err(|error| unknown(error.to_string()))?.status()
        };
        let outcome = match (known, attempt) {
            (StatusCode::OK, _) => FOUND,
            (StatusCode::NOT_FOUND, Attempt::AskOnly) => NEVER_BEGUN,
            (StatusCode::NOT_FOUND, _) => {
                let told = self.client.post(&url).send().await.map_err(|error| unknown(error.to_string()))?.status();
                if told == StatusCode::IM_A_TEAPOT {
                    return Err(Unknown::unusable("it is a teapot"));
                }
                if told != StatusCode::OK {
                    return Err(unknown(told.to_string()));
                }
                if attempt == Attempt::First { DONE } else { DONE_AFTER_ASKING }
            }
            (status, _) => return Err(unknown(status.to_string())),
        };
        Ok(came(e, outcome))
    }

    fn nobody(&self) -> Option<&str> {
        self.url.is_empty().then_some("nobody is there")
    }

    fn not_begun(event: &StockEvent) -> Option<ServiceMessage> {
        let StockEvent::StockReceived(e) = event else { return None };
        Some(came(e, NEVER_BEGUN))
    }
}

/// What came of the call for a delivery.
fn came(e: &StockReceived, outcome: u32) -> ServiceMessage {
    let (sku, warehouse, stock_version) = (e.sku.clone(), e.warehouse.clone(), e.quantity.into());
    ServiceMessage::of(&ReorderCommand::from(OpenReorderProposal { sku, warehouse, reorder_point: 100, available: outcome, stock_version }))
}

fn telling(url: &str) -> Rule {
    <dyn ErasedEffect>::of(Telling::<0> { url: url.to_owned(), client: reqwest::Client::new() }).into()
}

fn whispering(url: &str) -> Rule {
    <dyn ErasedEffect>::of(Telling::<1> { url: url.to_owned(), client: reqwest::Client::new() }).into()
}

struct Scene {
    install: Install,
    lanes: Lanes,
    outside: Arc<Outside>,
    rule: Rule,
}

impl Scene {
    async fn new() -> Self {
        let (outside, url) = serve().await;
        let rule = telling(&url);
        let install = Install::new(std::slice::from_ref(&rule)).await;
        Self { lanes: install.lanes().await, install, outside, rule }
    }

    async fn process(&self) -> Process {
        self.install.process(vec![self.rule.clone()]).await
    }

    async fn end(self, process: Process) {
        process.stop().await;
        self.lanes.stop().await;
    }
}

/// What came of the calls for a delivery.
async fn outcomes(install: &Install, sku: &str, count: usize) -> Vec<u32> {
    let opened = |event: daybook_log::StoredEvent| ReorderProposalOpened::decode(event.payload.as_slice()).expect("it opens").available;
    install.has_events(&reorder(sku), count).await.into_iter().map(opened).collect()
}

async fn open(install: &Install) -> i64 {
    install.count("SELECT count(*) FROM inventory.call").await
}

async fn all_are_done(install: &Install) {
    eventually("no call to be open", || async { (open(install).await == 0).then_some(()) }).await;
}

/// A holder that is followed by hand, so that it can go at any moment.
struct ByHand {
    kind: Arc<dyn Kind>,
    log: PartitionLog,
}

impl ByHand {
    async fn of(scene: &Scene, sku: &str) -> Self {
        Self::with(scene, sku, scene.install.reactors(vec![scene.rule.clone()]).await).await
    }

    /// One that has no more than one call under way.
    async fn one_at_a_time(scene: &Scene, sku: &str) -> Self {
        let (databases, bus) = (scene.install.database.databases(), scene.install.bus.clone());
        let config = ReactorsConfig::new(databases, bus, shop(), vec![scene.rule.clone()], Vec::new());
        let reactors = Reactors::new(ReactorsConfig { calls_at_once: 1, ..config }).await.expect("everything is there");
        Self::with(scene, sku, reactors).await
    }

    async fn with(scene: &Scene, sku: &str, reactors: Reactors) -> Self {
        let log = Log::open(&scene.install.database.databases(), SERVICE, Role::Writer).await.expect("it is there");
        let log = log.partition(scene.install.partition(&stock(sku))).expect("one");
        let kind = reactors.followers().roster.borrow().0[0].clone();
        Self { kind, log }
    }

    /// One that has taken over, and has noted what the log asks for.
    async fn holder(&self) -> Box<dyn Follower> {
        let mut holder = self.kind.open(self.log.clone());
        holder.take_over().await.expect("the database answers");
        if holder.is_behind().await.expect("the log answers") {
            holder.step().await.expect("the database answers");
        }
        holder
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_asks_for_one_call_and_its_outcome_is_one_command() {
    let scene = Scene::new().await;
    let process = scene.process().await;
    scene.install.receive("A-1", 1).await;
    assert_eq!(outcomes(&scene.install, "A-1", 1).await, [DONE]);
    all_are_done(&scene.install).await;
    assert_eq!((scene.outside.times("A-1"), scene.outside.times_asked()), (1, 0));
    let event = scene.install.has_events(&reorder("A-1"), 1).await.remove(0);
    assert_eq!(metadata(&event).caller.map(|caller| caller.id), Some("effect/telling".to_owned()));
    scene.end(process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_over_waits_until_the_call_of_before_is_over_and_asks_before_it_calls() {
    let scene = Scene::new().await;
    scene.install.receive("A-1", 1).await;
    scene.install.receive("A-1", 2).await;
    scene.install.has_events(&stock("A-1"), 2).await;
    scene.outside.hangs.store(true, Ordering::SeqCst);
    let by_hand = ByHand::of(&scene, "A-1").await;
    let first = by_hand.holder().await;
    eventually("the call to be done", || async { (scene.outside.times("A-1") == 1).then_some(()) }).await;
    let begun = Instant::now();
    // As a process that is killed: what it has under way is cut off.
    drop(first);
    scene.outside.hangs.store(false, Ordering::SeqCst);
    let second = by_hand.holder().await;
    assert_eq!(outcomes(&scene.install, "A-1", 2).await, [FOUND, DONE]);
    let asked = scene.outside.asked.lock().expect("whole")[0] - begun;
    assert!(asked > LIMIT + MARGIN - Duration::from_millis(500), "{asked:?}");
    assert_eq!(scene.outside.told.lock().expect("whole")["A-1"], [1, 2]);
    all_are_done(&scene.install).await;
    drop(second);
    scene.lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_an_answer_is_asked_about_and_not_done_again() {
    let scene = Scene::new().await;
    let process = scene.process().await;
    scene.outside.hangs.store(true, Ordering::SeqCst);
    scene.install.receive("A-1", 1).await;
    eventually("the call to be done", || async { (scene.outside.times("A-1") == 1).then_some(()) }).await;
    scene.outside.hangs.store(false, Ordering::SeqCst);
    assert_eq!(outcomes(&scene.install, "A-1", 1).await, [FOUND]);
    assert_eq!((scene.outside.times("A-1"), scene.outside.times_asked()), (1, 1));
    scene.end(process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_panics_is_asked_about_first() {
    let scene = Scene::new().await;
    let process = scene.process().await;
    scene.install.receive("A-1", PANICS).await;
    assert_eq!(outcomes(&scene.install, "A-1", 1).await, [DONE_AFTER_ASKING]);
    assert_eq!((scene.outside.times("A-1"), scene.outside.times_asked()), (1, 1));
    scene.end(process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn past_its_end_or_the_memory_of_keys_a_call_is_only_asked_about() {
    let scene = Scene::new().await;
    scene.outside.fails.store(true, Ordering::SeqCst);
    let process = scene.process().await;
    scene.install.receive("A-1", BRIEFLY).await;
    eventually("the call to fail", || async { (scene.outside.requests.load(Ordering::SeqCst) > 0).then_some(()) }).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    scene.outside.fails.store(false, Ordering::SeqCst);
    assert_eq!(outcomes(&scene.install, "A-1", 1).await, [NEVER_BEGUN]);
    assert_eq!(scene.outside.times("A-1"), 0);
    // A call that was begun, and of which nobody knows, a day later.
    scene.outside.fails.store(true, Ordering::SeqCst);
    let before = scene.outside.requests.load(Ordering::SeqCst);
    scene.install.receive("A-2", 1).await;
    eventually("the call to fail", || async { (scene.outside.requests.load(Ordering::SeqCst) > before).then_some(()) }).await;
    scene.install.clock.store(25 * 3_600_000_000, Ordering::Relaxed);
    scene.outside.fails.store(false, Ordering::SeqCst);
    assert_eq!(outcomes(&scene.install, "A-2", 1).await, [NEVER_BEGUN]);
    assert_eq!(scene.outside.times("A-2"), 0);
    // One that nobody has begun begins at any age: nobody can have forgotten its key.
    scene.install.receive("A-3", 1).await;
    outcomes(&scene.install, "A-3", 1).await;
    assert_eq!(scene.outside.times("A-3"), 1);
    scene.end(process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_log_counts_not_all_calls_so_that_an_old_one_is_only_asked_about() {
    let scene = Scene::new().await;
    scene.install.receive("A-1", 1).await;
    scene.install.has_events(&stock("A-1"), 1).await;
    let log = Log::open(&scene.install.database.databases(), SERVICE, Role::Writer).await.expect("it is there");
    let log = log.partition(scene.install.partition(&stock("A-1"))).expect("one");
    let writer = Writer::new(log, &WriterSessions::new(1)).await.expect("the database answers");
    writer.begin_epoch(Writer::now(), 2, "restored").await.expect("the lane begins again");
    writer.release().await;
    scene.install.clock.store(25 * 3_600_000_000, Ordering::Relaxed);
    let process = scene.process().await;
    assert_eq!(outcomes(&scene.install, "A-1", 1).await, [NEVER_BEGUN]);
    assert_eq!((scene.outside.times("A-1"), scene.outside.times_asked()), (0, 1));
    scene.end(process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_fails_is_given_a_rest_and_others_are_not() {
    let ((outside, url), (elsewhere, other_url)) = (serve().await, serve().await);
    let rules = [telling(&url), whispering(&other_url)];
    let install = Install::new(&rules).await;
    let lanes = install.lanes().await;
    outside.fails.store(true, Ordering::SeqCst);
    for n in 0..20 {
        install.receive(&format!("A-{n}"), 1).await;
    }
    let process = install.process(rules.to_vec()).await;
    eventually("the breaker to open", || async { (outside.requests.load(Ordering::SeqCst) >= 5).then_some(()) }).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = outside.requests.load(Ordering::SeqCst);
    for n in 0..20 {
        install.receive(&format!("B-{n}"), 1).await;
        assert_eq!(outcomes(&install, &format!("B-{n}"), 1).await, [DONE]);
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let tried = outside.requests.load(Ordering::SeqCst) - before;
    assert!(tried <= 3, "{tried} calls to a destination that fails");
    assert_eq!(elsewhere.times_asked(), 0);
    outside.fails.store(false, Ordering::SeqCst);
    for n in 0..20 {
        let outcome = outcomes(&install, &format!("A-{n}"), 1).await[0];
        assert!([DONE, DONE_AFTER_ASKING].contains(&outcome), "{outcome}");
        assert_eq!(outside.times(&format!("A-{n}")), 1);
    }
    all_are_done(&install).await;
    process.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_calls_than_allowed_are_under_way_at_a_destination() {
    let scene = Scene::new().await;
    scene.outside.delay.store(100, Ordering::SeqCst);
    for n in 0..30 {
        scene.install.receive(&format!("A-{n}"), 1).await;
    }
    let (databases, bus) = (scene.install.database.databases(), scene.install.bus.clone());
    let config = ReactorsConfig::new(databases, bus, shop(), vec![scene.rule.clone()], Vec::new());
    let config = ReactorsConfig { calls_at_once: 3, ..config };
    let process = scene.install.follow(Reactors::new(config).await.expect("everything is there"), "");
    for n in 0..30 {
        assert_eq!(outcomes(&scene.install, &format!("A-{n}"), 1).await, [DONE]);
    }
    assert_eq!(scene.outside.most_under_way.load(Ordering::SeqCst), 3);
    scene.end(process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_a_target_is_under_way_in_the_order_of_the_events() {
    let scene = Scene::new().await;
    scene.outside.delay.store(50, Ordering::SeqCst);
    for pieces in 1..=8 {
        scene.install.receive("A-1", pieces).await;
    }
    let process = scene.process().await;
    assert_eq!(outcomes(&scene.install, "A-1", 8).await, [DONE; 8]);
    assert_eq!(scene.outside.told.lock().expect("whole")["A-1"], [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(scene.outside.most_under_way.load(Ordering::SeqCst), 1);
    scene.end(process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_of_a_holder_that_was_replaced_is_not_kept() {
    let scene = Scene::new().await;
    scene.outside.delay.store(700, Ordering::SeqCst);
    scene.install.receive("A-1", 1).await;
    scene.install.has_events(&stock("A-1"), 1).await;
    let by_hand = ByHand::of(&scene, "A-1").await;
    let old = by_hand.holder().await;
    eventually("the call to be under way", || async { (scene.outside.times("A-1") == 1).then_some(()) }).await;
    let owner = scene.install.database.owner().await;
    owner.batch_execute("UPDATE inventory.reactor SET term = term + 1").await.expect("the owner may");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(scene.install.count("SELECT count(*) FROM inventory.call WHERE type IS NULL").await, 1);
    assert_eq!(scene.install.messages_to(&reorder("A-1")).await, 0);
    drop(old);
    scene.lanes.stop().await;
}

/// Keeps a copy of each row as it comes.
const NOTING: &str = "CREATE TABLE public.noted AS TABLE inventory.call WITH NO DATA;
    CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
        $$ BEGIN INSERT INTO public.noted SELECT NEW.*; RETURN NULL; END $$;
    CREATE TRIGGER note AFTER INSERT ON inventory.call FOR EACH ROW EXECUTE FUNCTION public.note();";

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_outcome_the_ledger_has_is_not_made() {
    let scene = Scene::new().await;
    let owner = scene.install.database.owner().await;
    owner.batch_execute(NOTING).await.expect("the owner may");
    let process = scene.process().await;
    scene.install.receive("A-1", 1).await;
    assert_eq!(outcomes(&scene.install, "A-1", 1).await, [DONE]);
    all_are_done(&scene.install).await;
    process.stop().await;
    // As a process leaves it that was killed before the row went.
    owner.batch_execute("INSERT INTO inventory.call SELECT * FROM public.noted").await.expect("the owner may");
    let process = scene.process().await;
    all_are_done(&scene.install).await;
    assert_eq!(scene.outside.requests.load(Ordering::SeqCst), 1);
    scene.end(process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hiccup_of_the_database_cuts_off_no_call_that_is_under_way() {
    let scene = Scene::new().await;
    scene.outside.delay.store(700, Ordering::SeqCst);
    scene.install.receive("A-1", 1).await;
    scene.install.has_events(&stock("A-1"), 1).await;
    let mut holder = ByHand::of(&scene, "A-1").await.holder().await;
    eventually("the call to be under way", || async { (scene.outside.times("A-1") == 1).then_some(()) }).await;
    holder.resume().await.expect("the database answers");
    assert_eq!(outcomes(&scene.install, "A-1", 1).await, [DONE]);
    assert_eq!(scene.outside.times_asked(), 0);
    all_are_done(&scene.install).await;
    drop(holder);
    scene.lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_to_finish_begins_no_further_call() {
    let scene = Scene::new().await;
    let beside = |sku: &String| scene.install.partition(&stock(sku)) == scene.install.partition(&stock("A-1"));
    let skus: Vec<String> = (1..).map(|n| format!("A-{n}")).filter(beside).take(4).collect();
    for sku in &skus {
        scene.install.receive(sku, 1).await;
        scene.install.has_events(&stock(sku), 1).await;
    }
    scene.outside.delay.store(700, Ordering::SeqCst);
    let mut holder = ByHand::one_at_a_time(&scene, "A-1").await.holder().await;
    eventually("the first call to be under way", || async { (scene.outside.requests.load(Ordering::SeqCst) == 1).then_some(()) }).await;
    holder.let_go().await.expect("the database answers");
    assert_eq!(scene.outside.requests.load(Ordering::SeqCst), 1, "the others had no place yet");
    drop(holder);
    scene.outside.delay.store(0, Ordering::SeqCst);
    let process = scene.process().await;
    for sku in &skus {
        outcomes(&scene.install, sku, 1).await;
    }
    scene.end(process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_begun_for_its_destination_is_down_holds_up_no_deadline() {
    let (outside, url) = serve().await;
    let rules = [telling(&url), ripening()];
    let install = Install::new(&rules).await;
    let lanes = install.lanes().await;
    outside.fails.store(true, Ordering::SeqCst);
    // The second call of each is behind the first, and is never tried.
    for n in 0..6 {
        install.receive(&format!("A-{n}"), 1).await;
        install.receive(&format!("A-{n}"), 2).await;
    }
    for n in 0..6 {
        install.has_events(&stock(&format!("A-{n}")), 2).await;
    }
    let process = install.process(rules.to_vec()).await;
    for n in 0..6 {
        let target = reorder(&format!("A-{n}"));
        eventually("the deadlines to fire", || async { (install.messages_to(&target).await == 2).then_some(()) }).await;
    }
    assert_eq!(install.count("SELECT count(*) FROM inventory.call WHERE name = 'telling'").await, 12);
    outside.fails.store(false, Ordering::SeqCst);
    all_are_done(&install).await;
    process.stop().await;
    lanes.stop().await;
}

/// Two builds that both wait for the same destination.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_builds_that_wait_for_a_destination_one_does_not_replace_the_other() {
    let scene = Scene::new().await;
    scene.outside.fails.store(true, Ordering::SeqCst);
    // A holder is dead that has said nothing for 15 s.
    let patient = Limits { idle: Duration::from_millis(100), still: Duration::from_millis(1_500), ..Limits::default() };
    let mut processes = Vec::new();
    for build in ["one", "two"] {
        let reactors = scene.install.reactors(vec![scene.rule.clone()]).await;
        processes.push(scene.install.follow_with(reactors, build, patient.clone()));
    }
    for n in 0..8 {
        scene.install.receive(&format!("A-{n}"), 1).await;
    }
    eventually("all to be open", || async { (open(&scene.install).await == 8).then_some(()) }).await;
    let terms = async || scene.install.count("SELECT sum(term)::bigint FROM inventory.reactor").await;
    let twice = i64::from(2 * PARTITIONS);
    let stands_by = || async {
        let works: usize = processes.iter().map(Process::works).sum();
        (terms().await >= twice && works == usize::try_from(PARTITIONS).expect("a few")).then_some(())
    };
    eventually("one to stand by", stands_by).await;
    let before = terms().await;
    tokio::time::sleep(Duration::from_secs(32)).await;
    assert_eq!(terms().await, before, "nobody took anything over");
    scene.outside.fails.store(false, Ordering::SeqCst);
    all_are_done(&scene.install).await;
    for process in processes {
        process.stop().await;
    }
    scene.lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_in_order_waits_for_the_call_that_is_under_way() {
    let scene = Scene::new().await;
    scene.outside.delay.store(800, Ordering::SeqCst);
    let process = scene.process().await;
    scene.install.receive("A-1", 1).await;
    eventually("the call to be under way", || async { (scene.outside.times("A-1") == 1).then_some(()) }).await;
    process.stop().await;
    assert_eq!(outcomes(&scene.install, "A-1", 1).await, [DONE]);
    scene.lanes.stop().await;
}

/// The open calls, as an operator sees them.
async fn listed(scene: &Scene, stream: Option<&str>) -> Vec<OpenCall> {
    let open = OpenCalls::open(&scene.install.database.databases(), std::slice::from_ref(&scene.rule)).await.expect("the database answers");
    open.list(stream, 100).await.expect("the database answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_can_call_nobody_begins_nothing_and_ends_what_is_too_late() {
    let mut scene = Scene::new().await;
    let there = std::mem::replace(&mut scene.rule, telling(""));
    let process = scene.process().await;
    scene.install.receive("A-1", BRIEFLY).await;
    scene.install.receive("A-2", 1).await;
    assert_eq!(outcomes(&scene.install, "A-1", 1).await, [NEVER_BEGUN]);
    // Without an end it waits, and an operator sees for whom.
    let waiting = eventually("the other call to wait", || async { Some(listed(&scene, None).await).filter(|all| all.len() == 1) }).await;
    assert_eq!((waiting[0].target.as_str(), waiting[0].calls, waiting[0].called_until), ("reorder/A-2@w-1", 0, None));
    assert_eq!(waiting[0].failure.as_deref(), Some("nobody is there"));
    process.stop().await;
    // Once somebody is there it is done, and only that.
    scene.rule = there;
    let process = scene.process().await;
    assert_eq!(outcomes(&scene.install, "A-2", 1).await, [DONE]);
    assert_eq!((scene.outside.times("A-1"), scene.outside.times_asked()), (0, 0));
    scene.end(process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_somebody_may_have_made_is_never_ended_without_asking() {
    let mut scene = Scene::new().await;
    scene.outside.fails.store(true, Ordering::SeqCst);
    let process = scene.process().await;
    scene.install.receive("A-1", BRIEFLY).await;
    eventually("the call to fail", || async { (scene.outside.requests.load(Ordering::SeqCst) > 0).then_some(()) }).await;
    process.stop().await;
    // Its time ends where nobody can be called: the row tells that somebody has called before.
    let there = std::mem::replace(&mut scene.rule, telling(""));
    let process = scene.process().await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!((open(&scene.install).await, listed(&scene, Some("reorder/A-1@w-1")).await.len()), (1, 1));
    assert_eq!(scene.install.count("SELECT count(*) FROM inventory.call WHERE type IS NOT NULL").await, 0);
    process.stop().await;
    scene.rule = there;
    scene.outside.fails.store(false, Ordering::SeqCst);
    let process = scene.process().await;
    assert_eq!(outcomes(&scene.install, "A-1", 1).await, [NEVER_BEGUN]);
    assert!(scene.outside.times_asked() > 0);
    scene.end(process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_can_t_be_is_asked_about_and_holds_up_no_other_call() {
    let scene = Scene::new().await;
    scene.outside.babbles_of.store(7, Ordering::SeqCst);
    let process = scene.process().await;
    scene.install.receive("A-1", 7).await;
    // More often than the breaker bears of a destination that does not answer.
    eventually("it to be asked again", || async { (scene.outside.times_asked() > 5).then_some(()) }).await;
    scene.install.receive("A-2", 1).await;
    assert_eq!(outcomes(&scene.install, "A-2", 1).await, [DONE]);
    // The row of a call goes a moment after what its outcome has begun is in the log.
    eventually("the row of the other call to be gone", || async { listed(&scene, Some("reorder/A-2@w-1")).await.is_empty().then_some(()) })
        .await;
    let open = listed(&scene, None).await;
    assert_eq!((open[0].target.as_str(), open[0].failure.as_deref()), ("reorder/A-1@w-1", Some("it is a teapot")));
    assert!(open[0].calls > 5 && open[0].tries > 0 && open[0].called_until.is_some() && open[0].outcome.is_none(), "{open:?}");
    scene.outside.babbles_of.store(0, Ordering::SeqCst);
    assert_eq!(outcomes(&scene.install, "A-1", 1).await, [DONE_AFTER_ASKING]);
    scene.end(process).await;
}
