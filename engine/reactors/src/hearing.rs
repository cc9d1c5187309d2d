//! Good news first: who takes a partition over after a downtime fires no deadline of it before the commands that waited are decided, and what
//! follows from their events too. Else an order would be given up for a payment whose success lies unread on Kafka.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use daybook_bus::Inspector;
use daybook_process::metrics;
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::ReactorError;
use crate::common::{Common, Target};
use crate::news::News;

/// Those that ask within so long share one wait.
const TOGETHER: Duration = Duration::from_millis(500);
/// After so long deadlines fire, whatever still stands.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// What a lane decides makes rules send, and what they send is decided: so many times in a row.
const HOPS: usize = 3;
/// A call that has failed so often is not waited for.
const FAILED: i32 = 3;

/// Begins to wait until all is decided that stands from now on; joins the wait of another one that has not begun yet.
pub(crate) fn wait(common: &Arc<Common>) -> News {
    let mut gathering = common.news.gathering();
    if let Some(news) = &*gathering {
        return news.clone();
    }
    let (told, news) = watch::channel(false);
    *gathering = Some(news.clone());
    let common = common.clone();
    tokio::spawn(async move {
        tokio::time::sleep(TOGETHER).await;
        *common.news.gathering() = None;
        let begun = Instant::now();
        tokio::select! {
            () = told.closed() => return,
            heard = tokio::time::timeout(LONGEST_WAIT, heard(&common)) => if heard.is_err() {
                tracing::warn!("lanes or followers stand still: deadlines fire although good news may be unheard");
                metrics::GOOD_NEWS_UNHEARD.get().increment(1);
            },
        }
        metrics::GOOD_NEWS_TIME.get().record(begun.elapsed().as_secs_f64());
        told.send_replace(true);
    });
    news
}

/// Tries until it answers. Whoever waits for it has a limit.
macro_rules! insist {
    ($what:literal, $ask:expr) => {
        loop {
            match $ask.await {
                Ok(answer) => break answer,
                Err(error) => tracing::warn!(%error, what = $what, "can't be seen yet; trying again"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
}

/// Returns when the lanes have come to the present tails of their topics, and then all rules to the ends of their logs, a hop each time.
async fn heard(common: &Common) {
    join_all(common.targets.values().map(|target| lanes(&common.inspector, target))).await;
    for _ in 0..HOPS {
        let ends = insist!("the end of a log", ends(common));
        while !insist!("the place of a rule", are_passed(common, &ends)) {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Returns when a service's lanes have committed what stood on its topic when this began.
async fn lanes(inspector: &Inspector, target: &Target) {
    for n in 0..target.log.partitions().cast_signed() {
        let written = insist!("the end of a topic", inspector.written(&target.topic, n));
        let mut end = written.end;
        let mut looks = 0;
        loop {
            let committed = insist!("the progress of a lane", inspector.committed(&target.lanes, &target.topic, n));
            if committed.unwrap_or(0).max(written.first) >= end {
                break;
            }
            looks += 1;
            if looks == 2 {
                // An end may lie behind the last message: those of a transaction's markers are nobody's.
                let last = insist!("a topic's last message", inspector.last_message(&target.topic, n));
                end = end.min(last.map_or(written.first, |last| last.offset + 1));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The ends of all logs.
async fn ends(common: &Common) -> Result<HashMap<(&'static str, i32), i64>, ReactorError> {
    let mut ends = HashMap::new();
    for (service, target) in &common.targets {
        for n in 0..target.log.partitions().cast_signed() {
            ends.insert((*service, n), target.log.partition(n)?.last_page().await?.next_offset());
        }
    }
    Ok(ends)
}

/// Whether every rule has come to these ends. Where no rule stands nothing is expected.
async fn are_passed(common: &Common, ends: &HashMap<(&'static str, i32), i64>) -> Result<bool, ReactorError> {
    for ((service, _), store) in &common.news.stores {
        let passed = store.passed(&common.news.rules, FAILED).await?;
        if passed.iter().any(|(partition, passed)| ends.get(&(*service, *partition)).is_some_and(|end| end > passed)) {
            return Ok(false);
        }
    }
    Ok(true)
}
