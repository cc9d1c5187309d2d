//! Generations: which build's folds filled which tables.

use std::sync::Arc;

use daybook_kernel::{Digest, ReadModel, SqlRows, digest};

use crate::{ProjectorError, sql};

/// Of all that a read model is made by: its name, message and root, each fold's own fingerprint, and the columns of its rows. Another one means that
/// the same events would be read otherwise.
pub fn fingerprint(model: &ReadModel) -> Digest {
    let mut folds: Vec<_> = model.folds.iter().map(|f| (f.service(), f.aggregate(), f.fingerprint())).collect();
    folds.sort_unstable();
    let mut bytes = Vec::new();
    let mut add = |field: &[u8]| {
        bytes.extend((field.len() as u64).to_be_bytes());
        bytes.extend(field);
    };
    for text in [model.name, model.message, model.root.unwrap_or_default()] {
        add(text.as_bytes());
    }
    for (service, aggregate, fold) in folds {
        add(service.as_bytes());
        add(aggregate.as_bytes());
        add(&fold);
    }
    for column in model.rows.iter().flat_map(|rows| &rows.columns) {
        add(column.name.as_bytes());
        add(column.kind.name().as_bytes());
    }
    digest::sha256(&bytes)
}

/// The table of a generation's parts.
pub(crate) fn parts_table(model: &ReadModel, generation: i32) -> Result<String, ProjectorError> {
    let name = model.name;
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if plain && begins && name.len() <= 40 {
        Ok(format!("{}_{generation}", name.replace('-', "_")))
    } else {
        Err(ProjectorError::Name(name.to_owned()))
    }
}

/// One generation, and the statements on its tables.
#[derive(Clone, Debug)]
pub struct Generation {
    /// From 1.
    pub number: i32,
    /// The table of its parts, in schema `read`.
    pub parts: String,
    pub(crate) write_batch: String,
    pub(crate) write_known: String,
    pub(crate) read_views: String,
    pub(crate) write_retried: String,
    pub(crate) rows: Option<Arc<SqlRows>>,
}

impl Generation {
    /// The one of this number of a read model, with its parts in this table: as `read.generation` has them.
    pub fn new(model: &ReadModel, number: i32, parts: String) -> Self {
        let rows = model.rows.clone();
        let writing = |statement| sql::with_rows(statement, &parts, rows.as_deref());
        Self {
            number,
            write_batch: writing(sql::WRITE_BATCH),
            write_known: writing(sql::WRITE_KNOWN),
            write_retried: writing(sql::WRITE_RETRIED),
            read_views: sql::at(sql::READ_VIEWS, &parts),
            parts,
            rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use shop_proto::read::v1::ProductPage;

    use super::*;

    #[test]
    fn a_read_model_has_the_fingerprint_of_all_its_folds() {
        let all = shop_projectors::read_models();
        let model = &all[0];
        let mut less = model.clone();
        less.folds.pop();
        let mut other_order = model.clone();
        other_order.folds.reverse();
        let mut other_root = model.clone();
        other_root.root = None;
        assert_eq!(fingerprint(model), fingerprint(&other_order));
        assert_ne!(fingerprint(model), fingerprint(&less));
        assert_ne!(fingerprint(model), fingerprint(&other_root));
    }

    #[test]
    fn only_a_name_that_can_be_a_tables_is_a_read_models() {
        let table = |name| parts_table(&ReadModel::of::<ProductPage>(name, None), 3);
        assert_eq!(table("product-pages").expect("plain"), "product_pages_3");
        for bad in ["", "Product", "1-page", "a_b", "a;b", "a234567890123456789012345678901234567890x"] {
            assert!(table(bad).is_err(), "{bad:?}");
        }
    }
}
