//! The table.

use super::{Counters, Definition, Gauges, Histograms, Kind, Label, Unit};

/// Buckets of times, in seconds: around the 100 ms that are the promise.
const TIMES: &[f64] = &[0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];
/// Buckets of counts.
const COUNTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// A part's name, and its metrics: `static: kind "name" [labels] unit "help";`.
macro_rules! table {
    ($($part:literal { $($id:ident: $kind:ident $name:literal [$($label:ident),*] $unit:ident $help:literal;)+ })+) => {
        $($(
            #[doc = $help]
            pub static $id: table!(@family $kind [$($label),*]) = table!(@new $kind Definition {
                name: $name,
                kind: table!(@kind $kind),
                unit: Unit::$unit,
                help: $help,
                labels: &[$(Label::$label),*],
            });
        )+)+

        /// Every metric that there is, by the part that has it.
        pub static ALL: &[(&str, &[&Definition])] = &[$(($part, &[$(&$id.definition),+])),+];
    };
    (@family counter $labels:tt) => { Counters<{ table!(@count $labels) }> };
    (@family gauge $labels:tt) => { Gauges<{ table!(@count $labels) }> };
    (@family times $labels:tt) => { Histograms<{ table!(@count $labels) }> };
    (@family counts $labels:tt) => { Histograms<{ table!(@count $labels) }> };
    (@count [$($label:ident),*]) => {{ const LABELS: &[Label] = &[$(Label::$label),*]; LABELS.len() }};
    (@new counter $definition:expr) => { Counters::new($definition) };
    (@new gauge $definition:expr) => { Gauges::new($definition) };
    (@new times $definition:expr) => { Histograms::new($definition) };
    (@new counts $definition:expr) => { Histograms::new($definition) };
    (@kind counter) => { Kind::Counter };
    (@kind gauge) => { Kind::Gauge };
    (@kind times) => { Kind::Histogram(TIMES) };
    (@kind counts) => { Kind::Histogram(COUNTS) };
}

table! {
    "Endpoint" {
        COMMANDS_IN_FLIGHT: gauge "daybook_commands_in_flight" [] Count
            "Commands that wait for their answer.";
        COMMANDS_LIMIT: gauge "daybook_commands_limit" [] Count
            "The most commands in flight that are admitted now.";
        COMMANDS_SHED: counter "daybook_commands_shed_total" [Status] Count
            "Commands that were refused because there is too much to do, or because Kafka can't be reached.";
        COMMAND_TIME: times "daybook_command_seconds" [Command, Status] Seconds
            "Time from a command's request to its response.";
        WEBHOOK_NOTICES: counter "daybook_webhook_notices_total" [Service, Status] Count
            "Notices that others have sent, by the answer: 401 had no good signature.";
        WEBHOOK_UNADDRESSED: counter "daybook_webhook_unaddressed_total" [Service] Count
            "Notices with a good signature that are about nothing that is known here: they are kept as rejected messages.";
    }
    "Lanes" {
        LANE_TAKEOVERS: counter "daybook_lane_takeovers_total" [Service] Count
            "Partitions that a lane of this process has taken over.";
        LANE_RESTARTS: counter "daybook_lane_restarts_total" [Service] Count
            "Errors after which a lane began again from the log.";
        LANE_LAG: gauge "daybook_lane_lag_seconds" [Service, Partition] Seconds
            "Age of the oldest message that a lane is not done with.";
        CLOCK_BEHIND: gauge "daybook_clock_behind_seconds" [Service] Seconds
            "How far this machine's clock was behind the last page's time, when it was found to be.";
        APPEND_TIME: times "daybook_append_seconds" [Service] Seconds
            "Time of the statement that appends a page.";
        PAGE_COMMANDS: counts "daybook_page_commands" [Service] Count
            "Commands in a page.";
        COMMANDS_DECIDED: counter "daybook_commands_decided_total" [Service] Count
            "Commands that were decided.";
        COMMANDS_REPEATED: counter "daybook_commands_repeated_total" [Service] Count
            "Repeated commands, which got the result of the first time.";
        COMMANDS_HANDED_OVER: counter "daybook_commands_handed_over_total" [Service] Count
            "Commands of this process's rules that were decided before Kafka brought them.";
        MESSAGES_REJECTED: counter "daybook_messages_rejected_total" [Service] Count
            "Messages that can't be read, and are no command.";
        MESSAGES_PARKED: counter "daybook_messages_parked_total" [Service, Kind] Count
            "Messages that were put aside for a newer build.";
    }
    "Relay" {
        RELAY_LAG: gauge "daybook_relay_lag_events" [Service, Partition] Count
            "Events of the log that Kafka has not acknowledged.";
        RELAY_PUBLISHED: counter "daybook_relay_published_total" [Service] Count
            "Events that Kafka has acknowledged.";
        RELAY_FAILURES: counter "daybook_relay_failures_total" [Service] Count
            "Errors after which publishing went on from the log.";
        RELAY_REFILLS: counter "daybook_relay_refills_total" [Service] Count
            "Topics' partitions that were filled again from the log, because Kafka had lost what they held.";
    }
    "Kafka clients" {
        KAFKA_REBALANCES: counter "daybook_kafka_rebalances_total" [Group] Count
            "Rebalances of a consumer group that this process has seen.";
        KAFKA_PAUSED_PARTITIONS: gauge "daybook_kafka_paused_partitions" [Topic] Count
            "Partitions that are paused, because what has arrived is not worked off.";
        KAFKA_PAUSED_TAILS: gauge "daybook_kafka_paused_tails" [] Count
            "Tails of topics that are paused, because what has arrived is not worked off.";
        KAFKA_DELIVERY_FAILURES: counter "daybook_kafka_delivery_failures_total" [] Count
            "Messages that Kafka did not take.";
        KAFKA_PRODUCERS_REPLACED: counter "daybook_kafka_producers_replaced_total" [] Count
            "Producers that were of no more use, and were replaced.";
        KAFKA_CONSUMERS_REPLACED: counter "daybook_kafka_consumers_replaced_total" [] Count
            "Consumers that stood still, and were replaced.";
    }
    "Followers" {
        FOLLOW_TRANSACTIONS: counter "daybook_follow_transactions_total" [Service] Count
            "Transactions that the followers of a partition shared.";
        FOLLOW_GAPS: counter "daybook_follow_gaps_total" [Service] Count
            "Gaps in what Kafka delivered; the log was read instead.";
        FOLLOW_REPEATS: counter "daybook_follow_repeats_total" [Service] Count
            "Events that Kafka delivered again.";
        FOLLOW_UNREADABLE: counter "daybook_follow_unreadable_messages_total" [Service] Count
            "Messages that are no event; the log was read instead.";
        FOLLOWER_RESTARTS: counter "daybook_follower_restarts_total" [Follower, Service] Count
            "Errors after which a follower began again from its checkpoint.";
        FOLLOWER_STOOD_BY: counter "daybook_follower_stood_by_total" [Follower, Service] Count
            "Times that a follower found that another process had taken its checkpoint over.";
    }
    "Projectors" {
        PROJECTOR_EVENTS: counter "daybook_projector_events_total" [Projection, Service] Count
            "Events that were folded into a read model.";
        PROJECTOR_PARKED: counter "daybook_projector_parked_total" [Projection, Service] Count
            "Streams that were parked, because an event of theirs can't be folded.";
        PROJECTOR_PARKED_STREAMS: gauge "daybook_projector_parked_streams" [Projection, Service, Generation, Partition] Count
            "Streams that are parked.";
        PROJECTOR_LAG: gauge "daybook_projector_lag_events" [Projection, Service, Generation, Partition] Count
            "Events of the log that are not in the read model.";
        PUSH_BATCHES: counter "daybook_push_batches_total" [Projection, Service] Count
            "Batches that were pushed to the query API.";
        PUSH_PARTS: counter "daybook_push_parts_total" [Projection, Service] Count
            "Parts that were pushed to the query API.";
        PUSH_LOST_BATCHES: counter "daybook_push_lost_batches_total" [Projection, Service] Count
            "Batches that Kafka did not take; their parts were pushed again.";
    }
    "Reactors" {
        REACTOR_LAG: gauge "daybook_reactor_lag_events" [Reactor, Service, Partition] Count
            "Events of the log that a reactor is not done with.";
        REACTOR_PARKED_STREAMS: gauge "daybook_reactor_parked_streams" [Reactor, Service, Partition] Count
            "Streams that wait for a reactor.";
        REACTOR_PARKED: counter "daybook_reactor_parked_total" [Reactor] Count
            "Streams that were parked for a reactor.";
        REACTOR_REWINDS: counter "daybook_reactor_rewinds_total" [Reactor, Service] Count
            "Times that Kafka had lost a command, and the reactor went back.";
        REACTIONS_SENT: counter "daybook_reactions_sent_total" [Reactor, Service] Count
            "Commands that a reactor has sent.";
    }
    "Lookups" {
        LOOKUP_CALLS: gauge "daybook_lookup_calls" [Lookup, Service, Partition] Count
            "Calls of a lookup that are open.";
        LOOKUP_FAILURES: counter "daybook_lookup_failures_total" [Lookup, Service] Count
            "Attempts at a call that have failed; each is tried again.";
        LOOKUP_TIME: times "daybook_lookup_seconds" [Lookup, Service] Seconds
            "Time from a call's row to its outcome in the ledger, as far as one process sees it.";
    }
    "Effects" {
        EFFECT_CALLS: gauge "daybook_effect_calls" [Effect, Service, Partition] Count
            "Calls of an effect that are open.";
        EFFECT_ATTEMPTS: counter "daybook_effect_attempts_total" [Effect, Service] Count
            "Calls to the outside that were begun.";
        EFFECT_RETRIES: counter "daybook_effect_retries_total" [Effect, Service] Count
            "Calls to the outside that were begun again, because it was not known what had come of the one before.";
        EFFECT_FAILURES: counter "daybook_effect_failures_total" [Effect, Service] Count
            "Attempts at a call that have failed, or of which nothing is known; each is asked about.";
        EFFECT_UNUSABLE: counter "daybook_effect_unusable_answers_total" [Effect, Service] Count
            "Answers of the outside that can't be: nobody can read them, or they contradict what was asked. Somebody has to look: `daybook calls list`.";
        EFFECT_TIME: times "daybook_effect_seconds" [Effect, Service] Seconds
            "Time from a call's row to its outcome in the ledger, as far as one process sees it.";
        DESTINATION_CALLS: gauge "daybook_destination_calls" [Destination] Count
            "Calls to a destination that are under way.";
        DESTINATION_BREAKER: gauge "daybook_destination_breaker" [Destination] Number
            "The state of a destination's breaker: 0 is closed, at 1 one call tries whether it is back, at 2 none goes through.";
    }
    "Deadlines" {
        DEADLINES_DUE: gauge "daybook_deadlines_due" [Deadlines, Service, Partition] Count
            "Deadlines that are due, and whose commands have no result yet.";
        DEADLINES_FIRED: counter "daybook_deadlines_fired_total" [Deadlines, Service] Count
            "Deadlines whose commands were sent.";
        DEADLINES_LATE: counter "daybook_deadlines_late_total" [Deadlines, Service] Count
            "Deadlines whose commands were sent more than a second after their time.";
        DEADLINE_FAILURES: counter "daybook_deadline_failures_total" [Deadlines, Service] Count
            "Attempts at sending a deadline's command that have failed; each is tried again.";
        DEADLINE_TIME: times "daybook_deadline_seconds" [Deadlines, Service] Seconds
            "Time from a deadline's being taken up to its command's result, as far as one process sees it.";
        GOOD_NEWS_TIME: times "daybook_good_news_seconds" [] Seconds
            "Time that deadlines have waited after a takeover or a downtime, until all that stood before was decided.";
        GOOD_NEWS_UNHEARD: counter "daybook_good_news_unheard_total" [] Count
            "Times that they have waited in vain, and fired all the same.";
    }
    "Query API" {
        QUERY_REQUESTS: counter "daybook_query_requests_total" [ReadModel, Status] Count
            "Requests for a read model.";
        QUERY_TIME: times "daybook_query_seconds" [ReadModel] Seconds
            "Time from a query's request to its response.";
        QUERY_CACHE_HITS: counter "daybook_query_cache_hits_total" [ReadModel] Count
            "Queries that were answered from memory.";
        QUERY_CACHE_MISSES: counter "daybook_query_cache_misses_total" [ReadModel] Count
            "Queries that were not answered from memory.";
        QUERY_CACHE_LOADS: counter "daybook_query_cache_loads_total" [ReadModel] Count
            "Reads of the database for one entry.";
        QUERY_CACHE_COALESCED: counter "daybook_query_cache_coalesced_total" [ReadModel] Count
            "Misses that the load of another request answered.";
        QUERY_CACHE_TRUSTED: gauge "daybook_query_cache_trusted" [ReadModel] Flag
            "Whether queries are answered from memory (1), or each is read from the database, because pushes are behind it (0).";
        QUERY_CACHE_ENTRIES: gauge "daybook_query_cache_entries" [] Count
            "Entries in memory, of all read models.";
        QUERY_CACHE_BYTES: gauge "daybook_query_cache_bytes" [] Bytes
            "Size of the entries in memory, of all read models.";
        QUERY_PUSH_BATCHES: counter "daybook_query_push_batches_total" [ReadModel] Count
            "Pushed batches that were applied.";
        QUERY_PUSH_LATE: counter "daybook_query_push_late_total" [ReadModel] Count
            "Pushed batches that came when they were known already.";
        QUERY_PUSH_GAPS: counter "daybook_query_push_gaps_total" [ReadModel] Count
            "Times that pushes were found missing.";
        QUERY_PUSH_LAG: gauge "daybook_query_push_lag_events" [ReadModel] Count
            "Events that the database is ahead of what was pushed, at the log partition where that is most.";
        QUERY_PUSH_AGE: gauge "daybook_query_push_age_seconds" [ReadModel] Seconds
            "Time since something was pushed last.";
        QUERY_WAITS: gauge "daybook_query_waits" [ReadModel] Count
            "Requests that wait for the position of a token.";
        QUERY_SUBSCRIBERS: gauge "daybook_query_subscribers" [ReadModel] Count
            "Live queries.";
        QUERY_GENERATION: gauge "daybook_query_generation" [ReadModel] Number
            "The generation that answers.";
    }
}
