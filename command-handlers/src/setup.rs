//! The topics that command handlers need: made by `migrate`, checked by every start.

use daybook_bus::{BusConfig, TopicSpec};
use daybook_log::Log;

use crate::HandlerError;

fn specs(bus: &BusConfig, logs: &[Log]) -> Vec<TopicSpec> {
    let mut specs = vec![TopicSpec::replies(bus)];
    for log in logs {
        let (service, partitions) = (log.service(), log.partitions().cast_signed());
        specs.push(TopicSpec::messages(bus, service, partitions));
        specs.push(TopicSpec::events(bus, service, partitions));
        specs.push(TopicSpec::rejected(bus, service, partitions));
    }
    specs
}

/// Makes the topics that are missing, and checks the others.
///
/// # Errors
/// When Kafka can't be reached, or a topic's partition count is not the log's.
pub async fn ensure_topics(bus: &BusConfig, logs: &[Log]) -> Result<(), HandlerError> {
    daybook_bus::ensure_topics(bus, &specs(bus, logs)).await?;
    Ok(())
}

/// Checks that every topic is there with the log's number of partitions.
///
/// # Errors
/// When Kafka can't be reached, or a topic is missing or has another number of partitions.
pub async fn check_topics(bus: &BusConfig, logs: &[Log]) -> Result<(), HandlerError> {
    daybook_bus::check_topics(bus, &specs(bus, logs)).await?;
    Ok(())
}
