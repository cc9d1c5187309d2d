use super::super::run::Cursor;
use super::super::{FacetLevel, FacetValue, FacetsAsked, Filter, PriceRange, SearchSort, Suggestion};
use super::*;

fn shop() -> SearchIndex {
    index(&[
        ("mouse-1", item("Laser mouse black", "Logi", "Input > Mice", 2_000)),
        ("mouse-2", item("Optical mouse", "Cherry", "Input > Mice", 1_000)),
        ("pad-1", item("Mouse pad", "Cherry", "Input > Accessories", 500)),
        ("key-1", item("Wireless keyboard", "Logi", "Input > Keyboards", 5_000)),
        ("lap-1", item("Notebook 33.8 cm (13.3\") 2 GB", "HP", "Computers > Notebooks", 60_000)),
        ("hub-1", item("USB-C hub, 4 ports", "Anker", "Cables > Hubs", 3_000)),
        ("ton-1", item("TN-2110 toner cartridge", "Brother", "Printing > Toner", 7_000)),
        ("bat-1", item("AA batteries 4 pack", "Varta", "Power > Batteries", 400)),
        ("wat-1", item("Galaxy Smartwatch", "Samsung", "Wearables", 20_000)),
    ])
}

#[test]
fn words_are_found_in_the_singular_and_the_plural() {
    let shop = shop();
    assert_eq!(found(&shop, &request("battery")), ["bat-1"]);
    assert_eq!(found(&shop, &request("keyboards")), ["key-1"]);
}

#[test]
fn numbers_with_units_and_compounds_are_found_however_they_are_written() {
    let shop = shop();
    for query in ["13.3 inch", "13.3\"", "13.3in"] {
        assert_eq!(found(&shop, &request(query)), ["lap-1"], "{query}");
    }
    for query in ["tn-2110", "tn2110", "TN 2110"] {
        assert_eq!(found(&shop, &request(query)).first().map(String::as_str), Some("ton-1"), "{query}");
    }
    assert_eq!(found(&shop, &request("usbc hub")), ["hub-1"]);
    assert_eq!(found(&shop, &request("smart watch")), ["wat-1"]);
    assert_eq!(found(&shop, &request("key board")), ["key-1"]);
    assert_eq!(found(&shop, &request("lasermouse")).first().map(String::as_str), Some("mouse-1"));
}

#[test]
fn a_number_is_not_answered_by_pieces_of_it() {
    let shop = index(&[
        ("mug", item("Travel mug 18 oz", "A", "B", 1)),
        ("jug", item("Jug 64 oz, 25 pieces", "A", "B", 1)),
        ("weight", item("Dumbbell 5 kg", "A", "B", 1)),
        ("pen", item("Ballpoint MR1864 set of 31", "A", "B", 1)),
    ]);
    for text in ["1864", "6418", "2518", "31.25", "186425", "18645"] {
        assert_eq!(found(&shop, &request(text)), [""; 0], "{text}");
    }
    for (text, key) in
        [("18oz", "mug"), ("18 oz", "mug"), ("64oz", "jug"), ("5kg", "weight"), ("5 kg", "weight"), ("mr1864", "pen"), ("mug18", "mug")]
    {
        assert_eq!(found(&shop, &request(text)).first().map(String::as_str), Some(key), "{text}");
    }
}

#[test]
fn a_misspelt_word_is_taken_for_the_one_it_is_like_and_that_is_told() {
    let shop = shop();
    for typo in ["keybord", "keyboarrd", "keybaord", "kexboard", "kaybord"] {
        let answer = shop.search(&request(typo), &[]);
        assert_eq!(answer.hits.first().map(|h| h.key.as_str()), Some("key-1"), "{typo}");
        assert_eq!(answer.corrected.as_deref(), Some("keyboard"), "{typo}");
    }
    assert_eq!(shop.search(&request("keyboard"), &[]).corrected, None);
    assert!(found(&shop, &request("qqqqqqqq")).is_empty());
}

#[test]
fn the_title_weighs_most_then_brand_and_category_then_the_description() {
    let in_description = SearchItem { description: "red lamp".into(), ..item("Thing one", "A", "Other", 1) };
    let shop = index(&[
        ("description", in_description),
        ("category", item("Thing two", "A", "Lamp", 1)),
        ("title", item("Lamp three", "A", "Other", 1)),
    ]);
    assert_eq!(found(&shop, &request("lamp")), ["title", "category", "description"]);
}

#[test]
fn what_is_in_stock_stands_first_and_stock_is_counted_over_all_places() {
    let mut shop = shop();
    let before = found(&shop, &request("mouse"));
    shop.stock(&before[0], "w-1", Some(0), 1);
    assert_eq!(found(&shop, &request("mouse")).last(), Some(&before[0]));
    shop.stock(&before[0], "w-2", Some(3), 1);
    assert_eq!(found(&shop, &request("mouse")), before);
    shop.stock(&before[0], "w-2", None, 2);
    assert_eq!(found(&shop, &request("mouse")).last(), Some(&before[0]));
    let only = SearchRequest { filter: Filter { in_stock: Some(true), ..Filter::default() }, ..request("mouse") };
    assert_eq!(found(&shop, &only).len(), before.len() - 1);
}

/// Each of these is worth less than the one before, in stock or not.
#[test]
fn stock_decides_only_between_answers_of_the_same_worth() {
    let described =
        SearchItem { description: "A desk lamp, and a desk, and some lamp of brass".into(), ..item("Brass thing", "A", "B", 1) };
    let mut shop = index(&[
        ("all words, in the description", described),
        ("some words, in stock", item("Desk organiser", "A", "B", 1)),
        ("some words too, in stock", item("Lamp oil", "A", "B", 1)),
        ("the title", item("Brass desk lamp", "A", "B", 1)),
        ("all words", item("Folding brass lamp for a desk", "A", "B", 1)),
        ("all words, in stock", item("Folding brass lamp for a desk", "A", "B", 1)),
    ]);
    for out in ["the title", "all words, in the description", "all words"] {
        shop.stock(out, "w-1", Some(0), 1);
    }
    let keys = found(&shop, &request("brass desk lamp"));
    assert_eq!(keys[..4], ["the title", "all words, in stock", "all words", "all words, in the description"]);
    assert_eq!(keys.len(), 6, "{keys:?}");
}

#[test]
fn where_words_are_asked_for_that_no_product_has_nothing_is_found() {
    let mut shop = shop();
    for text in ["%%%", "🎧", "…", "\u{200b}", "qqqqqqqq", "—", "®"] {
        let answer = shop.search(&request(text), &[]);
        assert_eq!((answer.hits.len(), answer.total), (0, 0), "{text:?}");
    }
    for text in ["", "  ", "\u{a0}\t"] {
        assert_eq!(shop.search(&request(text), &[]).total, shop.len(), "{text:?}");
    }
    shop.put("ear-1", &item("Ear cups 🎧", "Logi", "Audio", 1), 0);
    assert_eq!(found(&shop, &request("🎧")), ["ear-1"]);
    assert_eq!(found(&shop, &request("%%% toner"))[0], "ton-1");
}

#[test]
fn a_title_is_found_by_the_very_form_of_a_word_first() {
    let shop = index(&[("a fan", item("छोटा पंखा", "A", "B", 1)), ("a feather", item("छोटा पंख", "A", "B", 1))]);
    assert_eq!(found(&shop, &request("पंख"))[0], "a feather");
    assert_eq!(found(&shop, &request("पंखा"))[0], "a fan");
}

#[test]
fn a_word_that_is_part_of_a_longer_one_is_found_where_it_is_known_by_nobody() {
    let shop = shop();
    assert_eq!(found(&shop, &request("watch")), ["wat-1"]);
    let mut shop = index(&[("sofa", item("Sofabezug grau", "A", "B", 1)), ("bed", item("Bezug blau", "A", "B", 1))]);
    assert_eq!(found(&shop, &request("bezug")), ["bed"], "no language that writes compounds as one word");
    let german = SearchItem { language: "de".into(), ..item("Sofabezug grau", "A", "B", 1) };
    shop.put("sofa", &german, 1);
    assert_eq!(found(&shop, &request("bezug")), ["bed", "sofa"]);
}

#[test]
fn slips_are_corrected_and_words_completed_in_every_script() {
    for (title, slip, begun) in [
        ("Самовар медный", "самавар", "само"),
        ("Βραστήρας νερού", "βραστιρας", "βραστ"),
        ("מחברת שורות", "מחברט", "מחב"),
        ("Blåbærsyltetøy", "blobærsyltetøy", "blåb"),
        ("Žárovka kulatá", "žarofka", "žár"),
        ("Kåldolmer økologisk", "økolagisk", "øko"),
    ] {
        let shop = index(&[("it", item(title, "A", "B", 1)), ("other", item("Something else", "A", "B", 1))]);
        let answer = shop.search(&request(slip), &[]);
        assert_eq!(answer.hits.first().map(|h| h.key.as_str()), Some("it"), "{slip}");
        assert!(answer.corrected.is_some(), "{slip}");
        assert!(!words(&shop, begun).is_empty(), "{begun}");
    }
}

#[test]
fn markup_is_not_searched_and_what_is_shown_keeps_it() {
    let marked = SearchItem {
        description: "<strong class=\"wide\">Oak</strong>&nbsp;board<br>sanded".into(),
        ..item("Table <i>top</i>", "A", "B", 1)
    };
    let shop = index(&[("it", marked)]);
    for text in ["strong", "wide", "nbsp", "br", "class", "i"] {
        assert!(found(&shop, &request(text)).is_empty(), "{text}");
    }
    for text in ["oak", "board", "sanded", "table top"] {
        assert_eq!(found(&shop, &request(text)), ["it"], "{text}");
    }
    assert_eq!(shop.get("it").expect("it is there").title, "Table <i>top</i>");
}

#[test]
fn stock_that_comes_before_its_product_is_not_lost() {
    let mut shop = index(&[]);
    shop.stock("A-1", "w-1", Some(2), 0);
    assert!(shop.is_empty());
    shop.put("A-1", &item("Lamp", "", "", 1), 0);
    assert!(shop.get("A-1").expect("it is there").in_stock);
}

#[test]
fn facets_are_counted_under_the_other_filters() {
    let shop = shop();
    let facets = FacetsAsked { brand: true, category: true, price: true, ..FacetsAsked::default() };
    let filter = Filter { brands: vec!["Cherry".into()], categories: vec!["Input".into()], ..Filter::default() };
    let answer = shop.search(&SearchRequest { facets, filter, ..request("") }, &[1_000, 3_000]);
    assert_eq!(answer.total, 2);
    let value = |value: &str, count| FacetValue { value: value.to_owned(), count };
    assert_eq!(answer.facets.brand, Some(vec![value("Cherry", 2), value("Logi", 2)]), "brands of the category, whatever the brand");
    let categories = answer.facets.category.expect("asked for");
    let level = |path: &[&str], count| FacetLevel { path: path.iter().map(|p| (*p).to_owned()).collect(), count };
    assert_eq!(categories, [level(&["Input"], 2), level(&["Input", "Accessories"], 1), level(&["Input", "Mice"], 1)], "of the brand");
    let ranges = [PriceRange { from: 0, to: Some(1_000), count: 1 }, PriceRange { from: 1_000, to: Some(3_000), count: 1 }];
    assert_eq!(answer.facets.price.expect("asked for"), ranges);
}

#[test]
fn sorting_is_what_it_says() {
    let shop = shop();
    let by = |sort| found(&shop, &SearchRequest { sort, ..request("mouse") });
    assert_eq!(by(SearchSort::PriceAscending), ["pad-1", "mouse-2", "mouse-1"]);
    assert_eq!(by(SearchSort::PriceDescending), ["mouse-1", "mouse-2", "pad-1"]);
    assert_eq!(by(SearchSort::Title), ["mouse-1", "pad-1", "mouse-2"]);
    let older = SearchItem { created: 1, ..item("Lamp", "", "", 1) };
    let newer = SearchItem { created: 2, ..item("Lamp", "", "", 1) };
    let shop = index(&[("a", older), ("b", newer)]);
    assert_eq!(found(&shop, &SearchRequest { sort: SearchSort::Newest, ..request("") }), ["b", "a"]);
}

#[test]
fn some_words_suffice_when_few_have_all() {
    let shop = shop();
    let keys = found(&shop, &request("logi mouse pad"));
    assert!(keys.len() >= 3, "{keys:?}");
    assert!(["mouse-1", "pad-1"].contains(&keys[0].as_str()), "most of the words first: {keys:?}");
}

/// While others change, vanish and appear, every product that stays is told once.
#[test]
fn pages_neither_repeat_nor_leave_out_what_stays_while_others_change() {
    let names: Vec<String> = (0..60).map(|n| format!("lamp-{n:02}")).collect();
    let mut shop = index(&[]);
    for (n, name) in (0_i64..).zip(&names) {
        shop.put(name, &item(&format!("Lamp {}", "bright ".repeat(n as usize % 4 + 1)), "Lux", "Lamps", n), 0);
    }
    let ask = SearchRequest { limit: 7, ..request("bright lamp") };
    let mut told: Vec<String> = Vec::new();
    let mut from = None;
    for round in 0.. {
        let answer = shop.page(&ask, &[], from.take());
        told.extend(answer.hits.iter().map(|h| h.key.clone()));
        // Products that are not yet, or no longer, part of this: the corpus' statistics change under the pages.
        shop.put(&format!("new-{round}"), &item("Bright bright lamp of a new kind", "Lux", "Lamps", 1), 1);
        shop.remove(&format!("new-{}", round - 2), 2);
        let Some(next) = answer.next else { break };
        from = Some((answer.plan, next));
    }
    told.retain(|key| key.starts_with("lamp"));
    let mut once = told.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), told.len(), "nothing twice");
    assert_eq!(once, names, "nothing left out");
}

#[test]
fn a_product_that_is_gone_is_found_no_more_and_a_changed_one_as_it_is_now() {
    let mut shop = shop();
    shop.remove("mouse-1", 1);
    assert!(!found(&shop, &request("laser")).contains(&"mouse-1".to_owned()));
    shop.put("mouse-2", &item("Trackball", "Cherry", "Input > Mice", 1_000), 1);
    assert_eq!(found(&shop, &request("trackball")), ["mouse-2"]);
    assert!(found(&shop, &request("optical")).is_empty());
    shop.put("mouse-2", &item("Optical mouse", "Cherry", "Input > Mice", 1_000), 0);
    assert_eq!(found(&shop, &request("trackball")), ["mouse-2"], "older is not newer");
}

fn words(index: &SearchIndex, text: &str) -> Vec<String> {
    let words = |s: &Suggestion| match s {
        Suggestion::Words { text, .. } => Some(text.clone()),
        _ => None,
    };
    index.suggest(text, 8).iter().filter_map(words).collect()
}

#[test]
fn what_is_being_typed_is_completed() {
    let shop = shop();
    assert_eq!(words(&shop, "mo"), ["mouse"]);
    assert_eq!(words(&shop, "laser mo"), ["laser mouse"]);
    assert_eq!(words(&shop, "batt"), ["batteries"], "as products write it");
    assert_eq!(words(&shop, "kyeb"), ["keyboard"], "a slip");
    assert!(words(&shop, "laser keyb").is_empty(), "nothing has both");
    let all = shop.suggest("logi", 8);
    assert!(all.contains(&Suggestion::Brand { name: "Logi".into(), count: 2 }), "{all:?}");
    assert!(all.iter().any(|s| matches!(s, Suggestion::Product(_))), "{all:?}");
    assert!(shop.suggest("  ", 8).is_empty());
}

#[test]
fn nothing_that_is_typed_does_harm() {
    let shop = shop();
    for text in ["\u{0}", "%_\\", "'\"", "\u{202e}abc", "🎧 🎧", "-", "a b c d e f g h i j k l m n o p q r s t", "the of and"] {
        let _ = shop.search(&request(text), &[]);
        let _ = shop.suggest(text, 8);
    }
    let behind_all = Cursor { rank: u128::MAX, title: String::new(), key: String::new() };
    assert!(shop.page(&request("mouse"), &[], Some((shop.plan("mouse"), behind_all))).hits.is_empty());
}
