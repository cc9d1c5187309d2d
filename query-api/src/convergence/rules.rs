//! The rules of what is held, one by one: each of these interleavings is one that the general test meets too seldom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use daybook_bus::BusConfig;
use daybook_proto::Named as _;
use daybook_proto::v1::{GenerationSwitched, HiddenStreams, PartChange, PushMarker, part_change};
use futures_util::FutureExt as _;
use prost::Message as _;
use tokio::time::Instant;

use super::world::{World, at};
use crate::entry::{Part, View};
use crate::freshness::{Feed, Generations, Staging, is_as_far, take_one};
use crate::memory::{Applied, Cache, Landing, Loaded, Memory, Need, PushedBatch};
use crate::observers::{Change, Content, Follower};
use crate::source::{Position, SourceId, Streams};
use crate::store::{Checkpoint, Checkpoints, Snapshot, Store, stamps};

/// Any part of source 0 that holds a number.
fn part(id: &str, number: i64) -> Arc<Part> {
    Arc::new(Part { id: id.into(), bytes: Bytes::from(number.to_string()), source: 0, stale: None })
}

/// What a query answers at a position of source 0.
fn read(next: i64, parts: &[(&str, i64)]) -> Snapshot {
    let parts = parts.iter().map(|(id, number)| part(id, *number)).collect();
    Snapshot { parts, stamps: vec![at(next), at(0)], hidden: Vec::new() }
}

fn change(part: &str, content: Content) -> Change {
    Change { key: "a".into(), part: part.into(), stream: "s/1".into(), offset: 0, content, stale: false }
}

fn is(part: &str, number: i64) -> Change {
    change(part, Content::Bytes(Bytes::from(number.to_string())))
}

/// A batch of source 0.
fn batch(from: i64, to: i64, changes: Vec<Change>) -> PushedBatch {
    PushedBatch { source: 0, epoch: 1, from, to, changes, complete: true, hidden: None }
}

fn landed(memory: &Memory, view: &Arc<View>, snapshot: Snapshot) -> Arc<Loaded> {
    match memory.land(view, snapshot) {
        Landing::Landed(landed) => landed,
        Landing::Again => panic!("it must be read again"),
        Landing::TooOld => panic!("it is too old"),
    }
}

/// Key `a`, where its part `p0` is 1 and all was pushed up to 1.
fn held() -> (Memory, Arc<View>) {
    let World { memory, .. } = World::new(false);
    assert_eq!(memory.apply(&batch(0, 1, vec![])), Applied::Whole);
    let view = Arc::new(View::all("a"));
    memory.depart(&view);
    landed(&memory, &view, read(1, &[("p0", 1)]));
    (memory, view)
}

/// What is shown of a part, where anything is.
fn shows(memory: &Memory, view: &View, part: &str) -> Option<Bytes> {
    memory.hit(&view.id, &[])?.entry.parts().find(part).map(|part| part.bytes.clone())
}

#[test]
fn a_gap_of_one_event_is_one_and_whoever_follows_is_woken() {
    let (memory, view) = held();
    let mut following = memory.observers.subscriptions.begin("a");
    assert!(following.changed().now_or_never().is_none());
    assert_eq!(memory.apply(&batch(2, 3, vec![])), Applied::Gap);
    assert_eq!(shows(&memory, &view, "p0"), None);
    assert!(following.changed().now_or_never().is_some());
}

#[test]
fn a_batch_that_is_not_complete_is_a_gap() {
    let (memory, view) = held();
    assert_eq!(memory.apply(&PushedBatch { complete: false, ..batch(1, 2, vec![is("p0", 2)]) }), Applied::Gap);
    assert_eq!(shows(&memory, &view, "p0"), None);
}

#[test]
fn what_is_pushed_otherwise_at_the_position_that_is_held_is_read() {
    let (memory, view) = held();
    assert_eq!(memory.apply(&batch(0, 1, vec![is("p0", 1)])), Applied::Whole);
    assert_eq!(shows(&memory, &view, "p0").as_deref(), Some(&b"1"[..]), "it is the same");
    assert_eq!(memory.apply(&batch(1, 1, vec![is("p0", 7)])), Applied::Whole);
    assert_eq!(shows(&memory, &view, "p0"), None, "mended in place, or pushed by who does not know of that");
}

#[test]
fn a_batch_of_another_epoch_does_not_join() {
    let (memory, view) = held();
    assert_eq!(memory.apply(&PushedBatch { epoch: 2, ..batch(1, 2, vec![]) }), Applied::Gap);
    assert_eq!(shows(&memory, &view, "p0"), None);
    assert_eq!(memory.apply(&batch(1, 9, vec![])), Applied::Late, "of the epoch before");
}

#[test]
fn a_hit_is_as_far_as_its_tokens_and_not_one_event_less() {
    let (memory, view) = held();
    let need = |next| [Need { source: 0, position: at(next) }];
    assert!(memory.hit(&view.id, &need(1)).is_some());
    assert!(memory.hit(&view.id, &need(2)).is_none());
    let far = Need { source: 1, position: at(1) };
    assert!(memory.hit(&view.id, &[need(1)[0], far]).is_none(), "all of them");
}

#[test]
fn what_was_read_further_on_than_was_pushed_says_so_and_is_not_overtaken() {
    let (memory, _) = held();
    let view = Arc::new(View::all("b"));
    memory.depart(&view);
    landed(&memory, &view, read(3, &[("p0", 3)]));
    assert_eq!(memory.sources[0].known(), at(3), "who waits for it is woken");
    let seen = memory.hit(&view.id, &[Need { source: 0, position: at(3) }]).expect("it covers that");
    assert_eq!(seen.positions, [at(3)]);
    let older = Change { key: "b".into(), ..is("p0", 2) };
    assert_eq!(memory.apply(&batch(1, 2, vec![older])), Applied::Whole);
    assert_eq!(shows(&memory, &view, "p0").as_deref(), Some(&b"3"[..]));
}

#[test]
fn a_part_that_was_too_large_to_be_pushed_is_read_also_where_it_is_being_read() {
    let (memory, view) = held();
    let other = Arc::new(View::all("b"));
    memory.depart(&other);
    let large = |key: &str| Change { key: key.into(), ..change("p0", Content::TooLarge) };
    memory.apply(&batch(1, 2, vec![large("a"), large("b")]));
    assert!(memory.hit(&view.id, &[]).is_none());
    assert!(matches!(memory.land(&other, read(1, &[("p0", 1)])), Landing::Again));
}

#[test]
fn weighing_an_entry_anew_does_not_put_an_older_one_back() {
    let (memory, view) = held();
    let before = memory.hit(&view.id, &[]).expect("it is held").entry;
    memory.apply(&batch(1, 2, vec![is("p0", 2)]));
    memory.weigh_again(&view.id, &before);
    assert_eq!(shows(&memory, &view, "p0").as_deref(), Some(&b"2"[..]));
}

#[test]
fn what_a_parked_stream_shows_is_pushed_as_stale() {
    let (memory, view) = held();
    memory.apply(&batch(1, 2, vec![Change { stale: true, ..is("p0", 1) }]));
    assert_eq!(memory.hit(&view.id, &[]).expect("it is held").entry.stale().expect("it says so"), "s/1");
}

#[test]
fn a_key_that_looks_like_a_pages_id_changes_no_page() {
    let (memory, _) = held();
    let page = Arc::new(View::page("a", None, 2));
    memory.depart(&page);
    landed(&memory, &page, read(1, &[("p0", 1)]));
    memory.apply(&batch(1, 2, vec![Change { key: page.id.to_string(), ..is("p0", 2) }]));
    assert_eq!(shows(&memory, &page, "p0").as_deref(), Some(&b"1"[..]));
}

#[test]
fn streams_that_show_nothing_are_known_as_of_the_position_that_names_them() {
    let named = |named: &[&str]| Streams::from(named.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
    let (memory, _) = held();
    memory.apply(&PushedBatch { hidden: Some(named(&["x/1"])), ..batch(1, 2, vec![]) });
    memory.hidden.learn(0, at(1), named(&[]));
    assert_eq!(memory.hidden.header().expect("what was known later stays"), "x/1");
    let view = Arc::new(View::all("b"));
    memory.depart(&view);
    landed(&memory, &view, Snapshot { hidden: vec![named(&["x/2"]), named(&[])], ..read(3, &[]) });
    memory.hidden.learn(0, at(2), named(&[]));
    assert_eq!(memory.hidden.header().expect("what was known later stays"), "x/2");
}

#[test]
fn a_load_that_is_older_than_what_was_shown_when_it_began_does_not_land() {
    let (memory, _) = held();
    let view = Arc::new(View::all("b"));
    memory.depart(&view);
    assert!(matches!(memory.land(&view, read(0, &[])), Landing::TooOld));
    landed(&memory, &view, read(1, &[]));
    // What another load has shown counts as well as what was pushed.
    let other = Arc::new(View::all("c"));
    memory.depart(&other);
    landed(&memory, &other, read(4, &[]));
    let later = Arc::new(View::all("d"));
    memory.depart(&later);
    assert!(matches!(memory.land(&later, read(3, &[])), Landing::TooOld));
    // And what another generation has shown.
    memory.shown_elsewhere(&[at(9), at(0)]);
    let last = Arc::new(View::all("e"));
    memory.depart(&last);
    assert!(matches!(memory.land(&last, read(8, &[])), Landing::TooOld));
}

#[test]
fn a_load_that_begins_again_is_measured_by_what_was_shown_by_then() {
    let (memory, _) = held();
    let view = Arc::new(View::all("b"));
    memory.depart(&view);
    memory.apply(&batch(2, 3, vec![]));
    assert!(matches!(memory.land(&view, read(1, &[])), Landing::Again), "a gap");
    memory.depart_again(&view.id);
    assert!(matches!(memory.land(&view, read(2, &[])), Landing::TooOld));
    landed(&memory, &view, read(3, &[]));
}

#[test]
fn what_is_pushed_during_a_load_is_applied_where_its_snapshot_is_older_and_nowhere_else() {
    let (memory, _) = held();
    let push = |number| Change { key: "b".into(), ..is("p0", number) };
    let (older, newer, same) = (Arc::new(View::all("b")), Arc::new(View::all("b")), Arc::new(View::all("b")));
    memory.depart(&older);
    memory.apply(&batch(1, 2, vec![push(2)]));
    let landing = landed(&memory, &older, read(1, &[("p0", 1)]));
    assert_eq!((landing.at[0], shows(&memory, &older, "p0").as_deref()), (at(2), Some(&b"2"[..])));

    memory.apply(&batch(4, 4, vec![]));
    memory.depart(&newer);
    memory.apply(&batch(4, 5, vec![push(5)]));
    landed(&memory, &newer, read(6, &[("p0", 6)]));
    assert_eq!(shows(&memory, &newer, "p0").as_deref(), Some(&b"6"[..]));

    // Of the same position, and otherwise: one of the two was changed in place, and nobody knows which.
    memory.apply(&batch(8, 8, vec![]));
    memory.depart(&same);
    memory.apply(&batch(8, 9, vec![push(9)]));
    assert!(matches!(memory.land(&same, read(9, &[("p0", 8)])), Landing::Again));
    memory.depart_again(&same.id);
    landed(&memory, &same, read(9, &[("p0", 8)]));
    assert_eq!(shows(&memory, &same, "p0").as_deref(), Some(&b"8"[..]), "what was read behind it is the newer one");
}

#[test]
fn what_is_pushed_during_a_load_and_is_too_much_to_be_kept_has_it_begin_again() {
    let (memory, _) = held();
    let view = Arc::new(View::all("b"));
    memory.depart(&view);
    for next in 1..=10_001 {
        memory.apply(&batch(next, next + 1, vec![Change { key: "b".into(), ..is("p0", next) }]));
    }
    assert!(matches!(memory.land(&view, read(1, &[("p0", 1)])), Landing::Again));
}

#[test]
fn a_load_at_odds_with_what_landed_beside_it_does_not_land_and_when_it_begins_again_forgets_that() {
    let (memory, _) = held();
    let (all, page) = (Arc::new(View::all("b")), Arc::new(View::page("b", None, 3)));
    memory.depart(&all);
    memory.depart(&page);
    landed(&memory, &page, read(3, &[("p0", 3)]));
    assert!(matches!(memory.land(&all, read(1, &[("p0", 1)])), Landing::Again));
    memory.depart_again(&all.id);
    landed(&memory, &all, read(5, &[("p0", 5)]));
    // And the page, which is at odds with that, is not shown any more.
    assert!(memory.hit(&page.id, &[]).is_none());
    assert_eq!(shows(&memory, &all, "p0").as_deref(), Some(&b"5"[..]));
}

#[test]
fn a_load_beside_which_too_much_lands_begins_again() {
    let (memory, _) = held();
    let all = Arc::new(View::all("b"));
    memory.depart(&all);
    for most in 1..=65 {
        let page = Arc::new(View::page("b", None, most));
        memory.depart(&page);
        landed(&memory, &page, read(1, &[]));
    }
    assert!(matches!(memory.land(&all, read(1, &[])), Landing::Again));
}

#[test]
fn what_is_pushed_of_another_generation_partition_or_model_is_neither_kept_nor_applied() {
    let World { memory, .. } = World::new(false);
    let memory = Arc::new(memory);
    let (followed, mut staging) = ([memory.clone()], Staging::default());
    let mut push = |model: &str, generation, service: &str, partition, to| {
        let (service, batch) = (service.to_owned(), vec![1]);
        let change =
            PartChange { key: "a".into(), generation, service: service.clone(), partition, batch: batch.clone(), ..Default::default() };
        take_one(&followed, model, &mut staging, PartChange::TYPE, &change.encode_to_vec()).expect("readable");
        let kept = staging.sources();
        let marker = PushMarker { generation, service, partition, epoch: 1, to, batch, changes: 1, ..Default::default() };
        take_one(&followed, model, &mut staging, PushMarker::TYPE, &marker.encode_to_vec()).expect("readable");
        (kept, memory.sources[0].reached())
    };
    for (model, generation, service, partition) in [("m", 2, "s", 0), ("m", 1, "s", 7), ("m", 1, "t", 0), ("n", 1, "s", 0)] {
        assert_eq!(push(model, generation, service, partition, 9), (0, at(0)), "{model} {generation} {service}/{partition}");
    }
    assert_eq!(push("m", 1, "s", 0, 5), (1, at(5)));
}

#[test]
fn a_marker_says_of_which_epoch_from_where_and_how_many_changes_it_is_and_what_shows_nothing() {
    let marker =
        PushMarker { generation: 1, service: "s".into(), epoch: 1, from: 1, to: 2, batch: vec![1], changes: 1, ..Default::default() };
    let content = Some(part_change::Content::Bytes(b"2".to_vec()));
    let change = PartChange {
        key: "a".into(),
        part: "p0".into(),
        generation: 1,
        service: "s".into(),
        batch: vec![1],
        content,
        ..Default::default()
    };
    let push = |marker: PushMarker| {
        let (memory, view) = held();
        let (followed, mut staging) = ([Arc::new(memory)], Staging::default());
        for (name, bytes) in [(PartChange::TYPE, change.encode_to_vec()), (PushMarker::TYPE, marker.encode_to_vec())] {
            assert_eq!(take_one(&followed, "m", &mut staging, name, &bytes), Ok(false));
        }
        let [memory] = followed;
        let hidden = memory.hidden.header().map(|named| named.to_str().expect("text").to_owned());
        (shows(&memory, &view, "p0"), memory.sources[0].reached(), hidden)
    };
    assert_eq!(push(marker.clone()), (Some(Bytes::from_static(b"2")), at(2), None));
    assert_eq!(push(PushMarker { changes: 2, ..marker.clone() }), (None, at(2), None), "one is missing");
    assert_eq!(push(PushMarker { from: 2, to: 3, ..marker.clone() }), (None, at(3), None), "what was before it is missing");
    assert_eq!(push(PushMarker { epoch: 2, ..marker.clone() }), (None, Position::new(2, 2), None));
    let hidden = Some(HiddenStreams { streams: vec!["x/1".to_owned()], more: true });
    assert_eq!(push(PushMarker { hidden, ..marker }).2.as_deref(), Some("x/1, *"));
    let switched = take_one(&[], "m", &mut Staging::default(), GenerationSwitched::TYPE, &[]);
    assert_eq!(switched, Ok(true), "it is looked which generation is live");
}

#[test]
fn each_page_of_a_list_is_found_by_what_is_pushed_of_it() {
    let (memory, _) = held();
    let pages = [1, 2, 3].map(|most| Arc::new(View::page("a", None, most)));
    for page in &pages {
        memory.depart(page);
        landed(&memory, page, read(1, &[("p0", 1)]));
    }
    memory.apply(&batch(1, 2, vec![is("p0", 2)]));
    assert!(pages.iter().all(|page| shows(&memory, page, "p0").as_deref() == Some(&b"2"[..])));
}

#[test]
fn parts_of_several_keys_are_found_by_what_is_pushed_of_each() {
    let (memory, _) = held();
    let some = Arc::new(View::beginning(BTreeSet::from(["a".to_owned(), "b".to_owned()]), "p"));
    memory.depart(&some);
    landed(&memory, &some, read(1, &[]));
    for (next, key) in [(1, "a"), (2, "b")] {
        memory.apply(&batch(next, next + 1, vec![Change { key: key.into(), ..is("p0", next) }]));
        assert!(shows(&memory, &some, &format!("{key}\0p0")).is_some(), "{key}");
    }
}

#[test]
fn after_a_lost_connection_nothing_is_shown_before_a_look_that_began_behind_its_return() {
    let (memory, view) = held();
    let is_shown = || memory.hit(&view.id, &[]).is_some();
    let before = Instant::now();
    let later = before + Duration::from_secs(3_600);
    let look = |began, next| memory.look(began, &[at(next), at(0)], Duration::from_secs(60));
    memory.connected(false);
    assert!(!is_shown());
    look(later, 1);
    assert!(!is_shown(), "it is not connected");
    memory.connected(true);
    assert!(!is_shown(), "what was pushed meanwhile may not have been seen");
    look(before, 1);
    assert!(!is_shown(), "that look says nothing of it");
    look(later, 2);
    assert!(!is_shown(), "there is more than was pushed");
    memory.apply(&batch(1, 2, vec![]));
    look(later, 2);
    assert!(is_shown());
}

#[test]
fn where_a_database_stays_ahead_of_what_is_pushed_nothing_is_shown_until_that_is_there() {
    let (memory, view) = held();
    let look = |next, patience| memory.look(Instant::now(), &[at(next), at(0)], patience);
    for _ in 0..3 {
        assert!(!look(1, Duration::ZERO).doubted, "as far as was pushed");
        assert!(look(2, Duration::from_secs(60)).doubted);
        assert!(memory.is_trusted(), "pushes have time to come");
    }
    look(2, Duration::ZERO);
    assert!(!memory.is_trusted());
    memory.apply(&batch(1, 2, vec![]));
    look(2, Duration::ZERO);
    assert_eq!((memory.is_trusted(), shows(&memory, &view, "p0").is_some()), (true, true));
    // What is further on at each look, and never pushed.
    look(3, Duration::ZERO);
    look(4, Duration::ZERO);
    assert!(!memory.is_trusted());
    // Following anew ends all doubt, and drops what was missed.
    memory.sync(&[at(4), at(0)]);
    assert_eq!((memory.is_trusted(), shows(&memory, &view, "p0")), (true, None));
}

#[test]
fn a_look_wakes_who_waits_for_what_it_sees() {
    let (memory, _) = held();
    let mut wait = memory.sources[0].waits.begin(at(2));
    assert!(wait.woken().now_or_never().is_none());
    memory.look(Instant::now(), &[at(2), at(0)], Duration::from_secs(60));
    assert!(wait.woken().now_or_never().is_some());
}

#[test]
fn nothing_is_trusted_before_it_was_compared_with_the_database() {
    let memory = World::unsynced(Vec::new());
    memory.connected(true);
    memory.look(Instant::now(), &[at(0), at(0)], Duration::ZERO);
    assert!(!memory.is_trusted());
    memory.sync(&[at(0), at(0)]);
    assert!(memory.is_trusted());
}

#[test]
fn a_generation_is_as_far_as_what_was_shown_in_the_database_and_in_the_memory_that_it_answers_from() {
    let (next, _) = held();
    let shown = [at(1), at(0)];
    assert!(is_as_far(&next, &[at(1), at(0)], &shown));
    assert!(!is_as_far(&next, &[at(1), at(0)], &[at(1), at(1)]), "everywhere");
    // The database is further than what was pushed.
    assert!(!is_as_far(&next, &[at(2), at(0)], &[at(2), at(0)]));
    next.connected(false);
    assert!(is_as_far(&next, &[at(2), at(0)], &[at(2), at(0)]), "it reads through");
    assert!(!is_as_far(&next, &[at(0), at(0)], &shown), "the database lags");
}

#[derive(Default)]
struct Heard {
    applied: Mutex<Vec<(i64, i64)>>,
    lost: Mutex<Vec<Position>>,
}

impl Follower for Heard {
    fn applied(&self, _: &SourceId, from: i64, to: i64, _: i32, _: &[Change]) {
        self.applied.lock().expect("no panic").push((from, to));
    }

    fn lost(&self, _: &SourceId, before: Position) {
        self.lost.lock().expect("no panic").push(before);
    }
}

#[test]
fn who_follows_is_told_what_pushes_did_not_say() {
    let heard = Arc::new(Heard::default());
    let memory = World::unsynced(vec![heard.clone()]);
    memory.followed.store(true, Ordering::SeqCst);
    memory.sync(&[at(1), at(0)]);
    memory.apply(&batch(1, 2, vec![]));
    memory.apply(&batch(3, 4, vec![]));
    for _ in 0..3 {
        memory.look(Instant::now(), &[at(5), at(0)], Duration::ZERO);
    }
    assert_eq!(*heard.applied.lock().expect("no panic"), [(1, 2)]);
    assert_eq!(*heard.lost.lock().expect("no panic"), [at(1), at(0), at(4), at(5)], "once each");
}

/// How far both sources have been folded, and what shows nothing of the first one.
fn folded(first: i64, second: i64, hidden: &[&str]) -> Checkpoints {
    let of = |partition, next, hidden| Checkpoint { service: "s".to_owned(), partition, at: at(next), hidden };
    let hidden: Vec<String> = hidden.iter().map(|stream| (*stream).to_owned()).collect();
    vec![of(0, first, hidden.into()), of(1, second, Streams::default())]
}

#[test]
fn checkpoints_are_those_of_a_memory_where_they_name_its_sources_and_no_others() {
    let (memory, _) = held();
    assert_eq!(stamps(&memory.sources, &folded(7, 8, &[])), Some(vec![at(7), at(8)]));
    assert_eq!(stamps(&memory.sources, &folded(7, 8, &[])[..1].to_vec()), None, "one is missing");
    let more = folded(7, 8, &[]).into_iter().chain(folded(9, 9, &[])).collect();
    assert_eq!(stamps(&memory.sources, &more), None, "there are more");
    for change in [|of: &mut Checkpoint| of.service = "t".to_owned(), |of: &mut Checkpoint| of.partition = 2] {
        let mut other = folded(7, 8, &[]);
        change(&mut other[1]);
        assert_eq!(stamps(&memory.sources, &other), None);
    }
}

/// Of a database that does not answer.
fn nothing_read() -> (Store, Arc<Generations>) {
    let store = Store::new("postgres://u:p@127.0.0.1:1/x", 1).expect("a url");
    let generations = Generations::new(BTreeMap::new(), Cache::new(1 << 20), store.clone(), Duration::ZERO);
    (store, Arc::new(generations))
}

#[test]
fn a_generation_takes_over_where_it_is_as_far_as_all_that_was_seen_of_the_one_before() {
    let (_, generations) = nothing_read();
    let [old, next] = [(); 2].map(|()| Arc::new(World::unsynced(Vec::new())));
    generations.answer(None, &old);
    old.sync(&[at(3), at(0)]);
    // Further than was shown: whoever has its token was told that it is reached.
    old.sources[0].looked(at(4));
    assert!(!generations.go_over(&old, &next, &folded(3, 0, &[])));
    // And what was shown of the one before that.
    old.shown_elsewhere(&[at(5), at(0)]);
    assert!(!generations.go_over(&old, &next, &folded(4, 0, &[])));
    let mut other = folded(5, 0, &[]);
    other[1].partition = 2;
    assert!(!generations.go_over(&old, &next, &other), "it is not of these sources");
    assert!(Arc::ptr_eq(&generations.answering("m").expect("one answers"), &old));

    assert!(generations.go_over(&old, &next, &folded(5, 0, &["x/1"])));
    assert!(Arc::ptr_eq(&generations.answering("m").expect("one answers"), &next));
    assert_eq!(next.hidden.header().expect("what shows nothing is named from the first answer on"), "x/1");
    let view = Arc::new(View::all("a"));
    next.depart(&view);
    assert!(matches!(next.land(&view, read(4, &[])), Landing::TooOld), "the one before has shown more");
    landed(&next, &view, read(5, &[]));
}

/// Sees whether the generation of before can show anything when the next one begins to answer.
#[derive(Default)]
struct Beside {
    old: OnceLock<Arc<Memory>>,
    locked: Mutex<Vec<bool>>,
}

impl Follower for Beside {
    fn applied(&self, _: &SourceId, _: i64, _: i64, _: i32, _: &[Change]) {}

    fn lost(&self, _: &SourceId, _: Position) {
        self.locked.lock().expect("no panic").extend(self.old.get().map(|old| old.is_locked()));
    }
}

#[test]
fn nothing_more_is_shown_of_the_generation_before_from_the_comparison_until_the_next_one_answers() {
    let (_, generations) = nothing_read();
    let beside = Arc::new(Beside::default());
    let [old, next] = [Vec::new(), vec![beside.clone() as Arc<dyn Follower>]].map(|all| Arc::new(World::unsynced(all)));
    generations.answer(None, &old);
    let _ = beside.old.set(old.clone());
    assert!(generations.go_over(&old, &next, &folded(0, 0, &[])));
    assert_eq!(*beside.locked.lock().expect("no panic"), [true, true]);
    assert!(!old.is_locked());
}

#[test]
fn while_kafka_is_lost_nothing_is_shown_and_it_is_told() {
    let (store, generations) = nothing_read();
    let feed = Feed::new(BusConfig::new("127.0.0.1:1"), ["m".to_owned()].into_iter(), generations.clone(), store);
    let (memory, view) = held();
    let memory = Arc::new(memory);
    generations.follow(&memory);
    let told = || (memory.hit(&view.id, &[]).is_some(), feed.problem.borrow().clone());
    feed.connection(true);
    assert_eq!(told(), (true, None));
    feed.connection(false);
    assert_eq!(told(), (false, Some("Kafka can't be reached".to_owned())));
    feed.connection(true);
    assert_eq!(told(), (false, None), "what was pushed meanwhile may not have been seen");
    memory.look(Instant::now() + Duration::from_secs(3_600), &[at(1), at(0)], Duration::from_secs(60));
    assert_eq!(told(), (true, None));
}

#[test]
fn when_another_generation_answers_what_is_being_read_of_the_one_before_is_not_shown_and_who_follows_begins_anew() {
    let store = Store::new("postgres://u:p@127.0.0.1:1/x", 1).expect("a url");
    let generations = Generations::new(BTreeMap::new(), Cache::new(1 << 20), store, Duration::ZERO);
    let (heard, is) = (Arc::new(Heard::default()), |flag: &AtomicBool| flag.load(Ordering::SeqCst));
    let [old, next] = [(); 2].map(|()| Arc::new(World::unsynced(vec![heard.clone()])));
    generations.answer(None, &old);
    assert_eq!((is(&old.retired), is(&old.followed)), (false, true));
    next.sync(&[at(3), at(0)]);
    // The database was seen further on.
    next.sources[0].looked(at(4));
    heard.lost.lock().expect("no panic").clear();
    generations.answer(Some(&old), &next);
    assert_eq!((is(&old.retired), is(&old.followed), is(&next.retired), is(&next.followed)), (true, false, false, true));
    assert_eq!(*heard.lost.lock().expect("no panic"), [at(4), at(0)]);
    assert!(Arc::ptr_eq(&generations.answering("m").expect("one answers"), &next));
}
