//! The results, as a table for people and as JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::Pace;
use crate::append::Append;
use crate::cpu::Used;
use crate::footprint::Statement;
use crate::raw_pipeline::Limit;
use crate::samples::{Measured, Spread};

/// Cores that other work may take before the report says so: the kernel takes some on its own.
const QUIET: f64 = 0.4;

/// The limits of each part alone.
pub(crate) struct Limits {
    /// Pages of one command.
    pub(crate) page: Measured,
    /// Pages of a hundred; counted in commands.
    pub(crate) pages: Measured,
    /// Pages of a thousand events of 300 bytes, and COPY of the same.
    pub(crate) append: Append,
    /// A lone message.
    pub(crate) round_trip: Measured,
    /// As many messages as there are clients; the better of both lingers.
    pub(crate) round_trips: Measured,
    /// That linger, in milliseconds.
    pub(crate) linger_ms: u32,
    /// Static answers to as many clients.
    pub(crate) http: Measured,
    /// CPU time of those.
    pub(crate) http_used: Used,
    /// The bare pipeline, by the number of clients.
    pub(crate) pipeline: BTreeMap<usize, Limit>,
    /// Partitions of the log, and of the pipeline.
    pub(crate) partitions: i32,
}

/// One measurement of the whole way.
pub(crate) struct Whole {
    /// For programs.
    pub(crate) name: String,
    /// For people.
    pub(crate) title: String,
    pub(crate) pace: Pace,
    pub(crate) measured: Measured,
    /// The bare pipeline at the same pace.
    pub(crate) limit: Option<Limit>,
    /// Until the read models had caught up.
    pub(crate) used: Used,
    /// Length of all of that, in seconds.
    pub(crate) seconds: f64,
    /// Time from the last command until the read models held everything, in milliseconds.
    pub(crate) behind_ms: f64,
    pub(crate) statements: Vec<Statement>,
    /// Bytes added to the database and to each topic.
    pub(crate) bytes: Vec<(String, f64)>,
}

/// Everything.
pub(crate) struct Report {
    pub(crate) command: String,
    pub(crate) machine: String,
    pub(crate) clients: usize,
    pub(crate) seconds: u64,
    pub(crate) limits: Limits,
    pub(crate) whole: Vec<Whole>,
}

/// The JSON for programs: `{name: {value, unit, limit, ratio, min, max}}`.
pub(crate) type Entries = BTreeMap<String, Entry>;

/// One line of the JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    value: f64,
    unit: &'static str,
    /// The limit that it is measured against: of the same run.
    limit: Option<f64>,
    /// `value / limit`.
    ratio: Option<f64>,
    min: f64,
    max: f64,
}

impl Entry {
    pub(crate) fn new(spread: Spread, unit: &'static str, limit: Option<f64>) -> Self {
        let ratio = limit.filter(|limit| *limit > 0.0).map(|limit| spread.value / limit);
        Self { value: spread.value, unit, limit, ratio, min: spread.min, max: spread.max }
    }
}

/// A command's rate on one stream, which is compared with that on many.
pub(crate) const HOT_STREAM: &str = "hot_stream";

impl Report {
    /// Number of requests that failed anywhere.
    pub(crate) fn failed(&self) -> u64 {
        let l = &self.limits;
        let limits = [&l.page, &l.pages, &l.round_trip, &l.round_trips, &l.http];
        limits.into_iter().chain(self.whole.iter().map(|w| &w.measured)).map(Measured::failed).sum()
    }

    /// For programs.
    pub(crate) fn entries(&self) -> Entries {
        let l = &self.limits;
        let mut entries = BTreeMap::new();
        let rates = [
            ("raw_postgres_pages_of_1", "pages/s", &l.page),
            ("raw_postgres_pages_of_100", "commands/s", &l.pages),
            ("raw_kafka_lone", "round trips/s", &l.round_trip),
            ("raw_kafka", "round trips/s", &l.round_trips),
            ("raw_http", "requests/s", &l.http),
        ];
        for (name, unit, measured) in rates {
            entries.insert(name.to_owned(), Entry::new(measured.per_second, unit, None));
            entries.insert(format!("{name}_p50"), Entry::new(measured.p50, "us", None));
            entries.insert(format!("{name}_p99"), Entry::new(measured.p99, "us", None));
        }
        let Append { pages, copied } = l.append;
        entries.insert("raw_copy_in".to_owned(), Entry::new(copied, "events/s", None));
        entries.insert("append".to_owned(), Entry::new(pages, "events/s", Some(copied.value)));
        for (clients, limit) in &l.pipeline {
            entries.insert(format!("raw_pipeline_{clients}"), Entry::new(limit.measured.per_second, "commands/s", None));
            entries.insert(format!("raw_pipeline_{clients}_p50"), Entry::new(limit.measured.p50, "us", None));
            entries.insert(format!("raw_pipeline_{clients}_p99"), Entry::new(limit.measured.p99, "us", None));
        }
        for whole in &self.whole {
            let (name, m) = (&whole.name, &whole.measured);
            let of = |what: fn(&Measured) -> f64| whole.limit.as_ref().map(|limit| what(&limit.measured));
            let rate = if name == HOT_STREAM { self.on_many_streams(whole.pace) } else { of(|limit| limit.per_second.value) };
            entries.insert(name.clone(), Entry::new(m.per_second, "commands/s", rate));
            entries.insert(format!("{name}_p50"), Entry::new(m.p50, "us", of(|limit| limit.p50.value)));
            entries.insert(format!("{name}_p99"), Entry::new(m.p99, "us", of(|limit| limit.p99.value)));
            entries.insert(format!("{name}_errors"), Entry::new(constant(m.failed() as f64), "errors", None));
            entries.insert(format!("{name}_read_models_behind"), Entry::new(constant(whole.behind_ms), "ms", None));
            let each = |us: f64| Entry::new(constant(us / m.done.max(1) as f64), "us/command", None);
            for (process, us) in &whole.used.processes {
                entries.insert(format!("{name}_cpu_{process}"), each(*us));
            }
            let served = whole.used.processes.iter().filter(|(process, _)| *process != "bench").map(|(_, us)| us).sum();
            entries.insert(format!("{name}_cpu"), each(served));
        }
        entries
    }

    /// The rate of as many clients on many streams.
    fn on_many_streams(&self, pace: Pace) -> Option<f64> {
        let many = self.whole.iter().find(|whole| whole.pace == pace && whole.name != HOT_STREAM);
        many.map(|whole| whole.measured.per_second.value)
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut out = String::new();
        self.write(&mut out).expect("a String takes everything");
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "{}\n{}; {} s each, (least–most of five slices)", self.command, self.machine, self.seconds)?;
        self.write_limits(out)?;
        writeln!(out, "\n{:<40}{:>10}{:>18}{:>10}{:>10}  errors", "the whole way", "/s", "", "p50 ms", "p99 ms")?;
        for whole in &self.whole {
            row(out, &whole.title, &whole.measured)?;
        }
        writeln!(out, "\n{:<40}{:>10}{:>10}{:>10}", "… ÷ the bare pipeline at the same pace", "rate", "p50", "p99")?;
        for (whole, limit) in self.whole.iter().filter_map(|whole| Some((whole, whole.limit.as_ref()?))) {
            let ratio = |of: fn(&Measured) -> f64| of(&whole.measured) / of(&limit.measured).max(1e-9);
            let (rate, p50, p99) = (ratio(|m| m.per_second.value), ratio(|m| m.p50.value), ratio(|m| m.p99.value));
            writeln!(out, "{:<40}{rate:>10.2}{p50:>10.2}{p99:>10.2}", whole.title)?;
        }
        self.write_costs(out)
    }

    fn write_limits(&self, out: &mut String) -> std::fmt::Result {
        let (l, clients) = (&self.limits, self.clients);
        writeln!(out, "\n{:<40}{:>10}{:>18}{:>10}{:>10}  errors", "raw limits", "/s", "", "p50 ms", "p99 ms")?;
        row(out, "Postgres, pages of 1 command", &l.page)?;
        row(out, "Postgres, pages of 100, in commands", &l.pages)?;
        let Append { pages, copied } = l.append;
        let rates = |of: Spread| format!("{:>10.0}{:>18}", of.value, format!("({:.0}–{:.0})", of.min, of.max));
        writeln!(out, "{:<40}{}", "Postgres, COPY of 1,000 events a page", rates(copied))?;
        writeln!(out, "{:<40}{}  {:.2} of that", "… and the log's pages of them", rates(pages), pages.value / copied.value.max(1e-9))?;
        row(out, "Kafka, there and back, 1 client", &l.round_trip)?;
        row(out, &format!("Kafka, {clients} clients (linger {} ms)", l.linger_ms), &l.round_trips)?;
        row(out, &format!("HTTP, static answers, {clients} clients"), &l.http)?;
        for (clients, limit) in &l.pipeline {
            let title = format!("bare pipeline, {clients} clients (linger {} ms)", limit.linger_ms);
            row(out, &title, &limit.measured)?;
        }
        writeln!(out, "(the pipeline and the log have {} partitions; the pipeline has no read models behind it)", l.partitions)
    }

    fn write_costs(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\nCPU, µs a command (others: the rest of the machine, in cores; behind: read models after the last answer)")?;
        let http = (format!("HTTP, static answers, {} clients", self.clients), &self.limits.http_used, self.limits.http.done);
        let line = |out: &mut String, title: &str, used: &Used, done: u64| {
            write!(out, "{title:<40}")?;
            let each = used.processes.iter().map(|(name, us)| format!("{name} {:.1}", us / done.max(1) as f64));
            write!(out, "{}", each.collect::<Vec<_>>().join("  "))
        };
        line(out, &http.0, http.1, http.2)?;
        writeln!(out)?;
        for whole in &self.whole {
            line(out, &whole.title, &whole.used, whole.measured.done)?;
            writeln!(out, "  others {:.2}  behind {:.0} ms", whole.used.others() / 1e6 / whole.seconds, whole.behind_ms)?;
        }
        for whole in self.whole.iter().filter(|w| w.pace != Pace::Closed(1)) {
            let done = whole.measured.done.max(1) as f64;
            writeln!(out, "\n{}", whole.title)?;
            let mut threads: Vec<_> = whole.used.threads.iter().map(|(name, us)| (us / done, name)).collect();
            threads.sort_by(|a, b| b.0.total_cmp(&a.0));
            let threads = threads.iter().take(6).map(|(us, name)| format!("{name} {us:.1}"));
            writeln!(out, "  daybook's threads, µs a command: {}", threads.collect::<Vec<_>>().join("  "))?;
            for s in &whole.statements {
                let (calls, wal) = (s.calls as f64 / done, s.wal_bytes as f64 / done);
                writeln!(out, "  Postgres: {:<16}{calls:.3} a command, {:.3} ms each, {wal:.0} bytes of WAL a command", s.kind, s.mean_ms)?;
            }
            let bytes = whole.bytes.iter().map(|(name, bytes)| format!("{name} {:.0}", bytes / done));
            writeln!(out, "  bytes a command: {}", bytes.collect::<Vec<_>>().join("  "))?;
        }
        let busiest = self.whole.iter().map(|w| w.used.others() / 1e6 / w.seconds).fold(0.0, f64::max);
        if busiest > QUIET {
            writeln!(out, "\nOther work took up to {busiest:.1} cores meanwhile: the numbers are worse than they would be alone.")?;
        }
        for whole in &self.whole {
            for (error, count) in &whole.measured.errors {
                writeln!(out, "FAILED: {}: {count} × {error}", whole.title)?;
            }
        }
        Ok(())
    }
}

/// A number that was measured once.
pub(crate) fn constant(value: f64) -> Spread {
    Spread { value, min: value, max: value }
}

fn row(out: &mut String, title: &str, measured: &Measured) -> std::fmt::Result {
    writeln!(out, "{title:<40}{}", line(measured))
}

/// A measurement in a line: times a second (least–most), p50 and p99 in milliseconds, errors.
pub(crate) fn line(m: &Measured) -> String {
    let rate = m.per_second;
    let spread = format!("({:.0}–{:.0})", rate.min, rate.max);
    format!("{:>10.0}{spread:>18}{:>10.2}{:>10.2}  {}", rate.value, m.p50.value / 1e3, m.p99.value / 1e3, m.failed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(per_second: f64, p50: f64) -> Measured {
        Measured { per_second: constant(per_second), p50: constant(p50), p99: constant(p50), done: 10, ..Measured::default() }
    }

    #[test]
    fn a_ratio_is_value_over_limit_and_the_table_and_the_json_agree() {
        let limits = Limits {
            page: measured(1_000.0, 400.0),
            pages: measured(10_000.0, 1.0),
            append: Append { pages: constant(7.0), copied: constant(10.0) },
            round_trip: measured(2_000.0, 300.0),
            round_trips: measured(4_000.0, 1.0),
            linger_ms: 0,
            http: measured(50_000.0, 1.0),
            http_used: Used::default(),
            pipeline: BTreeMap::new(),
            partitions: 4,
        };
        let whole = Whole {
            name: "whole_way_64".to_owned(),
            title: "64 clients".to_owned(),
            pace: Pace::Closed(64),
            measured: measured(2_000.0, 2_000.0),
            limit: Some(Limit { measured: measured(4_000.0, 1_000.0), linger_ms: 2 }),
            used: Used::default(),
            seconds: 1.0,
            behind_ms: 5.0,
            statements: Vec::new(),
            bytes: Vec::new(),
        };
        let report = Report { command: "bench".into(), machine: "m".into(), clients: 64, seconds: 1, limits, whole: vec![whole] };
        let entries = report.entries();
        assert_eq!((entries["whole_way_64"].limit, entries["whole_way_64"].ratio), (Some(4_000.0), Some(0.5)));
        assert_eq!((entries["whole_way_64_p50"].limit, entries["whole_way_64_p50"].ratio), (Some(1_000.0), Some(2.0)));
        let json = serde_json::to_value(&entries).expect("plain numbers");
        assert_eq!(json["raw_http"]["ratio"], serde_json::Value::Null);
        let table = report.table();
        assert!(table.contains("0.50      2.00      2.00"), "{table}");
        assert_eq!(report.failed(), 0);
    }
}
