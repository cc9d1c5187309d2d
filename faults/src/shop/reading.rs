//! Questions of readers: about what was just changed under its tokens, or about anything at all.

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::clients::Shop;
use super::names::{CATEGORY_LISTINGS, ORDERS, PRODUCT_PAGES, REORDER_ALERTS, STOCK_LEVELS};

/// Finds every product of ours; few of them are enough to see that it answers.
const QUERY: &str = "brand=Nemesis&page_size=5";

/// A reader's question.
pub(crate) enum Question {
    /// A page of a read model.
    Page {
        /// The read model.
        model: &'static str,
        /// Its key.
        key: String,
        /// Tokens that the answer has to cover.
        tokens: Vec<String>,
    },
    /// A search.
    Search {
        /// The query string.
        query: &'static str,
        /// Tokens that the answer has to cover.
        tokens: Vec<String>,
    },
}

impl Question {
    fn page(model: &'static str, key: impl Into<String>, tokens: Vec<String>) -> Self {
        Self::Page { model, key: key.into(), tokens }
    }
}

impl Shop {
    /// A question; none where nothing was changed yet. Where `two_builds` serve, the older one lacks the newest read model.
    pub(crate) fn question(&self, random: &mut StdRng, two_builds: bool) -> Option<Question> {
        let choice = random.random_range(0..100);
        if choice < 4 {
            return Some(Question::page(CATEGORY_LISTINGS, self.any_category(random), Vec::new()));
        }
        if let Some((order, token)) = self.market().look_for(random).filter(|_| choice >= 85) {
            return Some(Question::page(ORDERS, order, vec![token]));
        }
        let fresh = self.look_for(random)?;
        let sku = fresh.sku().to_owned();
        let alerts = fresh.stream.strip_prefix("reorder/").and_then(|key| Some(key.split_once('@')?.1)).filter(|_| !two_builds);
        if let Some(warehouse) = alerts {
            return Some(Question::page(REORDER_ALERTS, warehouse, vec![fresh.token.clone()]));
        }
        Some(match choice {
            // A list that should show what was just changed: of a product, its stock, or both.
            4..12 => {
                let category = self.category_of(&sku).unwrap_or_else(|| self.any_category(random));
                Question::page(CATEGORY_LISTINGS, category, self.tokens_of(fresh))
            }
            12..14 => Question::Search { query: QUERY, tokens: self.tokens_of(fresh) },
            // All that was done to a product and its stock, in one page.
            14..24 => Question::page(PRODUCT_PAGES, sku, self.tokens_of(fresh)),
            _ => {
                let stock = fresh.stream.strip_prefix("stock/").map(str::to_owned);
                let tokens = if random.random_bool(0.8) { vec![fresh.token] } else { Vec::new() };
                match stock.filter(|_| random.random_bool(0.5)) {
                    Some(key) => Question::page(STOCK_LEVELS, key, tokens),
                    None => Question::page(PRODUCT_PAGES, sku, tokens),
                }
            }
        })
    }
}
