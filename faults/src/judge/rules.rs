//! Every rule that the judge holds a run to, whatever its services are about, in the order of causes: what lies deeper in the flow of data
//! stands first.

/// The layer of the flow of data that a rule looks at. What is broken in a layer shows in all that follow it, so the first
/// violation is one of the deepest layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// The log alone: pages, events, chain.
    Log,
    /// The ledger beside the events.
    Ledger,
    /// The meaning of the log's events.
    Effects,
    /// The log beside the answers that clients had.
    Answers,
    /// Kafka beside the log.
    Kafka,
    /// The parts of read models beside the log.
    Parts,
    /// Answers made of them.
    Served,
    /// Numbers that were watched while the run went on.
    Watched,
}

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// I1 to I10.
    pub invariant: &'static str,
    /// Its name, in kebab-case.
    pub name: &'static str,
    /// Where in the flow of data it looks.
    pub layer: Layer,
    /// The rule in a sentence.
    pub meaning: &'static str,
}

/// A table of rules: a constant each, and all of them as `RULES`, in the order of causes.
macro_rules! table {
    ($($id:ident: $invariant:literal $layer:ident $name:literal, $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $id: $crate::judge::rules::Rule = $crate::judge::rules::Rule {
            invariant: $invariant,
            name: $name,
            layer: $crate::judge::rules::Layer::$layer,
            meaning: $meaning,
        };)*
        /// All of this table, in the order of causes.
        pub const RULES: &[$crate::judge::rules::Rule] = &[$($id),*];
    };
}
pub(crate) use table;

table! {
    PAGE_GAP: "I3" Log "page-gap", "A partition's pages are 0, 1, 2 … without a gap.";
    PAGE_TILING: "I3" Log "page-tiling", "A page begins where the one before ends, and the last ends where the events end.";
    OFFSET_GAP: "I3" Log "offset-gap", "A partition's offsets are 0, 1, 2 … without a gap.";
    VERSION_GAP: "I3" Log "version-gap", "A stream's versions are 1, 2, 3 … without a gap, in the order of offsets.";
    ORDINAL_GAP: "I3" Log "ordinal-gap", "The ledger rows of a page are 0, 1, 2 … without a gap, and their page stands.";
    WRONG_PARTITION: "I3" Log "wrong-partition", "A stream's events and results stand in partition murmur2(stream id) & 0x7fffffff mod n.";
    EVENT_OUTSIDE_PAGE: "I3" Log "event-outside-page", "An event belongs to the page whose range has its offset, and has that page's time.";
    EVENT_DIGEST: "I3" Log "event-digest", "An event's digest is that of its fields.";
    BROKEN_LINK: "I3" Log "broken-link", "A page names the digest of the page before; page 0 that of the log's birth.";
    PAGE_DIGEST: "I3" Log "page-digest", "A page's digest is that of its fields, its events and its ledger rows.";
    UNREADABLE: "I3" Log "unreadable", "Payloads, metadata and results are what their types say.";
    TIME_WENT_BACK: "I8" Log "time-went-back", "Times and epochs of a partition's pages never go back.";
    TWO_RESULTS: "I2" Ledger "two-results", "A command has one row in the ledger.";
    EFFECT_TWICE: "I2" Ledger "effect-twice", "A command's events stand in one page, and are those that its result names.";
    EVENT_WITHOUT_COMMAND: "I2" Ledger "event-without-command", "An event's command has a result.";
    REFUSAL_WITH_EFFECT: "I2" Ledger "refusal-with-effect", "A refusal leaves no events but those that tell a process of it.";
    LOST_EVENT: "I1" Ledger "lost-event", "Every event that a result names stands in the log, of that stream, type, version and command.";
    WRONG_TOKEN: "I1" Ledger "wrong-token", "A result's token is the last offset that it rests on.";
    WRONG_VERSION: "I3" Ledger "wrong-version", "A result's version is that of its stream at the place that it rests on.";
    WRONG_CONDITION: "I2" Effects "wrong-condition", "A command fails for its condition if and only if its stream was at another version.";
    UNFOUNDED_ANSWER: "I2" Effects "unfounded-answer", "A refusal, or that there was nothing to do, is what the stream says before it.";
    REACTION_MISSING: "I2" Effects "reaction-missing", "Every event that a reactor reacts to has its command in the ledger, or among what was set aside for a reason.";
    REACTION_UNASKED: "I2" Effects "reaction-unasked", "Every command of a reactor is what an event asks for, under the id that is derived from the event.";
    REACTION_DIFFERS: "I2" Effects "reaction-differs", "A reaction's command is what its event asks for, and its events what the target's stream said before it leads to.";
    UNEXPECTED_ANSWER: "I1" Answers "unexpected-answer", "Every answer is one that the contract knows; what is shed says when to come again.";
    WRONG_COMMAND_ID: "I1" Answers "wrong-command-id", "A command's id is UUIDv5 of service, caller, stream and key.";
    LOST_COMMAND: "I1" Answers "lost-command", "An acknowledged command has its result in the ledger.";
    ACCEPTED_WITHOUT_RESULT: "I1" Answers "accepted-without-result", "An accepted command has a result at last, or was set aside for a reason.";
    SET_ASIDE: "I1" Answers "set-aside", "No command that can be read is set aside, but for a newer build, which takes it up in the end.";
    HANDLE_FORGOTTEN: "I1" Answers "handle-forgotten", "A handle that a 202 gave is known to every process, until its result is told.";
    NOBODY_ASKED: "I2" Answers "nobody-asked", "Every result in the ledger is of a command that somebody asked.";
    SHED_TOOK_EFFECT: "I2" Answers "shed-took-effect", "A command that was only ever shed, found invalid or aborted has no result.";
    CALLED_INVALID: "I1" Answers "called-invalid", "What is called invalid is: it can't be read (400), or another one has its key (422).";
    ANSWERS_DIFFER: "I2" Answers "answers-differ", "All answers to one command are the same, on every endpoint and by its handle.";
    TOLD_OTHERWISE: "I1" Answers "told-otherwise", "What was told of a command is what its ledger row says.";
    OTHER_COMMAND: "I2" Answers "other-command", "The result under a key is of a command that was asked under it and not refused as another (422).";
    EFFECT_NOT_ASKED: "I2" Answers "effect-not-asked", "A command's events say what the command asked for.";
    KAFKA_MISSING: "I5" Kafka "kafka-missing", "Every event of the log stands in Kafka.";
    KAFKA_AHEAD: "I5" Kafka "kafka-ahead", "Kafka has no event that the log does not have.";
    KAFKA_ORDER: "I5" Kafka "kafka-order", "First occurrences stand in Kafka in the log's order.";
    KAFKA_BYTES: "I5" Kafka "kafka-bytes", "A message has its event's key, version, type, payload and headers, in repeats too.";
    KAFKA_DIGEST: "I5" Kafka "kafka-digest", "A message has its event's page's digest and epoch, in repeats too.";
    REJECTION_UNTOLD: "I1" Kafka "rejection-untold", "What was rejected stands in `<service>.messages.rejected`, with the reason and where it had come from.";
    PART_MISSING: "I4" Parts "part-missing", "What a fold of the log shows is a part of the live read model.";
    PART_UNEXPECTED: "I4" Parts "part-unexpected", "The live read model has no part that a fold of the log does not show.";
    PART_DIFFERS: "I4" Parts "part-differs", "A part of the live read model says what a fold of the log says.";
    FOLD_DIFFERS: "I4" Parts "fold-differs", "Daybook's own audits, `replay diff` and `replay verify`, found nothing.";
    SERVED_DIFFERS: "I4" Served "served-differs", "What is served at the end is what a fold of the log shows.";
    PROCESSES_DISAGREE: "I4" Served "processes-disagree", "At the end all processes serve the same.";
    STALE_READ: "I4" Served "stale-read", "A page that was asked for with tokens shows all that they cover.";
    STALE_FOR_NOTHING: "I4" Served "stale-for-nothing", "No stream is said to be stale, or not to be shown, where every build knows every event.";
    BEHIND_POSITION: "I4" Served "behind-position", "A page shows all that its Consistency-Position covers.";
    TOKEN_NOT_COVERED: "I4" Served "token-not-covered", "The positions of a page are at or past the tokens it was asked for with, and name all that it rests on.";
    OLDER_AFTER_NEWER: "I4" Served "older-after-newer", "One process never shows an older page of a key after a newer one.";
    MIXED_PAGE: "I4" Served "mixed-page", "All that a page shows of one stream is of one version of it.";
    FROM_NOWHERE: "I4" Served "from-nowhere", "A page shows nothing that the log never said.";
    WENT_BACK: "I8" Watched "went-back", "Log offsets, versions and checkpoints never go back.";
    DUEL: "I10" Watched "duel", "When all has caught up and nobody comes or goes, nobody takes a checkpoint over.";
    NOT_RECOVERED: "I10" Watched "not-recovered", "After a fault, work goes on and all catches up.";
    RECOVERED_LATE: "I10" Watched "recovered-late", "After a fault, work goes on within the time that was said.";
}

/// Rules of what a restore of the database leads to.
pub mod restored {
    table! {
        EPOCH_NOT_BEGUN: "I8" Log "epoch-not-begun", "Where a restore has taken events away, others stand in another epoch.";
        NOT_DECIDED_AGAIN: "I1" Ledger "not-decided-again", "Every command whose result a restore has taken away is decided again.";
        TOKEN_OF_THE_PAST: "I4" Served "token-of-the-past", "A token of a place that a restore has taken away is not answered with what came instead, and none is called old where no other epoch has begun.";
    }
}
