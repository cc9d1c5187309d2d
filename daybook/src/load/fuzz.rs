//! Files that nobody would call a catalogue: each line is a product or told as a bad one, and none takes more memory than a
//! line may have.

use std::io::Write as _;

use daybook_testkit::fuzz::{damaged, damaged_json};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::input::{Lines, MAX_LINE};
use super::report::{LONGEST_REASON, LoadReport};
use super::row;

fn a_row() -> impl Strategy<Value = Value> {
    ("[A-Za-z0-9._-]{1,20}", "\\PC{1,40}", 0..1_000_000_i64, any::<(f64, bool, String)>()).prop_map(|(id, title, price, (n, b, t))| {
        json!({ "id": id, "title": title, "price": price, "ean": ["1", 2], "attr_n_weight": n, "attr_b_duplex": b, "attr_t_type": t,
            "short_description": t, "supplier": "Xerox", "date_released": "2009-12-10T00:00:00Z" })
    })
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes).expect("memory");
    packer.finish().expect("memory")
}

/// Every line's number and length, or what is wrong with it.
fn lines(bytes: Vec<u8>) -> Vec<(u64, Result<usize, String>)> {
    Lines::of(bytes).map(|(number, line)| (number, line.map(|l| l.len()))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_line_is_a_product_or_told_as_a_bad_row(line in damaged_json(a_row())) {
        match row::product(&line, "EUR") {
            Ok(product) => {
                prop_assert!(serde_json::from_str::<Value>(&product.create().body).is_ok());
                prop_assert!(serde_json::from_str::<Value>(&product.receive("w-1").body).is_ok());
            }
            Err(reason) => {
                prop_assert!(!reason.trim().is_empty());
                let mut report = LoadReport::default();
                report.bad(1, reason);
                prop_assert!(report.first_bad[0].reason.chars().count() <= LONGEST_REASON + 1);
            }
        }
    }

    #[test]
    fn a_file_is_read_to_its_end_or_to_where_it_is_damaged(
        bytes in prop_oneof![
            damaged(prop::collection::vec(a_row(), 1..6).prop_map(|rows| rows.iter().map(|r| format!("{r}\n")).collect::<String>().into_bytes())),
            damaged(prop::collection::vec(a_row(), 1..6).prop_map(|rows| packed(rows.iter().map(|r| format!("{r}\n")).collect::<String>().as_bytes()))),
        ],
    ) {
        let lines = lines(bytes);
        prop_assert!(lines.is_sorted_by(|a, b| a.0 < b.0));
        for (_, line) in &lines {
            match line {
                Ok(length) => prop_assert!((1..=MAX_LINE + 1).contains(length)),
                Err(why) => prop_assert!(!why.is_empty()),
            }
        }
    }

    #[test]
    fn a_packed_file_says_what_it_says_unpacked(rows in prop::collection::vec(a_row(), 0..6)) {
        let text: String = rows.iter().map(|r| format!("{r}\n")).collect();
        prop_assert_eq!(lines(packed(text.as_bytes())), lines(text.into_bytes()));
    }
}

#[test]
fn a_packed_line_without_end_is_one_bad_row() {
    let mut bytes = vec![b'x'; 16 * MAX_LINE];
    bytes.extend_from_slice(b"\nb\n");
    let lines = lines(packed(&bytes));
    assert!(lines[0].1.is_err(), "{:?}", lines[0]);
    assert_eq!(lines[1], (2, Ok(2)));
}

#[test]
fn a_reason_is_told_without_the_whole_line() {
    let line = Value::String("x".repeat(MAX_LINE / 2)).to_string();
    let mut report = LoadReport::default();
    report.bad(1, row::product(line.as_bytes(), "EUR").expect_err("no object"));
    assert!(report.first_bad[0].reason.starts_with("no JSON object: invalid type"), "{:.100}", report.first_bad[0].reason);
    assert!(report.first_bad[0].reason.chars().count() <= LONGEST_REASON + 1);
}
