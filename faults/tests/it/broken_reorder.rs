//! Stocks that do not say how they stand to their reorder points, and reactors that do not send what they must.

use daybook_faults::evidence::{Aside, Evidence};
use daybook_faults::shop::judge;
use daybook_proto::v1::{Caller, CommandResult, Metadata};
use prost::Message as _;
use serde_json::{Value, json};

use crate::good::{B1, B2, REORDER_B1, REORDER_B2, note_done, of, reordering};
use crate::support::{self, answers, event, events, pages, row, rows};
use crate::world::{World, command, encode, publish, reforge};

/// Breaks the good run in which stocks fall below their reorder points.
#[track_caller]
fn caught(invariant: &str, rule: &str, also: &[&str], breaking: impl FnOnce(&mut Evidence)) {
    support::caught_in(reordering(), invariant, rule, also, breaking);
}

/// Breaks the log, and has every digest and message say so.
fn with_its_chain(breaking: impl FnOnce(&mut Evidence)) -> impl FnOnce(&mut Evidence) {
    move |e| {
        breaking(e);
        reforge(e);
        publish(e);
    }
}

/// The place in the ledger of the reaction that led to this version of a reordering, and its id.
fn reaction(e: &mut Evidence, stream: &str, version: i64) -> (usize, String) {
    let metadata = Metadata::decode(event(e, stream, version).metadata.as_slice()).expect("metadata");
    let id = uuid::Uuid::from_slice(&metadata.command_id).expect("a UUID").to_string();
    (rows(e, stream).iter().position(|row| row.command_id == id).expect("it stands"), id)
}

/// The page of a reaction becomes empty, and nothing of it is left: it was never sent. It must stand at the end of its partition.
fn never_sent(e: &mut Evidence, stream: &str, version: i64) {
    let (at, _) = reaction(e, stream, version);
    let row = rows(e, stream).remove(at);
    events(e, stream).retain(|event| event.page != row.page);
    pages(e, stream).iter_mut().find(|page| page.page == row.page).expect("its page").count = 0;
}

/// Nobody ever sees the alert for w-1.
fn no_alert(e: &mut Evidence) {
    let none = json!({ "items": [], "nextPageToken": "" });
    e.parts.get_mut("reorder-alerts").expect("alerts").clear();
    e.served.iter_mut().filter(|served| served.model == "reorder-alerts").for_each(|served| served.body = none.clone());
    *support::read(e, "reorder-alerts", "w-1", 0).1 = none;
}

/// Changes the metadata of an event.
fn led_to_by(e: &mut Evidence, stream: &str, version: i64, change: impl FnOnce(&mut Metadata)) {
    let event = event(e, stream, version);
    let mut metadata = Metadata::decode(event.metadata.as_slice()).expect("metadata");
    change(&mut metadata);
    event.metadata = metadata.encode_to_vec();
}

/// Has an event say something else.
fn says(e: &mut Evidence, stream: &str, version: i64, kind: &str, json: &Value) {
    event(e, stream, version).payload = encode(&format!("shop.inventory.v1.{kind}"), json);
}

/// Changes the result of a reaction.
fn came_to(e: &mut Evidence, stream: &str, version: i64, change: impl FnOnce(&mut CommandResult)) {
    let (at, _) = reaction(e, stream, version);
    let row = &mut rows(e, stream)[at];
    let mut result = CommandResult::decode(row.result.as_slice()).expect("a result");
    change(&mut result);
    row.result = result.encode_to_vec();
}

#[test]
fn a_reaction_that_is_missing() {
    caught(
        "I2",
        "reaction-missing",
        &[],
        with_its_chain(|e| {
            never_sent(e, REORDER_B2, 1);
            no_alert(e);
        }),
    );
}

#[test]
fn a_reaction_that_is_there_twice_under_another_id() {
    caught(
        "I2",
        "reaction-unasked",
        &[],
        with_its_chain(|e| {
            let (at, _) = reaction(e, REORDER_B2, 1);
            let mut twice = rows(e, REORDER_B2)[at].clone();
            let mut result = CommandResult::decode(twice.result.as_slice()).expect("a result");
            result.events.clear();
            (twice.ordinal, twice.command_id, twice.result) = (1, uuid::Uuid::from_u128(7).to_string(), result.encode_to_vec());
            rows(e, REORDER_B2).insert(at + 1, twice);
        }),
    );
}

#[test]
fn a_reaction_that_no_event_asks_for() {
    caught(
        "I2",
        "reaction-unasked",
        &[],
        with_its_chain(|e| {
            let close = json!({ "sku": "B-2", "warehouse": "w-1", "available": 0, "stockVersion": "3" });
            let r#type = "shop.inventory.v1.ReorderProposalClosed".to_owned();
            let (at, id) = reaction(e, REORDER_B2, 1);
            let page_of_it = rows(e, REORDER_B2)[at].page;
            let mut page = pages(e, REORDER_B2).iter().find(|page| page.page == page_of_it).expect("its page").clone();
            let (next, end) = (pages(e, REORDER_B2).len(), events(e, REORDER_B2).len());
            (page.page, page.first_offset) = (i64::try_from(next).expect("few"), i64::try_from(end).expect("few"));
            let mut further = event(e, REORDER_B2, 1).clone();
            (further.page, further.offset, further.version) = (page.page, page.first_offset, 2);
            (further.payload, further.r#type) = (encode(&r#type, &close), r#type.clone());
            let other = uuid::Uuid::from_u128(7);
            let mut metadata = Metadata::decode(further.metadata.as_slice()).expect("metadata");
            metadata.command_id = other.as_bytes().to_vec();
            further.metadata = metadata.encode_to_vec();
            let mut row = rows(e, REORDER_B2)[at].clone();
            assert_eq!(row.command_id, id);
            let mut result = CommandResult::decode(row.result.as_slice()).expect("a result");
            (result.version, result.offset) = (2, further.offset);
            (result.events[0].r#type, result.events[0].offset) = (r#type, further.offset);
            (row.page, row.command_id, row.result) = (page.page, other.to_string(), result.encode_to_vec());
            pages(e, REORDER_B2).push(page);
            events(e, REORDER_B2).push(further);
            rows(e, REORDER_B2).push(row);
            no_alert(e);
        }),
    );
}

#[test]
fn a_command_of_a_reactor_elsewhere() {
    let other = "stock/A-1@w-2";
    caught(
        "I2",
        "reaction-unasked",
        &[],
        with_its_chain(|e| led_to_by(e, other, 1, |metadata| metadata.caller = Some(Caller::process("reactor/reorder")))),
    );
}

#[test]
fn a_reaction_that_asks_for_something_else() {
    caught("I2", "reaction-differs", &[], with_its_chain(|e| came_to(e, REORDER_B1, 1, |result| result.command_digest = vec![7; 32])));
    // The stock fell to 2.
    let other = of("B-1", json!({ "reorderPoint": 3, "available": 1, "stockVersion": "4" }));
    caught("I2", "reaction-differs", &[], with_its_chain(|e| says(e, REORDER_B1, 1, "ReorderProposalOpened", &other)));
}

#[test]
fn a_reaction_that_does_not_say_what_it_reacts_to() {
    for change in [
        |metadata: &mut Metadata| metadata.causation_id = "inventory/0:0@1".into(),
        |metadata: &mut Metadata| metadata.correlation_id = "another".into(),
        |metadata: &mut Metadata| metadata.caller = Some(Caller::anonymous()),
    ] {
        let breaking = with_its_chain(|e| led_to_by(e, REORDER_B1, 3, change));
        caught("I2", "reaction-differs", &[], breaking);
    }
}

#[test]
fn a_reaction_that_was_refused_or_led_to_nothing() {
    use daybook_proto::v1::Refused;
    use daybook_proto::v1::command_result::Outcome;
    let nothing = |e: &mut Evidence| {
        let (at, _) = reaction(e, REORDER_B2, 1);
        came_to(e, REORDER_B2, 1, |result| {
            (result.version, result.offset) = (0, result.offset - 1);
            result.events.clear();
        });
        let row = rows(e, REORDER_B2)[at].clone();
        events(e, REORDER_B2).retain(|event| event.page != row.page);
        pages(e, REORDER_B2).iter_mut().find(|page| page.page == row.page).expect("its page").count = 0;
        no_alert(e);
    };
    caught("I2", "reaction-differs", &[], with_its_chain(nothing));
    let refused = |result: &mut CommandResult| result.outcome = Some(Outcome::Refused(Refused { code: "no".into(), ..Refused::default() }));
    let breaking = with_its_chain(|e| {
        nothing(e);
        // Its event is gone, so that its row is the last one.
        let row = rows(e, REORDER_B2).last_mut().expect("a row");
        let mut result = CommandResult::decode(row.result.as_slice()).expect("a result");
        refused(&mut result);
        row.result = result.encode_to_vec();
    });
    caught("I2", "reaction-differs", &[], breaking);
}

#[test]
fn a_reaction_that_was_set_aside() {
    let aside = |e: &mut Evidence, kind: &str, open| {
        let (_, id) = reaction(e, REORDER_B2, 1);
        let (service, kind, reason) = ("inventory".into(), kind.into(), "it can't be read".into());
        e.aside.push(Aside { service, command_id: Some(id), kind, reason, open, place: None });
    };
    caught("I1", "set-aside", &[], |e| aside(e, "rejected", false));
    let mut evidence = reordering();
    evidence.two_builds = true;
    aside(&mut evidence, "newer-build", false);
    assert!(judge(&evidence).holds(), "a newer build took it up");
}

/// A stock that falls, comes back and falls again, and what it says of that: (events of one command) each.
fn ups_and_downs(says: [Vec<(&'static str, Value)>; 3]) -> World {
    let mut w = World::new();
    let [fall, rise, again] = says;
    let with = |mut events: Vec<(&'static str, Value)>, first: (&'static str, Value)| {
        events.insert(0, first);
        events
    };
    let point = of("B-1", json!({ "reorderPoint": 3 }));
    note_done(&mut w, &command("set-reorder-point", B1, "point", point.clone()), with(fall, ("ReorderPointSet", point)));
    let five = of("B-1", json!({ "quantity": 5 }));
    note_done(&mut w, &command("receive-stock", B1, "five", five.clone()), with(rise, ("StockReceived", five)));
    let three = of("B-1", json!({ "orderId": "o-9", "quantity": 3 }));
    note_done(&mut w, &command("reserve-stock", B1, "reserve", three.clone()), with(again, ("StockReserved", three)));
    w
}

fn crossed(available: u32) -> (&'static str, Value) {
    ("ReorderPointCrossed", of("B-1", json!({ "reorderPoint": 3, "available": available })))
}

fn regained(available: u32) -> (&'static str, Value) {
    ("ReorderPointRegained", of("B-1", json!({ "reorderPoint": 3, "available": available })))
}

fn of_world(w: World) -> Evidence {
    let mut evidence = w.evidence;
    reforge(&mut evidence);
    publish(&mut evidence);
    evidence
}

#[test]
fn a_fall_that_comes_before_the_return_from_the_one_before_and_opens_nothing() {
    caught("I2", "reaction-differs", &[], |e| {
        let mut w = ups_and_downs([vec![crossed(0)], vec![regained(5)], vec![crossed(2)]]);
        let open = |available: u32, version: &str| of("B-1", json!({ "reorderPoint": 3, "available": available, "stockVersion": version }));
        let sent = |name: &str, body: &Value| command(name, REORDER_B1, "", body.clone());
        let first = open(0, "2");
        w.reaction((B1, 2), &sent("open-reorder-proposal", &first), vec![("ReorderProposalOpened", first)]);
        w.reaction((B1, 6), &sent("open-reorder-proposal", &open(2, "6")), Vec::new());
        let close = of("B-1", json!({ "available": 5, "stockVersion": "4" }));
        w.reaction((B1, 4), &sent("close-reorder-proposal", &close), vec![("ReorderProposalClosed", close)]);
        *e = of_world(w);
    });
}

/// No reactor has begun yet.
fn before_any_reactor(says: [Vec<(&'static str, Value)>; 3]) -> Evidence {
    let mut evidence = of_world(ups_and_downs(says));
    evidence.reacting_from = [(0, 100), (1, 100)].into();
    evidence
}

#[test]
fn a_fall_or_a_return_that_the_stock_says_nothing_of() {
    for says in [
        [vec![], vec![regained(5)], vec![crossed(2)]],
        [vec![crossed(0)], vec![], vec![crossed(2)]],
        [vec![crossed(0)], vec![regained(5)], vec![]],
        // It says too much, something else, or another number.
        [vec![crossed(0), crossed(0)], vec![regained(5)], vec![crossed(2)]],
        [vec![regained(0)], vec![regained(5)], vec![crossed(2)]],
        [vec![crossed(1)], vec![regained(5)], vec![crossed(2)]],
    ] {
        caught("I6", "crossing-untold", &[], |e| *e = before_any_reactor(says));
    }
}

#[test]
fn an_older_build_that_says_nothing_of_a_return() {
    let mut evidence = before_any_reactor([vec![crossed(0)], vec![], vec![crossed(2)]]);
    assert!(!judge(&evidence).holds());
    evidence.two_builds = true;
    assert!(judge(&evidence).holds(), "{}", judge(&evidence));
}

#[test]
fn goods_that_are_said_to_be_ordered_already() {
    caught(
        "I2",
        "unfounded-answer",
        &["told-otherwise"],
        with_its_chain(|e| {
            let row = row(e, REORDER_B1, "raise-more");
            let mut result = CommandResult::decode(row.result.as_slice()).expect("a result");
            result.outcome = Some(daybook_proto::v1::command_result::Outcome::Accepted(daybook_proto::v1::Accepted {}));
            row.result = result.encode_to_vec();
        }),
    );
    assert_eq!(answers(&mut reordering(), REORDER_B1, "raise-more").len(), 1);
}

#[test]
fn an_alert_that_is_missing() {
    caught("I4", "part-missing", &[], |e| e.parts.get_mut("reorder-alerts").expect("alerts").clear());
}

#[test]
fn an_alert_that_is_over() {
    caught("I4", "part-unexpected", &[], |e| {
        let alerts = e.parts.get_mut("reorder-alerts").expect("alerts");
        let mut left = alerts[0].clone();
        let mut item = of("B-1", json!({ "reorderPoint": 3, "available": 2 }));
        item["openedAt"] = json!("2026-11-29T20:00:00Z");
        (left.part, left.bytes) = ("B-1".into(), encode("shop.read.v1.ReorderAlerts", &json!({ "items": [item] })));
        alerts.push(left);
    });
}

#[test]
fn an_alert_that_says_something_else() {
    let other = |field: &'static str, value: Value| {
        move |e: &mut Evidence| {
            e.served
                .iter_mut()
                .filter(|served| served.model == "reorder-alerts")
                .for_each(|served| served.body["items"][0][field] = value.clone())
        }
    };
    for (field, value) in
        [("ordered", json!(1)), ("reference", json!("PO-1")), ("openedAt", json!("2026-11-29T20:00:00Z")), ("available", json!(1))]
    {
        caught("I4", "served-differs", &[], other(field, value));
    }
}

#[test]
fn alerts_that_lack_what_a_token_covers() {
    caught("I4", "stale-read", &[], |e| *support::read(e, "reorder-alerts", "w-1", 0).1 = json!({ "items": [], "nextPageToken": "" }));
}

#[test]
fn an_alert_that_was_never_so() {
    caught("I4", "mixed-page", &[], |e| support::read(e, "reorder-alerts", "w-1", 0).1["items"][0]["ordered"] = json!(1));
}

#[test]
fn a_stock_that_stays_below_its_point_has_one_alert() {
    let mut evidence = reordering();
    assert_eq!(event(&mut evidence, B2, 2).r#type, "shop.inventory.v1.ReorderPointCrossed");
    assert!(judge(&evidence).holds());
}
