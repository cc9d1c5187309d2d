//! A client that produces commands within a transaction of Kafka, and leaves open for a while what becomes of them.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, Producer as _};

use super::raw::produce;
use crate::history::{Answer, Asked, Command, Open, Recorder, Via};

/// The longest that Kafka may take for one step.
const PATIENCE: Duration = Duration::from_secs(10);
/// Kafka aborts what is open for longer: whoever crashed does not hold others up for ever.
const OPEN_AT_MOST: &str = "60000";

/// A transaction that is open. When it goes undecided, nothing is known of its commands.
pub struct Transaction {
    producer: FutureProducer,
    recorder: Recorder,
    commands: Vec<Open>,
}

impl Transaction {
    /// Opens one, under a name that nobody else has.
    ///
    /// # Errors
    /// When Kafka does not answer in 10 s.
    pub async fn open(kafka: String, name: String, recorder: Recorder) -> anyhow::Result<Self> {
        let opening = move || {
            let producer: FutureProducer = ClientConfig::new()
                .set("bootstrap.servers", kafka)
                .set("partitioner", "murmur2_random")
                .set("linger.ms", "0")
                .set("transactional.id", name)
                .set("transaction.timeout.ms", OPEN_AT_MOST)
                .set("message.timeout.ms", "8000")
                .create()?;
            producer.init_transactions(PATIENCE)?;
            producer.begin_transaction()?;
            Ok(Self { producer, recorder, commands: Vec::new() })
        };
        tokio::task::spawn_blocking(opening).await?
    }

    /// Produces a command; the partition that it came to.
    ///
    /// # Errors
    /// When Kafka does not take it.
    pub async fn command(&mut self, by: u32, command: &Command) -> anyhow::Result<i32> {
        let command = Command { via: Via::Kafka, ..command.clone() };
        self.commands.push(self.recorder.ask(by, Asked::Command(command.clone())));
        Ok(produce(&self.producer, &command).await?.0)
    }

    /// Commits or aborts, and writes down what became of its commands. Whether Kafka said that it did.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub async fn decide(self, commit: bool) -> anyhow::Result<bool> {
        let producer = self.producer;
        let deciding = move || match commit {
            true => producer.commit_transaction(PATIENCE),
            false => producer.abort_transaction(PATIENCE),
        };
        let decided: Result<(), KafkaError> = tokio::task::spawn_blocking(deciding).await?;
        let told = match &decided {
            Ok(()) if commit => Answer::Accepted { location: None },
            Ok(()) => Answer::Aborted,
            Err(error) => Answer::Unknown { why: error.to_string() },
        };
        for open in self.commands {
            self.recorder.told(open, told.clone());
        }
        Ok(decided.is_ok())
    }
}
