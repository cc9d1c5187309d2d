//! Read models that are not what the log folds to, and reads that show what they must not.

use daybook_faults::evidence::Evidence;
use daybook_faults::history::{Answer, Asked};
use daybook_faults::shop::judge;
use serde_json::{Value, json};

use crate::good::{LINES, good, lines_of, page_of_a1, reordering};
use crate::support::{caught, read};
use crate::world::encode;

const PAGES: &str = "product-pages";

#[test]
fn a_stale_read_under_a_token() {
    caught("I4", "stale-read", &["older-after-newer"], |e| {
        let older = page_of_a1(e, 1, &LINES);
        let (_, body, positions) = read(e, PAGES, "A-1", 3);
        *body = older;
        positions[0] = "catalog/1:2@1".into();
    });
}

#[test]
fn a_stale_line_of_stock_under_a_token() {
    caught("I4", "stale-read", &[], |e| {
        // The pieces received at w-2 are not there yet; the token covers them.
        *read(e, PAGES, "A-1", 3).1 = page_of_a1(e, 2, &[LINES[0], LINES[2]]);
    });
}

#[test]
fn a_product_that_is_not_there_yet_under_a_token() {
    caught("I4", "stale-read", &["older-after-newer"], |e| {
        let mut at = e.history.iter_mut().filter(|entry| matches!(&entry.asked, Asked::Read { key, .. } if key == "A-1"));
        let entry = at.nth(3).expect("it was read");
        entry.told = Answer::Page { status: 404, body: Value::Null, positions: Vec::new(), stale: Vec::new() };
    });
}

#[test]
fn older_after_newer_from_one_process() {
    caught("I4", "older-after-newer", &[], |e| {
        let older = page_of_a1(e, 1, &LINES);
        let (_, body, positions) = read(e, PAGES, "A-1", 4);
        *body = older;
        positions[0] = "catalog/1:0@1".into();
    });
}

#[test]
fn a_page_behind_its_own_position() {
    caught("I4", "behind-position", &[], |e| {
        // The second process says that it has got further than what it shows.
        read(e, PAGES, "A-1", 2).2[0] = "catalog/1:1@1".into();
    });
}

#[test]
fn a_page_mixed_of_two_versions() {
    caught("I4", "mixed-page", &[], |e| {
        read(e, PAGES, "A-1", 2).1["price"]["minorUnits"] = json!("1500");
    });
}

#[test]
fn a_line_of_stock_mixed_of_two_versions() {
    caught("I4", "mixed-page", &[], |e| {
        // 5 were never on hand while 1 was reserved.
        read(e, PAGES, "A-1", 1).1["stock"] = lines_of(&[("w-1", 5, 1)]);
    });
}

#[test]
fn a_line_that_contradicts_itself() {
    caught("I4", "mixed-page", &[], |e| {
        read(e, PAGES, "A-1", 1).1["stock"][0]["available"] = json!(4);
    });
}

#[test]
fn a_version_that_never_was() {
    caught("I4", "from-nowhere", &[], |e| {
        read(e, PAGES, "A-1", 2).1["version"] = json!("9");
    });
}

#[test]
fn a_warehouse_that_never_had_it() {
    caught("I4", "from-nowhere", &[], |e| {
        read(e, PAGES, "A-1", 2).1["stock"] = lines_of(&[("w-9", 1, 0)]);
    });
}

#[test]
fn a_position_before_the_token() {
    caught("I4", "token-not-covered", &[], |e| {
        read(e, PAGES, "A-1", 1).2[1] = "inventory/0:-1@1".into();
    });
}

#[test]
fn a_page_that_does_not_say_what_it_rests_on() {
    caught("I4", "token-not-covered", &[], |e| {
        read(e, PAGES, "A-1", 3).2.remove(1);
    });
}

#[test]
fn a_list_that_lacks_a_product() {
    caught("I4", "stale-read", &[], |e| {
        read(e, "category-listings", "Home", 0).1["items"].as_array_mut().expect("items").remove(1);
    });
}

#[test]
fn a_level_of_stock_that_never_was() {
    caught("I4", "mixed-page", &[], |e| {
        read(e, "stock-levels", "A-1@w-1", 0).1["onHand"] = json!(6);
    });
}

#[test]
fn a_read_model_that_differs_from_the_fold() {
    caught("I4", "part-differs", &["served-differs"], |e| {
        let part = e.parts.get_mut("stock-levels").and_then(|parts| parts.first_mut()).expect("a part");
        let wrong =
            json!({ "sku": "A-1", "warehouse": "w-1", "onHand": 4, "reserved": 0, "available": 4, "reorderPoint": 0, "below": false });
        part.bytes = encode("shop.read.v1.StockLevel", &wrong);
        for served in e.served.iter_mut().filter(|s| s.model == "stock-levels" && s.key == "A-1@w-1") {
            served.body = wrong.clone();
        }
    });
}

#[test]
fn a_part_that_is_missing() {
    caught("I4", "part-missing", &[], |e| {
        e.parts.get_mut(PAGES).expect("parts").retain(|part| part.part != "stock/w-2");
    });
}

#[test]
fn a_part_that_should_be_gone() {
    caught("I4", "part-unexpected", &[], |e| {
        let parts = e.parts.get_mut("category-listings").expect("parts");
        let mut part = parts[0].clone();
        part.key = "Attic".into();
        parts.push(part);
    });
}

#[test]
fn a_replay_that_found_a_difference() {
    caught("I4", "fold-differs", &[], |e| {
        e.differences.get_mut(PAGES).expect("a diff").push("A-1 details: differs".into());
    });
}

#[test]
fn one_process_that_serves_another_page() {
    caught("I4", "served-differs", &["processes-disagree"], |e| {
        let older = page_of_a1(e, 1, &LINES);
        e.served.iter_mut().rfind(|s| s.key == "A-1").expect("served").body = older;
    });
}

#[test]
fn a_page_that_is_served_differently_by_all() {
    caught("I4", "served-differs", &[], |e| {
        let older = page_of_a1(e, 1, &LINES);
        e.served.iter_mut().filter(|s| s.key == "A-1").for_each(|served| served.body = older.clone());
    });
}

#[test]
fn processes_that_list_in_another_order() {
    caught("I4", "processes-disagree", &[], |e| {
        let list = e.served.iter_mut().rfind(|s| s.key == "Home").expect("served");
        list.body["items"].as_array_mut().expect("items").reverse();
    });
}

/// The fourth page of A-1 lacks what was received of w-2, and every answer names these streams; two builds serve.
fn without_w2(evidence: &mut Evidence, named: &[&str]) {
    evidence.two_builds = true;
    let older = page_of_a1(evidence, 2, &[LINES[0], LINES[2]]);
    *read(evidence, PAGES, "A-1", 3).1 = older;
    for entry in &mut evidence.history {
        if let Answer::Page { stale, .. } = &mut entry.told {
            *stale = named.iter().map(|name| (*name).to_owned()).collect();
        }
    }
}

/// Good reads that the broken ones above must not be confused with.
#[test]
fn a_stream_that_is_said_to_be_parked_may_be_older_than_a_token() {
    for named in [["stock/A-1@w-2"].as_slice(), &["stock/A-9@w-9", "stock/A-1@w-2"], &["stock/A-9@w-9", "*"]] {
        let mut evidence = good();
        without_w2(&mut evidence, named);
        let verdict = judge(&evidence);
        assert!(verdict.holds(), "{verdict}");
    }
}

#[test]
fn a_stale_read_beside_a_stream_that_is_said_to_be_parked() {
    caught("I4", "stale-read", &[], |e| without_w2(e, &["product/A-1", "stock/A-1@w-1"]));
}

#[test]
fn a_page_behind_its_position_beside_a_stream_that_is_said_to_be_parked() {
    caught("I4", "behind-position", &[], |e| {
        without_w2(e, &["stock/A-1@w-1"]);
        read(e, PAGES, "A-1", 3).0.clear();
    });
}

/// A rule that looked at nothing says so.
#[test]
fn a_token_that_covers_nothing_of_a_page_is_not_looked_at() {
    let mut evidence = reordering();
    for entry in &mut evidence.history {
        let (Asked::Read { tokens, .. }, Answer::Page { positions, .. }) = (&mut entry.asked, &mut entry.told) else { continue };
        *tokens = vec!["catalog/0:-1@1".to_owned()];
        *positions = [0, 1].iter().flat_map(|n| ["catalog", "inventory"].map(|service| format!("{service}/{n}:-1@1"))).collect();
    }
    let verdict = judge(&evidence);
    assert!(verdict.holds(), "{verdict}");
    assert_eq!(verdict.vacuous(), ["stale-read", "behind-position"], "{verdict}");
}

#[test]
fn a_history_that_only_says_whether_anything_was_stale_can_be_read() {
    let read = |stale: &str| {
        let told = format!(r#"{{"kind":"page","status":404,"body":null,"positions":[]{stale}}}"#);
        match serde_json::from_str(&told).expect("a page") {
            Answer::Page { stale, .. } => stale,
            told => panic!("{told:?}"),
        }
    };
    assert_eq!(read(r#","stale":true"#), ["*"]);
    assert_eq!(read(r#","stale":["product/A-1"]"#), ["product/A-1"]);
    assert_eq!(read(r#","stale":false"#), Vec::<String>::new());
    assert_eq!(read(""), Vec::<String>::new());
}

#[test]
fn a_search_whose_position_is_before_its_token() {
    caught("I4", "token-not-covered", &[], |e| read(e, "products", "search", 0).2[1] = "inventory/0:5@1".into());
}

#[test]
fn a_list_that_lacks_what_was_just_changed() {
    // Its item is as it was before the price was lowered; the list's own position says so.
    caught("I4", "stale-read", &["token-not-covered"], |e| {
        let (_, body, positions) = read(e, "category-listings", "Home", 0);
        body["items"][0]["price"]["minorUnits"] = json!("1999");
        positions[0] = "catalog/1:0@1".into();
    });
}

#[test]
fn reads_that_overlap_may_be_told_in_either_order() {
    let mut evidence = good();
    let older = page_of_a1(&evidence, 1, &LINES);
    let (_, body, positions) = read(&mut evidence, PAGES, "A-1", 4);
    *body = older;
    positions[0] = "catalog/1:0@1".into();
    let last = evidence.history.iter_mut().rfind(|entry| matches!(&entry.asked, Asked::Read { key, .. } if key == "A-1"));
    last.expect("it was read").asked_at = 0;
    let verdict = judge(&evidence);
    assert!(verdict.holds(), "{verdict}");
}

#[test]
fn a_page_that_is_marked_as_stale_where_one_build_serves() {
    caught("I4", "stale-for-nothing", &[], |e| {
        let read = e.history.iter_mut().find_map(|entry| match &mut entry.told {
            Answer::Page { stale, .. } => Some(stale),
            _ => None,
        });
        read.expect("it was read").push("product/A-1".into());
    });
}

#[test]
fn a_level_without_its_position() {
    caught("I4", "token-not-covered", &[], |e| read(e, "stock-levels", "A-1@w-1", 0).2.clear());
}

#[test]
fn a_product_that_is_found_and_has_no_stock() {
    caught("I4", "served-differs", &[], |e| {
        for found in e.served.iter_mut().filter(|s| s.model == "products") {
            found.body["items"][1]["inStock"] = json!(true);
        }
    });
}

#[test]
fn a_product_that_is_not_found() {
    caught("I4", "served-differs", &[], |e| {
        for found in e.served.iter_mut().filter(|s| s.model == "products") {
            found.body["items"].as_array_mut().expect("items").pop();
        }
    });
}

#[test]
fn a_product_that_a_list_has_under_its_old_title_as_well() {
    caught("I4", "part-unexpected", &[], |e| {
        let list = e.parts.get_mut("category-listings").expect("lists");
        let mut left = list[0].clone();
        left.part = "old title\tA-1".to_owned();
        list.insert(0, left);
    });
}
