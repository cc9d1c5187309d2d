//! A run in which everything went well: two services, two partitions each, every kind of answer once.

use daybook_faults::evidence::{Aside, Evidence, Part, Recovery, Served, Sighting, Term};
use daybook_faults::history::{Answer, Asked, Command, Via};
use daybook_faults::judge::rules::Rule;
use daybook_faults::shop::judge;
use daybook_faults::shop::rules::ALL;
use serde_json::{Value, json};

use crate::promises::{promised, promises};
use crate::world::{BEGAN, End, World, command, encode, publish, reforge, tell_rejected};

/// The good run, up to where a stock has a reorder point: most that breaks is of that part.
pub(crate) fn good() -> Evidence {
    run(false)
}

/// The same, pieces that are promised, kept and carried away, and two stocks that fall below their reorder points.
pub(crate) fn reordering() -> Evidence {
    run(true)
}

fn run(with_reorders: bool) -> Evidence {
    let mut w = World::new();
    products(&mut w);
    stock(&mut w);
    unanswered(&mut w);
    revisions(&mut w);
    last_reads(&mut w);
    if with_reorders {
        promises(&mut w);
        reorders(&mut w);
    }
    let mut evidence = w.evidence;
    reforge(&mut evidence);
    publish(&mut evidence);
    tell_rejected(&mut evidence);
    read_models(&mut evidence);
    if with_reorders {
        promised(&mut evidence);
        reordered(&mut evidence);
    }
    course(&mut evidence);
    evidence
}

fn money(units: i64) -> Value {
    json!({ "currency": "EUR", "minorUnits": units.to_string() })
}

pub(crate) fn product(sku: &str, title: &str, category: &str) -> Value {
    json!({ "sku": sku, "title": title, "description": "Gives light.", "brand": "Lux", "category": category, "price": money(1999),
            "attributes": { "colour": "red" }, "gtins": ["4006381333931"], "manufacturerNumber": "LX-1", "language": "en",
            "taxClass": "standard", "weightGrams": 1200, "maxPerOrder": 10 })
}

/// The page of A-1 at a version.
pub(crate) fn page_of_a1(evidence: &Evidence, version: usize, lines: &[(&str, i64, i64)]) -> Value {
    let price = if version < 2 { 1999 } else { 1500 };
    page_of(evidence, product("A-1", "Lamp", "Home > Lamps"), version, price, lines)
}

/// A page, with the time of the product's event.
fn page_of(evidence: &Evidence, mut page: Value, version: usize, price: i64, lines: &[(&str, i64, i64)]) -> Value {
    let stream = format!("product/{}", page["sku"].as_str().expect("a SKU"));
    let mut events = evidence.logs["catalog"].events.values().flatten().filter(|e| e.stream_id == stream);
    let at = events.nth(version - 1).expect("it has that version").recorded_at;
    page["price"] = money(price);
    page["prices"] = json!({ "EUR": { "list": money(price) } });
    page["media"] = json!([]);
    page["version"] = json!(version.to_string());
    page["updatedAt"] = json!(chrono::DateTime::from_timestamp_micros(at).expect("a time").to_rfc3339());
    page["stock"] = lines_of(lines);
    page
}

pub(crate) fn lines_of(lines: &[(&str, i64, i64)]) -> Value {
    let line = |(warehouse, on_hand, reserved): &(&str, i64, i64)| json!({ "warehouse": warehouse, "onHand": on_hand, "reserved": reserved, "available": on_hand - reserved });
    Value::Array(lines.iter().map(line).collect())
}

fn level(warehouse: &str, on_hand: i64, reserved: i64) -> Value {
    json!({ "sku": "A-1", "warehouse": warehouse, "onHand": on_hand, "reserved": reserved, "available": on_hand - reserved,
            "reorderPoint": 0, "below": false })
}

fn item(sku: &str, title: &str, category: &str, price: i64, lines: &[(&str, i64, i64)]) -> Value {
    json!({ "sku": sku, "title": title, "brand": "Lux", "category": category, "price": money(price), "image": "", "stock": lines_of(lines) })
}

pub(crate) fn note_done(w: &mut World, command: &Command, events: Vec<(&'static str, Value)>) {
    let told = w.done(command, events);
    w.note(Asked::Command(command.clone()), told);
}

/// Asked again, perhaps of another endpoint.
pub(crate) fn again(w: &mut World, command: &Command, told: &Answer, endpoint: &str) {
    let mut told = told.clone();
    if let Answer::Done { replayed, .. } | Answer::Refused { replayed, .. } = &mut told {
        *replayed = true;
    }
    w.note(Asked::Command(Command { via: Via::Http(endpoint.to_owned()), ..command.clone() }), told);
}

fn products(w: &mut World) {
    w.read("p-1", ("product-pages", "A-4"), &[], &Value::Null, &[]);
    let create = command("create-product", "product/A-1", "create", product("A-1", "Lamp", "Home > Lamps"));
    let told = w.done(&create, vec![("ProductCreated", product("A-1", "Lamp", "Home > Lamps"))]);
    w.note(Asked::Command(create.clone()), told.clone());
    again(w, &create, &told, "e-2");
    let page = page_of_a1(&w.evidence, 1, &[]);
    w.read("p-1", ("product-pages", "A-1"), &["catalog/1:0@1"], &page, &["catalog/1:0@1"]);
    let reprice = Command {
        if_match: Some(1),
        ..command("reprice-product", "product/A-1", "reprice", json!({ "sku": "A-1", "price": { "currency": "EUR", "minorUnits": 1500 } }))
    };
    note_done(w, &reprice, vec![("ProductRepriced", json!({ "sku": "A-1", "price": { "list": money(1500) } }))]);
    let mut other = reprice.clone();
    other.body["price"]["minorUnits"] = json!(1);
    w.note(Asked::Command(other), Answer::Invalid { status: 422, body: json!({ "title": "another command" }) });
    for (sku, title, category) in [("A-2", "Lampshade", "Home"), ("A-4", "Chair", "Garden")] {
        let create = command("create-product", &format!("product/{sku}"), "create", product(sku, title, category));
        note_done(w, &create, vec![("ProductCreated", product(sku, title, category))]);
    }
}

fn stock(w: &mut World) {
    let at = |warehouse: &str| (format!("stock/A-1@{warehouse}"), json!({ "sku": "A-1", "warehouse": warehouse }));
    let with = |base: &Value, more: Value| {
        let mut body = base.clone();
        body.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
        body
    };
    let (w1, base) = at("w-1");
    let received = with(&base, json!({ "quantity": 5 }));
    note_done(w, &command("receive-stock", &w1, "receive", received.clone()), vec![("StockReceived", received)]);
    let page = page_of_a1(&w.evidence, 2, &[("w-1", 5, 0)]);
    let tokens = ["catalog/1:1@1", "inventory/0:0@1"];
    w.read("p-1", ("product-pages", "A-1"), &tokens, &page, &["catalog/1:2@1", "inventory/0:0@1"]);
    let older = page_of_a1(&w.evidence, 1, &[]);
    w.read("p-2", ("product-pages", "A-1"), &[], &older, &["catalog/1:0@1"]);

    let (one, two) = (with(&base, json!({ "orderId": "o-1", "quantity": 2 })), with(&base, json!({ "orderId": "o-2", "quantity": 9 })));
    let (reserve, too_much) = (command("reserve-stock", &w1, "reserve-1", one.clone()), command("reserve-stock", &w1, "reserve-2", two));
    let refused = End::Refused("insufficient-stock", json!({ "requested": 9, "available": 3 }), Vec::new());
    let told = w.page(vec![(&reserve, End::Done(vec![("StockReserved", one.clone())])), (&too_much, refused)]);
    w.note(Asked::Command(reserve), told[0].clone());
    w.note(Asked::Command(too_much.clone()), told[1].clone());
    again(w, &too_much, &told[1], "e-2");
    w.read("p-1", ("stock-levels", "A-1@w-1"), &["inventory/0:1@1"], &level("w-1", 5, 2), &["inventory/0:1@1"]);

    let commit = command("commit-stock", &w1, "commit", with(&base, json!({ "orderId": "o-1" })));
    let location = "/v1/commands/h-1".to_owned();
    w.note(Asked::Command(commit.clone()), Answer::Accepted { location: Some(location.clone()) });
    let told = w.done(&commit, vec![("StockCommitted", one)]);
    w.note(Asked::Handle { command: commit, location }, told);

    let (w2, base2) = at("w-2");
    let received = with(&base2, json!({ "quantity": 3 }));
    let raw = Command { via: Via::Kafka, ..command("receive-stock", &w2, "raw", received.clone()) };
    w.note(Asked::Command(raw.clone()), Answer::Accepted { location: None });
    w.done(&raw, vec![("StockReceived", received)]);

    let three = with(&base, json!({ "orderId": "o-3", "quantity": 1 }));
    let reserve = command("reserve-stock", &w1, "reserve-3", three.clone());
    let release = command("release-stock", &w1, "release-3", with(&base, json!({ "orderId": "o-3" })));
    let told =
        w.page(vec![(&reserve, End::Done(vec![("StockReserved", three.clone())])), (&release, End::Done(vec![("StockReleased", three)]))]);
    w.note(Asked::Command(reserve), told[0].clone());
    w.note(Asked::Command(release), told[1].clone());

    let four = with(&base, json!({ "orderId": "o-4", "quantity": 8, "process": "allocation/o-4" }));
    let reserve = command("reserve-stock", &w1, "reserve-4", four);
    let fact = json!({ "orderId": "o-4", "requested": 8, "available": 3, "process": "allocation/o-4", "code": "insufficient-stock" });
    let told_by = vec![("ReservationRefused", with(&base, fact))];
    let refused = End::Refused("insufficient-stock", json!({ "requested": 8, "available": 3 }), told_by);
    let told = w.page(vec![(&reserve, refused)]).remove(0);
    w.note(Asked::Command(reserve), told);
}

/// A revision of which a part was so before, and one that changes nothing.
fn revisions(w: &mut World) {
    let body = json!({ "sku": "A-4", "title": "Chair", "description": "To sit on.", "setAttributes": { "colour": "red", "legs": "4" },
                       "removedAttributes": ["arms"] });
    let event = json!({ "sku": "A-4", "description": "To sit on.", "setAttributes": { "legs": "4" } });
    note_done(w, &command("revise-product", "product/A-4", "revise", body), vec![("ProductRevised", event)]);
    let body = json!({ "sku": "A-4", "description": "To sit on." });
    note_done(w, &command("revise-product", "product/A-4", "revise-again", body), Vec::new());
}

/// Commands that were shed, invalid, set aside, or whose answer was lost.
fn unanswered(w: &mut World) {
    let body = json!({ "sku": "A-1", "warehouse": "w-3", "quantity": 4 });
    let receive = command("receive-stock", "stock/A-1@w-3", "receive", body.clone());
    w.note(Asked::Command(receive.clone()), Answer::Unknown { why: "the connection ended".into() });
    let told = w.done(&receive, vec![("StockReceived", body)]);
    again(w, &receive, &told, "e-2");
    let (w3, more) = ("stock/A-1@w-3", json!({ "sku": "A-1", "warehouse": "w-3", "quantity": 100 }));
    w.note(Asked::Command(command("receive-stock", w3, "shed", more.clone())), Answer::Shed { status: 429, retry_after: true });
    let invalid = Answer::Invalid { status: 400, body: json!({ "title": "invalid" }) };
    w.note(Asked::Command(command("receive-stock", w3, "invalid", json!({ "sku": "A-1", "noSuchField": 1 }))), invalid);
    w.note(Asked::Command(command("receive-stock", w3, "lost", more)), Answer::Unknown { why: "a time-out".into() });
    let poison = Command { via: Via::Kafka, ..command("receive-stock", w3, "poison", json!({ "noSuchField": 1 })) };
    w.note(Asked::Command(poison.clone()), Answer::Accepted { location: None });
    let id = daybook_faults::judge::digest::command_id("inventory", "anonymous", w3, "poison");
    let (service, kind, reason) = ("inventory".into(), "rejected".into(), "no valid protobuf".into());
    w.evidence.aside.push(Aside { service, command_id: Some(id.to_string()), kind, reason, open: false, place: Some((1, 7)) });
}

/// The stock of A-1 in the end.
pub(crate) const LINES: [(&str, i64, i64); 3] = [("w-1", 3, 0), ("w-2", 3, 0), ("w-3", 4, 0)];

fn home() -> Value {
    let items = [item("A-1", "Lamp", "Home > Lamps", 1500, &LINES), item("A-2", "Lampshade", "Home", 1999, &[])];
    json!({ "items": items, "nextPageToken": "" })
}

fn last_reads(w: &mut World) {
    let positions = ["catalog/1:2@1", "inventory/0:6@1", "inventory/1:0@1"];
    let page = page_of_a1(&w.evidence, 2, &LINES);
    w.read("p-1", ("product-pages", "A-1"), &positions, &page, &positions);
    w.read("p-1", ("product-pages", "A-1"), &[], &page, &positions);
    w.read("p-1", ("category-listings", "Home"), &["catalog/1:2@1"], &home(), &["catalog/1:2@1"]);
    w.read("p-1", ("stock-levels", "A-9@w-1"), &[], &Value::Null, &[]);
    w.read("p-2", ("products", "search"), &positions, &json!({ "items": [], "total": 0 }), &positions);
}

/// Parts and served pages, as they are when all has caught up.
fn read_models(evidence: &mut Evidence) {
    let mut pages = vec![("A-1", page_of_a1(evidence, 2, &LINES))];
    pages.push(("A-2", page_of(evidence, product("A-2", "Lampshade", "Home"), 1, 1999, &[])));
    let mut chair = product("A-4", "Chair", "Garden");
    (chair["description"], chair["attributes"]["legs"]) = (json!("To sit on."), json!("4"));
    pages.push(("A-4", page_of(evidence, chair, 2, 1999, &[])));
    let mut part = |model: &str, key: &str, part: &str, kind: &str, json: &Value| {
        let bytes = encode(&format!("shop.read.v1.{kind}"), json);
        let parts = evidence.parts.entry(model.to_owned()).or_default();
        parts.push(Part { key: key.to_owned(), part: part.to_owned(), bytes });
    };
    for (sku, page) in &pages {
        let mut details = page.clone();
        details["stock"] = json!([]);
        part("product-pages", sku, "details", "ProductPage", &details);
    }
    let lamp = item("A-1", "Lamp", "Home > Lamps", 1500, &[]);
    for category in ["Home", "Home > Lamps"] {
        part("category-listings", category, "lamp\tA-1", "CategoryListing", &json!({ "items": [lamp] }));
    }
    let (shade, chair) = (item("A-2", "Lampshade", "Home", 1999, &[]), item("A-4", "Chair", "Garden", 1999, &[]));
    part("category-listings", "Home", "lampshade\tA-2", "CategoryListing", &json!({ "items": [shade] }));
    part("category-listings", "Garden", "chair\tA-4", "CategoryListing", &json!({ "items": [chair] }));
    for line in LINES {
        let (warehouse, on_hand, reserved) = line;
        part("product-pages", "A-1", &format!("stock/{warehouse}"), "ProductPage", &json!({ "stock": lines_of(&[line]) }));
        part("stock-levels", &format!("A-1@{warehouse}"), "level", "StockLevel", &level(warehouse, on_hand, reserved));
    }
    for model in ["product-pages", "category-listings", "stock-levels"] {
        evidence.differences.insert(model.to_owned(), Vec::new());
    }
    for at in ["p-1", "p-2"] {
        let mut serve = |model: &str, key: &str, status: u16, body: &Value| {
            let (model, key, at, body) = (model.to_owned(), key.to_owned(), at.to_owned(), body.clone());
            evidence.served.push(Served { model, key, at, status, body });
        };
        for (sku, page) in &pages {
            serve("product-pages", sku, 200, page);
        }
        serve("product-pages", "A-9", 404, &Value::Null);
        serve("category-listings", "Home", 200, &home());
        let found = |sku: &str, title: &str, category: &str, price: i64, in_stock: bool| json!({ "sku": sku, "title": title, "brand": "Lux", "category": category, "price": money(price), "inStock": in_stock });
        let (lamp, shade) = (found("A-1", "Lamp", "Home > Lamps", 1500, true), found("A-2", "Lampshade", "Home", 1999, false));
        serve("products", "search", 200, &json!({ "items": [lamp, shade, found("A-4", "Chair", "Garden", 1999, false)] }));
        serve("category-listings", "Nowhere", 200, &json!({ "items": [], "nextPageToken": "" }));
        for (warehouse, on_hand, reserved) in LINES {
            serve("stock-levels", &format!("A-1@{warehouse}"), 200, &level(warehouse, on_hand, reserved));
        }
    }
}

/// The stock that falls and comes back, and its reordering.
pub(crate) const B1: &str = "stock/B-1@w-1";
pub(crate) const REORDER_B1: &str = "reorder/B-1@w-1";
/// The stock that stays below its point, and its reordering.
pub(crate) const B2: &str = "stock/B-2@w-1";
pub(crate) const REORDER_B2: &str = "reorder/B-2@w-1";

pub(crate) fn of(sku: &str, more: Value) -> Value {
    let mut body = json!({ "sku": sku, "warehouse": "w-1" });
    body.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
    body
}

fn reorders(w: &mut World) {
    let opened = |sku: &str, point: u32, available: u32, version: &str| {
        of(sku, json!({ "reorderPoint": point, "available": available, "stockVersion": version }))
    };
    let five = of("B-1", json!({ "quantity": 5 }));
    note_done(w, &command("receive-stock", B1, "five", five.clone()), vec![("StockReceived", five)]);
    let point = of("B-1", json!({ "reorderPoint": 3 }));
    let set = command("set-reorder-point", B1, "point", point.clone());
    note_done(w, &set, vec![("ReorderPointSet", point.clone())]);
    note_done(w, &command("set-reorder-point", B1, "point-again", point), Vec::new());
    let three = of("B-1", json!({ "orderId": "o-9", "quantity": 3 }));
    let crossed = of("B-1", json!({ "reorderPoint": 3, "available": 2 }));
    note_done(w, &command("reserve-stock", B1, "reserve", three.clone()), vec![("StockReserved", three), ("ReorderPointCrossed", crossed)]);
    let open = opened("B-1", 3, 2, "4");
    let first = command("open-reorder-proposal", REORDER_B1, "", open.clone());
    w.reaction((B1, 4), &first, vec![("ReorderProposalOpened", open)]);
    raises(w);
    let four = of("B-1", json!({ "quantity": 4 }));
    let regained = of("B-1", json!({ "reorderPoint": 3, "available": 6 }));
    note_done(w, &command("receive-stock", B1, "four", four.clone()), vec![("StockReceived", four), ("ReorderPointRegained", regained)]);
    let close = of("B-1", json!({ "available": 6, "stockVersion": "6" }));
    w.reaction((B1, 6), &command("close-reorder-proposal", REORDER_B1, "", close.clone()), vec![("ReorderProposalClosed", close)]);

    let (point, crossed) = (of("B-2", json!({ "reorderPoint": 2 })), of("B-2", json!({ "reorderPoint": 2, "available": 0 })));
    let set = command("set-reorder-point", B2, "point", point.clone());
    note_done(w, &set, vec![("ReorderPointSet", point), ("ReorderPointCrossed", crossed)]);
    let open = opened("B-2", 2, 0, "2");
    w.reaction((B2, 2), &command("open-reorder-proposal", REORDER_B2, "", open.clone()), vec![("ReorderProposalOpened", open)]);
    let (body, at) = (alerts(&w.evidence), heads(&w.evidence));
    let at: Vec<&str> = at.iter().map(String::as_str).collect();
    w.read("p-1", ("reorder-alerts", "w-1"), &at, &body, &at);
}

/// Goods are ordered for an open proposal: once, again, and under another reference.
fn raises(w: &mut World) {
    let goods = |quantity: u32| of("B-1", json!({ "quantity": quantity, "reference": "PO-7" }));
    note_done(w, &command("raise-reorder-proposal", REORDER_B1, "raise", goods(50)), vec![("ReorderProposalRaised", goods(50))]);
    note_done(w, &command("raise-reorder-proposal", REORDER_B1, "raise-again", goods(50)), Vec::new());
    let more = command("raise-reorder-proposal", REORDER_B1, "raise-more", goods(60));
    let refused = End::Refused("reorder-proposal-raised-before", json!({ "quantity": 50, "reference": "PO-7" }), Vec::new());
    let told = w.page(vec![(&more, refused)]).remove(0);
    w.note(Asked::Command(more), told);
}

/// The token of each partition of inventory's log as it stands.
fn heads(evidence: &Evidence) -> Vec<String> {
    evidence.logs["inventory"].events.iter().map(|(partition, events)| format!("inventory/{partition}:{}@1", events.len() - 1)).collect()
}

/// `reorder-alerts` of w-1.
pub(crate) fn alerts(evidence: &Evidence) -> Value {
    let mut events = evidence.logs["inventory"].events.values().flatten();
    let at = events.find(|e| e.stream_id == REORDER_B2).expect("it stands").recorded_at;
    let opened_at = chrono::DateTime::from_timestamp_micros(at).expect("a time").to_rfc3339();
    let more = json!({ "reorderPoint": 2, "available": 0, "openedAt": opened_at, "ordered": 0, "reference": "" });
    json!({ "items": [of("B-2", more)], "nextPageToken": "" })
}

/// Its parts of read models.
fn reordered(evidence: &mut Evidence) {
    let body = alerts(evidence);
    let level = |sku: &str, on_hand: u32, reserved: u32, point: u32| {
        let available = on_hand - reserved;
        of(
            sku,
            json!({ "onHand": on_hand, "reserved": reserved, "available": available, "reorderPoint": point, "below": available < point }),
        )
    };
    let levels = [("B-1", level("B-1", 9, 3, 3)), ("B-2", level("B-2", 0, 0, 2))];
    let part = |key: &str, part: &str, kind: &str, json: &Value| Part {
        key: key.to_owned(),
        part: part.to_owned(),
        bytes: encode(&format!("shop.read.v1.{kind}"), json),
    };
    let line = json!({ "stock": lines_of(&[("w-1", 9, 3)]) });
    evidence.parts.get_mut("product-pages").expect("parts").push(part("B-1", "stock/w-1", "ProductPage", &line));
    let alert = json!({ "items": body["items"] });
    evidence.parts.insert("reorder-alerts".to_owned(), vec![part("w-1", "B-2", "ReorderAlerts", &alert)]);
    for (sku, level) in &levels {
        let of_it = part(&format!("{sku}@w-1"), "level", "StockLevel", level);
        evidence.parts.get_mut("stock-levels").expect("parts").push(of_it);
    }
    for at in ["p-1", "p-2"] {
        let mut serve = |model: &str, key: &str, body: &Value| {
            let (model, key, at, body) = (model.to_owned(), key.to_owned(), at.to_owned(), body.clone());
            evidence.served.push(Served { model, key, at, status: 200, body });
        };
        serve("reorder-alerts", "w-1", &body);
        for (sku, level) in &levels {
            serve("stock-levels", &format!("{sku}@w-1"), level);
        }
    }
}

fn course(evidence: &mut Evidence) {
    for (at, value) in [(1, 0), (2, 3), (3, 3), (4, 7)] {
        evidence.sightings.push(Sighting { what: "log inventory/0".into(), at, value });
        evidence.sightings.push(Sighting { what: "version inventory stock/A-1@w-1".into(), at, value });
        evidence.sightings.push(Sighting { what: "checkpoint product-pages 1 inventory/0".into(), at, value: value - 1 });
    }
    evidence.terms.push(Term { what: "product-pages inventory/0".into(), before: 3, after: 3 });
    let (first_acknowledged, caught_up) = (Some(900_000), Some(2_000_000));
    evidence.recoveries.push(Recovery { nemesis: "kill lane".into(), first_acknowledged, caught_up, within: 10_000_000 });
}

#[test]
fn the_judge_passes_a_good_run_and_no_rule_of_it_is_vacuous() {
    let evidence = reordering();
    assert!(evidence.logs["catalog"].pages[&0][0].recorded_at == BEGAN);
    assert!(judge(&good()).holds());
    let verdict = judge(&evidence);
    assert!(verdict.holds(), "{verdict}");
    assert_eq!(verdict.vacuous(), Vec::<&str>::new(), "{verdict}");
}

#[test]
fn the_verdict_tells_each_rule_and_what_cannot_be_judged_yet() {
    let verdict = judge(&good()).to_string();
    assert!(verdict.contains("lost-event") && verdict.contains("I7   not yet: no orders, no payments"), "{verdict}");
    assert!(verdict.ends_with("no invariant fell"), "{verdict}");
    let nothing = judge(&Evidence::default());
    assert!(nothing.holds() && nothing.to_string().contains("VACUOUS"), "{nothing}");
}

#[test]
fn repeats_in_kafka_are_counted_and_no_fault() {
    let mut evidence = good();
    let messages = evidence.topics.get_mut("inventory").and_then(|t| t.get_mut(&0)).expect("it is published");
    let tail = messages[2..5].to_vec();
    messages.splice(5..5, tail);
    let verdict = judge(&evidence);
    assert!(verdict.holds(), "{verdict}");
    assert_eq!(verdict.repeats, 3);
}

#[test]
fn every_rule_has_a_broken_run_that_it_catches() {
    let cases = [
        include_str!("broken_chain.rs"),
        include_str!("broken_kafka.rs"),
        include_str!("broken_log.rs"),
        include_str!("broken_orders.rs"),
        include_str!("broken_reads.rs"),
        include_str!("broken_reorder.rs"),
        include_str!("broken_restored.rs"),
        include_str!("broken_told.rs"),
    ];
    let cases: String = cases.concat().split_whitespace().collect();
    let is_caught = |how: &str, rule: &Rule| cases.contains(&format!(r#"{how}("{}","{}","#, rule.invariant, rule.name));
    let without: Vec<&str> =
        ALL.iter().filter(|rule| !["caught", "beside"].iter().any(|how| is_caught(how, rule))).map(|rule| rule.name).collect();
    assert_eq!(without, Vec::<&str>::new());
}
