//! Reading a whole partition at once.

use daybook_log::{BulkOrder, BulkRead, LogError, PartitionLog};
use daybook_postgres::Role;

use crate::support::{Fixture, append, event};

/// (offset, stream, version, payload, microseconds) of all that is read before `end`.
type Seen = Vec<(i64, String, i64, Vec<u8>, i64)>;

async fn read(partition: &PartitionLog, end: i64, order: BulkOrder) -> Result<(Seen, BulkRead), LogError> {
    let mut events = partition.bulk_events(Role::Reader, end, order).await?;
    let mut seen = Vec::new();
    loop {
        let came =
            events.next(|e| seen.push((e.offset, e.stream_id.to_owned(), e.version, e.payload.to_vec(), e.recorded_at.micros()))).await?;
        if came != BulkRead::Some {
            assert_eq!(events.read(), seen.len() as i64);
            return Ok((seen, came));
        }
    }
}

#[tokio::test]
async fn all_events_before_an_end_are_read_in_order_whichever_way() {
    let f = Fixture::new().await;
    let (writer, mut head) = f.opened().await;
    for page in 0..5 {
        append(&writer, &mut head, (0..100).map(|n| event(&format!("a/{page}-{n}"), 1)).collect(), Vec::new()).await;
    }
    for end in [0, 1, 250, 500] {
        let expected: Seen = f
            .partition
            .read_events(0, end)
            .await
            .expect("readable")
            .into_iter()
            .map(|e| (e.offset, e.stream_id, e.version, e.payload, e.recorded_at.micros()))
            .collect();
        assert_eq!(expected.len() as i64, end);
        for order in [BulkOrder::AsTheyLie, BulkOrder::Sorted] {
            assert_eq!(read(&f.partition, end, order).await.expect("readable"), (expected.clone(), BulkRead::All), "{order:?} to {end}");
        }
    }
    // Nobody may take a log that is shorter than it is said to be for a whole one.
    assert_eq!(read(&f.partition, 501, BulkOrder::AsTheyLie).await.expect("readable").1, BulkRead::Disorder);
    let short = read(&f.partition, 501, BulkOrder::Sorted).await.expect_err("one is missing").to_string();
    assert!(short.contains("ledger/0:500 is missing"), "{short}");
}
