//! The log in Postgres: append a page in one statement, read streams and partitions, the command ledger, snapshots.
//! Insert-only; the page's primary key is the fence. One SQL statement a file, in `sql/`.

mod append;
mod audit;
mod bulk;
mod error;
mod messages;
mod migrate;
mod outcome;
mod page;
mod partition;
mod read;
mod session;
mod snapshot;
mod sql;

pub use append::{Opened, Settled, Writer};
pub use audit::{EventRow, RequestRow, Rows, SnapshotRow, Stray};
pub use bulk::{BulkEvent, BulkEvents, BulkOrder, BulkRead};
pub use error::LogError;
pub use messages::{Fate, ParkedMessage, RejectedMessage};
pub use migrate::{MigrateOptions, Migrated, SchemaName, migrate};
pub use outcome::AppendOutcome;
pub use page::{LedgerRow, NewEvent, Page, PageHead, StoredEvent};
pub use partition::{Log, PartitionLog};
pub use read::{BatchState, LedgerEntry, LoadedStream};
pub use session::{Session, WriterSessions};
pub use snapshot::Snapshot;
