//! What README prints, run as it is printed.

use std::process::{Command, Stdio};

use serde_json::Value;
use shop_simulators::Captures;

use crate::shop::Shop;

/// The first block of commands under this heading.
fn block(heading: &str) -> String {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = std::fs::read_to_string(readme).expect("the workspace's README");
    let (_, section) = readme.split_once(&format!("\n## {heading}\n")).expect("the heading stands there");
    section.split("```\n").nth(1).expect("a block of commands").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_by_hand_goes_its_way_line_by_line_and_is_seen_live() {
    let shop = Shop::with(Captures::Many, &[]).await;
    let mut bash = Command::new("bash");
    bash.arg("-euo").arg("pipefail").arg("-c").arg(block("An order, by hand"));
    bash.env("DAYBOOK_COMMANDS_URL", &shop.up.commands).env("DAYBOOK_QUERIES_URL", &shop.up.queries);
    bash.env("DAYBOOK_PAYMENT_SIMULATOR_URL", shop.provider_url());
    let output = tokio::task::spawn_blocking(move || bash.stdin(Stdio::null()).output()).await.expect("no panic").expect("bash runs");
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}\n{said}");
    // Commands are answered on standard error; each was taken.
    assert!(said.matches("\"token\"").count() == 7 && !said.contains("urn:daybook:"), "{said}");

    // Live: from what is not there yet to the doorstep, each state once the one before was seen.
    let told = printed.lines().filter_map(|line| line.strip_prefix("data: "));
    let states: Vec<Value> = told.map(|data| serde_json::from_str(data).expect("JSON")).collect();
    let seen: Vec<&str> = states.iter().filter_map(|order| order["status"].as_str()).collect();
    assert_eq!(seen.last(), Some(&"ORDER_STATUS_COMPLETED"), "{printed}");
    assert!(seen.contains(&"ORDER_STATUS_CONFIRMED"), "{printed}");
    let labelled = states.iter().position(|order| order["shipments"][0]["tracking"].as_str().is_some_and(|number| !number.is_empty()));
    assert!(labelled.is_some_and(|at| states[at]["status"] == "ORDER_STATUS_CONFIRMED"), "{printed}");

    // Then the customer's list, and the provider's books.
    let last = printed.lines().last().expect("the books");
    let books: Value = serde_json::from_str(&last[last.find("{\"payments\"").expect("the books")..]).expect("JSON");
    assert_eq!((&books["payments"][0]["order"], books["payments"][0]["captured"].as_i64()), (&"o-1".into(), Some(3998)), "{printed}");
    assert!(printed.contains("\"customerId\""), "{printed}");
}
