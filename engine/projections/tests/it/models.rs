//! Read models that exist for their tests, and facts for them.

use std::collections::BTreeSet;
use std::sync::Mutex;

use daybook_kernel::{EventAt, Part, Projection, ReadModel, StreamId};
use daybook_proto::EventSet;
use shop_projectors::read_models;
use shop_proto::catalog::v1::{Media, ProductCategorized, ProductCreated, ProductEvent, ProductRetired, ProductRevised};
use shop_proto::inventory::v1::{StockEvent, StockReceived};
use shop_proto::read::v1::{ProductDetailsView, ProductPage};
use uuid::Uuid;

use crate::support::Fact;

pub(crate) fn fact<E: EventSet>(key: &str, event: impl Into<E>) -> Fact {
    let event = event.into();
    Fact {
        service: E::SERVICE,
        stream: StreamId::new(E::AGGREGATE, key),
        type_name: event.type_name().to_owned(),
        payload: event.encode_to_vec(),
    }
}

pub(crate) fn created(sku: &str, title: &str, category: &str) -> Fact {
    let event = ProductCreated { sku: sku.into(), title: title.into(), category: category.into(), ..Default::default() };
    fact::<ProductEvent>(sku, event)
}

pub(crate) fn retitled(sku: &str, title: &str) -> Fact {
    fact::<ProductEvent>(sku, ProductRevised { sku: sku.into(), title: Some(title.into()), ..Default::default() })
}

pub(crate) fn categorized(sku: &str, category: &str) -> Fact {
    fact::<ProductEvent>(sku, ProductCategorized { sku: sku.into(), category: category.into() })
}

pub(crate) fn retired(sku: &str) -> Fact {
    fact::<ProductEvent>(sku, ProductRetired { sku: sku.into(), ..Default::default() })
}

pub(crate) fn received(sku: &str, warehouse: &str, quantity: u32) -> Fact {
    let event = StockReceived { sku: sku.into(), warehouse: warehouse.into(), quantity, ..Default::default() };
    fact::<StockEvent>(&format!("{sku}@{warehouse}"), event)
}

/// An event that no build of today knows.
pub(crate) fn unheard_of(sku: &str) -> Fact {
    Fact { service: "catalog", stream: StreamId::new("product", sku), type_name: "shop.catalog.v1.ProductSang".into(), payload: vec![8, 1] }
}

/// The shop's pages.
pub(crate) fn pages() -> ReadModel {
    read_models().into_iter().find(|m| m.name == "product-pages").expect("the shop has pages")
}

/// Levels of stock: the view is the part.
pub(crate) fn levels() -> ReadModel {
    read_models().into_iter().find(|m| m.name == "stock-levels").expect("the shop has levels")
}

/// A list: a part a product, under its category.
pub(crate) fn by_category() -> ReadModel {
    ReadModel::of::<ProductPage>("by-category", None).with::<ByCategory>()
}

const POISON: &str = "poison ";

/// Titles that can be folded by now.
static CURED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A title that can't be folded, until it is [`cure`]d.
pub(crate) fn poisoned() -> String {
    format!("{POISON}{}", Uuid::new_v4())
}

pub(crate) fn cure(title: &str) {
    CURED.lock().expect("not poisoned").insert(title.to_owned());
}

/// The same read model, of a build that folds every title.
pub(crate) fn by_category_mended() -> ReadModel {
    ReadModel::of::<ProductPage>("by-category", None).with::<Mended>()
}

struct Mended;

impl Projection for Mended {
    type Event = ProductEvent;
    type View = ProductDetailsView;
    type Model = ProductPage;

    fn fold(view: &mut ProductDetailsView, event: &ProductEvent, _: &EventAt<'_>) {
        fold_page(view, event);
    }

    fn render(view: &ProductDetailsView, stream: &StreamId) -> Vec<Part<ProductPage>> {
        ByCategory::render(view, stream)
    }
}

struct ByCategory;

impl Projection for ByCategory {
    type Event = ProductEvent;
    type View = ProductDetailsView;
    type Model = ProductPage;

    fn fold(view: &mut ProductDetailsView, event: &ProductEvent, _: &EventAt<'_>) {
        fold_page(view, event);
        let page = view.page.get_or_insert_default();
        assert_ne!(page.title, "can't be folded");
        assert!(!page.title.starts_with(POISON) || CURED.lock().expect("not poisoned").contains(&page.title), "poison");
    }

    fn render(view: &ProductDetailsView, _: &StreamId) -> Vec<Part<ProductPage>> {
        let Some(page) = view.page.as_ref().filter(|_| view.shown) else { return Vec::new() };
        assert_ne!(page.title, "can't be rendered");
        let media = vec![Media { url: page.sku.clone(), alt: page.title.clone(), ..Default::default() }];
        vec![Part { key: page.category.clone(), part: page.sku.clone(), message: ProductPage { media, ..Default::default() } }]
    }
}

/// A part for each word of a product's title.
pub(crate) fn by_word() -> ReadModel {
    ReadModel::of::<ProductPage>("by-word", None).with::<ByWord>()
}

struct ByWord;

impl Projection for ByWord {
    type Event = ProductEvent;
    type View = ProductDetailsView;
    type Model = ProductPage;

    fn fold(view: &mut ProductDetailsView, event: &ProductEvent, _: &EventAt<'_>) {
        fold_page(view, event);
    }

    fn render(view: &ProductDetailsView, _: &StreamId) -> Vec<Part<ProductPage>> {
        let page = view.page.clone().unwrap_or_default();
        let word = |word: &str| Part {
            key: word.to_owned(),
            part: page.sku.clone(),
            message: ProductPage { media: vec![Media { url: page.category.clone(), ..Default::default() }], ..Default::default() },
        };
        page.title.split_whitespace().map(word).collect()
    }
}

fn fold_page(view: &mut ProductDetailsView, event: &ProductEvent) {
    let page = view.page.get_or_insert_default();
    view.shown = true;
    match event {
        ProductEvent::ProductCreated(e) => (page.sku, page.title, page.category) = (e.sku.clone(), e.title.clone(), e.category.clone()),
        ProductEvent::ProductCategorized(e) => page.category.clone_from(&e.category),
        ProductEvent::ProductRevised(e) => page.title = e.title.clone().unwrap_or_default(),
        ProductEvent::ProductRetired(_) => view.shown = false,
        _ => {}
    }
}

/// The same folds as another build might have them.
pub(crate) fn by_category_of_another_build() -> ReadModel {
    ReadModel { root: Some("details"), ..by_category() }
}
