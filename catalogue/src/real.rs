//! Files that nobody here wrote, by the mappings that are kept for them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use daybook_kernel::digest;
use daybook_proto::MessageSet as _;
use shop_proto::catalog::v1::{CreateProduct, ProductCommand};

use crate::{Catalogue, Mapping, What};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// None where the file is not there: the project does not hold it.
fn products(file: &Path, mapping: Mapping, currency: &str) -> Option<Vec<CreateProduct>> {
    if !file.exists() {
        println!("NOT RUN: {} is not there", file.display());
        return None;
    }
    let (mut catalogue, _) = Catalogue::open(file, Arc::new(mapping), Some(currency), Arc::default()).expect("it fits");
    let mut products = Vec::new();
    for entry in catalogue.by_ref() {
        match entry.what {
            What::Product(product) => {
                assert_eq!(product.shortened, 0, "line {}", entry.line);
                products.push(product.create);
            }
            other => panic!("line {}: {other:?}", entry.line),
        }
    }
    assert_eq!(catalogue.columns(), crate::Columns { missing: catalogue.columns().missing, ..Default::default() });
    Some(products)
}

fn icecat(map: &str) -> Option<Vec<CreateProduct>> {
    let mapping = Mapping::read(&root().join("data/maps").join(map)).expect("good");
    // Beside the project, also where it is a worktree of another folder.
    let folders = [root().join("../shared"), root().join("../../shared")];
    let folder = folders.iter().find(|folder| folder.exists()).unwrap_or(&folders[0]);
    products(&folder.join("data/icecat/products.jsonl.gz"), mapping, "EUR")
}

fn digest_of(products: &[CreateProduct]) -> String {
    let each = products.iter().flat_map(|p| digest::sha256(&ProductCommand::from(p.clone()).encode_to_vec()));
    hex::encode(digest::sha256(&each.collect::<Vec<u8>>()))
}

/// The digests were made by the code of the loader that knew this file by name, before the mapping took its place: of each
/// product's `CreateProduct` in the file's order, and of the categories, a line each.
#[test]
fn the_mapping_of_icecat_makes_the_products_that_the_code_made() {
    let Some(products) = icecat("icecat.toml") else { return };
    assert_eq!(products.len(), 19_406);
    // The code knew nothing of GTINs.
    assert!(products.iter().filter(|p| !p.gtins.is_empty()).count() > 15_000);
    let products: Vec<_> = products.into_iter().map(|p| CreateProduct { gtins: Vec::new(), ..p }).collect();
    let categories: String = products.iter().map(|p| format!("{}\n", p.category)).collect();
    assert_eq!(hex::encode(digest::sha256(categories.as_bytes())), "f401c9ec4d0613e078980dd572b3048733b5b8ff4baf348dc60cf3cd5dd6cca1");
    assert_eq!(digest_of(&products), "b04a3af46a8810772f01983eab3787a945578add2b15b08c0547eb5537beeb82");
}

#[test]
fn as_it_stands_every_attribute_keeps_its_name_and_its_value() {
    let Some(products) = icecat("icecat-as-it-stands.toml") else { return };
    let toner = products.iter().find(|p| p.sku == "3920564").expect("the first product");
    assert_eq!(toner.attributes.get("attr_n_quantity_per_pack").map(String::as_str), Some("6.0"));
    let values =
        |wanted: &str| products.iter().flat_map(|p| p.attributes.iter()).filter(|(n, v)| n.starts_with("attr_b_") && *v == wanted).count();
    assert_eq!((values("true"), values("false")), (0, 0));
    assert!(values("Y") > 10_000 && values("N") > 10_000);
}

/// The sample made the same products when it had columns of its own.
#[test]
fn the_sample_is_in_the_shops_own_form() {
    let products = products(&root().join("data/sample/products.jsonl"), Mapping::own().expect("own"), "EUR").expect("it is in the project");
    assert_eq!(
        (products.len(), digest_of(&products).as_str()),
        (1_500, "aa81c6b3d2340a4a31a7e87e6f0a4bf8c119a2eea9eb752be851ba75be91c062")
    );
}
