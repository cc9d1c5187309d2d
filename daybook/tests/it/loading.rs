//! Catalogue files through the binary: what goes in, what does not and why, and what a second load does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use daybook_testkit::eventually;
use serde_json::{Value, json};

use crate::support::{Install, Process, catalogue};

/// A file that goes with this.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let path = std::env::temp_dir().join(format!("daybook-{}-{name}", uuid::Uuid::new_v4()));
        std::fs::write(&path, bytes).expect("a file");
        Self(path)
    }

    fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn load(install: &Install, up: &Process, file: &Temporary, more: &[&str]) -> (i32, Value) {
    let path = file.path();
    let mut args = vec!["load", "catalogue", &path, "--json", "--url", &up.commands, "--queries-url", &up.queries];
    args.extend(more);
    let output = install.run(&args);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().expect("it ends by itself"), report)
}

fn product(sku: &str, price: i64) -> Value {
    json!({ "sku": sku, "title": format!("Lamp {sku}"), "brand": "Lux", "category": "Home > Lamps", "description": "It gives light.",
        "price": { "currency": "EUR", "minorUnits": price }, "attributes": { "colour": "red", "watts": "7" } })
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

async fn page(install: &Install, up: &Process, sku: &str) -> Value {
    let url = format!("{}/v1/product-pages/{sku}", up.queries);
    install.client.get(url).header("Consistency-Token", "stored").send().await.expect("answers").json().await.expect("JSON")
}

/// So that what was loaded before is what the next load is compared with.
async fn pages_show_stock(install: &Install, up: &Process, skus: impl Iterator<Item = String>) {
    for sku in skus {
        eventually("a page with its stock", || async {
            let shown = page(install, up, &sku).await;
            shown["stock"].as_array().is_some_and(|lines| !lines.is_empty()).then_some(())
        })
        .await;
    }
}

const WAYS: usize = 16;

/// The n-th way of being bad: the line, the outcome, and what is told. `at` is a SKU of its own.
fn bad(n: usize, at: &str) -> (Vec<u8>, &'static str, &'static str) {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut row = product(at, 100);
        change(&mut row);
        row.to_string().into_bytes()
    };
    let text = product(at, 100).to_string();
    match n % WAYS {
        0 => (text[..text.len() - 1].into(), "bad", "ends in the middle"),
        1 => (b"[1, 2]".into(), "bad", "no JSON object but a list"),
        2 => (with(&|r| r["sku"] = Value::Null), "bad", "sku is missing"),
        3 => (with(&|r| r["sku"] = "a b".into()), "bad", "sku must be"),
        4 => (with(&|r| r["title"] = " \u{a0} ".into()), "bad", "title is missing"),
        5 => (with(&|r| r["price"] = Value::Null), "bad", "price is missing"),
        6 => (with(&|r| r["price"]["minorUnits"] = (-1).into()), "bad", "price.minorUnits must be at least 0"),
        7 => (with(&|r| r["price"]["minorUnits"] = json!(19.99)), "bad", "whole number of the currency's smallest unit"),
        8 => (with(&|r| r["price"]["minorUnits"] = "92233720368547758070".into()), "bad", "too large"),
        9 => (with(&|r| r["price"]["currency"] = "EURO".into()), "bad", "price.currency"),
        10 => (text.replacen("\"sku\"", "\"title\":\"x\",\"sku\"", 1).into_bytes(), "bad", "has \"title\" twice"),
        11 => {
            (text.replace("It gives", "Caf").into_bytes().into_iter().map(|b| if b == b'.' { 0xe9 } else { b }).collect(), "bad", "iconv")
        }
        12 => (text.replace("Lamp", "\\ud800").into_bytes(), "bad", "half of a \\u pair"),
        13 => (
            with(&|r| r["attributes"] = (0..301).map(|n| (n.to_string(), json!("x"))).collect::<serde_json::Map<_, _>>().into()),
            "bad",
            "300",
        ),
        14 => (
            with(&|r| {
                r["attributes"] = (0..40).map(|n| (n.to_string(), json!("x".repeat(7_000)))).collect::<serde_json::Map<_, _>>().into()
            }),
            "refused",
            "attributes-over-limit",
        ),
        _ => (with(&|r| r["attributes"]["colour"] = json!([{ "a": 1 }])), "bad", "holds an object"),
    }
}

/// `TEST_LOAD_ROWS=100000` for as many as a catalogue has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_rows_that_are_bad_in_every_way_it_is_told_exactly_what_went_in_what_did_not_and_why() {
    let rows: usize = std::env::var("TEST_LOAD_ROWS").ok().and_then(|n| n.parse().ok()).unwrap_or(4_000);
    let install = Install::new().await;
    let up = install.up().await;
    // A byte-order mark, Windows' line ends, empty lines between, a column that nobody knows, and one row in a hundred that is bad.
    let mut file = b"\xef\xbb\xbf".to_vec();
    let (mut line, mut good, mut bads) = (1, 0, BTreeMap::new());
    for n in 0..rows {
        let sku = format!("S-{n}");
        if n % 100 == 50 {
            let (bytes, outcome, said) = bad(n / 100, &sku);
            file.extend(bytes);
            bads.insert(line, (outcome, said));
        } else {
            let mut row = product(&sku, 100);
            row["margin"] = 0.3.into();
            file.extend(row.to_string().into_bytes());
            good += 1;
        }
        let end: &[u8] = if n % 1_000 == 7 { b"\r\n\r\n" } else { b"\r\n" };
        file.extend(end);
        line += end.len() as u64 / 2;
    }
    // Later rows of one key: one that says the same again, and one that says something else.
    for price in [100, 200] {
        file.extend(format!("{}\n", product("S-0", price)).into_bytes());
    }
    let file = Temporary::new("bad.jsonl", file);
    let rows_out = Temporary::new("rows.jsonl", "");
    let (code, report) = load(&install, &up, &file, &["--report", &rows_out.path()]);
    println!("{report:#}");
    assert_eq!(code, 1);
    let refused = bads.values().filter(|(outcome, _)| *outcome == "refused").count();
    let count = |name: &str| report[name].as_u64().expect("a number");
    assert_eq!(count("rows"), rows as u64 + 2);
    assert_eq!((count("created"), count("replayed"), count("laterRows")), (good, 1, 2));
    assert_eq!(count("badRows"), (bads.len() - refused) as u64);
    let mut expected = json!({ "product-exists": 1 });
    if refused > 0 {
        expected["attributes-over-limit"] = refused.into();
    }
    assert_eq!(report["refused"], expected);
    assert_eq!((&report["unknownColumns"], &report["shortened"]), (&json!({ "margin": good }), &json!(0)));
    assert_eq!(report["firstBad"].as_array().map(Vec::len), Some(20.min(bads.len() - refused)));

    let text = std::fs::read_to_string(&rows_out.0).expect("written");
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(records.len(), rows + 2);
    let mut told = BTreeMap::new();
    for record in &records {
        let line = record["line"].as_u64().expect("a number");
        if let Some((outcome, said)) = bads.get(&line) {
            assert_eq!(record["outcome"], *outcome, "{record}");
            assert!(record["reason"].as_str().is_some_and(|reason| reason.contains(said)), "{said}: {record}");
            told.insert(line, ());
        } else if record["later"] != true {
            assert_eq!((&record["outcome"], &record["commands"]), (&json!("created"), &json!(["create-product"])), "{record}");
        }
    }
    assert_eq!(told.len(), bads.len(), "each bad row is told with its line");
    let events = install.count("SELECT count(*) FROM catalog.event").await;
    assert_eq!(events, i64::try_from(good).expect("few"), "what was told to have gone in is what the log has");
    assert_eq!(install.count("SELECT count(DISTINCT stream_id) FROM catalog.event").await, events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_brings_products_to_what_their_rows_say_and_sends_nothing_for_an_unchanged_file() {
    let install = Install::new().await;
    let up = install.up().await;
    let mut rows: Vec<Value> = (0..40).map(|n| product(&format!("S-{n}"), 100 + n)).collect();
    rows[7]["title"] = "Cafe\u{301}  lamp\u{a0}".into();
    let first = Temporary::new("first.jsonl", lines(&rows));
    let (code, report) = load(&install, &up, &first, &["--update", "--stock"]);
    assert_eq!((code, &report["created"], &report["stock"]["received"]), (0, &json!(40), &json!(40)), "{report}");
    pages_show_stock(&install, &up, (0..40).map(|n| format!("S-{n}"))).await;
    let events = "SELECT (SELECT count(*) FROM catalog.event) + (SELECT count(*) FROM inventory.event)";
    let before = install.count(events).await;
    let commands = install.count("SELECT (SELECT count(*) FROM catalog.command) + (SELECT count(*) FROM inventory.command)").await;
    let (code, report) = load(&install, &up, &first, &["--update", "--stock"]);
    assert_eq!((code, &report["unchanged"], &report["commands"]), (0, &json!(40), &json!({})), "{report}");
    assert_eq!(report["stock"]["unchanged"], 40, "{report}");

    // Some differ in one thing, one in all, one is new, one says less.
    rows[0]["price"]["minorUnits"] = 1.into();
    rows[1]["title"] = "Another lamp".into();
    rows[2]["category"] = "Home > Lights".into();
    rows[3]["attributes"] = json!({ "colour": "blue", "new": 1.50 });
    let all = rows[4].as_object_mut().expect("an object");
    all.insert("price".into(), json!({ "currency": "EUR", "minorUnits": 2 }));
    all.insert("title".into(), "T".into());
    all.insert("category".into(), "C".into());
    all.insert("description".into(), Value::Null);
    rows[5] = json!({ "sku": "S-5", "title": "Lamp S-5", "price": { "currency": "EUR", "minorUnits": 105 } });
    rows.push(product("S-new", 5));
    let second = Temporary::new("second.jsonl", lines(&rows));
    let told = json!({ "create-product": 1, "reprice-product": 2, "revise-product": 3, "categorize-product": 2 });
    let (code, report) = load(&install, &up, &second, &["--update", "--dry-run"]);
    assert_eq!((code, &report["commands"], &report["dryRun"]), (0, &told, &json!(true)), "{report}");
    let sent = install.count("SELECT (SELECT count(*) FROM catalog.command) + (SELECT count(*) FROM inventory.command)").await;
    assert_eq!((install.count(events).await, sent), (before, commands), "neither an unchanged file nor a dry run sends anything");
    let (code, report) = load(&install, &up, &second, &["--update"]);
    assert_eq!((code, &report["commands"]), (0, &told), "{report}");
    assert_eq!((&report["updated"], &report["unchanged"], &report["created"]), (&json!(5), &json!(35), &json!(1)));
    let shown = eventually("the last change", || async {
        let shown = page(&install, &up, "S-4").await;
        (shown["category"] == "C").then_some(shown)
    })
    .await;
    assert_eq!((&shown["title"], &shown["description"], &shown["price"]["minorUnits"]), (&json!("T"), &json!(""), &json!("2")));
    assert_eq!(page(&install, &up, "S-3").await["attributes"], json!({ "colour": "blue", "new": "1.5" }));
    assert_eq!(page(&install, &up, "S-5").await["brand"], "Lux", "what a row does not say stays");
    let (_, report) = load(&install, &up, &second, &["--update"]);
    assert_eq!((&report["commands"], &report["unchanged"]), (&json!({}), &json!(41)), "{report}");

    // Back and forth: each time it is another command.
    for file in [&first, &second, &first] {
        let (code, report) = load(&install, &up, file, &["--update"]);
        assert_eq!((code, &report["commands"]["reprice-product"]), (0, &json!(2)), "{report}");
    }
    install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_rows_of_one_key_the_last_word_counts_and_the_same_file_again_sends_nothing() {
    let install = Install::new().await;
    let up = install.up().await;
    // 60 prices of each of five products, and one more product whose rows say different things of it.
    let prices: Vec<i64> = (0..59).map(|n| 100 + n % 7 / 2).chain([300]).collect();
    let mut rows: Vec<Value> = prices.iter().flat_map(|price| (0..5).map(|n| product(&format!("S-{n}"), *price))).collect();
    let priced =
        |currency: &str, price: i64| json!({ "sku": "M", "title": "Mixed", "price": { "currency": currency, "minorUnits": price } });
    let with = |mut row: Value, name: &str, value: Value| {
        row[name] = value;
        row
    };
    rows.extend([
        with(priced("EUR", 100), "brand", "Lux".into()),
        with(priced("EUR", 200), "description", "It gives light.".into()),
        with(priced("JPY", 900), "title", "Another".into()),
        // It says a thing that a later row says anew, and what breaks a rule has no word.
        with(priced("JPY", 950), "brand", "Old".into()),
        with(priced("JPY", -1), "brand", "Bad".into()),
        with(priced("JPY", 980), "brand", "Nova".into()),
    ]);
    let file = Temporary::new("later.jsonl", lines(&rows));
    let (_, told) = load(&install, &up, &file, &["--update", "--dry-run"]);
    let rows_out = Temporary::new("rows.jsonl", "");
    let (code, report) = load(&install, &up, &file, &["--update", "--clients", "64", "--report", &rows_out.path()]);
    for name in ["created", "updated", "unchanged", "superseded", "laterRows", "badRows"] {
        assert_eq!(told[name], report[name], "{name}: {told}");
    }
    let count = |name: &str| report[name].as_i64().expect("a number");
    assert_eq!((code, count("rows"), count("laterRows"), count("created"), count("badRows")), (1, 306, 299, 6, 1), "{report}");
    // Of M, the first row has no last word, nor have the third and the fourth.
    assert_eq!((count("superseded"), count("updated")), (298, 1), "{report}");
    let records = std::fs::read_to_string(&rows_out.0).expect("the report");
    let records = records.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let of_m: BTreeMap<u64, String> = records
        .filter(|r| r["sku"] == "M")
        .map(|r| (r["line"].as_u64().expect("a line") - 300, r["outcome"].as_str().expect("a text").to_owned()))
        .collect();
    let outcomes = ["superseded", "created", "superseded", "superseded", "bad", "updated"].map(str::to_owned);
    assert_eq!(of_m, (1..).zip(outcomes).collect());

    // The same again, twice: nothing is sent.
    let pipe = Temporary::new("later.fifo", "");
    std::fs::remove_file(&pipe.0).expect("it is there");
    assert!(std::process::Command::new("mkfifo").arg(&pipe.0).status().expect("it runs").success());
    for again in [&file, &pipe] {
        let events = install.count("SELECT count(*) FROM catalog.event").await;
        let (text, to) = (lines(&rows), pipe.0.clone());
        let through = (again.0 == pipe.0).then(|| std::thread::spawn(move || std::fs::write(to, text).expect("it is read")));
        let (code, report) = load(&install, &up, again, &["--update"]);
        assert_eq!((code, &report["commands"], &report["unchanged"]), (1, &json!({}), &json!(7)), "{report}");
        assert_eq!(install.count("SELECT count(*) FROM catalog.event").await, events);
        through.into_iter().for_each(|thread| thread.join().expect("it was written"));
    }
    for n in 0..5 {
        let shown = page(&install, &up, &format!("S-{n}")).await;
        assert_eq!((&shown["price"]["minorUnits"], &shown["version"]), (&json!("300"), &json!("1")), "{shown}");
    }
    let shown = page(&install, &up, "M").await;
    let prices = ["EUR", "JPY"].map(|currency| shown["prices"][currency]["list"]["minorUnits"].clone());
    assert_eq!(prices, [json!("200"), json!("980")], "{shown}");
    let texts = ["title", "brand", "description"].map(|name| shown[name].clone());
    assert_eq!(texts, [json!("Mixed"), json!("Nova"), json!("It gives light.")], "{shown}");

    // Without an update the first row counts, always.
    let rows: Vec<Value> = (0..20).map(|n| product("T", 100 + n)).collect();
    let file = Temporary::new("first.jsonl", lines(&rows));
    let (code, report) = load(&install, &up, &file, &[]);
    assert_eq!(
        (code, &report["created"], &report["refused"], &report["laterRows"]),
        (1, &json!(1), &json!({ "product-exists": 19 }), &json!(19))
    );
    eventually("the first row", || async { (page(&install, &up, "T").await["price"]["minorUnits"] == "100").then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_was_killed_goes_on_where_it_was_and_does_nothing_twice() {
    let install = Install::new().await;
    let up = install.up().await;
    let file = Temporary(catalogue(2_000));
    let path = file.path();
    for more in [&["--stock"][..], &["--stock", "--update", "--queries-url", &up.queries]] {
        let mut args = vec!["load", "catalogue", &path, "--url", &up.commands];
        args.extend(more);
        let mut child = install.command(&args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        let before = install.count("SELECT count(*) FROM catalog.event").await;
        if before < 2_000 {
            eventually("the load to begin", || async {
                (install.count("SELECT count(*) FROM catalog.event").await > before + 300).then_some(())
            })
            .await;
        }
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        let done = install.count("SELECT count(*) FROM catalog.event").await;
        println!("killed with {done} of 2000 in");
    }
    let (code, report) = load(&install, &up, &file, &["--stock"]);
    assert_eq!(code, 0, "{report}");
    let (created, replayed) = (report["created"].as_u64().expect("a number"), report["replayed"].as_u64().expect("a number"));
    assert!(created + replayed == 2_000 && replayed > 600, "{report}");
    for service in ["catalog", "inventory"] {
        assert_eq!(install.count(&format!("SELECT count(*) FROM {service}.event")).await, 2_000);
        assert_eq!(install.count(&format!("SELECT count(DISTINCT stream_id) FROM {service}.event")).await, 2_000);
    }
    install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_goes_in_by_its_mapping_and_a_dry_run_says_so_before() {
    let install = Install::new().await;
    let up = install.up().await;
    let map = Temporary::new(
        "map.toml",
        "[product]\nsku = \"Artikel\"\ntitle = \"Name\"\n[price]\ncolumn = \"Preis\"\nunit = \"decimal\"\ndecimal_mark = \",\"\n\
         currency = { constant = \"CHF\" }\n[attributes]\ncolumns = { colour = \"Farbe\" }\n[[skip]]\ncolumn = \"Artikel\"\nequals = [\"POST\"]\n",
    );
    let text =
        "Artikel;Name;Preis;Farbe;Lager\r\n9007199254740993;\"Lampe \"\"Süd\"\",\r\nrot\";19,90;rot;3\r\nPOST;Porto;5;;\r\nB;b;1,999;;\r\n";
    let wide: Vec<u8> = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let file = Temporary::new("table.csv", wide);
    let map_path = map.path();
    for more in [&["--map", map_path.as_str(), "--dry-run"][..], &["--map", &map_path]] {
        let (code, report) = load(&install, &up, &file, more);
        assert_eq!((code, &report["created"], &report["skipped"], &report["badRows"]), (1, &json!(1), &json!(1), &json!(1)), "{report}");
        assert_eq!(report["firstBad"], json!([{ "line": 5, "reason": "price has more than 2 decimal places: 1,999" }]));
        assert_eq!(report["unknownColumns"], json!({ "Lager": 3 }));
        let events = install.count("SELECT count(*) FROM catalog.event").await;
        assert_eq!(events, i64::from(!more.contains(&"--dry-run")));
    }
    let shown =
        eventually("the page", || async { Some(page(&install, &up, "9007199254740993").await).filter(|page| page["sku"].is_string()) })
            .await;
    assert_eq!((&shown["title"], &shown["price"]), (&json!("Lampe \"Süd\",\r\nrot"), &json!({ "currency": "CHF", "minorUnits": "1990" })));

    // Nothing is sent under a mapping that does not fit, and nothing under one that can't be read.
    let other = Temporary::new("other.csv", "sku,title\nA,x\n");
    let heading = Temporary::new("heading.csv", "sku,title,price.minorUnits\n");
    let unnamed = Temporary::new("unnamed.csv", "sku,title,price.minorUnits\nA,x,1\n");
    for (args, said) in [
        (["load", "catalogue", &heading.path(), "--url", &up.commands], "has no rows"),
        (["load", "catalogue", &other.path(), "--map", &map_path], "sku (column Artikel)"),
        (["load", "catalogue", &other.path(), "--map", "/no/such/map.toml"], "map.toml can't be read"),
        (["load", "catalogue", &other.path(), "--url", &up.commands], "price (column price.minorUnits or"),
        (["load", "catalogue", &unnamed.path(), "--url", &up.commands], "give --currency"),
    ] {
        let output = install.run(&args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(said), "{said}: {told}");
    }
}
