//! Parked streams, as the projector that owns their partition sees them.

use std::collections::BTreeSet;

use daybook_follow::Ask;
use daybook_postgres::storable;

use super::{CheckpointKey, ReadStore};
use crate::batch::PartView;
use crate::{ProjectorError, rows, sql};

/// A parked stream that is to be folded again.
pub(crate) struct StreamToRetry {
    pub(crate) stream: String,
    /// Of the event that parked it.
    pub(crate) offset: i64,
    pub(crate) asked: Option<Ask>,
}

/// A part of a stream that was folded again.
pub(crate) struct WrittenPart {
    /// Key and part.
    pub(crate) place: (String, String),
    pub(crate) bytes: Vec<u8>,
    /// Of the last event that it rests on.
    pub(crate) offset: i64,
    /// The stream's view, where this is its only part.
    pub(crate) view: Option<PartView>,
}

/// The outcome of folding a parked stream again.
#[derive(Default)]
pub(crate) struct Retried {
    pub(crate) gone: Vec<(String, String)>,
    pub(crate) written: Vec<WrittenPart>,
    /// Keys that it has, or had, a part under.
    pub(crate) keys: BTreeSet<String>,
    /// Key and part of all that is pushed of it.
    pub(crate) noted: Vec<(String, String)>,
    /// Offset, version and bytes of a view in a row of its own.
    pub(crate) view: Option<(i64, i64, Vec<u8>)>,
    /// The event to do without from now on.
    pub(crate) skipped: Option<i64>,
    /// The offset that it stopped at again, and why.
    pub(crate) stopped: Option<(i64, String)>,
}

impl ReadStore {
    /// Up to `limit` parked streams that an operator asks something of, or that are among `untried`.
    pub(crate) async fn asked(&self, at: &CheckpointKey<'_>, untried: &[&str], limit: i64) -> Result<Vec<StreamToRetry>, ProjectorError> {
        let client = self.client().await?;
        let statement = client.prepare_cached(sql::READ_ASKED).await?;
        let rows = client.query(&statement, &[&at.projection, &at.generation.number, &at.service, &at.partition, &untried, &limit]).await?;
        let waiting = rows.iter().map(|r| StreamToRetry {
            stream: r.get(0),
            offset: r.get(1),
            asked: r.get::<_, Option<&str>>(2).and_then(Ask::parse),
        });
        Ok(waiting.collect())
    }

    /// Writes the outcome of folding a parked stream again. False: the checkpoint stood elsewhere than at `next`.
    pub(crate) async fn write_retried(
        &self,
        at: &CheckpointKey<'_>,
        next: i64,
        what: &StreamToRetry,
        retried: &Retried,
    ) -> Result<bool, ProjectorError> {
        let client = self.client().await?;
        let statement = client.prepare_cached(&at.generation.write_retried).await?;
        let places = |list: &'_ [(String, String)]| -> (Vec<String>, Vec<String>) { list.iter().cloned().unzip() };
        let (gone_keys, gone_parts) = places(&retried.gone);
        let (noted_keys, noted_parts) = places(&retried.noted);
        let written = &retried.written;
        let (keys, parts): (Vec<&str>, Vec<&str>) = written.iter().map(|w| (w.place.0.as_str(), w.place.1.as_str())).unzip();
        let (bytes, offsets): (Vec<&[u8]>, Vec<i64>) = written.iter().map(|w| (w.bytes.as_slice(), w.offset)).unzip();
        let in_parts = || written.iter().map(|w| w.view.as_ref());
        let part_versions: Vec<Option<i64>> = in_parts().map(|view| view.map(|v| v.version)).collect();
        let part_views: Vec<Option<&[u8]>> = in_parts().map(|view| view.and_then(|v| v.bytes.as_deref())).collect();
        let writers: Vec<&str> = retried.keys.iter().map(String::as_str).collect();
        let (view_offset, version): (Vec<i64>, Vec<i64>) = retried.view.iter().map(|(o, v, _)| (*o, *v)).unzip();
        let view: Vec<&[u8]> = retried.view.iter().map(|(.., bytes)| bytes.as_slice()).collect();
        let stopped_at = retried.stopped.as_ref().map(|(offset, _)| *offset);
        let reason = retried.stopped.as_ref().map(|(_, reason)| storable(reason));
        let asked = what.asked.map(Ask::as_str);
        let columns = rows::columns(at.generation.rows.as_deref(), written.iter().map(|w| Some(w.bytes.as_slice())));
        let moved = client
            .execute(
                &statement,
                &rows::with_columns(
                    &[
                        &at.projection,
                        &at.generation.number,
                        &at.service,
                        &at.partition,
                        &next,
                        &what.stream,
                        &gone_keys,
                        &gone_parts,
                        &keys,
                        &parts,
                        &bytes,
                        &offsets,
                        &writers,
                        &noted_keys,
                        &noted_parts,
                        &view_offset,
                        &version,
                        &view,
                        &retried.skipped,
                        &stopped_at,
                        &reason,
                        &asked,
                        &at.term,
                        &part_versions,
                        &part_views,
                    ],
                    &columns,
                ),
            )
            .await?;
        Ok(moved == 1)
    }
}

#[cfg(test)]
mod tests {
    use daybook_testkit::{TestDatabase, bus};
    use shop_projectors::read_models;

    use super::*;
    use crate::Generation;
    use crate::prepare::prepare;

    /// A database with the levels of stock, its store, and their live generation.
    async fn levels() -> (TestDatabase, ReadStore, Generation) {
        let database = TestDatabase::migrated(&["catalog", "inventory"], 1).await;
        let model = read_models().into_iter().find(|m| m.name == "stock-levels").expect("the shop has levels");
        prepare(&database.databases(), &bus(), std::slice::from_ref(&model)).await.expect("the logs are there");
        let store = ReadStore::new(&database.databases()).expect("a url");
        let generation = store.live(&model).await.expect("prepared");
        (database, store, generation)
    }

    fn place(generation: &Generation) -> CheckpointKey<'_> {
        CheckpointKey { projection: "stock-levels", generation, service: "inventory", partition: 0, term: 0 }
    }

    #[tokio::test]
    async fn what_is_unparked_holds_the_acknowledgement_back_and_never_moves_it_on() {
        let (database, store, generation) = levels().await;
        let owner = database.owner().await;
        let what = StreamToRetry { stream: "stock/A@w".to_owned(), offset: 5, asked: None };
        let noted = Retried { noted: vec![("A".to_owned(), "level".to_owned())], ..Retried::default() };
        let nothing = Retried::default();
        for (retried, pushed, held) in [(&noted, 9_i64, 8), (&noted, 3, 3), (&nothing, 9, 9), (&nothing, 3, 3)] {
            owner.execute("UPDATE read.checkpoint SET next_offset = 9, pushed = $1", &[&pushed]).await.expect("the owner may");
            assert!(store.write_retried(&place(&generation), 9, &what, retried).await.expect("it answers"));
            assert_eq!(store.checkpoint(&place(&generation)).await.expect("it is there").pushed, held);
        }
        let at = "SELECT DISTINCT \"offset\" FROM read.removed";
        assert_eq!(owner.query_one(at, &[]).await.expect("one").get::<_, i64>(0), 8, "noted at the last event");
        assert!(!store.write_retried(&place(&generation), 8, &what, &noted).await.expect("it answers"), "the checkpoint stands elsewhere");
    }

    /// Between the look at the requests and the write, another build may have parked the stream at another event.
    #[tokio::test]
    async fn the_event_that_an_operator_meant_is_skipped_and_no_other_and_a_stream_is_freed_in_its_generation() {
        let (database, store, generation) = levels().await;
        let owner = database.owner().await;
        let parked = "INSERT INTO read.parked (projection, generation, service, partition, stream_id, \"offset\", reason)
            VALUES ('stock-levels', 1, 'inventory', 0, 'stock/A@w', 5, 'why'), ('stock-levels', 1, 'inventory', 0, 'stock/B@w', 4, 'why'),
                ('stock-levels', 2, 'inventory', 0, 'stock/A@w', 5, 'why')";
        owner.batch_execute(parked).await.expect("the owner may");
        let at = place(&generation);
        for (meant, skipped) in [(4, 0_i64), (5, 1)] {
            let what = StreamToRetry { stream: "stock/A@w".to_owned(), offset: meant, asked: Some(Ask::Skip) };
            let retried = Retried { skipped: Some(meant), stopped: Some((5, "again".to_owned())), ..Retried::default() };
            assert!(store.write_retried(&at, 0, &what, &retried).await.expect("it answers"));
            let count = "SELECT count(*) FROM read.skipped WHERE stream_id = 'stock/A@w' AND \"offset\" = 5";
            assert_eq!(owner.query_one(count, &[]).await.expect("readable").get::<_, i64>(0), skipped, "{meant}");
        }
        let all = "SELECT (SELECT count(*) FROM read.skipped), (SELECT count(*) FROM read.parked)";
        let row = owner.query_one(all, &[]).await.expect("readable");
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (1, 3));
        // Freed, it is free in this generation.
        let what = StreamToRetry { stream: "stock/A@w".to_owned(), offset: 5, asked: None };
        assert!(store.write_retried(&at, 0, &what, &Retried::default()).await.expect("it answers"));
        let left = "SELECT generation, stream_id FROM read.parked ORDER BY 1, 2";
        let left: Vec<(i32, String)> = owner.query(left, &[]).await.expect("readable").iter().map(|r| (r.get(0), r.get(1))).collect();
        assert_eq!(left, [(1, "stock/B@w".to_owned()), (2, "stock/A@w".to_owned())]);
    }
}
