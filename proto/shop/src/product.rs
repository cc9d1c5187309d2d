//! What becomes of a product's description, media and prices, for every message that holds them: the state of its decisions, and its
//! read models.

use prost_types::Timestamp;

use crate::catalog::v1::{Media, MediaAttached, MediaKind, Price, ProductCreated, ProductRevised, ProductState, Sale};
use crate::common::v1::Money;
use crate::read::v1::{ProductPage, SearchedProduct};

/// The fields that describe a product have the same names and types in each of these messages.
macro_rules! described {
    ($($message:ty),* $(,)?) => {$(
        impl $message {
            /// Takes over all that was said when the product was created.
            pub fn describe(&mut self, e: &ProductCreated) {
                self.title.clone_from(&e.title);
                self.description.clone_from(&e.description);
                self.brand.clone_from(&e.brand);
                self.category.clone_from(&e.category);
                self.attributes.clone_from(&e.attributes);
                self.gtins.clone_from(&e.gtins);
                self.manufacturer_number.clone_from(&e.manufacturer_number);
                self.language.clone_from(&e.language);
            }

            /// Changes what a revision names. All else stays.
            pub fn revise(&mut self, e: &ProductRevised) {
                for (field, new) in [
                    (&mut self.title, &e.title),
                    (&mut self.description, &e.description),
                    (&mut self.brand, &e.brand),
                    (&mut self.manufacturer_number, &e.manufacturer_number),
                    (&mut self.language, &e.language),
                ] {
                    if let Some(new) = new {
                        field.clone_from(new);
                    }
                }
                self.attributes.retain(|name, _| !e.removed_attributes.contains(name));
                self.attributes.extend(e.set_attributes.clone());
                self.gtins.retain(|gtin| !e.removed_gtins.contains(gtin));
                self.gtins.extend(e.gtins.clone());
            }
        }
    )*};
}

described!(ProductState, ProductPage, SearchedProduct);

/// So have those by which it is sold: what is searched does without.
macro_rules! sold {
    ($($message:ty),* $(,)?) => {$(
        impl $message {
            /// Takes over what was said of its selling when the product was created.
            pub fn sell(&mut self, e: &ProductCreated) {
                self.tax_class.clone_from(&e.tax_class);
                self.weight_grams = e.weight_grams;
                self.max_per_order = e.max_per_order;
            }

            /// Changes what a revision names of its selling. All else stays.
            pub fn resell(&mut self, e: &ProductRevised) {
                if let Some(new) = &e.tax_class {
                    self.tax_class.clone_from(new);
                }
                self.weight_grams = e.weight_grams.unwrap_or(self.weight_grams);
                self.max_per_order = e.max_per_order.unwrap_or(self.max_per_order);
            }
        }
    )*};
}

sold!(ProductState, ProductPage);

impl MediaAttached {
    /// Adds the medium, or replaces the one at its address.
    pub fn apply(&self, media: &mut Vec<Media>) {
        let Some(new) = &self.media else { return };
        match media.iter_mut().find(|m| m.url == new.url) {
            Some(known) => known.clone_from(new),
            None => media.push(new.clone()),
        }
    }
}

/// The address of the first picture among these; empty where there is none.
pub fn first_picture(media: &[Media]) -> String {
    media.iter().find(|m| m.kind() == MediaKind::Image).map(|m| m.url.clone()).unwrap_or_default()
}

/// The order of two instants; those that are no instants are in some order too.
fn place(at: &Timestamp) -> (i64, i32) {
    (at.seconds, at.nanos)
}

impl Price {
    /// What one piece costs at a time: less while a sale's period runs. None: nothing is said.
    pub fn at(&self, now: &Timestamp) -> Option<Money> {
        let list = self.list.as_ref()?;
        let runs = |sale: &&Sale| {
            let has_begun = sale.starts_at.as_ref().is_none_or(|from| place(from) <= place(now));
            has_begun && sale.ends_at.as_ref().is_none_or(|to| place(now) < place(to))
        };
        let minor_units = self.sale.as_ref().filter(runs).map_or(list.minor_units, |sale| sale.minor_units);
        Some(Money { currency: list.currency.clone(), minor_units })
    }

    /// When it changes next by itself, after a time; none: never.
    pub fn changes_after(&self, now: &Timestamp) -> Option<Timestamp> {
        let sale = self.sale.as_ref()?;
        [sale.starts_at, sale.ends_at].into_iter().flatten().filter(|at| place(at) > place(now)).min_by_key(place)
    }
}
