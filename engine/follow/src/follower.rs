//! Followers of a log partition, as the partition's task sees them.

use std::error::Error;
use std::sync::Arc;

use daybook_kernel::Instant;
use daybook_log::PartitionLog;
use daybook_postgres::Pool;
use deadpool_postgres::Client;
use futures_util::future::BoxFuture;

use crate::event::Event;

/// A checkpoint, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The next offset.
    pub next: i64,
    /// Raised by each takeover: a holder of a lower one writes nothing.
    pub term: i64,
    /// Whether its last holder has given it up, and nobody has taken it over since.
    pub given_up: bool,
    /// Whether the holder owes something besides events: calls that are open.
    pub owes: bool,
    /// When the holder has said last that it works on what it owes: it may have to wait for somebody else for long.
    pub alive_at: Option<Instant>,
}

/// The find of a statement that moves a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It stood where it was read, and has moved.
    Yes,
    /// It stood elsewhere, or is another holder's: nothing was written.
    No,
    /// A transaction of somebody else holds it: nothing was written.
    Locked,
}

/// Why a follower could not go on.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The checkpoint is not where it was read, or is another holder's.
    #[error("another one has moved the checkpoint of {0}")]
    Moved(String),
    /// Somebody else's transaction holds the checkpoint.
    #[error("the checkpoint of {0} is held by a transaction of somebody else")]
    Locked(String),
    /// The events must be taken from the log, and with more care.
    #[error("{0}")]
    Carefully(String),
    /// There is nothing to follow for any more.
    #[error("{0} is not there any more")]
    Gone(String),
    /// It must wait for what it has sent: it goes on alone, and forgets nothing.
    #[error("{0} waits for what it has sent")]
    Busy(String),
    /// Infrastructure.
    #[error(transparent)]
    Failed(Box<dyn Error + Send + Sync>),
    /// A bug.
    #[error("a follower panicked: {0}")]
    Panicked(String),
}

/// A database where followers keep their checkpoints. Those of one database are written in one transaction.
#[derive(Clone)]
pub struct Home {
    /// Tells it from the other ones: `read`, `log`.
    pub name: &'static str,
    /// Connections for the writes of several followers together. A statement that takes long must fail there: all others wait for it.
    pub pool: Pool,
    /// Whether its followers rest after a small batch, so that under load batches grow. Those whose work others wait for never do.
    pub rests: bool,
}

/// Follows one log partition. A batch is prepared, executed with those of others in one transaction, and then
/// committed; what it holds in memory it may only believe after that.
pub trait Follower: Send + Sync + 'static {
    /// For people: the kind, its generation, and the partition.
    fn name(&self) -> String;

    /// The next offset: all before it is done with.
    fn next(&self) -> i64;

    /// Of the log, as far as it has been followed.
    fn epoch(&self) -> i32;

    /// The highest term that it has had itself.
    fn term(&self) -> i64;

    /// Hears where the log ends.
    fn heard(&mut self, end: i64);

    /// Takes over from any holder of the checkpoint, and stands where it stands. What is in memory stays good while the
    /// checkpoint is its own last one.
    fn take_over(&mut self) -> BoxFuture<'_, Result<(), FollowError>>;

    /// Forgets all that it holds, and stands where the stored checkpoint stands; [`FollowError::Moved`] where that is another holder's by now.
    /// A term is its own by [`take_over`](Self::take_over) alone: one that went on under a term that it found would be a second holder.
    fn resume(&mut self) -> BoxFuture<'_, Result<(), FollowError>>;

    /// The checkpoint, as it is stored now.
    fn standing(&self) -> BoxFuture<'_, Result<Standing, FollowError>>;

    /// Works out what events mean: in order, from [`next`](Self::next) on, without a gap. May read over `client`, and
    /// prepares its statement there.
    fn prepare<'a>(&'a mut self, client: &'a Client, events: &'a [Arc<Event>]) -> BoxFuture<'a, Result<(), FollowError>>;

    /// Whether the prepared work has a statement. Where nobody's has one, there is no transaction.
    fn has_statement(&self) -> bool;

    /// Writes the prepared work, and moves the checkpoint, in one statement. It is sent when it is first polled, so that
    /// those of several followers are pipelined.
    fn execute<'a>(&'a self, client: &'a Client) -> BoxFuture<'a, Result<Moved, tokio_postgres::Error>>;

    /// The prepared work stands: memory moves on, and those who want to know are told.
    fn committed(&mut self) -> BoxFuture<'_, Result<(), FollowError>>;

    /// Executes again the prepared statement that found the checkpoint locked, in a transaction of its own.
    fn again(&mut self) -> BoxFuture<'_, Result<(), FollowError>>;

    /// The end of the log now.
    fn log_end(&self) -> BoxFuture<'_, Result<i64, FollowError>>;

    /// Looks where the log ends, and says whether there is more.
    fn is_behind(&mut self) -> BoxFuture<'_, Result<bool, FollowError>>;

    /// One batch from the log, in a transaction of its own, if there is more as far as is known.
    fn step(&mut self) -> BoxFuture<'_, Result<(), FollowError>>;

    /// Whether [`tend`](Self::tend) has something to do.
    fn wants_tending(&mut self) -> bool;

    /// Work from time to time, beside events.
    fn tend(&mut self) -> BoxFuture<'_, Result<(), FollowError>>;

    /// The partition goes elsewhere: waits a moment for what it has sent, and notes how far that has come.
    fn let_go(&mut self) -> BoxFuture<'_, Result<(), FollowError>>;

    /// The process ends: gives the checkpoint up where it is its own, and writes nothing from then on. It raises the term, as a takeover does.
    fn give_up(&mut self) -> BoxFuture<'_, Result<(), FollowError>>;
}

/// A kind of follower: it makes one for each partition that this process has.
pub trait Kind: Send + Sync + 'static {
    /// The kind's name, for example `product-pages`.
    fn name(&self) -> &'static str;

    /// Tells it from others of the same name: the generation of a read model.
    fn generation(&self) -> i32;

    /// Whether it follows the log of this service.
    fn follows(&self, service: &str) -> bool;

    /// The database with the checkpoints of its followers of this partition.
    fn home(&self, log: &PartitionLog) -> Home;

    /// One that stands nowhere yet: it takes over before anything else.
    fn open(&self, log: PartitionLog) -> Box<dyn Follower>;
}

/// The kinds that follow, for now: changed while partitions are followed.
#[derive(Clone, Default)]
pub struct Roster(pub Arc<Vec<Arc<dyn Kind>>>);
