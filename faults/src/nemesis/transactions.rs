//! Clients that open a transaction of Kafka, and leave it open: all that comes after it waits, whoever sent it.

use std::time::Duration;

use anyhow::Context as _;
use rand::RngExt as _;
use tokio::time::Instant;

use super::provoke::{self, Asked};
use super::{Fault, Field, Struck};
use crate::collect;
use crate::shop::names::POISONED;
use crate::workload::Transaction;

/// Commands of each transaction: they come to several partitions.
const COMMANDS: usize = 4;
/// The time for which it is tried to open them; in company Kafka may not answer for half of that.
const OPENED: Duration = Duration::from_secs(60);
/// For how long they are left open, in milliseconds: longer than an endpoint waits for a result, so that handles are asked meanwhile.
const OPEN: (u64, u64) = (7_000, 10_000);

pub(super) fn all() -> Vec<Fault> {
    vec![Fault::new("open-transaction", "clients' transactions are left open on a topic of messages, then committed or aborted", 30, |f| {
        Box::pin(leave_open(f))
    })]
}

/// One is committed in the end and one aborted. It counts the partitions that were seen to hold back what came after.
async fn leave_open(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let (mut to_commit, mut to_abort) = (open(&mut field).await?, open(&mut field).await?);
    let mut asked = Asked::default();
    let mut sent = 0;
    for transaction in [&mut to_commit, &mut to_abort] {
        for _ in 0..COMMANDS {
            let command = field.new_command();
            // A message that Kafka does not take aborts the transaction: it can't be committed any more.
            sent += u64::from(transaction.command(provoke::client(), &command).await.is_ok());
        }
    }
    let end = Instant::now() + field.millis(OPEN.0, OPEN.1);
    while Instant::now() < end {
        field.ask_by_handle(&mut asked);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let (kafka, partitions) = (field.cluster.kafka(), i32::try_from(field.cluster.plan().partitions)?);
    // In company Kafka may be away just now.
    let held_back = tokio::task::spawn_blocking(move || collect::held_back(&kafka, &format!("{POISONED}.messages"), partitions))
        .await?
        .unwrap_or_default();
    let (committed, aborted) = (to_commit.decide(true).await?, to_abort.decide(false).await?);
    let note = format!("{sent} messages; {held_back} partitions held back what came after; committed: {committed}, aborted: {aborted}");
    Ok(Struck::times(held_back).asked(asked).note(note))
}

async fn open(field: &mut Field<'_>) -> anyhow::Result<Transaction> {
    let end = Instant::now() + OPENED;
    loop {
        let name = format!("faults-{:016x}", field.random.random::<u64>());
        match Transaction::open(field.cluster.kafka(), name, field.http.recorder().clone()).await {
            Ok(transaction) => return Ok(transaction),
            Err(error) if Instant::now() > end => return Err(error).context("no transaction can be opened"),
            Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}
