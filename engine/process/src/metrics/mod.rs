//! Metrics: each is defined once, in the [table](ALL), with its name, unit, help and labels. `docs/metrics.md` is made of it.
//!
//! A handle is taken by [`with`](Counters::with), which looks it up by its labels: where something happens often, it is taken once
//! and kept.

mod document;
mod table;

pub use metrics::{Counter, Gauge, Histogram, with_local_recorder};
use metrics::{Key, Level, Metadata, with_recorder};

pub use document::document;
pub use table::*;

/// The unit of a metric. A name ends with it where it is a base unit of Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// A number of the things that the name says.
    Count,
    /// 1 or 0.
    Flag,
    /// The number of a thing.
    Number,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// The word that documents have for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Count => "count",
            Self::Flag => "0 or 1",
            Self::Number => "number",
            Self::Seconds => "seconds",
        }
    }

    fn described(self) -> Option<metrics::Unit> {
        match self {
            Self::Bytes => Some(metrics::Unit::Bytes),
            Self::Count => Some(metrics::Unit::Count),
            Self::Seconds => Some(metrics::Unit::Seconds),
            Self::Flag | Self::Number => None,
        }
    }
}

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Values, counted by the buckets that have these upper bounds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// The word that Prometheus has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// A label: there are no others. Its values are of a bounded set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// A command of this build.
    Command,
    /// A rule of deadlines.
    Deadlines,
    /// Somebody outside whom effects call.
    Destination,
    /// An effect.
    Effect,
    /// A follower of a log.
    Follower,
    /// A generation of a read model.
    Generation,
    /// A consumer group.
    Group,
    /// A kind of parked message.
    Kind,
    /// A lookup.
    Lookup,
    /// A log partition.
    Partition,
    /// A read model, in the projectors.
    Projection,
    /// A reactor.
    Reactor,
    /// A read model, in the query API.
    ReadModel,
    /// A service.
    Service,
    /// The status of an HTTP response.
    Status,
    /// A topic.
    Topic,
}

impl Label {
    /// All labels.
    pub const ALL: [Self; 16] = [
        Self::Command,
        Self::Deadlines,
        Self::Destination,
        Self::Effect,
        Self::Follower,
        Self::Generation,
        Self::Group,
        Self::Kind,
        Self::Lookup,
        Self::Partition,
        Self::Projection,
        Self::Reactor,
        Self::ReadModel,
        Self::Service,
        Self::Status,
        Self::Topic,
    ];

    /// Its name in Prometheus.
    pub fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Deadlines => "deadlines",
            Self::Destination => "destination",
            Self::Effect => "effect",
            Self::Follower => "follower",
            Self::Generation => "generation",
            Self::Group => "group",
            Self::Kind => "kind",
            Self::Lookup => "lookup",
            Self::Partition => "partition",
            Self::Projection => "projection",
            Self::Reactor => "reactor",
            Self::ReadModel => "read_model",
            Self::Service => "service",
            Self::Status => "status",
            Self::Topic => "topic",
        }
    }

    /// The set that its values are of.
    pub fn values(self) -> &'static str {
        match self {
            Self::Command => "the commands of this build, as URLs name them; `unknown` for every other name",
            Self::Deadlines => "the rules of deadlines of this build",
            Self::Destination => "the destinations of this build's effects",
            Self::Effect => "the effects of this build",
            Self::Follower => "`projection`, `reactor`",
            Self::Generation => "the numbers of the generations of a read model that are kept up",
            Self::Group => "the consumer groups of this process",
            Self::Kind => "the kinds of parked messages",
            Self::Lookup => "the lookups of this build",
            Self::Partition => "the log partitions of a service, from 0",
            Self::Projection => "the read models of this build",
            Self::Reactor => "the reactors of this build",
            Self::ReadModel => {
                "the read models of this build, `{read model}/search` and `{read model}/suggest`; `unknown` for every other name"
            }
            Self::Service => "the services of this build",
            Self::Status => "the HTTP statuses that are answered",
            Self::Topic => "the topics that this process consumes",
        }
    }
}

/// A metric, as the table has it.
#[derive(Debug)]
pub struct Definition {
    /// Its name in Prometheus.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its unit.
    pub unit: Unit,
    /// Its meaning, in one sentence.
    pub help: &'static str,
    /// Its labels, in the order in which [`with`](Counters::with) takes their values.
    pub labels: &'static [Label],
}

impl Definition {
    fn key(&self, values: &[&str]) -> Key {
        let label = |(label, value): (&Label, &&str)| metrics::Label::new(label.name(), (*value).to_owned());
        Key::from_parts(self.name, self.labels.iter().zip(values).map(label).collect::<Vec<_>>())
    }
}

const METADATA: Metadata<'static> = Metadata::new("daybook", Level::INFO, None);

macro_rules! family {
    ($family:ident, $handle:ident, $register:ident, $one:literal, $all:literal) => {
        #[doc = $all]
        #[derive(Debug)]
        pub struct $family<const N: usize> {
            /// The table's entry for it.
            pub definition: Definition,
            /// Of the one without labels: its hash is worked out once.
            key: Key,
        }

        impl<const N: usize> $family<N> {
            const fn new(definition: Definition) -> Self {
                Self { key: Key::from_static_name(definition.name), definition }
            }

            #[doc = $one]
            pub fn with(&self, values: [&str; N]) -> $handle {
                with_recorder(|recorder| recorder.$register(&self.definition.key(&values), &METADATA))
            }
        }

        impl $family<0> {
            /// The one that there is: it has no labels.
            pub fn get(&self) -> $handle {
                with_recorder(|recorder| recorder.$register(&self.key, &METADATA))
            }
        }
    };
}

family!(
    Counters,
    Counter,
    register_counter,
    "The counter with these values of its labels, in their order.",
    "Counters of one name: one for each set of values that their labels have."
);
family!(
    Gauges,
    Gauge,
    register_gauge,
    "The gauge with these values of its labels, in their order.",
    "Gauges of one name: one for each set of values that their labels have."
);
family!(
    Histograms,
    Histogram,
    register_histogram,
    "The histogram with these values of its labels, in their order.",
    "Histograms of one name: one for each set of values that their labels have."
);

/// All metrics of the table, without their parts.
pub fn definitions() -> impl Iterator<Item = &'static Definition> {
    ALL.iter().flat_map(|(_, definitions)| definitions.iter().copied())
}

/// Tells the recorder units and helps: it shows them with the metrics. To be called once it is installed.
pub fn describe() {
    with_recorder(|recorder| {
        for of in definitions() {
            let (name, unit, help) = (of.name.into(), of.unit.described(), of.help.into());
            match of.kind {
                Kind::Counter => recorder.describe_counter(name, unit, help),
                Kind::Gauge => recorder.describe_gauge(name, unit, help),
                Kind::Histogram(_) => recorder.describe_histogram(name, unit, help),
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_as_prometheus_has_them_and_no_two_metrics_have_the_same() {
        let names: BTreeSet<&str> = definitions().map(|of| of.name).collect();
        assert_eq!(names.len(), definitions().count());
        for of in definitions() {
            let name = of.name;
            assert!(name.starts_with("daybook_") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert_eq!(name.ends_with("_total"), of.kind == Kind::Counter, "{name}: a counter, and nothing else, ends with _total");
            let base = name.trim_end_matches("_total");
            assert_eq!(base.ends_with("_seconds"), of.unit == Unit::Seconds, "{name}: its unit");
            assert_eq!(base.ends_with("_bytes"), of.unit == Unit::Bytes, "{name}: its unit");
            assert!(of.help.ends_with('.') && of.help.starts_with(char::is_uppercase), "{name}: its help is a sentence");
            assert_eq!(of.labels.iter().collect::<BTreeSet<_>>().len(), of.labels.len(), "{name}: each label once");
            if let Kind::Histogram(bounds) = of.kind {
                assert!(!bounds.is_empty() && bounds.is_sorted(), "{name}");
            }
        }
    }

    #[test]
    fn every_label_is_one_of_a_metric() {
        let used: BTreeSet<Label> = definitions().flat_map(|of| of.labels).copied().collect();
        assert_eq!(used, BTreeSet::from(Label::ALL));
    }

    #[test]
    fn the_document_is_what_the_table_makes() {
        let written = include_str!("../../../../docs/metrics.md");
        let write = "write it: cargo run -q -p daybook-process --example metrics > docs/metrics.md";
        assert!(written == document(), "docs/metrics.md is not what the table makes; {write}");
    }
}
