//! Catalogue files as parts of the read model that is searched.

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;

use anyhow::Context as _;
use daybook_kernel::{EventAt, Instant, ReadModel, StreamId, Version};
use daybook_proto::MessageSet as _;
use daybook_search::SearchReader;
use serde_json::{Map, Value};
use shop_proto::catalog::v1::{CreateProduct, ProductCreated, ProductEvent};

/// `daybook load catalogue`'s own way from a row to a command.
#[allow(dead_code, unreachable_pub, reason = "a part of another binary")]
#[path = "../../../daybook/src/load"]
mod load {
    mod category;
    mod row;

    pub(crate) fn create(line: &[u8]) -> Result<shop_proto::catalog::v1::CreateProduct, String> {
        row::product(line, "EUR").map(|row| row.create)
    }
}

pub(crate) use load::create;

/// The daybook binary's own description of what is searched.
#[path = "../../../daybook/src/searching.rs"]
mod schema;

/// A product's parts in the read model `products`.
pub(crate) struct Product {
    pub(crate) key: String,
    pub(crate) parts: Vec<(String, Vec<u8>)>,
}

/// All rows of a file, as commands.
pub(crate) fn rows(path: &Path) -> anyhow::Result<Vec<CreateProduct>> {
    read(path, create)
}

/// All rows of a file as a merchant may post them: every column of a property under the column's own name, with what it says
/// (`Y`, `N`, `17.0`), and no category.
pub(crate) fn as_they_stand(path: &Path) -> anyhow::Result<Vec<CreateProduct>> {
    read(path, |line| {
        let row: Map<String, Value> = serde_json::from_slice(line).map_err(|e| e.to_string())?;
        let properties = row.iter().filter(|(name, value)| name.starts_with("attr_") && !value.is_null());
        let said = |value: &Value| match value {
            Value::Bool(has) => (if *has { "Y" } else { "N" }).to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let attributes = properties.map(|(name, value)| (name.clone(), said(value))).collect();
        Ok(CreateProduct { category: String::new(), attributes, ..create(line)? })
    })
}

fn read(path: &Path, create: impl Fn(&[u8]) -> Result<CreateProduct, String>) -> anyhow::Result<Vec<CreateProduct>> {
    let file = std::fs::File::open(path).with_context(|| format!("{} can't be opened", path.display()))?;
    let reader: Box<dyn Read> =
        if path.extension().is_some_and(|e| e == "gz") { Box::new(flate2::read::MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut rows = Vec::new();
    for (n, line) in BufReader::new(reader).split(b'\n').enumerate() {
        let row = create(&line?).map_err(|e| anyhow::anyhow!("{}, line {}: {e}", path.display(), n + 1))?;
        rows.push(row);
    }
    Ok(rows)
}

/// The read model that is searched.
pub(crate) fn model() -> anyhow::Result<ReadModel> {
    daybook_projectors::models::read_models().into_iter().find(|m| m.name == "products").context("the shop has products")
}

/// What a product's creation makes of it.
pub(crate) fn product(model: &ReadModel, create: &CreateProduct) -> anyhow::Result<Product> {
    let created = ProductEvent::from(ProductCreated {
        sku: create.sku.clone(),
        title: create.title.clone(),
        description: create.description.clone(),
        brand: create.brand.clone(),
        category: create.category.clone(),
        price: create.price.clone(),
        attributes: create.attributes.clone(),
        draft: false,
        gtins: create.gtins.clone(),
        manufacturer_number: create.manufacturer_number.clone(),
        language: create.language.clone(),
    });
    let stream = StreamId::new(ProductEvent::AGGREGATE, &create.sku);
    let fold = model.fold(ProductEvent::SERVICE, ProductEvent::AGGREGATE).context("products read products")?;
    let mut view = fold.new_view();
    let at = EventAt { stream: &stream, version: Version(1), recorded_at: Instant::from_micros(0) };
    fold.fold(&mut view, created.type_name(), &created.encode_to_vec(), &at)?;
    let parts = fold.render(&view, &stream)?.into_iter().map(|p| (p.part, p.bytes)).collect();
    Ok(Product { key: create.sku.clone(), parts })
}

/// How the shop's products are searched.
pub(crate) fn reader() -> anyhow::Result<SearchReader> {
    let message = shop_proto::descriptors().get_message_by_name("shop.read.v1.SearchedProduct").context("the shop's")?;
    Ok(SearchReader::new(schema::products(), &message)?)
}
