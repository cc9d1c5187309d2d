//! A product: what it is, what it costs, and whether shoppers see it.

use std::collections::BTreeMap;

use daybook_kernel::{Context, Decider, Decision, Instant};
use shop_proto::catalog::v1::*;

/// A product of the catalogue. Stream `product/{sku}`.
pub struct Product;

/// The most attributes that a product may have. Field rules hold one command to it; this holds the product.
const MAX_ATTRIBUTES: usize = 300;
/// The most bytes that their names and values may have together: so that a product that is revised again and again stays
/// what fits into a page, a push and a cache.
const MAX_ATTRIBUTE_BYTES: usize = 256 * 1024;
/// The most GTINs that a product may have: each package of it has one, and some are sold in a hundred.
const MAX_GTINS: usize = 200;
/// The most media that a product may have.
const MAX_MEDIA: usize = 50;

impl Decider for Product {
    type Command = ProductCommand;
    type Event = ProductEvent;
    type State = ProductState;
    type Refusal = ProductRefusal;

    fn decide(state: &ProductState, command: &ProductCommand, context: &Context) -> Decision<Self> {
        use ProductCommand as C;
        let sku = || command.sku().to_owned();
        match (state.status(), command) {
            (_, C::CreateProduct(c)) => create(state, c),
            // Once more, for whatever reason, is already done.
            (ProductStatus::Retired, C::RetireProduct(_)) => Decision::nothing(),
            (ProductStatus::Retired, _) => Decision::refuse(ProductIsRetired { sku: sku(), reason: state.retired_reason.clone() }),
            (ProductStatus::Unspecified, _) => Decision::refuse(ProductUnknown { sku: sku() }),
            (_, C::ReviseProduct(c)) => revise(state, c),
            (_, C::RepriceProduct(c)) => reprice(state, c, context.now()),
            (_, C::CategorizeProduct(c)) if state.category == c.category => Decision::nothing(),
            (_, C::CategorizeProduct(c)) => Decision::event(ProductCategorized::from(c)),
            (_, C::AttachMedia(c)) => attach(state, c),
            (_, C::DetachMedia(c)) if state.media.iter().all(|m| m.url != c.url) => Decision::nothing(),
            (_, C::DetachMedia(c)) => Decision::event(MediaDetached::from(c)),
            (ProductStatus::Published, C::PublishProduct(_)) => Decision::nothing(),
            (_, C::PublishProduct(c)) => publish(state, c),
            (_, C::RetireProduct(c)) => Decision::event(ProductRetired::from(c)),
        }
    }

    fn evolve(state: &mut ProductState, event: &ProductEvent) {
        use ProductEvent as E;
        match event {
            E::ProductCreated(e) => {
                state.set_status(if e.draft { ProductStatus::Draft } else { ProductStatus::Published });
                state.describe(e);
                state.sell(e);
                set_price(state, &Price { list: e.price.clone(), sale: None });
            }
            E::ProductRevised(e) => {
                state.revise(e);
                state.resell(e);
            }
            E::ProductRepriced(e) => {
                if let Some(price) = &e.price {
                    set_price(state, price);
                }
            }
            E::ProductCategorized(e) => state.category.clone_from(&e.category),
            E::MediaAttached(e) => e.apply(&mut state.media),
            E::MediaDetached(e) => state.media.retain(|m| m.url != e.url),
            E::ProductPublished(_) => state.set_status(ProductStatus::Published),
            E::ProductRetired(e) => {
                state.set_status(ProductStatus::Retired);
                state.retired_reason.clone_from(&e.reason);
            }
        }
    }
}

fn set_price(state: &mut ProductState, price: &Price) {
    if let Some(list) = &price.list {
        state.prices.insert(list.currency.clone(), price.clone());
    }
}

/// Refused for a SKU that is taken also when everything is the same: a repeat has the same key and is answered from
/// the ledger, so this is somebody else.
fn create(state: &ProductState, c: &CreateProduct) -> Decision<Product> {
    if state.status() != ProductStatus::Unspecified {
        return Decision::refuse(ProductExists { sku: c.sku.clone() });
    }
    if let Some(refusal) = over_limit(&c.attributes) {
        return Decision::refuse(refusal);
    }
    Decision::event(ProductCreated { gtins: new_numbers(&[], &c.gtins), ..c.into() })
}

/// The event names only what changes.
fn revise(state: &ProductState, c: &ReviseProduct) -> Decision<Product> {
    let mut event = ProductRevised::from(c);
    for (new, old) in [
        (&mut event.title, &state.title),
        (&mut event.description, &state.description),
        (&mut event.brand, &state.brand),
        (&mut event.manufacturer_number, &state.manufacturer_number),
        (&mut event.language, &state.language),
        (&mut event.tax_class, &state.tax_class),
    ] {
        new.take_if(|new| new == old);
    }
    for (new, old) in [(&mut event.weight_grams, state.weight_grams), (&mut event.max_per_order, state.max_per_order)] {
        new.take_if(|new| *new == old);
    }
    event.set_attributes.retain(|name, value| state.attributes.get(name) != Some(value));
    event.removed_attributes.retain(|name| state.attributes.contains_key(name) && !c.set_attributes.contains_key(name));
    event.removed_attributes.sort_unstable();
    event.removed_attributes.dedup();
    let is_in = |gtin: &str, all: &[String]| all.iter().any(|other| same_number(gtin, other));
    event.gtins = new_numbers(&state.gtins, &c.gtins);
    event.removed_gtins = state.gtins.iter().filter(|gtin| is_in(gtin, &c.removed_gtins) && !is_in(gtin, &c.gtins)).cloned().collect();
    if event == (ProductRevised { sku: c.sku.clone(), ..ProductRevised::default() }) {
        return Decision::nothing();
    }
    let mut after = state.clone();
    after.revise(&event);
    if let Some(refusal) = over_limit(&after.attributes) {
        return Decision::refuse(refusal);
    }
    if after.gtins.len() > MAX_GTINS {
        return Decision::refuse(GtinsOverLimit { count: number(after.gtins.len()), limit: number(MAX_GTINS) });
    }
    Decision::event(event)
}

/// Those that are not known yet, each once.
fn new_numbers(known: &[String], gtins: &[String]) -> Vec<String> {
    let mut new: Vec<String> = Vec::new();
    for gtin in gtins {
        if known.iter().chain(&new).all(|other| !same_number(other, gtin)) {
            new.push(gtin.clone());
        }
    }
    new
}

/// Whether two GTINs are one number: a shorter one is a longer one with zeros before it (GS1 General Specifications, 3.3.2).
fn same_number(a: &str, b: &str) -> bool {
    a.trim_start_matches('0') == b.trim_start_matches('0')
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn over_limit(attributes: &BTreeMap<String, String>) -> Option<AttributesOverLimit> {
    let bytes: usize = attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
    (attributes.len() > MAX_ATTRIBUTES || bytes > MAX_ATTRIBUTE_BYTES).then(|| AttributesOverLimit {
        count: number(attributes.len()),
        count_limit: number(MAX_ATTRIBUTES),
        bytes: number(bytes),
        bytes_limit: number(MAX_ATTRIBUTE_BYTES),
    })
}

fn reprice(state: &ProductState, c: &RepriceProduct, now: Instant) -> Decision<Product> {
    let list = c.price.clone().unwrap_or_default();
    if let Some(sale) = &c.sale {
        if sale.minor_units >= list.minor_units {
            return Decision::refuse(SaleNotBelowPrice { currency: list.currency, price: list.minor_units, sale: sale.minor_units });
        }
        if let (Some(starts_at), Some(ends_at)) = (&sale.starts_at, &sale.ends_at)
            && Instant::from_proto(starts_at) >= Instant::from_proto(ends_at)
        {
            return Decision::refuse(SalePeriodEmpty { starts_at: Some(*starts_at), ends_at: Some(*ends_at) });
        }
        // The end is exclusive. Also where the very same price stands already: asked for now, it would lower nothing.
        if let Some(ends_at) = &sale.ends_at
            && Instant::from_proto(ends_at) <= now
        {
            return Decision::refuse(SalePeriodOver { ends_at: Some(*ends_at), now: Some(now.to_proto()) });
        }
    }
    let price = Price { list: Some(list.clone()), sale: c.sale };
    if state.prices.get(&list.currency) == Some(&price) {
        return Decision::nothing();
    }
    Decision::event(ProductRepriced { sku: c.sku.clone(), price: Some(price) })
}

fn attach(state: &ProductState, c: &AttachMedia) -> Decision<Product> {
    let Some(media) = &c.media else { return Decision::nothing() };
    match state.media.iter().find(|m| m.url == media.url) {
        Some(known) if known == media => Decision::nothing(),
        None if state.media.len() >= MAX_MEDIA => Decision::refuse(MediaOverLimit { limit: number(MAX_MEDIA) }),
        _ => Decision::event(MediaAttached::from(c)),
    }
}

fn publish(state: &ProductState, c: &PublishProduct) -> Decision<Product> {
    let fields = [("description", &state.description), ("category", &state.category)];
    let missing: Vec<String> = fields.iter().filter(|(_, value)| value.is_empty()).map(|(name, _)| (*name).to_owned()).collect();
    if missing.is_empty() {
        Decision::event(ProductPublished::from(c))
    } else {
        Decision::refuse(NotPublishable { sku: c.sku.clone(), missing })
    }
}

#[cfg(test)]
mod spec {
    use daybook_kernel::spec::{Given, given, given_nothing, in_turn};
    use daybook_proto::RefusalSet as _;
    use daybook_proto::v1::TextForm;
    use proptest::prelude::*;
    use shop_proto::samples::product::{
        attach, attached, categorize, categorized, create, created, detach, detached, drafted, publish, published, reprice, repriced,
        retire, retired, revise, revised, sale,
    };
    use shop_proto::samples::{LAMP, at, money, sku};

    use super::*;

    /// A product that was created with all that can be said.
    fn lamp() -> Given<Product> {
        lamp_after([])
    }

    /// The same product after these events.
    fn lamp_after(events: impl IntoIterator<Item = ProductEvent>) -> Given<Product> {
        given(std::iter::once(created()).chain(events))
    }

    fn nothing() -> Given<Product> {
        given_nothing()
    }

    #[test]
    fn a_product_is_created_with_all_that_was_said() {
        nothing().when(create()).then([created()]);
    }

    #[test]
    fn a_product_is_published_at_once_unless_it_is_a_draft() {
        nothing().when(create()).then_state(|s| assert_eq!(s.status(), ProductStatus::Published));
        nothing().when(CreateProduct { draft: true, ..create() }).then_state(|s| assert_eq!(s.status(), ProductStatus::Draft));
    }

    #[test]
    fn a_sku_is_taken_also_by_the_very_same_product_and_by_a_retired_one() {
        lamp().when(create()).then_refused(ProductExists { sku: sku() });
        lamp_after([retired()]).when(create()).then_refused(ProductExists { sku: sku() });
    }

    #[test]
    fn what_does_not_exist_cannot_change() {
        let unknown = || ProductUnknown { sku: sku() };
        nothing().when(revise()).then_refused(unknown());
        nothing().when(reprice(money("EUR", 1), None)).then_refused(unknown());
        nothing().when(publish()).then_refused(unknown());
        nothing().when(retire("")).then_refused(unknown());
    }

    #[test]
    fn what_is_retired_does_not_change_and_says_why() {
        let is_retired = || ProductIsRetired { sku: sku(), reason: "broke".into() };
        let history = || lamp_after([retired()]);
        history().when(reprice(money("EUR", 1), None)).then_refused(is_retired());
        history().when(attach("https://a/b.jpg", "")).then_refused(is_retired());
        history().when(detach("https://a/b.jpg")).then_refused(is_retired());
        history().when(categorize("Home")).then_refused(is_retired());
        history().when(publish()).then_refused(is_retired());
    }

    #[test]
    fn retiring_is_done_once() {
        lamp().when(retire("broke")).then([retired()]);
        lamp_after([retired()]).when(retire("other")).then_nothing();
    }

    #[test]
    fn a_revision_says_only_what_changed() {
        let (description, set_attributes) = (Some(String::new()), BTreeMap::from([("watts".into(), "5".into())]));
        let mut command = ReviseProduct { description, set_attributes, ..revise() };
        let event = revised(&command);
        command.title = Some("Lamp".into());
        command.set_attributes.insert("colour".into(), "red".into());
        command.removed_attributes.push("size".into());
        lamp().when(command).then([event]);
    }

    #[test]
    fn a_revision_that_changes_nothing_is_already_done() {
        lamp().when(revise()).then_nothing();
        lamp().when(ReviseProduct { brand: Some("Lux".into()), ..revise() }).then_nothing();
    }

    #[test]
    fn an_attribute_that_is_set_and_removed_is_set() {
        let (set_attributes, removed_attributes) = ([("colour".into(), "blue".into())].into(), vec!["colour".into(), "colour".into()]);
        let command = ReviseProduct { set_attributes, removed_attributes, ..revise() };
        lamp().when(command).then_state(|s| assert_eq!(s.attributes["colour"], "blue"));
    }

    #[test]
    fn attributes_have_a_limit_over_all_revisions() {
        let many = (0..300).map(|n| (n.to_string(), "x".to_owned())).collect();
        let refusal = |count, bytes| AttributesOverLimit { count, count_limit: 300, bytes, bytes_limit: 256 * 1024 };
        // 301: `colour` stands beside them. Bytes: the names' digits, a letter each, and `colour`, `red`.
        let bytes = 10 + 90 * 2 + 200 * 3 + 300 + 9;
        lamp().when(ReviseProduct { set_attributes: many, ..revise() }).then_refused(refusal(301, bytes));
        let long = (0..40).map(|n| (format!("{n:02}"), "x".repeat(8000))).collect();
        nothing().when(CreateProduct { attributes: long, ..create() }).then_refused(refusal(40, 40 * 8002));
    }

    #[test]
    fn the_same_price_again_is_already_done() {
        lamp().when(reprice(money("EUR", 1999), None)).then_nothing();
        lamp_after([repriced(money("EUR", 999), None)]).when(reprice(money("EUR", 999), None)).then_nothing();
    }

    #[test]
    fn a_price_in_another_currency_stands_beside_the_first() {
        lamp().when(reprice(money("USD", 1999), None)).then([repriced(money("USD", 1999), None)]);
        lamp_after([repriced(money("USD", 1999), None)]).when(reprice(money("EUR", 1999), None)).then_nothing();
    }

    #[test]
    fn a_price_is_said_in_full_so_without_a_sale_the_sale_ends() {
        let on_sale = || repriced(money("EUR", 1999), Some(sale(1499)));
        lamp().when(reprice(money("EUR", 1999), Some(sale(1499)))).then([on_sale()]);
        lamp_after([on_sale()]).when(reprice(money("EUR", 1999), Some(sale(1499)))).then_nothing();
        lamp_after([on_sale()]).when(reprice(money("EUR", 1999), None)).then([repriced(money("EUR", 1999), None)]);
    }

    #[test]
    fn a_sale_is_below_the_list_price_and_begins_before_it_ends() {
        let no_lower = SaleNotBelowPrice { currency: "EUR".into(), price: 1999, sale: 1999 };
        lamp().when(reprice(money("EUR", 1999), Some(sale(1999)))).then_refused(no_lower);
        let (starts_at, ends_at) = (Some(at(0)), Some(at(0)));
        let empty = Sale { minor_units: 1, starts_at, ends_at };
        lamp().when(reprice(money("EUR", 1999), Some(empty))).then_refused(SalePeriodEmpty { starts_at, ends_at });
    }

    #[test]
    fn a_price_whose_period_is_over_is_refused_and_one_to_come_is_not() {
        let at = |seconds: i64| Some(at(seconds));
        let on_sale = |from: Option<i64>, to: Option<i64>| Sale { minor_units: 1, starts_at: from.and_then(at), ends_at: to.and_then(at) };
        let euros = |from, to| reprice(money("EUR", 1999), Some(on_sale(from, to)));
        let over = |to| SalePeriodOver { ends_at: at(to), now: at(0) };
        // Over: long ago, with and without a beginning, and at this very moment, for the end is exclusive.
        for (from, to) in [(None, -86_400), (Some(-86_400), -1), (None, 0), (Some(-1), 0)] {
            lamp().when(euros(from, Some(to))).then_refused(over(to));
        }
        // The very same price, which stood when its period ran.
        let ran = repriced(money("EUR", 1999), Some(on_sale(Some(-9), Some(-3))));
        lamp_after([ran]).when(euros(Some(-9), Some(-3))).then_refused(over(-3));
        // Running, to come, and without an end.
        for (from, to) in
            [(None, Some(1)), (Some(-1), Some(1)), (Some(86_400), Some(86_401)), (Some(-86_400), None), (Some(1), None), (None, None)]
        {
            lamp().when(euros(from, to)).then([repriced(money("EUR", 1999), Some(on_sale(from, to)))]);
        }
        // A period that is empty is said to be that, whenever it was; and a price that is no lower is said to be that first.
        lamp().when(euros(Some(-3), Some(-9))).then_refused(SalePeriodEmpty { starts_at: at(-3), ends_at: at(-9) });
        let no_lower = SaleNotBelowPrice { currency: "JPY".into(), price: 1, sale: 1 };
        lamp().when(reprice(money("JPY", 1), Some(on_sale(None, Some(-9))))).then_refused(no_lower);
    }

    #[test]
    fn a_product_moves_to_another_category_once() {
        lamp().when(categorize("Home")).then([categorized("Home")]);
        lamp().when(categorize("Home > Lamps")).then_nothing();
    }

    #[test]
    fn the_levels_of_a_category_are_written_in_one_way_and_a_slash_is_no_separator() {
        for written in ["Audio/Video > A/B testing", "Audio/Video>A/B testing", "  Audio/Video  >\u{a0}A/B testing "] {
            let command = || categorize(written);
            lamp().when(command()).then([categorized("Audio/Video > A/B testing")]);
            lamp_after([categorized("Audio/Video > A/B testing")]).when(command()).then_nothing();
        }
        nothing().when(CreateProduct { category: "Home>Lamps".into(), ..create() }).then([created()]);
    }

    #[test]
    fn a_product_has_each_gtin_once_however_many_zeros_stand_before_it() {
        let twice = vec![LAMP.into(), "036000291452".into(), format!("0{LAMP}"), "0036000291452".into()];
        nothing().when(CreateProduct { gtins: twice, ..create() }).then_state(|s| assert_eq!(s.gtins, [LAMP, "036000291452"]));
        lamp().when(ReviseProduct { gtins: vec![format!("0{LAMP}")], ..revise() }).then_nothing();
    }

    #[test]
    fn a_gtin_comes_and_goes_by_its_number_and_one_that_does_both_stays() {
        let add = || ReviseProduct { gtins: vec!["96385074".into()], ..revise() };
        let remove = |gtin: String| ReviseProduct { removed_gtins: vec![gtin], ..revise() };
        let (added, removed) = (|| revised(&add()), || revised(&remove(LAMP.into())));
        lamp().when(add()).then([added()]);
        lamp().when(remove(format!("0{LAMP}"))).then([removed()]);
        lamp_after([removed()]).when(remove(LAMP.into())).then_nothing();
        let both = ReviseProduct { gtins: vec![LAMP.into(), "96385074".into()], removed_gtins: vec![LAMP.into()], ..revise() };
        lamp().when(both).then([added()]);
        lamp_after([added()]).when(revise()).then_state(|s| assert_eq!(s.gtins, [LAMP, "96385074"]));
    }

    #[test]
    fn a_product_has_only_so_many_gtins_over_all_revisions() {
        let is_gtin = |text: &String| TextForm::Gtin.fault(text).is_none();
        let many: Vec<String> = (0..2_000).map(|n| format!("{:013}", 4_006_381_000_000_u64 + n)).filter(is_gtin).collect();
        lamp().when(ReviseProduct { gtins: many, ..revise() }).then_refused(GtinsOverLimit { count: 201, limit: 200 });
    }

    #[test]
    fn the_makers_number_and_the_language_are_revised_and_taken_away() {
        let command = ReviseProduct { manufacturer_number: Some("LX-100/C".into()), language: Some(String::new()), ..revise() };
        lamp().when(command.clone()).then([revised(&command)]);
        lamp_after([revised(&command)]).when(command).then_nothing();
        let same = ReviseProduct { manufacturer_number: Some("LX-100/B".into()), language: Some("en".into()), ..revise() };
        lamp().when(same).then_nothing();
    }

    #[test]
    fn tax_class_weight_and_limit_are_revised_alone_and_taken_away() {
        let terms = |tax_class: &str, weight_grams, max_per_order| ReviseProduct {
            tax_class: Some(tax_class.into()),
            weight_grams: Some(weight_grams),
            max_per_order: Some(max_per_order),
            ..revise()
        };
        lamp().when(terms("standard", 1_200, 10)).then_nothing();
        let alone = ReviseProduct { weight_grams: Some(900), ..revise() };
        lamp().when(terms("standard", 900, 10)).then([revised(&alone)]);
        let gone = || terms("", 0, 0);
        lamp().when(gone()).then([revised(&gone())]);
        lamp_after([revised(&gone())]).when(gone()).then_nothing();
        lamp_after([revised(&alone)]).when(terms("books", 1_000_000_000, 999_999)).then_state(|s| {
            assert_eq!((s.tax_class.as_str(), s.weight_grams, s.max_per_order), ("books", 1_000_000_000, 999_999));
        });
    }

    #[test]
    fn tax_class_weight_and_limit_keep_to_their_bounds() {
        use daybook_proto::CommandSet as _;
        let told = |create: CreateProduct| ProductCommand::from(create).violations().into_iter().map(|v| v.field).collect::<Vec<_>>();
        assert_eq!(
            told(CreateProduct { tax_class: "x".repeat(40), weight_grams: 1_000_000_000, max_per_order: 999_999, ..create() }),
            [""; 0]
        );
        let beyond = |tax_class: &str| CreateProduct {
            tax_class: tax_class.into(),
            weight_grams: 1_000_000_001,
            max_per_order: 1_000_000,
            ..create()
        };
        for bad in ["Standard", "a b", &"x".repeat(41)] {
            assert_eq!(told(beyond(bad)), ["taxClass", "weightGrams", "maxPerOrder"], "{bad}");
        }
    }

    #[test]
    fn a_medium_is_attached_once_an_address_and_may_be_described_anew() {
        let first = || attached("https://a/1.jpg", "front");
        lamp().when(attach("https://a/1.jpg", "front")).then([first()]);
        lamp_after([first()]).when(attach("https://a/1.jpg", "front")).then_nothing();
        lamp_after([first()]).when(attach("https://a/1.jpg", "back")).then_state(|s| {
            assert_eq!(s.media.iter().map(|m| m.alt.as_str()).collect::<Vec<_>>(), ["back"]);
        });
    }

    #[test]
    fn a_product_has_only_so_many_media_until_one_is_detached() {
        let full = || (0..50).map(|n| attached(&format!("https://a/{n}.jpg"), ""));
        let one_more = || attach("https://a/50.jpg", "");
        lamp_after(full()).when(one_more()).then_refused(MediaOverLimit { limit: 50 });
        lamp_after(full()).when(detach("https://a/x.jpg")).then_nothing();
        lamp_after(full()).when(detach("https://a/7.jpg")).then([detached("https://a/7.jpg")]);
        lamp_after(full().chain([detached("https://a/7.jpg")])).when(one_more()).then([attached("https://a/50.jpg", "")]);
    }

    #[test]
    fn a_draft_is_published_when_it_is_complete_and_says_what_is_missing() {
        let missing = vec!["description".into(), "category".into()];
        given::<Product>([drafted()]).when(publish()).then_refused(NotPublishable { sku: sku(), missing });
        let described = revised(&ReviseProduct { description: Some("Gives light.".into()), ..revise() });
        given::<Product>([drafted(), described, categorized("Home")]).when(publish()).then([published()]);
    }

    #[test]
    fn publishing_what_is_published_is_already_done() {
        lamp().when(publish()).then_nothing();
    }

    #[test]
    fn refusals_have_stable_codes() {
        let code = |refusal: ProductRefusal| refusal.code();
        assert_eq!(code(ProductExists::default().into()), "product-exists");
        assert_eq!(code(ProductUnknown::default().into()), "product-unknown");
        assert_eq!(code(ProductIsRetired::default().into()), "product-is-retired");
        assert_eq!(code(NotPublishable::default().into()), "not-publishable");
    }

    fn any_command() -> impl Strategy<Value = ProductCommand> {
        let word = || "[a-c]{0,2}";
        let attributes = || prop::collection::btree_map("[a-c]", word(), 0..3);
        let gtins = || prop::collection::vec("0{0,1}[1-4]{7}", 0..3);
        let price = || ("EUR|USD", 0..3_i64).prop_map(|(c, n)| Some(money(&c, n)));
        prop_oneof![
            ("[a-c]{1,2}", word(), word(), price(), attributes(), any::<bool>()).prop_map(
                |(title, description, category, price, attributes, draft)| {
                    CreateProduct { sku: sku(), title, description, category, price, attributes, draft, ..Default::default() }.into()
                }
            ),
            (prop::option::of("[a-c]{1,2}"), prop::option::of(word()), attributes(), prop::collection::vec("[a-c]", 0..3)).prop_map(
                |(title, description, set_attributes, removed_attributes)| {
                    ReviseProduct { title, description, set_attributes, removed_attributes, ..revise() }.into()
                }
            ),
            (gtins(), gtins(), prop::option::of("[a-c]?"), prop::option::of("de|en|")).prop_map(
                |(gtins, removed_gtins, manufacturer_number, language)| {
                    ReviseProduct { gtins, removed_gtins, manufacturer_number, language, ..revise() }.into()
                }
            ),
            (prop::option::of("[a-c]?"), prop::option::of(0..3_u32), prop::option::of(0..3_u32)).prop_map(
                |(tax_class, weight_grams, max_per_order)| ReviseProduct { tax_class, weight_grams, max_per_order, ..revise() }.into()
            ),
            (price(), prop::option::of(0..3_i64)).prop_map(|(price, s)| RepriceProduct { sku: sku(), price, sale: s.map(sale) }.into()),
            "[a-c]( ?> ?[a-c])?".prop_map(|category| categorize(&category).into()),
            ("[a-c]", word()).prop_map(|(url, alt)| attach(&format!("https://{url}"), &alt).into()),
            "[a-c]".prop_map(|url| detach(&format!("https://{url}")).into()),
            Just(publish().into()),
        ]
    }

    proptest! {
        /// For all commands but the creation: doing it again changes nothing.
        #[test]
        fn fold_and_encoding_agree_and_doing_it_again_changes_nothing(commands in prop::collection::vec(any_command(), 1..30)) {
            in_turn::<Product>(&commands, |step| {
                if step.decision.refusal.is_none() && !matches!(step.command, ProductCommand::CreateProduct(_)) {
                    let again = Product::decide(step.after, step.command, step.context);
                    assert!(again.events.is_empty() && again.refusal.is_none());
                }
            });
        }
    }
}
