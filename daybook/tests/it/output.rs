//! What the tools write, and to whom.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Install, catalogue};

/// What a shell reports of a process that SIGPIPE has ended.
const READER_IS_GONE: i32 = 141;

/// Runs it with a standard output that nobody reads; what it says on standard error.
fn unheard(mut command: Command) -> (Option<i32>, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_goes_away_ends_a_tool_quietly() {
    let install = Install::new().await;
    let up = install.up().await;
    let body = json!({ "sku": "A-1", "title": "A lamp", "price": { "currency": "EUR", "minorUnits": 1 } });
    install.post(&up.commands, "catalog/create-product", "k", &body).await.expect("answers");
    let file = catalogue(3);
    let path = file.display().to_string();
    for args in [
        &["replay", "generations"][..],
        &["replay", "generations", "--json"],
        &["replay", "show", "catalog", "product/A-1"],
        &["replay", "verify"],
        &["replay", "diff", "product-pages"],
        &["parked", "list"],
        &["migrate", "--partitions", "3"],
        &["load", "catalogue", &path, "--url", &up.commands],
    ] {
        let (code, said) = unheard(install.unasked(args));
        // On a busy machine a tool tells its progress; that is no complaint.
        let complaints: Vec<&str> = said.lines().filter(|line| !line.ends_with(" s")).collect();
        assert_eq!((code, complaints), (Some(READER_IS_GONE), Vec::new()), "{args:?}");
    }
    assert_eq!(install.count("SELECT count(*) FROM catalog.event").await, 4, "what was loaded is loaded");
    std::fs::remove_file(file).expect("it is there");
}

/// Exit code, and its standard output as JSON, line by line.
fn lines(install: &Install, args: &[&str]) -> (Option<i32>, Vec<Value>) {
    let output = install.run(&[args, &["--json"]].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"));
    (output.status.code(), text.lines().map(value).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_verb_has_its_answer_as_lines_of_json() {
    let install = Install::new().await;
    let up = install.up().await;
    let body = json!({ "sku": "A-1", "title": "A lamp", "price": { "currency": "EUR", "minorUnits": 1 } });
    let (_, result) = install.post(&up.commands, "catalog/create-product", "k", &body).await.expect("answers");
    let token = result["token"].as_str().expect("a token").to_owned();
    install.verify().await;
    let model = "product-pages";
    let as_of = |key| ["replay", "as-of", model, key, "--token", &token];
    for (args, code, member) in [
        (&["replay", "verify"][..], 0, "partitions"),
        (&["replay", "show", "catalog", "product/A-1"], 0, "events"),
        (&["replay", "reconcile", "catalog"], 0, "ahead"),
        (&["replay", "diff", model], 0, "identical"),
        (&["replay", "rebuild", model, "--keep"], 0, "outcome"),
        (&["replay", "promote", model, "--wait", "10"], 0, "to"),
        (&["replay", "generations", model], 0, "sources"),
        (&as_of("A-1"), 0, "model"),
        (&as_of("A-2"), 1, ""),
    ] {
        let (found, lines) = lines(&install, args);
        assert_eq!(found, Some(code), "{args:?}");
        assert!(!lines.is_empty() && lines.iter().all(|line| line.get(member).is_some() != member.is_empty()), "{args:?}: {lines:?}");
    }
    assert_eq!(lines(&install, &["parked", "list"]), (Some(0), vec![]));
    let (_, generations) = lines(&install, &["replay", "generations", model]);
    let live: Vec<&Value> = generations.iter().filter(|g| g["state"] == "live").collect();
    assert_eq!(live.len(), 1, "{generations:?}");
    // A refusal is no answer: standard output stays empty.
    let number = live[0]["generation"].to_string();
    assert_eq!(lines(&install, &["replay", "retire", model, "--generation", &number]), (Some(1), vec![]));
    let kept = generations.iter().find(|g| g["state"] == "kept").expect("the one before")["generation"].clone();
    let retired = lines(&install, &["replay", "retire", model, "--generation", &kept.to_string()]);
    assert_eq!(retired, (Some(0), vec![json!({ "projection": model, "retired": kept })]));
}

/// `head` ends after its lines; what it got are whole ones, and the tool beside it ends as others do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_lines_of_a_tool_are_whole() {
    let install = Install::new().await;
    let tool = install.unasked(&["replay", "generations"]);
    let mut shell = Command::new("bash");
    shell.args(["-c", "set -o pipefail; \"$0\" replay generations | (read -r line; echo \"$line\"; exec <&-; sleep 1)"]);
    shell.arg(tool.get_program()).envs(tool.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = shell.env_remove("DAYBOOK_LOG").output().expect("a shell runs");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let whole = install.run(&["replay", "generations"]);
    let whole = String::from_utf8_lossy(&whole.stdout).into_owned();
    assert_eq!(lines.lines().next(), whole.lines().next());
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_whose_standard_error_is_gone_does_its_work() {
    let install = Install::new().await;
    let up = install.up().await;
    let file = catalogue(3);
    let mut load = install.unasked(&["load", "catalogue", &file.display().to_string(), "--url", &up.commands, "--log", "debug"]);
    let mut child = load.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    drop(child.stderr.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("3 created"));
    std::fs::remove_file(file).expect("it is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_say_what_they_are_asked_for_and_roles_what_they_do() {
    let install = Install::new().await;
    let up = install.up().await;
    for n in 0..3 {
        let body = json!({ "sku": "A-1", "warehouse": "w-1", "quantity": 4 });
        install.post(&up.commands, "inventory/receive-stock", &n.to_string(), &body).await.expect("answers");
    }
    // Its row goes behind the others: a rebuild notes that, for those who want to know.
    let moved = "SET session_replication_role = replica; UPDATE inventory.event SET payload = payload WHERE version = 1";
    install.database.owner().await.batch_execute(moved).await.expect("the owner may");
    let logged = |args: &[&str]| {
        let output = install.unasked(args).output().expect("the binary runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert_eq!(logged(&["migrate", "--partitions", "3"]), "");
    // How far it has got is told every few seconds where it takes so long; that is no log.
    let rebuilt = logged(&["replay", "rebuild", "product-pages"]);
    assert!(!rebuilt.contains("INFO") && !rebuilt.contains("WARN"), "{rebuilt}");
    assert!(logged(&["replay", "rebuild", "product-pages", "--log", "info"]).contains("INFO"));
    let by_rust_log = install.unasked(&["replay", "rebuild", "product-pages"]).env("RUST_LOG", "info").output().expect("it runs");
    assert!(String::from_utf8_lossy(&by_rust_log.stderr).contains("INFO"));
    let wrong = install.unasked(&["replay", "generations", "--log", "a=b=c"]).output().expect("it runs");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("--log"), "{}", String::from_utf8_lossy(&wrong.stderr));

    let mut role = install.unasked(&["projectors"]);
    let mut role = role.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(role.stderr.take().expect("piped")));
    let logs = lines.any(|line| line.is_ok_and(|line| line.contains("INFO")));
    role.kill().expect("it runs");
    role.wait().expect("it ends");
    assert!(logs, "a role that serves logs what it does");
}
