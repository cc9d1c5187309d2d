//! Catalogue files as parts of the read model that is searched.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use daybook_kernel::{EventAt, Instant, ReadModel, StreamId, Version};
use daybook_proto::MessageSet as _;
use daybook_search::SearchReader;
use shop_catalogue::{Catalogue, Entry, Mapping, What};
use shop_proto::catalog::v1::{CreateProduct, ProductCreated, ProductEvent};

/// The daybook binary's own description of the search.
#[path = "../../../daybook/src/searching.rs"]
mod schema;

/// A product's parts in the read model `products`.
pub(crate) struct Product {
    pub(crate) key: String,
    pub(crate) parts: Vec<(String, Vec<u8>)>,
}

/// Names the shop's own form in the place of a mapping.
pub(crate) const OWN: &str = "own";

/// All rows of a file, as commands, by a mapping.
///
/// # Errors
/// When the file or the mapping can't be read, or a row is no product.
pub(crate) fn rows(path: &Path, map: &Path) -> anyhow::Result<Vec<CreateProduct>> {
    let mapping = if map == Path::new(OWN) { Mapping::own()? } else { Mapping::read(map)? };
    let (catalogue, _) = Catalogue::open(path, Arc::new(mapping), Some("EUR"), Arc::default())?;
    let row = |entry: Entry| match entry.what {
        What::Product(product) => Some(Ok(product.create)),
        What::Skipped(_) => None,
        What::Bad { reason, .. } => Some(Err(anyhow::anyhow!("{}, line {}: {reason}", path.display(), entry.line))),
    };
    catalogue.filter_map(row).collect()
}

/// The mapping of the same catalogue as a merchant may post it.
const AS_IT_STANDS: &str = "data/maps/icecat-as-it-stands.toml";

/// All rows of a file as a merchant may post them: every column of a property under the column's own name, with its text
/// (`Y`, `N`, `17.0`), and no category.
pub(crate) fn as_they_stand(path: &Path) -> anyhow::Result<Vec<CreateProduct>> {
    let rows = rows(path, Path::new(AS_IT_STANDS))?;
    Ok(rows.into_iter().map(|row| CreateProduct { category: String::new(), ..row }).collect())
}

/// The read model that is searched.
pub(crate) fn model() -> anyhow::Result<ReadModel> {
    shop_projectors::read_models().into_iter().find(|m| m.name == "products").context("the shop has products")
}

/// The product that a creation makes.
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
        ..Default::default()
    });
    let stream = StreamId::new(ProductEvent::AGGREGATE, &create.sku);
    let fold = model.fold(ProductEvent::SERVICE, ProductEvent::AGGREGATE).context("products read products")?;
    let mut view = fold.new_view();
    let at = EventAt { stream: &stream, version: Version(1), recorded_at: Instant::from_micros(0) };
    fold.fold(&mut view, created.type_name(), &created.encode_to_vec(), &at)?;
    let parts = fold.render(&view, &stream)?.into_iter().map(|p| (p.part, p.bytes)).collect();
    Ok(Product { key: create.sku.clone(), parts })
}

/// The reader of the shop's products for a search.
pub(crate) fn reader() -> anyhow::Result<SearchReader> {
    let message = shop_proto::descriptors().get_message_by_name("shop.read.v1.SearchedProduct").context("the shop's")?;
    Ok(SearchReader::new(schema::products(), &message)?)
}
