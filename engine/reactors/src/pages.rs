//! The reading of pages: parts of the live generation, put together. What the query API adds when it serves a page is not in them: neither
//! what fills it from other read models, nor what a finisher makes of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use daybook_kernel::{PageKey, Pages, ReadModel};
use daybook_postgres::{Connector, Databases, Pool, Role};
use tokio::time::Instant;

use crate::ReactorError;

const LIVE_GENERATION: &str = include_str!("sql/live_generation.sql");
const READ_PAGES: &str = include_str!("sql/read_pages.sql");

/// As the query API's connections: the statements are look-ups by construction.
const SETTINGS: &[(&str, &str)] = &[
    ("default_transaction_read_only", "on"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    ("statement_timeout", "5000"),
    ("idle_in_transaction_session_timeout", "5000"),
];
/// Longest wait for a connection.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest wait for a read model to be as far as the event that asks.
const TOKEN_PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks how far it is: at first, and at the longest.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LONGEST_LOOK: Duration = Duration::from_millis(100);

/// The place of an event, as far as a read model has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) service: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) epoch: i32,
}

/// Why pages could not be read. Each is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Database(#[from] ReactorError),
    #[error("this build has no read model {0}")]
    Unknown(String),
    #[error("no generation of the read model {0} is live")]
    NotLive(&'static str),
    #[error("the read model {0} has not come as far as the event that asks")]
    Behind(&'static str),
}

impl From<tokio_postgres::Error> for ReadError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Reads pages of read models, under a role that can do nothing else.
pub(crate) struct Reader {
    pool: Pool,
    /// The beginning of the parts without which a page does not exist; none of a list, which always does.
    roots: HashMap<&'static str, Option<&'static str>>,
}

impl Reader {
    pub(crate) fn new(databases: &Databases, models: &[ReadModel]) -> Result<Self, ReactorError> {
        let connector = Connector::new(databases.read_url(), Some(Role::Query), SETTINGS, "daybook lookups")?;
        let roots = models.iter().map(|model| (model.name, model.root)).collect();
        Ok(Self { pool: databases.pool(&connector.within(PATIENCE, PATIENCE * 5), PATIENCE)?, roots })
    }

    /// Reads pages that are at least as new as what `place` says of the partition that a read model folds.
    pub(crate) async fn read(&self, wanted: &[PageKey], place: Place<'_>, pages: &mut Pages) -> Result<(), ReadError> {
        let mut by_model: BTreeMap<&'static str, BTreeSet<&str>> = BTreeMap::new();
        for page in wanted {
            by_model.entry(page.model()).or_default().insert(page.key());
        }
        for (model, keys) in by_model {
            let keys: Vec<&str> = keys.into_iter().collect();
            let root = *self.roots.get(model).ok_or_else(|| ReadError::Unknown(model.to_owned()))?;
            let parts = self.live(model, place).await?;
            let client = self.pool.get().await.map_err(ReactorError::from)?;
            let statement = client.prepare_cached(&READ_PAGES.replace("{parts}", &parts)).await?;
            let rows = client.query(&statement, &[&keys]).await?;
            let mut found: HashMap<&str, (Vec<u8>, bool)> = HashMap::new();
            for row in &rows {
                let (bytes, has_root) = found.entry(row.get(0)).or_default();
                bytes.extend_from_slice(row.get(2));
                *has_root |= root.is_some_and(|root| row.get::<_, &str>(1).starts_with(root));
            }
            for key in keys {
                let page = match (root, found.remove(key)) {
                    (None, found) => Some(found.unwrap_or_default().0),
                    (Some(_), found) => found.filter(|(_, has_root)| *has_root).map(|(bytes, _)| bytes),
                };
                pages.put(PageKey::new(model, key), page);
            }
        }
        Ok(())
    }

    /// The table of the generation that is served, once it has come past this place. What it folds later is newer.
    async fn live(&self, model: &'static str, place: Place<'_>) -> Result<String, ReadError> {
        let (until, mut pause) = (Instant::now() + TOKEN_PATIENCE, FIRST_LOOK);
        loop {
            let client = self.pool.get().await.map_err(ReactorError::from)?;
            let statement = client.prepare_cached(LIVE_GENERATION).await?;
            let row = client.query_opt(&statement, &[&model, &place.service, &place.partition]).await?;
            drop(client);
            let row = row.ok_or(ReadError::NotLive(model))?;
            // One that stands in an older epoch has folded other events there.
            let folded = row.get::<_, Option<i64>>(1).zip(row.get::<_, Option<i32>>(2));
            if folded.is_none_or(|(next, epoch)| next > place.offset && epoch >= place.epoch) {
                return Ok(row.get(0));
            }
            if Instant::now() >= until {
                return Err(ReadError::Behind(model));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_LOOK);
        }
    }
}
