use daybook_kernel::{DecodedOnce, Instant, Part, Projection};
use daybook_proto::MessageSet as _;
use prost::Message as _;
use shop_proto::catalog::v1::{ProductCategorized, ProductCreated, ProductEvent, ProductRetired, ProductRevised};
use shop_proto::read::v1::ProductPage;

use super::*;

/// A card a product, under its category; the view is nearly the part.
struct Cards;

impl Projection for Cards {
    type Event = ProductEvent;
    type View = ProductPage;
    type Model = ProductPage;

    fn fold(view: &mut ProductPage, event: &ProductEvent, _: &EventAt<'_>) {
        match event {
            ProductEvent::ProductCreated(e) => (view.sku, view.title, view.category) = (e.sku.clone(), e.title.clone(), e.category.clone()),
            ProductEvent::ProductCategorized(e) => view.category.clone_from(&e.category),
            ProductEvent::ProductRevised(e) => view.title = e.title.clone().unwrap_or_default(),
            ProductEvent::ProductRetired(_) => view.category.clear(),
            _ => {}
        }
    }

    fn render(view: &ProductPage, _: &StreamId) -> Vec<Part<ProductPage>> {
        assert_ne!(view.title, "can't be rendered");
        if view.category.is_empty() {
            return Vec::new();
        }
        let message = ProductPage { title: view.title.chars().rev().collect(), ..view.clone() };
        vec![Part { key: view.category.clone(), part: "card".into(), message }]
    }
}

fn cards() -> ReadModel {
    ReadModel::of::<ProductPage>("cards", None).with::<Cards>()
}

fn event(sku: &str, offset: i64, version: i64, event: impl Into<ProductEvent>) -> Event {
    let event = event.into();
    Event {
        offset,
        epoch: 1,
        stream: StreamId::new("product", sku),
        version,
        type_name: event.type_name().to_owned(),
        payload: event.encode_to_vec().into(),
        recorded_at: Instant::from_micros(1),
        decoded: DecodedOnce::default(),
        trail: daybook_follow::Trail::Metadata(Default::default()),
    }
}

fn created(sku: &str, offset: i64, title: &str) -> Event {
    event(sku, offset, 1, ProductCreated { sku: sku.into(), title: title.into(), category: "toys".into(), ..Default::default() })
}

fn retitled(sku: &str, offset: i64, version: i64, title: &str) -> Event {
    event(sku, offset, version, ProductRevised { sku: sku.into(), title: Some(title.into()), ..Default::default() })
}

fn folded(events: &[Event], before: HashMap<StreamId, Before>, skipped: &Skipped, pace: Pace) -> Result<Folded, Stopped> {
    fold(&cards(), "catalog", &events.iter().collect::<Vec<_>>(), before, skipped, pace)
}

fn quick(events: &[Event]) -> Folded {
    folded(events, HashMap::new(), &Skipped::default(), Pace::Quick).expect("all of it can be folded")
}

/// The views after these events, as they are held in memory.
fn held(events: &[Event]) -> HashMap<StreamId, Before> {
    let Folded { changes, views, .. } = quick(events);
    changes.views.into_iter().zip(views).map(|(row, view)| (row.stream, Before::Held(view))).collect()
}

fn title(folded: &Folded, key: &str) -> String {
    let change = &folded.changes.parts[&(key.to_owned(), "card".to_owned())];
    let page = ProductPage::decode(change.bytes.as_deref().expect("it is there")).expect("a page");
    page.title.chars().rev().collect()
}

#[test]
fn a_part_that_is_another_and_as_long_as_before_is_written() {
    let after = folded(&[retitled("A", 1, 2, "two")], held(&[created("A", 0, "one")]), &Skipped::default(), Pace::Quick);
    assert_eq!(title(&after.expect("it can be folded"), "toys"), "two");
}

#[test]
fn a_view_is_kept_in_its_part_where_the_two_are_the_same_and_not_where_they_are_as_long() {
    let kept = |title| {
        let changes = quick(&[created("A", 0, title)]).changes;
        assert!(changes.views[0].bytes.is_none(), "it has no row of its own");
        changes.parts.into_values().next().and_then(|part| part.view).expect("it is in its part's row")
    };
    assert!(kept("abc").bytes.is_some());
    assert_eq!(kept("aba"), PartView { version: 1, bytes: None });
}

#[test]
fn the_event_that_was_skipped_is_passed_over_and_no_other_and_it_counts() {
    let events = [created("A", 0, "one"), retitled("A", 1, 2, "two"), retitled("A", 2, 3, "three"), retitled("B", 2, 1, "four")];
    let mut skipped = Skipped::default();
    skipped.add("product/A".into(), 2);
    skipped.add("product/C".into(), 1);
    let all = folded(&events, HashMap::new(), &skipped, Pace::Quick).expect("all of it can be folded");
    assert_eq!(title(&all, "toys"), "two");
    assert_eq!(all.changes.views.iter().map(|v| (v.offset, v.version)).collect::<Vec<_>>(), [(2, 3), (2, 1)]);
    // Also where it is all that a batch has of its stream.
    let alone = folded(&events[2..3], held(&events[..2]), &skipped, Pace::Quick).expect("it can be folded");
    assert_eq!(alone.changes.views.iter().map(|v| (v.offset, v.version)).collect::<Vec<_>>(), [(2, 3)]);
    assert!(alone.changes.parts.values().all(|part| part.is_same), "only the view has moved");
}

#[test]
fn an_event_that_does_not_follow_the_last_one_stops_its_stream() {
    for version in [1, 3] {
        let stopped = folded(&[retitled("A", 9, version, "two")], held(&[created("A", 0, "one")]), &Skipped::default(), Pace::Quick);
        let Err(stopped) = stopped else { panic!("version {version} is folded") };
        assert_eq!((stopped.stream.as_str(), stopped.offset), ("product/A", 9));
    }
}

#[test]
fn what_cannot_be_rendered_parks_its_stream_at_that_event_and_the_view_stays_as_it_was() {
    let events = [
        created("A", 0, "one"),
        retitled("A", 1, 2, "can't be rendered"),
        // It would follow if the one before had been folded, or if that had been passed over.
        retitled("A", 2, 3, "three"),
        retitled("A", 3, 2, "two"),
        created("B", 4, "four"),
    ];
    assert!(folded(&events, HashMap::new(), &Skipped::default(), Pace::Quick).is_err(), "quickly nothing is kept");
    let all = folded(&events, HashMap::new(), &Skipped::default(), Pace::Careful).expect("the rest flows");
    assert_eq!(all.changes.stopped.iter().map(|s| (s.stream.as_str(), s.offset)).collect::<Vec<_>>(), [("product/A", 1)]);
    assert_eq!(all.changes.views.iter().map(|v| (v.stream.as_str(), v.version)).collect::<Vec<_>>(), [("product/A", 1), ("product/B", 1)]);
    assert_eq!((all.events, all.views[0].version), (2, 1));
    let kept = cards().fold("catalog", "product").expect("it is read").encode_view(&all.views[0].state);
    assert_eq!(ProductPage::decode(kept.as_slice()).expect("a page").title, "one");
}

#[test]
fn a_place_that_one_stream_leaves_and_another_takes_is_the_one_that_took_it_whichever_comes_first() {
    for (leaves, takes) in [("A", "B"), ("B", "A")] {
        let moved = event(leaves, 1, 2, ProductCategorized { sku: leaves.into(), category: "games".into() });
        let after = folded(&[moved, created(takes, 2, "new")], held(&[created(leaves, 0, "old")]), &Skipped::default(), Pace::Quick);
        let after = after.expect("it can be folded");
        assert_eq!((title(&after, "toys").as_str(), title(&after, "games").as_str()), ("new", "old"));
    }
}

#[test]
fn a_key_that_cannot_be_kept_or_asked_for_stops_its_stream() {
    for bad in ["a\0b".to_owned(), "k".repeat(MAX_KEY + 1)] {
        let moved = event("A", 1, 2, ProductCategorized { sku: "A".into(), category: bad });
        let stopped = folded(&[created("A", 0, "one"), moved], HashMap::new(), &Skipped::default(), Pace::Careful).expect("it parks");
        assert_eq!(stopped.changes.stopped[0].offset, 1);
    }
    let longest = event("A", 1, 2, ProductCategorized { sku: "A".into(), category: "k".repeat(MAX_KEY) });
    assert_eq!(quick(&[created("A", 0, "one"), longest]).changes.parts.len(), 1);
}

#[test]
fn what_leaves_its_key_is_removed_and_what_never_stood_is_not() {
    let gone = event("A", 1, 2, ProductRetired { sku: "A".into(), ..Default::default() });
    let events = [created("A", 0, "one"), gone];
    assert!(quick(&events).changes.parts.is_empty());
    assert_eq!(quick(&events).changes.writers.len(), 1, "but it was a writer of that key");
    let after = folded(&events[1..], held(&events[..1]), &Skipped::default(), Pace::Quick).expect("it can be folded");
    let place = ("toys".to_owned(), "card".to_owned());
    assert_eq!(
        after.changes.parts[&place],
        Change { stream: StreamId::new("product", "A"), offset: 1, bytes: None, is_known: true, is_same: false, view: None }
    );
}
