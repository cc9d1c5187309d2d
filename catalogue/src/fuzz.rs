//! Files that nobody would call a catalogue: each row is a product or told as a bad one, and none takes more memory than a
//! row may have.

use std::io::{Cursor, Write as _};

use daybook_testkit::fuzz::{damaged, damaged_json};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::bytes::{MAX_ROW, text};
use crate::catalogue::tests::of;
use crate::row::Row;
use crate::rows::{Format, Rows};
use crate::{Mapping, What};

fn a_row() -> impl Strategy<Value = Value> {
    ("[A-Za-z0-9._-]{1,20}", "\\PC{1,40}", 0..1_000_000_i64, any::<(f64, bool, String)>()).prop_map(|(id, title, price, (n, b, t))| {
        json!({ "sku": format!("S{id}"), "title": format!("T{title}"), "price": { "currency": "EUR", "minorUnits": price }, "brand": "Xerox",
            "attributes": { "weight": n, "duplex": b, "type": t, "ean": ["1", 2] }, "description": t })
    })
}

fn lines(rows: &[Value]) -> Vec<u8> {
    rows.iter().flat_map(|r| format!("{r}\n").into_bytes()).collect()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes).expect("memory");
    packer.finish().expect("memory")
}

/// Every row's line, and whether it is one.
fn read(bytes: Vec<u8>) -> Vec<(u64, Result<Row, String>)> {
    match text(Box::new(Cursor::new(bytes))).and_then(|bytes| Rows::new(bytes, Format::Any, None)) {
        Ok(rows) => rows.collect(),
        Err(why) => {
            assert!(!why.is_empty());
            Vec::new()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_row_is_a_product_or_told_as_a_bad_one(line in damaged_json(a_row())) {
        if let Ok(row) = Row::from_json(&line, 1) {
            match Mapping::own().expect("own").apply(&row, Some("EUR")) {
                What::Product(product) => prop_assert!(!product.create.sku.is_empty()),
                What::Bad { reason, .. } => prop_assert!(!reason.trim().is_empty()),
                What::Skipped(why) => prop_assert!(false, "{why}"),
            }
        }
    }

    #[test]
    fn a_file_is_read_to_its_end_or_to_where_it_is_damaged(
        bytes in prop_oneof![
            damaged(prop::collection::vec(a_row(), 1..6).prop_map(|rows| lines(&rows))),
            damaged(prop::collection::vec(a_row(), 1..6).prop_map(|rows| packed(&lines(&rows)))),
            damaged(prop::collection::vec(a_row(), 1..6).prop_map(|rows| serde_json::to_vec_pretty(&rows).expect("JSON"))),
            damaged(prop::collection::vec(("[a-z\",;\n]{0,9}", "[0-9]{0,3}"), 1..9).prop_map(|rows| {
                let rows: String = rows.iter().map(|(a, b)| format!("{a},{b}\n")).collect();
                format!("a,b\n{rows}").into_bytes()
            })),
        ],
    ) {
        let rows = read(bytes);
        prop_assert!(rows.is_sorted_by(|a, b| a.0 <= b.0));
        prop_assert!(rows.iter().all(|(_, row)| row.as_ref().err().is_none_or(|why| !why.is_empty())));
    }

    #[test]
    fn the_form_makes_no_difference(rows in prop::collection::vec(a_row(), 0..6)) {
        let columns = |bytes: Vec<u8>| read(bytes).into_iter().map(|(_, row)| row).collect::<Vec<_>>();
        let expected = columns(lines(&rows));
        prop_assert!(expected.iter().all(Result::is_ok));
        prop_assert_eq!(expected.len(), rows.len());
        let pretty: Vec<u8> = rows.iter().flat_map(|r| format!("{r:#}\n").into_bytes()).collect();
        let wide: Vec<u8> = String::from_utf8(lines(&rows)).expect("text").encode_utf16().flat_map(u16::to_le_bytes).collect();
        for form in [packed(&lines(&rows)), pretty, wide, serde_json::to_vec(&rows).expect("JSON"), serde_json::to_vec_pretty(&rows).expect("JSON")] {
            prop_assert_eq!(&columns(form), &expected);
        }
    }

    #[test]
    fn one_damaged_line_spoils_no_other(mut rows in prop::collection::vec(a_row().prop_map(|r| r.to_string().into_bytes()), 2..6), bad in damaged_json(a_row()), at in any::<prop::sample::Index>()) {
        let bad: Vec<u8> = bad.into_iter().filter(|b| *b != b'\n').collect();
        let good = rows.len();
        // The first line tells what the file is.
        rows.insert(1 + at.index(good), bad);
        let read = read(rows.join(&b'\n'));
        prop_assert!(read.iter().filter(|(_, row)| row.is_ok()).count() >= good);
    }
}

#[test]
fn a_packed_line_without_end_is_one_bad_row() {
    let mut bytes = b"{\"a\":1}\n".to_vec();
    bytes.extend(vec![b'x'; 16 * MAX_ROW]);
    bytes.extend_from_slice(b"\n{\"a\":1}\n");
    let rows = read(packed(&bytes));
    assert!(rows.len() == 3 && rows[1].1.is_err() && rows[2].1.is_ok());
}

#[test]
fn a_packed_file_that_was_cut_off_says_where() {
    let rows: Vec<Value> = (0..20_000).map(|i| json!({ "sku": i * 7919 % 20_011, "title": "t", "price": 1 })).collect();
    let packed = packed(&lines(&rows));
    let cut = of(&packed[..packed.len() / 2], Mapping::own().expect("own")).expect("it begins well");
    let all: Vec<_> = cut.collect();
    assert!(all.len() > 1_000);
    let (last, before) = all.split_last().expect("some");
    assert!(before.iter().all(|e| matches!(e.what, What::Product(_))));
    assert!(matches!(&last.what, What::Bad { reason, .. } if reason.contains("can't be read from here on")), "{last:?}");
}
