//! Twenty times the ordinary rate: it sheds, and what it accepts keeps its promise; afterwards all is as before.

use std::time::Duration;

use crate::history::{Answer, Asked, Entry, Recorder, Via};
use crate::workload::Workload;

/// Ordinary work before and after a crowd.
const ORDINARY: Duration = Duration::from_secs(20);
/// A crowd's rate, as a multiple of the ordinary one.
const TIMES: f64 = 20.0;
/// The 99th of a hundred that are taken may wait so long, in milliseconds: less than clients wait for, so that hardly one is
/// sent away with a handle.
const BOUND: f64 = 4_000.0;
/// So much of what a crowd is to bring has to be asked: else it was none.
const BROUGHT: f64 = 0.9;
/// A crowd's clients have numbers of their own.
const CROWD: u32 = 1_000_000;

/// Answers to commands over HTTP in a stretch of time.
#[derive(Clone, Debug, Default)]
pub struct Stretch {
    /// Its name.
    pub name: &'static str,
    /// Its length, in seconds.
    pub seconds: f64,
    /// The number of commands.
    pub asked: usize,
    /// With a result.
    pub answered: usize,
    /// 202: they get a result later.
    pub accepted: usize,
    /// 429 or 503, and how many of those lacked `Retry-After`.
    pub shed: usize,
    /// Of those that were shed: without `Retry-After`.
    pub without_retry_after: usize,
    /// Neither: a connection that failed, a time-out.
    pub unknown: usize,
    /// Milliseconds of those with a result or a handle: the middle, and the 99th of a hundred.
    pub p50: f64,
    /// The 99th of a hundred.
    pub p99: f64,
}

impl Stretch {
    /// Of what was asked in a stretch: `from` and `to` in microseconds since the run began.
    pub fn of(name: &'static str, history: &[Entry], from: u64, to: u64) -> Self {
        let mut stretch = Self { name, seconds: Duration::from_micros(to - from).as_secs_f64(), ..Self::default() };
        let mut millis = Vec::new();
        for entry in history.iter().filter(|e| (from..to).contains(&e.asked_at)) {
            let Asked::Command(command) = &entry.asked else { continue };
            if command.via == Via::Kafka {
                continue;
            }
            stretch.asked += 1;
            let took = (entry.told_at - entry.asked_at) as f64 / 1_000.0;
            match &entry.told {
                Answer::Done { .. } | Answer::Refused { .. } => {
                    stretch.answered += 1;
                    millis.push(took);
                }
                // Answer at once, for what it is.
                Answer::Invalid { .. } => stretch.answered += 1,
                Answer::Accepted { .. } => {
                    stretch.accepted += 1;
                    millis.push(took);
                }
                Answer::Shed { retry_after, .. } => {
                    stretch.shed += 1;
                    stretch.without_retry_after += usize::from(!retry_after);
                }
                _ => stretch.unknown += 1,
            }
        }
        millis.sort_by(f64::total_cmp);
        let at = |share: f64| millis.get(((millis.len() as f64 * share) as usize).min(millis.len().saturating_sub(1))).copied();
        stretch.p50 = at(0.5).unwrap_or_default();
        stretch.p99 = at(0.99).unwrap_or_default();
        stretch
    }

    /// A line of the table.
    pub fn line(&self) -> String {
        let a_second = |n: usize| n as f64 / self.seconds.max(1e-9);
        format!(
            "{:<22} {:>8.1} s {:>8.0}/s asked {:>8.0}/s answered {:>6} accepted {:>8.0}/s shed {:>6} unknown   p50 {:>8.1} ms  p99 {:>8.1} ms",
            self.name,
            self.seconds,
            a_second(self.asked),
            a_second(self.answered),
            self.accepted,
            a_second(self.shed),
            self.unknown,
            self.p50,
            self.p99
        )
    }
}

/// Ordinary work, a crowd, ordinary work; what was told in each, and what was not as it must be.
pub(crate) async fn crowd(recorder: &Recorder, workload: &Workload, rate: f64, length: Duration) -> Vec<String> {
    let mut from = recorder.now();
    let mut ends = Vec::new();
    for name in ["ordinary", "crowd", "afterwards"] {
        match name {
            "crowd" => workload.crowd(CROWD, rate * TIMES, length).await,
            _ => tokio::time::sleep(ORDINARY).await,
        }
        let to = recorder.now();
        ends.push((name, from, to));
        from = to;
    }
    let history = recorder.entries();
    let stretches: Vec<Stretch> = ends.into_iter().map(|(name, from, to)| Stretch::of(name, &history, from, to)).collect();
    let mut wrong = Vec::new();
    for stretch in &stretches {
        println!("    {}", stretch.line());
        if stretch.without_retry_after > 0 {
            wrong.push(format!("{}: {} were shed without Retry-After", stretch.name, stretch.without_retry_after));
        }
        if stretch.p99 > BOUND {
            wrong.push(format!("{}: results took {:.0} ms at p99, more than {BOUND:.0}", stretch.name, stretch.p99));
        }
    }
    if let [before, crowd, after] = &stretches[..] {
        let brought = crowd.asked as f64 / crowd.seconds.max(1e-9);
        if brought < rate * TIMES * BROUGHT {
            wrong.push(format!("the crowd asked {brought:.0} a second instead of {:.0}", rate * TIMES));
        }
        if crowd.shed == 0 {
            wrong.push("nothing was shed: the crowd was too small for this machine, raise --rate".to_owned());
        }
        if after.shed > 0 || after.p99 > (before.p99 * 3.0).max(100.0) {
            wrong.push(format!("afterwards it was not as before: {} shed, p99 {:.0} ms after {:.0}", after.shed, after.p99, before.p99));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::history::Command;

    #[test]
    fn a_stretch_counts_what_was_asked_in_it() {
        let command = |via| {
            let (service, name) = ("catalog".to_owned(), "create-product".to_owned());
            Asked::Command(Command { service, name, stream: "product/a".into(), key: "k".into(), body: Value::Null, if_match: None, via })
        };
        let entry = |n: usize, via, told| {
            let at = n as u64 * 1_000;
            Entry { n, client: 0, asked_at: at, told_at: at + 500, asked: command(via), told }
        };
        let http = || Via::Http("a".into());
        let history = [
            entry(0, http(), Answer::Refused { status: 409, body: Value::Null, token: None, replayed: false }),
            entry(1, http(), Answer::Shed { status: 429, retry_after: false }),
            entry(2, Via::Kafka, Answer::Accepted { location: None }),
            entry(3, http(), Answer::Unknown { why: "cut".into() }),
        ];
        let stretch = Stretch::of("all", &history, 0, 3_000);
        assert_eq!((stretch.asked, stretch.answered, stretch.shed, stretch.without_retry_after, stretch.unknown), (2, 1, 1, 1, 0));
        assert!((stretch.p50 - 0.5).abs() < 1e-9);
    }

    #[test]
    fn who_is_sent_away_with_a_handle_has_waited_too() {
        let command = Command {
            service: "catalog".into(),
            name: "create-product".into(),
            stream: "product/a".into(),
            key: "k".into(),
            body: Value::Null,
            if_match: None,
            via: Via::Http("a".into()),
        };
        let told = |n: usize| if n < 97 { Answer::Invalid { status: 400, body: Value::Null } } else { Answer::Accepted { location: None } };
        let entry = |n: usize| Entry {
            n,
            client: 0,
            asked_at: 0,
            told_at: if n < 97 { 1_000 } else { 5_000_000 },
            asked: Asked::Command(command.clone()),
            told: told(n),
        };
        let stretch = Stretch::of("all", &(0..100).map(entry).collect::<Vec<_>>(), 0, 1_000);
        assert_eq!((stretch.answered, stretch.accepted), (97, 3));
        assert!(stretch.p50 > BOUND, "mistakes that are told at once hide nothing: {}", stretch.p50);
    }
}
