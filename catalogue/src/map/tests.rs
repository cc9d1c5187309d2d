use super::*;

const MAP: &str = r#"
[file]
format = "json"
[product]
sku = "id"
title = ["title", "name"]
description = "text"
brand = { constant = "Acme" }
gtins = "ean"
manufacturer_number = "mpn"
language = "lang"
[price]
column = "price"
unit = "decimal"
decimal_mark = ","
currency = { column = "currency" }
[attributes]
numbers = "as-written"
yes = "Y"
no = "N"
[attributes.columns]
name = { column = "name", unless_equal = "title" }
released = { column = "date", without_suffix = "T00:00:00Z" }
[[attributes.prefixes]]
prefix = "t_"
[[attributes.prefixes]]
prefix = "n_"
on_clash = "n_"
[categories]
words = [["toner cartridge", "Printing > Toner"], ["toner", "Printing"]]
[[categories.rules]]
column = "category"
[[categories.rules]]
words_of = "kind"
[[categories.rules]]
column = "kind"
begins_with_letter = true
length = [3, 10]
[[categories.rules]]
column = "type"
equals = ["Original"]
category = "Supplies"
[[categories.rules]]
category = "Other"
[[skip]]
column = "id"
equals = ["POST", "7"]
[[skip]]
column = "title"
empty = true
"#;

/// The fields that every row says.
const LEAST: Said = Said {
    title: true,
    price: true,
    description: false,
    brand: false,
    category: false,
    gtins: false,
    manufacturer_number: false,
    language: false,
    attributes: false,
};

fn apply(map: &str, json: &str) -> What {
    let row = Row::from_json(json.as_bytes(), 1).expect("a row");
    Mapping::parse(map).expect("a good mapping").apply(&row, Some("EUR"))
}

fn product(map: &str, json: &str) -> Product {
    match apply(map, json) {
        What::Product(product) => *product,
        other => panic!("{json}: {other:?}"),
    }
}

fn bad(map: &str, json: &str) -> String {
    match apply(map, json) {
        What::Bad { reason, .. } => reason,
        other => panic!("{json}: {other:?}"),
    }
}

#[test]
fn columns_become_fields_as_the_mapping_says() {
    let json = r#"{"id":9007199254740993,"name":"006R","title":" Xerox 006R ","text":"Toner","price":"49,95","currency":"USD",
        "date":"2009-12-10T00:00:00Z","t_type":"Original","n_weight":6.0,"t_weight":"light","t_duplex":false,"t_empty":"","t_null":null,
        "t_list":["a",1.50,null],"kind":"Toner cartridges","ean":["4006381333931",96385074,null],"mpn":"006R-90321","lang":"de"}"#;
    let p = product(MAP, json);
    let c = &p.create;
    assert_eq!((c.sku.as_str(), c.title.as_str(), c.brand.as_str()), ("9007199254740993", "Xerox 006R", "Acme"));
    assert_eq!((c.description.as_str(), c.category.as_str()), ("Toner", "Printing > Toner"));
    assert_eq!(c.price, Some(Money { currency: "USD".into(), minor_units: 4_995 }));
    assert_eq!(
        (c.gtins.join(" "), c.manufacturer_number.as_str(), c.language.as_str()),
        ("4006381333931 96385074".into(), "006R-90321", "de")
    );
    let expected = [
        ("duplex", "N"),
        ("list", "a, 1.50"),
        ("n_weight", "6.0"),
        ("name", "006R"),
        ("released", "2009-12-10"),
        ("type", "Original"),
        ("weight", "light"),
    ];
    assert_eq!(c.attributes, BTreeMap::from(expected.map(|(n, v)| (n.to_owned(), v.to_owned()))));
    let all = Said {
        description: true,
        brand: true,
        category: true,
        gtins: true,
        manufacturer_number: true,
        language: true,
        attributes: true,
        ..LEAST
    };
    assert_eq!(p.said, all);
}

#[test]
fn what_a_row_does_not_have_is_not_said() {
    let p = product(MAP, r#"{"id":"A","title":"t","price":"1"}"#);
    assert_eq!(p.said, Said { brand: true, category: true, ..LEAST });
    let none =
        "[product]\nsku = \"id\"\ntitle = \"title\"\n[price]\ncolumn = \"price\"\nunit = \"minor\"\ncurrency = { constant = \"JPY\" }";
    let p = product(none, r#"{"id":"A","title":"t","price":1980}"#);
    assert_eq!((p.said, p.create.price), (LEAST, Some(Money { currency: "JPY".into(), minor_units: 1_980 })));
}

#[test]
fn the_first_rule_that_gives_a_category_counts() {
    for (column, category) in [
        (r#""category":"Given > So","kind":"toner""#, "Given > So"),
        (r#""kind":"Laser toner""#, "Printing"),
        (r#""kind":"Nail polish""#, "Other"),
        (r#""kind":"Polish""#, "Polish"),
        (r#""kind":"1 pc","type":"Original""#, "Supplies"),
        (r#""type":"other""#, "Other"),
    ] {
        let p = product(MAP, &format!(r#"{{"id":"A","title":"t","price":"1",{column}}}"#));
        assert_eq!(p.create.category, category, "{column}");
    }
}

#[test]
fn rows_are_skipped_by_a_value_or_by_none() {
    for json in [r#"{"id":"POST","title":"t"}"#, r#"{"id":7.0,"title":"t"}"#, r#"{"id":"A","title":" "}"#, r#"{"id":"A"}"#] {
        assert!(matches!(apply(MAP, json), What::Skipped(_)), "{json}");
    }
}

#[test]
fn an_amount_has_the_decimals_of_its_own_rows_currency() {
    for (currency, price, minor_units) in [("EUR", "19,9", 1990), ("JPY", "1980", 1980), ("KWD", "0,01", 10), ("KWD", "12,345", 12_345)] {
        let row = format!(r#"{{"id":"1","title":"t","price":"{price}","currency":"{currency}"}}"#);
        assert_eq!(product(MAP, &row).create.price, Some(Money { currency: currency.into(), minor_units }), "{currency} {price}");
    }
}

#[test]
fn everything_that_is_wrong_with_a_row_is_said_with_its_sku() {
    assert_eq!(bad(MAP, r#"{"title":"t","lang":"german"}"#).matches("; ").count(), 2, "sku, price and language, each once");
    for (json, said) in [
        (r#"{"title":"t","price":"1"}"#, &["sku is missing (column id)"][..]),
        (r#"{"id":"1","title":"t"}"#, &["price is missing"]),
        (r#"{"id":"1","title":"t","price":"1.5"}"#, &["price must be a number of digits with `,`"]),
        (r#"{"id":"1","title":"t","price":"1,505"}"#, &["price has more than 2 decimal places: 1,505"]),
        (r#"{"id":"1","title":"t","price":"1,5","currency":"JPY"}"#, &["price must be a whole number"]),
        (r#"{"id":"1","title":"t","price":"-1"}"#, &["price.minorUnits must be at least 0"]),
        (r#"{"id":"1","title":"t","price":[1]}"#, &["price must be a number, \"price\" is none"]),
        (r#"{"id":"1","title":"t","price":"1","currency":"EURO"}"#, &["price.currency"]),
        (r#"{"id":"1","title":"t","price":"1","ean":"4006381333931;4006381333932"}"#, &["gtins[1] must be a GTIN that ends with"]),
        (r#"{"id":"1","title":"t","price":"1","lang":"german"}"#, &["language must be a language tag"]),
        (r#"{"id":"a b","title":"t","price":"1"}"#, &["sku must be"]),
        (r#"{"id":"1","title":"t\u0000","price":"1"}"#, &["U+0000"]),
        (r#"{"id":"1","title":"t","price":"1","text":[{}]}"#, &["description: \"text\" holds an object"]),
        (r#"{"id":"1","title":"t","price":"x","t_a":[{}],"text":[{}]}"#, &["description: ", "; price must", "; \"t_a\" holds an object"]),
        // Broken rules beside unreadable fields, in the order of the fields; of one field once.
        (
            r#"{"id":"a b","title":"\u0000","text":[{}],"price":"x","currency":"EURO","lang":"german"}"#,
            &[
                "sku must be 1 to 128 characters of A-Z a-z 0-9 . _ -, is \"a b\"; title must not",
                "; description: ",
                "; price must",
                "; language must be",
            ],
        ),
    ] {
        let reason = bad(MAP, json);
        assert!(said.iter().all(|part| reason.contains(part)), "{json}: {reason}");
    }
    let clash = "[product]\nsku = \"id\"\ntitle = \"title\"\n[price]\ncolumn = \"price\"\nunit = \"minor\"\n[attributes]\nprefixes = [{ prefix = \"a_\" }, { prefix = \"b_\" }]";
    let reason = bad(clash, r#"{"id":"1","title":"t","price":1,"a_x":1,"b_x":2}"#);
    assert!(reason.contains("two columns are the attribute \"x\"") && reason.contains("on_clash"), "{reason}");
    assert!(matches!(apply(MAP, r#"{"id":"S-1","title":"t"}"#), What::Bad { sku: Some(sku), .. } if sku == "S-1"));
}

#[test]
fn a_text_that_is_too_long_is_cut_and_counted() {
    let json = format!(r#"{{"id":"1","title":"{}","price":"1","t_long":"{}"}}"#, "ä".repeat(501), "x".repeat(9_000));
    let p = product(MAP, &json);
    assert_eq!(p.shortened, 2);
    assert_eq!(p.create.title.chars().count(), 500);
    assert!(p.create.title.ends_with('…'));
}

#[test]
fn numbers_that_are_no_gtins_are_left_out_and_counted_where_the_mapping_says_so() {
    let map = MAP.replace("gtins = \"ean\"", "gtins = \"ean\"\nleave_out_bad_gtins = true");
    let p = product(&map, r#"{"id":"1","title":"t","price":"1","ean":["4006381333931","4006381333932",7,true]}"#);
    assert_eq!((p.create.gtins, p.bad_gtins), (vec!["4006381333931".to_owned()], 3));
}

#[test]
fn a_mapping_that_can_not_be_meant_is_refused_with_line_or_key() {
    let with = |from: &str, to: &str| {
        assert!(MAP.contains(from), "{from}");
        Mapping::parse(&MAP.replacen(from, to, 1)).err().map(|e| e.to_string()).unwrap_or_default()
    };
    for (from, to, said) in [
        ("[product]", "[produkt]", &["line 4", "unknown field `produkt`", "`product`"][..]),
        ("sku = \"id\"", "sku = 7", &["line 5", "a column (\"name\")"]),
        ("sku = \"id\"", "", &["product.sku is missing"]),
        ("sku = \"id\"", "sku = \"\"", &["line 5", "not empty"]),
        ("{ constant = \"Acme\" }", "{ konstant = \"Acme\" }", &["line 8", "unknown field `konstant`"]),
        ("{ constant = \"Acme\" }", "{ constant = \"Acme\", column = \"b\" }", &["line 8", "either column or constant"]),
        ("unit = \"decimal\"", "unit = \"cents\"", &["line 14", "unknown variant `cents`", "`minor`"]),
        ("unit = \"decimal\"", "unit = \"decimal\"\nplaces = 2", &["line 15", "unknown field `places`"]),
        ("decimal_mark = \",\"", "decimal_mark = \"'\"", &["price.decimal_mark"]),
        ("{ column = \"currency\" }", "{ constant = \"EURO\" }", &["price.currency"]),
        ("format = \"json\"", "delimiter = \"ab\"", &["file.delimiter must be one ASCII character"]),
        ("\"toner cartridge\"", "\"Toner-Cartridge\"", &["categories words", "write \"toner cartridge\""]),
        ("words_of = \"kind\"", "", &["categories rule 2 needs one of"]),
        ("words = [", "woerter = [", &["unknown field `woerter`"]),
        ("empty = true", "", &["skip 2 needs either"]),
        ("[product]", "[product", &["line 4"]),
    ] {
        let error = with(from, to);
        assert!(said.iter().all(|part| error.contains(part)), "{to}: {error}");
    }
    assert!(Mapping::own().is_ok());
}

#[test]
fn a_mapping_takes_from_its_base_the_sections_that_it_has_not() {
    let folder = std::env::temp_dir().join(format!("shop-catalogue-maps-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("a file");
    write("base.toml", MAP);
    write("other.toml", "based_on = \"base.toml\"\n[attributes]\nprefixes = [{ prefix = \"t_\", keep = true }]");
    write("third.toml", "based_on = \"other.toml\"");
    let row = Row::from_json(br#"{"id":"A","title":"t","price":"1,5","kind":"toner","t_a":"x","name":"n"}"#, 1).expect("a row");
    let What::Product(p) = Mapping::read(&folder.join("other.toml")).expect("good").apply(&row, Some("EUR")) else { panic!("no product") };
    assert_eq!(p.create.category, "Printing");
    assert_eq!(p.create.attributes, BTreeMap::from([("t_a".to_owned(), "x".to_owned())]));
    assert!(Mapping::read(&folder.join("third.toml")).is_err_and(|e| e.to_string().contains("one step is taken")));
    assert!(Mapping::read(&folder.join("none.toml")).is_err_and(|e| e.to_string().contains("none.toml can't be read")));
    std::fs::remove_dir_all(&folder).expect("it was made");
}
