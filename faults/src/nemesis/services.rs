//! Postgres and Kafka that are killed, that stand still, that are restarted.

use std::time::{Duration, Instant};

use super::{Fault, Field, Struck, until};
use crate::cluster::{Service, Signal};

/// The longest that one may take to serve again.
const SERVES_AGAIN: Duration = Duration::from_secs(90);

pub(super) fn all() -> Vec<Fault> {
    use Service::{Kafka, Postgres};
    vec![
        Fault::new("postgres-kill", "kill -9 of Postgres' first process", 30, |f| Box::pin(end(f, Postgres, Signal::KILL))),
        Fault::new("postgres-restart", "Postgres is shut down and started again: clients are sent away", 30, |f| {
            Box::pin(end(f, Postgres, Signal::INT))
        }),
        Fault::new("postgres-pause", "SIGSTOP of every process of Postgres", 30, |f| Box::pin(pause(f, Postgres, (5_000, 5_500)))),
        Fault::new("kafka-kill", "kill -9 of the broker", 45, |f| Box::pin(end(f, Kafka, Signal::KILL))),
        Fault::new("kafka-restart", "the broker is shut down and started again", 45, |f| Box::pin(end(f, Kafka, Signal::TERM))),
        Fault::new("kafka-pause", "SIGSTOP of the broker", 45, |f| Box::pin(pause(f, Kafka, (5_000, 8_000)))),
    ]
}

async fn end(mut field: Field<'_>, service: Service, signal: Signal) -> anyhow::Result<Struck> {
    let cluster = field.cluster;
    field.any_moment().await;
    let (starts, begun) = (cluster.service_starts(service), Instant::now());
    let fired = cluster.end_service(service, signal);
    if fired {
        let serves = until(SERVES_AGAIN, || cluster.service_starts(service) > starts).await;
        anyhow::ensure!(serves, "{} does not serve again after {SERVES_AGAIN:?}", service.name());
    }
    Ok(Struck::times(u64::from(fired)).note(format!("{} served again after {:.1} s", service.name(), begun.elapsed().as_secs_f64())))
}

async fn pause(mut field: Field<'_>, service: Service, (from, to): (u64, u64)) -> anyhow::Result<Struck> {
    let time = field.millis(from, to);
    field.any_moment().await;
    let still = field.cluster.stand_still(service);
    let asked = field.hold(time).await;
    let (fired, count) = (still.is_whole(), still.count());
    drop(still);
    let struck = Struck::times(u64::from(fired)).note(format!("{count} processes of {} stood still for {time:?}", service.name()));
    Ok(struck.asked(asked))
}
