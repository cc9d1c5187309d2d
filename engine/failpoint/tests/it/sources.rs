//! The list of places, compared with the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use daybook_failpoint::{NO_ADVISORY_LOCK, POINTS, SWITCHES};

/// Every Rust source of the workspace but this crate's own and other crates' tests.
fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let entry = entry.expect("a readable folder");
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if entry.file_type().expect("a file's type").is_dir() {
            if !name.starts_with('.') && !matches!(name.as_str(), "target" | "tests" | "failpoint") {
                sources(&path, into);
            }
        } else if name.ends_with(".rs") {
            into.push(path);
        }
    }
}

/// The text in quotes, or else the first word, behind each of these calls.
fn calls(text: &str, function: &str) -> Vec<String> {
    let behind = text.split(function).skip(1);
    behind
        .map(|rest| {
            let rest = rest.trim_start();
            let (ends, rest): (&[char], &str) = rest.strip_prefix('"').map_or((&[')', ','], rest), |quoted| (&['"'], quoted));
            rest.split(ends).next().unwrap_or_default().trim().to_owned()
        })
        .collect()
}

fn called(function: &str) -> BTreeSet<String> {
    let mut all = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."), &mut all);
    all.iter().flat_map(|path| calls(&fs::read_to_string(path).expect("text"), function)).collect()
}

#[test]
fn every_place_on_the_list_is_in_the_sources_and_every_place_in_the_sources_is_on_the_list() {
    let listed: BTreeSet<String> = POINTS.iter().map(|p| (*p).to_owned()).collect();
    assert_eq!(listed.len(), POINTS.len(), "each once");
    assert_eq!(called("daybook_failpoint::reach("), listed);
    assert!(called("daybook_failpoint::is_armed(").is_subset(&listed));
}

#[test]
fn every_switch_is_looked_at() {
    assert_eq!(SWITCHES, [NO_ADVISORY_LOCK]);
    assert_eq!(called("daybook_failpoint::is_on("), BTreeSet::from(["daybook_failpoint::NO_ADVISORY_LOCK".to_owned()]));
}

#[test]
fn calls_are_found_however_they_are_written() {
    let text = "x::reach(\"a.b\"); x::reach(\n    \"c\",\n); x::reach(NAME)";
    assert_eq!(calls(text, "x::reach("), ["a.b", "c", "NAME"]);
}
