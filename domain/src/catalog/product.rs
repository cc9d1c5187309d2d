//! A product: what it is, what it costs, and whether shoppers see it.

use std::collections::BTreeMap;

use daybook_kernel::{Context, Decider, Decision, Instant};
use shop_proto::catalog::v1::*;

/// A product of the catalogue. Stream `product/{sku}`.
pub struct Product;

/// How many attributes a product may have. A command is held to it by its field rules, a product by this.
const MAX_ATTRIBUTES: usize = 300;
/// How many bytes their names and values may have together: so that a product that is revised again and again stays
/// what fits into a page, a push and a cache.
const MAX_ATTRIBUTE_BYTES: usize = 256 * 1024;
/// How many GTINs a product may have: each package of it has one, and some are sold in a hundred.
const MAX_GTINS: usize = 200;
/// How many media a product may have.
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
                state.title.clone_from(&e.title);
                state.description.clone_from(&e.description);
                state.brand.clone_from(&e.brand);
                state.category.clone_from(&e.category);
                state.attributes.clone_from(&e.attributes);
                state.gtins.clone_from(&e.gtins);
                state.manufacturer_number.clone_from(&e.manufacturer_number);
                state.language.clone_from(&e.language);
                set_price(state, &Price { list: e.price.clone(), sale: None });
            }
            E::ProductRevised(e) => {
                for (field, new) in [
                    (&mut state.title, &e.title),
                    (&mut state.description, &e.description),
                    (&mut state.brand, &e.brand),
                    (&mut state.manufacturer_number, &e.manufacturer_number),
                    (&mut state.language, &e.language),
                ] {
                    if let Some(new) = new {
                        field.clone_from(new);
                    }
                }
                state.attributes.retain(|name, _| !e.removed_attributes.contains(name));
                state.attributes.extend(e.set_attributes.clone());
                state.gtins.retain(|gtin| !e.removed_gtins.contains(gtin));
                state.gtins.extend(e.gtins.clone());
            }
            E::ProductRepriced(e) => {
                if let Some(price) = &e.price {
                    set_price(state, price);
                }
            }
            E::ProductCategorized(e) => state.category.clone_from(&e.category),
            E::MediaAttached(e) => {
                let Some(media) = &e.media else { return };
                match state.media.iter_mut().find(|m| m.url == media.url) {
                    Some(known) => known.clone_from(media),
                    None => state.media.push(media.clone()),
                }
            }
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

fn revise(state: &ProductState, c: &ReviseProduct) -> Decision<Product> {
    let changed = |new: &Option<String>, old: &String| new.clone().filter(|new| new != old);
    let set_attributes: BTreeMap<String, String> =
        c.set_attributes.clone().into_iter().filter(|(name, value)| state.attributes.get(name) != Some(value)).collect();
    let mut removed_attributes: Vec<String> = c
        .removed_attributes
        .iter()
        .filter(|name| state.attributes.contains_key(*name) && !c.set_attributes.contains_key(*name))
        .cloned()
        .collect();
    removed_attributes.sort_unstable();
    removed_attributes.dedup();
    let named = |gtin: &&String, all: &[String]| all.iter().any(|other| same_number(gtin, other));
    let removed_gtins = state.gtins.iter().filter(|gtin| named(gtin, &c.removed_gtins) && !named(gtin, &c.gtins)).cloned().collect();
    let event = ProductRevised {
        sku: c.sku.clone(),
        title: changed(&c.title, &state.title),
        description: changed(&c.description, &state.description),
        brand: changed(&c.brand, &state.brand),
        set_attributes,
        removed_attributes,
        gtins: new_numbers(&state.gtins, &c.gtins),
        removed_gtins,
        manufacturer_number: changed(&c.manufacturer_number, &state.manufacturer_number),
        language: changed(&c.language, &state.language),
    };
    if event == (ProductRevised { sku: c.sku.clone(), ..ProductRevised::default() }) {
        return Decision::nothing();
    }
    let mut after = state.clone();
    let event = ProductEvent::from(event);
    Product::evolve(&mut after, &event);
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
    let missing: Vec<String> = [("description", &state.description), ("category", &state.category)]
        .into_iter()
        .filter(|(_, value)| value.is_empty())
        .map(|(name, _)| name.to_owned())
        .collect();
    if missing.is_empty() {
        Decision::event(ProductPublished::from(c))
    } else {
        Decision::refuse(NotPublishable { sku: c.sku.clone(), missing })
    }
}

#[cfg(test)]
mod spec {
    use daybook_kernel::fold;
    use daybook_kernel::spec::{Given, SPEC_TIME, given, given_nothing};
    use daybook_proto::v1::TextForm;
    use daybook_proto::{MessageSet as _, RefusalSet as _, decode_as};
    use proptest::prelude::*;
    use shop_proto::samples::product::{
        attach, attached, categorize, categorized, create, created, detach, detached, drafted, publish, published, reprice, repriced,
        retire, retired, revise, sale,
    };
    use shop_proto::samples::{LAMP, at, money, sku};

    use super::*;

    /// A product that was created with all that can be said.
    fn lamp() -> Given<Product> {
        given([created()])
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
        given::<Product>([created(), retired()]).when(create()).then_refused(ProductExists { sku: sku() });
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
        let history = || given::<Product>([created(), retired()]);
        history().when(reprice(money("EUR", 1), None)).then_refused(is_retired());
        history().when(attach("https://a/b.jpg", "")).then_refused(is_retired());
        history().when(detach("https://a/b.jpg")).then_refused(is_retired());
        history().when(categorize("Home")).then_refused(is_retired());
        history().when(publish()).then_refused(is_retired());
    }

    #[test]
    fn retiring_is_done_once() {
        lamp().when(retire("broke")).then([retired()]);
        given::<Product>([created(), retired()]).when(retire("other")).then_nothing();
    }

    #[test]
    fn a_revision_says_only_what_changed() {
        let command = ReviseProduct {
            title: Some("Lamp".into()),
            description: Some(String::new()),
            set_attributes: [("colour".into(), "red".into()), ("watts".into(), "5".into())].into(),
            removed_attributes: vec!["size".into()],
            ..revise()
        };
        let event = ProductRevised {
            sku: sku(),
            description: Some(String::new()),
            set_attributes: [("watts".into(), "5".into())].into(),
            ..Default::default()
        };
        lamp().when(command).then([event.into()]);
    }

    #[test]
    fn a_revision_that_changes_nothing_is_already_done() {
        lamp().when(revise()).then_nothing();
        lamp().when(ReviseProduct { brand: Some("Lux".into()), ..revise() }).then_nothing();
    }

    #[test]
    fn an_attribute_that_is_set_and_removed_is_set() {
        let command = ReviseProduct {
            set_attributes: [("colour".into(), "blue".into())].into(),
            removed_attributes: vec!["colour".into(), "colour".into()],
            ..revise()
        };
        lamp().when(command).then_state(|s| assert_eq!(s.attributes["colour"], "blue"));
    }

    #[test]
    fn attributes_have_a_limit_over_all_revisions() {
        let many = |from: usize| (from..from + 300).map(|n| (n.to_string(), "x".to_owned())).collect::<BTreeMap<_, _>>();
        let full = ProductRevised { sku: sku(), set_attributes: many(0), ..Default::default() };
        // 301: `colour` stands beside them. Bytes: the names' digits, a letter each, and `colour`, `red`.
        lamp().when(ReviseProduct { set_attributes: full.set_attributes, ..revise() }).then_refused(AttributesOverLimit {
            count: 301,
            count_limit: 300,
            bytes: 10 + 90 * 2 + 200 * 3 + 300 + 9,
            bytes_limit: 256 * 1024,
        });
        let long = (0..40).map(|n| (format!("{n:02}"), "x".repeat(8000))).collect::<BTreeMap<_, _>>();
        nothing().when(CreateProduct { attributes: long, ..create() }).then_refused(AttributesOverLimit {
            count: 40,
            count_limit: 300,
            bytes: 40 * 8002,
            bytes_limit: 256 * 1024,
        });
    }

    #[test]
    fn the_same_price_again_is_already_done() {
        lamp().when(reprice(money("EUR", 1999), None)).then_nothing();
        given::<Product>([created(), repriced(money("EUR", 999), None)]).when(reprice(money("EUR", 999), None)).then_nothing();
    }

    #[test]
    fn a_price_in_another_currency_stands_beside_the_first() {
        lamp().when(reprice(money("USD", 1999), None)).then([repriced(money("USD", 1999), None)]);
        given::<Product>([created(), repriced(money("USD", 1999), None)]).when(reprice(money("EUR", 1999), None)).then_nothing();
    }

    #[test]
    fn a_price_is_said_in_full_so_without_a_sale_the_sale_ends() {
        let on_sale = || repriced(money("EUR", 1999), Some(sale(1499)));
        lamp().when(reprice(money("EUR", 1999), Some(sale(1499)))).then([on_sale()]);
        given::<Product>([created(), on_sale()]).when(reprice(money("EUR", 1999), Some(sale(1499)))).then_nothing();
        given::<Product>([created(), on_sale()]).when(reprice(money("EUR", 1999), None)).then([repriced(money("EUR", 1999), None)]);
    }

    #[test]
    fn a_sale_is_below_the_list_price_and_begins_before_it_ends() {
        let no_lower = SaleNotBelowPrice { currency: "EUR".into(), price: 1999, sale: 1999 };
        lamp().when(reprice(money("EUR", 1999), Some(sale(1999)))).then_refused(no_lower);
        let now = Some(at(0));
        lamp()
            .when(reprice(money("EUR", 1999), Some(Sale { minor_units: 1, starts_at: now, ends_at: now })))
            .then_refused(SalePeriodEmpty { starts_at: now, ends_at: now });
    }

    #[test]
    fn a_price_whose_period_is_over_is_refused_and_one_to_come_is_not() {
        let at = |seconds: i64| Some(at(seconds));
        let on_sale = |from: Option<i64>, to: Option<i64>| Sale { minor_units: 1, starts_at: from.and_then(at), ends_at: to.and_then(at) };
        // Over: long ago, with and without a beginning, and at this very moment, for the end is exclusive.
        for (from, to) in [(None, -86_400), (Some(-86_400), -1), (None, 0), (Some(-1), 0)] {
            lamp()
                .when(reprice(money("EUR", 1999), Some(on_sale(from, Some(to)))))
                .then_refused(SalePeriodOver { ends_at: at(to), now: at(0) });
        }
        // The very same price, which stood when its period ran.
        let ran = || repriced(money("EUR", 1999), Some(on_sale(Some(-9), Some(-3))));
        given::<Product>([created(), ran()])
            .when(reprice(money("EUR", 1999), Some(on_sale(Some(-9), Some(-3)))))
            .then_refused(SalePeriodOver { ends_at: at(-3), now: at(0) });
        // Running, to come, and without an end.
        for (from, to) in
            [(None, Some(1)), (Some(-1), Some(1)), (Some(86_400), Some(86_401)), (Some(-86_400), None), (Some(1), None), (None, None)]
        {
            let sale = || Some(on_sale(from, to));
            lamp().when(reprice(money("EUR", 1999), sale())).then([repriced(money("EUR", 1999), sale())]);
        }
        // A period that is empty is said to be that, whenever it was; and a price that is no lower is said to be that first.
        lamp()
            .when(reprice(money("EUR", 1999), Some(on_sale(Some(-3), Some(-9)))))
            .then_refused(SalePeriodEmpty { starts_at: at(-3), ends_at: at(-9) });
        lamp().when(reprice(money("JPY", 1), Some(on_sale(None, Some(-9))))).then_refused(SaleNotBelowPrice {
            currency: "JPY".into(),
            price: 1,
            sale: 1,
        });
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
            given::<Product>([created(), categorized("Audio/Video > A/B testing")]).when(command()).then_nothing();
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
        let added = || ProductEvent::from(ProductRevised { sku: sku(), gtins: vec!["96385074".into()], ..Default::default() });
        let removed = || ProductRevised { sku: sku(), removed_gtins: vec![LAMP.into()], ..Default::default() };
        lamp().when(ReviseProduct { gtins: vec!["96385074".into()], ..revise() }).then([added()]);
        lamp().when(ReviseProduct { removed_gtins: vec![format!("0{LAMP}")], ..revise() }).then([removed().into()]);
        given::<Product>([created(), removed().into()]).when(ReviseProduct { removed_gtins: vec![LAMP.into()], ..revise() }).then_nothing();
        let both = ReviseProduct { gtins: vec![LAMP.into(), "96385074".into()], removed_gtins: vec![LAMP.into()], ..revise() };
        lamp().when(both).then([added()]);
        given::<Product>([created(), added()]).when(revise()).then_state(|s| assert_eq!(s.gtins, [LAMP, "96385074"]));
    }

    #[test]
    fn a_product_has_only_so_many_gtins_over_all_revisions() {
        let is_gtin = |text: &String| TextForm::Gtin.fault(text).is_none();
        let many: Vec<String> = (0..2_000).map(|n| format!("{:013}", 4_006_381_000_000_u64 + n)).filter(is_gtin).collect();
        lamp().when(ReviseProduct { gtins: many, ..revise() }).then_refused(GtinsOverLimit { count: 201, limit: 200 });
    }

    #[test]
    fn the_makers_number_and_the_language_are_revised_and_taken_away() {
        let revised = ProductRevised {
            sku: sku(),
            manufacturer_number: Some("LX-100/C".into()),
            language: Some(String::new()),
            ..Default::default()
        };
        let command =
            ReviseProduct { manufacturer_number: revised.manufacturer_number.clone(), language: revised.language.clone(), ..revise() };
        lamp().when(command.clone()).then([revised.clone().into()]);
        given::<Product>([created(), revised.into()]).when(command).then_nothing();
        let same = ReviseProduct { manufacturer_number: Some("LX-100/B".into()), language: Some("en".into()), ..revise() };
        lamp().when(same).then_nothing();
    }

    #[test]
    fn a_medium_is_attached_once_an_address_and_may_be_described_anew() {
        let first = || attached("https://a/1.jpg", "front");
        lamp().when(attach("https://a/1.jpg", "front")).then([first()]);
        given::<Product>([created(), first()]).when(attach("https://a/1.jpg", "front")).then_nothing();
        given::<Product>([created(), first()]).when(attach("https://a/1.jpg", "back")).then_state(|s| {
            assert_eq!(s.media.iter().map(|m| m.alt.as_str()).collect::<Vec<_>>(), ["back"]);
        });
    }

    #[test]
    fn a_product_has_only_so_many_media_until_one_is_detached() {
        let full: Vec<_> = std::iter::once(created()).chain((0..50).map(|n| attached(&format!("https://a/{n}.jpg"), ""))).collect();
        given::<Product>(full.clone()).when(attach("https://a/50.jpg", "")).then_refused(MediaOverLimit { limit: 50 });
        given::<Product>(full.clone()).when(detach("https://a/x.jpg")).then_nothing();
        given::<Product>(full.clone()).when(detach("https://a/7.jpg")).then([detached("https://a/7.jpg")]);
        given::<Product>(full.into_iter().chain([detached("https://a/7.jpg")]))
            .when(attach("https://a/50.jpg", ""))
            .then([attached("https://a/50.jpg", "")]);
    }

    #[test]
    fn a_draft_is_published_when_it_is_complete_and_says_what_is_missing() {
        given::<Product>([drafted()])
            .when(publish())
            .then_refused(NotPublishable { sku: sku(), missing: vec!["description".into(), "category".into()] });
        let described = ProductRevised { sku: sku(), description: Some("Gives light.".into()), ..Default::default() };
        given::<Product>([drafted(), described.into(), categorized("Home")]).when(publish()).then([published()]);
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
            (price(), prop::option::of(0..3_i64)).prop_map(|(price, s)| RepriceProduct { sku: sku(), price, sale: s.map(sale) }.into()),
            "[a-c]( ?> ?[a-c])?".prop_map(|category| categorize(&category).into()),
            ("[a-c]", word()).prop_map(|(url, alt)| attach(&format!("https://{url}"), &alt).into()),
            "[a-c]".prop_map(|url| detach(&format!("https://{url}")).into()),
            Just(publish().into()),
        ]
    }

    proptest! {
        /// Whatever is asked: the events, encoded and decoded, fold to the state, the state survives its encoding, and
        /// what was just done is already done, creating apart.
        #[test]
        fn fold_and_encoding_agree_and_doing_it_again_changes_nothing(commands in prop::collection::vec(any_command(), 1..30)) {
            let context = Context::new(SPEC_TIME, Default::default());
            let (mut state, mut log) = (ProductState::default(), Vec::new());
            for command in &commands {
                let decision = Product::decide(&state, command, &context);
                for event in decision.events {
                    Product::evolve(&mut state, &event);
                    log.push((event.type_name(), event.encode_to_vec()));
                }
                if decision.refusal.is_none() && !matches!(command, ProductCommand::CreateProduct(_)) {
                    let again = Product::decide(&state, command, &context);
                    prop_assert!(again.events.is_empty() && again.refusal.is_none());
                }
            }
            let stored: Vec<ProductEvent> = log.iter().map(|(t, b)| ProductEvent::decode(t, b).expect("as written")).collect();
            prop_assert_eq!(&fold::<Product>(&stored), &state);
            prop_assert_eq!(&decode_as::<ProductState>(&prost::Message::encode_to_vec(&state)).expect("as written"), &state);
        }
    }
}
