//! Fail-points: named places in the engine where a harness makes a process die, pause or panic, and the few things that it
//! changes in one: its clock, its lock, its consumer group.
//!
//! Without the feature `armed` every function is empty and inlined, so a place costs nothing and needs no `cfg`; what is released
//! is built so. With it, `DAYBOOK_FAILPOINTS` names a folder by which a harness talks to processes that run; where the variable
//! is not set nothing happens. What stands there:
//!
//! | file | meaning |
//! |---|---|
//! | a name of [`POINTS`] | the next one to reach it renames the file, which only one can, and then does what it says: `kill`, `kill N` (after N ms, for threads beside it), `pause N`, `panic` |
//! | a name of [`SWITCHES`] | stands: on |
//! | `clock` | microseconds that the clock is ahead; behind, when negative |
//! | `NAME.fired-PID-NANOS` | it happened there: by whom, and when |
//!
//! Files come and go as a whole (written elsewhere, then renamed): `Faults` does that for a harness.

#[cfg(feature = "armed")]
mod armed;
#[cfg(feature = "armed")]
mod fault;
#[cfg(feature = "armed")]
mod harness;

#[cfg(feature = "armed")]
pub use fault::Fault;
#[cfg(feature = "armed")]
pub use harness::Faults;

/// The variable that names the folder.
pub const FOLDER: &str = "DAYBOOK_FAILPOINTS";

/// The variable that is appended to the name of the lanes' consumer group: two processes with two values both get every partition.
pub const GROUP: &str = "DAYBOOK_FAULT_GROUP";

/// The file that says how far the clock is ahead.
pub const CLOCK: &str = "clock";

/// While it is on, the advisory lock of a log partition is neither waited for nor taken.
pub const NO_ADVISORY_LOCK: &str = "no-advisory-lock";

/// Every place where a process can be made to die, in the order of the way of a command, of an event, of a rebuild, of a query.
pub const POINTS: &[&str] = &[
    // Kafka has acknowledged the command, or the reply has come already; the client has not been answered.
    "endpoint.produced",
    // The opening page stands; nothing has been read yet.
    "open.after",
    // A message is to be set aside; nothing of that is durable.
    "aside.before",
    // A message is noted as rejected; the topic of rejected ones does not have it.
    "aside.between",
    // A message was set aside for good; nobody was told.
    "aside.after",
    // A page is decided, and its statement not sent.
    "append.before",
    // Postgres has answered that the page is committed; nothing was told, the relay knows of nothing.
    "append.after",
    // Everything to be told is durable; no reply was sent, and the relay was not woken.
    "reply.before",
    // The replies were given, or handed to Kafka's client; the messages' offset is not stored.
    "reply.after",
    // A batch of events is to be published.
    "publish.before",
    // Kafka has acknowledged a batch of events; the relay's cursor has not moved.
    "publish.after",
    // Parts are worked out; the one statement that writes them and moves the checkpoint was not sent.
    "project.before-commit",
    // Parts and checkpoint are committed; nothing was pushed.
    "project.after-commit",
    // A batch of events asks for something; nothing of it was sent.
    "react.before-send",
    // Kafka has acknowledged reactions, or there were none; the reactor's marks were not written.
    "react.before-checkpoint",
    // A call of a lookup or an effect is begun: a row says so where it is one to the outside; nobody was asked.
    "call.before",
    // The outcome of a call is there, and kept nowhere.
    "call.answered",
    // The outcome is kept in the call's row, and was not sent.
    "call.kept",
    // Kafka has the outcome; the desk does not know it, and the row stands.
    "call.sent",
    // Deadlines are due and their rows stand; nothing was sent.
    "fire.before",
    // Kafka has the commands of deadlines; their rows stand.
    "fire.sent",
    // Kafka has the parts of a batch, and not the marker behind them.
    "push.between",
    // At least one partition of a new generation is filled.
    "rebuild.filling",
    // All partitions are filled; the tables have no indexes, the checkpoints stand at 0.
    "rebuild.before-indexes",
    // The generation is complete; that it is ready is not committed.
    "rebuild.before-ready",
    // The switch to another generation is made and not committed.
    "promote.before-switch",
    // The switch is committed; nobody was told.
    "promote.after-switch",
    // The query API has read a key's parts, and does not hold them yet.
    "serve.load",
];

/// Everything that can be switched on and off again.
pub const SWITCHES: &[&str] = &[NO_ADVISORY_LOCK];

/// A place of [`POINTS`]. Returns, unless a harness has armed it: then it kills this process, holds this thread up, or panics.
#[inline(always)]
pub fn reach(point: &'static str) {
    #[cfg(feature = "armed")]
    if let Some(fault) = armed::folder().and_then(|folder| folder.claim(point)) {
        fault.happen(point);
    }
    #[cfg(not(feature = "armed"))]
    let _ = point;
}

/// Whether a place is armed now, for one that needs preparation: false without the feature, so that the preparation goes too.
#[inline(always)]
pub fn is_armed(point: &'static str) -> bool {
    #[cfg(feature = "armed")]
    return armed::folder().is_some_and(|folder| folder.stands(point));
    #[cfg(not(feature = "armed"))]
    {
        let _ = point;
        false
    }
}

/// Whether a switch of [`SWITCHES`] is on. The first look of a process that finds it on leaves a mark.
#[inline(always)]
pub fn is_on(switch: &'static str) -> bool {
    #[cfg(feature = "armed")]
    return armed::folder().is_some_and(|folder| folder.is_on(switch));
    #[cfg(not(feature = "armed"))]
    {
        let _ = switch;
        false
    }
}

/// Microseconds that this process' clock is to be ahead of the machine's, as it was at most 50 ms ago; 0 where nothing says otherwise.
#[inline(always)]
pub fn clock_offset_micros() -> i64 {
    #[cfg(feature = "armed")]
    return armed::folder().map_or(0, armed::Folder::clock_offset_micros);
    #[cfg(not(feature = "armed"))]
    0
}

/// A variable by which a harness changes a process from its start, for example [`GROUP`]; none without the feature.
#[inline(always)]
pub fn text(variable: &'static str) -> Option<String> {
    #[cfg(feature = "armed")]
    return std::env::var(variable).ok();
    #[cfg(not(feature = "armed"))]
    {
        let _ = variable;
        None
    }
}
