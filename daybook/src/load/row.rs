//! One row of the file, from what it says to what it came to.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use daybook_kernel::ConsistencyToken;
use shop_catalogue::Product;
use shop_proto::read::v1::ProductPage;

use super::command::Post;
use super::last::{LastWords, Short, short};
use super::post::{CommandOutcome, Endpoint, ResultPosition, Unavailable};
use super::report::{RowOutcome, StockOutcome};
use super::shop::{STORED, Shop, differences};

/// So often a product is looked at again because somebody else changed it meanwhile.
const TRIES: usize = 10;

/// The task that a row is for a load.
pub(super) struct Way {
    pub(super) endpoint: Endpoint,
    /// Asked by an update and by a dry run.
    pub(super) shop: Option<Shop>,
    pub(super) warehouse: Option<String>,
    /// Products that are there are brought to what their rows say.
    pub(super) update: bool,
    /// Nothing is sent.
    pub(super) dry_run: bool,
    pub(super) order: Order,
    /// Of SKUs with several rows, in an update: where the last result of theirs stands. What a later row of the same SKU is
    /// compared with must be at least as new. In a dry run: that an earlier row would create it.
    pub(super) places: Mutex<HashMap<Short, String>>,
    /// The last result of an update in each partition of the log.
    pub(super) last: Mutex<BTreeMap<(String, i32), ConsistencyToken>>,
}

/// The end of a row.
pub(super) struct Came {
    pub(super) outcome: RowOutcome,
    pub(super) stock: Option<StockOutcome>,
    /// Commands that took effect, or would.
    pub(super) commands: Vec<&'static str>,
}

/// The treatment of several rows of one SKU.
pub(super) enum Order {
    /// One is sent after the other, in the file's order. The SKUs that were seen, by a digest.
    InTurn(Mutex<HashSet<Short>>),
    /// Of each field the last one that says it counts.
    LastWord(LastWords),
}

impl Way {
    /// Whether an earlier row had this SKU; from now on one has.
    pub(super) fn is_later(&self, sku: &str, line: u64) -> bool {
        match &self.order {
            Order::InTurn(seen) => !seen.lock().unwrap_or_else(PoisonError::into_inner).insert(short(sku)),
            Order::LastWord(words) => words.is_later(sku, line),
        }
    }

    /// Takes from what a row says that which a later row says anew; whether anything is left.
    pub(super) fn leave(&self, product: &mut Product, line: u64) -> bool {
        match &self.order {
            Order::InTurn(_) => true,
            Order::LastWord(words) => words.leave(product, line),
        }
    }

    fn has_several(&self, sku: &str) -> bool {
        matches!(&self.order, Order::LastWord(words) if words.has_several(sku))
    }

    fn places(&self) -> std::sync::MutexGuard<'_, HashMap<Short, String>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stands(&self, sku: &str, place: &ResultPosition) {
        let (true, Some(token)) = (self.update, &place.token) else { return };
        if self.has_several(sku) {
            self.places().insert(short(sku), token.clone());
        }
        if let Ok(token) = token.parse::<ConsistencyToken>() {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let at = last.entry((token.service.clone(), token.partition)).or_insert_with(|| token.clone());
            if at.offset < token.offset {
                *at = token;
            }
        }
    }

    /// Waits until the pages show what an update has done: the next update, of another file perhaps, compares with them.
    ///
    /// # Errors
    /// When they don't in time.
    pub(super) async fn shown(&self) -> Result<(), Unavailable> {
        let Some(shop) = &self.shop else { return Ok(()) };
        let last: Vec<String> = self.last.lock().unwrap_or_else(PoisonError::into_inner).values().map(ToString::to_string).collect();
        // So many may stand in a request.
        for tokens in last.chunks(64) {
            // There is no such product, but that is known of a state that has got there.
            shop.page("none", Some(&tokens.join(", "))).await?;
        }
        Ok(())
    }

    /// Does what there is to do. `later`: an earlier row has the SKU.
    pub(super) async fn row(&self, product: &Product, later: bool) -> Result<Came, Unavailable> {
        let sku = &product.create.sku;
        let mut commands = Vec::new();
        if self.dry_run && !self.update && later {
            return Ok(Came { outcome: RowOutcome::Exists, stock: None, commands });
        }
        let (outcome, page) = match &self.shop {
            None => (self.create(product, &mut commands).await?.0, None),
            Some(shop) => self.compare(shop, product, &mut commands).await?,
        };
        let stock = match (&self.warehouse, outcome.is_there()) {
            (Some(warehouse), true) => {
                let has = page.is_some_and(|page| page.stock.iter().any(|line| line.warehouse == *warehouse));
                self.receive(sku, warehouse, has, &mut commands).await?
            }
            _ => None,
        };
        Ok(Came { outcome, stock, commands })
    }

    async fn create(&self, product: &Product, commands: &mut Vec<&'static str>) -> Result<(RowOutcome, ResultPosition), Unavailable> {
        let post = Post::create(product);
        let name = post.name;
        let (outcome, place) = match self.endpoint.send(post).await? {
            CommandOutcome::Done { replayed: false, place } => {
                commands.push(name);
                (RowOutcome::Created, place)
            }
            CommandOutcome::Done { replayed: true, place } => (RowOutcome::Replayed, place),
            CommandOutcome::Refused { code, place } => (RowOutcome::Refused(code), place),
            CommandOutcome::Elsewhere(place) => (RowOutcome::Refused("version-elsewhere".to_owned()), place),
            CommandOutcome::Bad(reason) => (RowOutcome::Bad(reason), ResultPosition::default()),
        };
        self.stands(&product.create.sku, &place);
        Ok((outcome, place))
    }

    /// Looks at what the shop has, and sends what is missing.
    async fn compare(
        &self,
        shop: &Shop,
        product: &Product,
        commands: &mut Vec<&'static str>,
    ) -> Result<(RowOutcome, Option<ProductPage>), Unavailable> {
        let sku = &product.create.sku;
        let mut token = if self.dry_run { None } else { self.places().get(&short(sku)).cloned() };
        if self.update && token.is_none() {
            // A page from memory may be older than what the load before has done: the row would look unchanged.
            token = Some(STORED.to_owned());
        }
        let mut created = None;
        for _ in 0..TRIES {
            let Some(page) = shop.page(sku, token.as_deref()).await? else {
                if self.dry_run {
                    let is_there = self.has_several(sku) && self.places().insert(short(sku), String::new()).is_some();
                    commands.extend((!is_there).then_some("create-product"));
                    return Ok((if is_there { RowOutcome::Updated } else { RowOutcome::Created }, None));
                }
                // There is a product, but no page of it: a draft, or one that is retired.
                if let Some(outcome) = created {
                    return Ok((outcome, None));
                }
                let (outcome, place) = self.create(product, commands).await?;
                match outcome {
                    RowOutcome::Replayed | RowOutcome::Refused(_) if place.token.is_some() => {
                        // It was created since, or before, and may have changed: its page tells, once it has got there.
                        token = place.token;
                        created = Some(outcome);
                        continue;
                    }
                    outcome => return Ok((outcome, None)),
                }
            };
            if !self.update {
                return Ok((RowOutcome::Exists, Some(page)));
            }
            match self.bring(&page, product, commands).await? {
                Ok(outcome) => return Ok((outcome, Some(page))),
                // Somebody else was quicker, or the page was older than what this load or one before has done.
                Err(newer) => token = newer,
            }
        }
        Ok((RowOutcome::Refused("changes-meanwhile".to_owned()), None))
    }

    /// The error is where the product stands, when it is no longer what the page shows.
    async fn bring(
        &self,
        page: &ProductPage,
        product: &Product,
        commands: &mut Vec<&'static str>,
    ) -> Result<Result<RowOutcome, Option<String>>, Unavailable> {
        let sku = &product.create.sku;
        let mut version = page.version;
        let changes = differences(page, product);
        if changes.is_empty() {
            return Ok(Ok(RowOutcome::Unchanged));
        }
        for change in changes {
            let post = Post::change(sku, &change, version);
            let name = post.name;
            if self.dry_run {
                commands.push(name);
                continue;
            }
            let outcome = match self.endpoint.send(post).await? {
                CommandOutcome::Done { replayed, place } => {
                    if !replayed {
                        commands.push(name);
                    }
                    version = place.version;
                    self.stands(sku, &place);
                    continue;
                }
                CommandOutcome::Elsewhere(place) => {
                    self.stands(sku, &place);
                    return Ok(Err(place.token));
                }
                CommandOutcome::Refused { code, .. } => RowOutcome::Refused(code),
                CommandOutcome::Bad(reason) => RowOutcome::Bad(format!("{name}: {reason}")),
            };
            return Ok(Ok(outcome));
        }
        Ok(Ok(RowOutcome::Updated))
    }

    async fn receive(
        &self,
        sku: &str,
        warehouse: &str,
        has: bool,
        commands: &mut Vec<&'static str>,
    ) -> Result<Option<StockOutcome>, Unavailable> {
        if has {
            return Ok(Some(StockOutcome::Unchanged));
        }
        let post = Post::receive(sku, warehouse);
        let name = post.name;
        if self.dry_run {
            commands.push(name);
            return Ok(Some(StockOutcome::Received));
        }
        Ok(Some(match self.endpoint.send(post).await? {
            CommandOutcome::Done { replayed: false, .. } => {
                commands.push(name);
                StockOutcome::Received
            }
            CommandOutcome::Done { replayed: true, .. } => StockOutcome::Replayed,
            CommandOutcome::Refused { code, .. } => StockOutcome::Refused(code),
            CommandOutcome::Elsewhere(_) => StockOutcome::Refused("version-elsewhere".to_owned()),
            CommandOutcome::Bad(reason) => StockOutcome::Bad(reason),
        }))
    }
}
