//! Parked streams, as the projector that owns their partition sees them.

use std::collections::BTreeSet;

use super::{Place, ReadStore};
use crate::parked::Ask;
use crate::{ProjectorError, sql};

/// A parked stream that is to be folded again.
pub(crate) struct Waiting {
    pub(crate) stream: String,
    /// Of the event that parked it.
    pub(crate) offset: i64,
    pub(crate) asked: Option<Ask>,
}

/// What came of folding a parked stream again.
#[derive(Default)]
pub(crate) struct Retried {
    pub(crate) gone: Vec<(String, String)>,
    /// Key, part, bytes and offset.
    pub(crate) written: Vec<(String, String, Vec<u8>, i64)>,
    /// Keys that it has, or had, a part under.
    pub(crate) keys: BTreeSet<String>,
    /// Key and part of all that is pushed of it.
    pub(crate) noted: Vec<(String, String)>,
    /// Offset, version and bytes.
    pub(crate) view: Option<(i64, i64, Option<Vec<u8>>)>,
    /// The event to do without from now on.
    pub(crate) skipped: Option<i64>,
    /// Where it stopped again, and why.
    pub(crate) stopped: Option<(i64, String)>,
}

impl ReadStore {
    /// Up to `limit` parked streams that an operator asks something of, or that are among `untried`.
    pub(crate) async fn asked(&self, at: &Place<'_>, untried: &[&str], limit: i64) -> Result<Vec<Waiting>, ProjectorError> {
        let client = self.client().await?;
        let statement = client.prepare_cached(sql::READ_ASKED).await?;
        let rows = client.query(&statement, &[&at.projection, &at.generation.number, &at.service, &at.partition, &untried, &limit]).await?;
        let waiting =
            rows.iter().map(|r| Waiting { stream: r.get(0), offset: r.get(1), asked: r.get::<_, Option<&str>>(2).and_then(Ask::parse) });
        Ok(waiting.collect())
    }

    /// Writes what came of folding a parked stream again. False: the checkpoint stood elsewhere than at `next`.
    pub(crate) async fn write_retried(&self, at: &Place<'_>, next: i64, what: &Waiting, retried: &Retried) -> Result<bool, ProjectorError> {
        let client = self.client().await?;
        let statement = client.prepare_cached(&sql::at(sql::WRITE_RETRIED, &at.generation.parts)).await?;
        let places = |list: &'_ [(String, String)]| -> (Vec<String>, Vec<String>) { list.iter().cloned().unzip() };
        let (gone_keys, gone_parts) = places(&retried.gone);
        let (noted_keys, noted_parts) = places(&retried.noted);
        let written = &retried.written;
        let (keys, parts): (Vec<&str>, Vec<&str>) = written.iter().map(|(k, p, ..)| (k.as_str(), p.as_str())).unzip();
        let (bytes, offsets): (Vec<&[u8]>, Vec<i64>) = written.iter().map(|(.., b, o)| (b.as_slice(), *o)).unzip();
        let writers: Vec<&str> = retried.keys.iter().map(String::as_str).collect();
        let (view_offset, version): (Vec<i64>, Vec<i64>) = retried.view.iter().map(|(o, v, _)| (*o, *v)).unzip();
        let view: Vec<Option<&[u8]>> = retried.view.iter().map(|(.., bytes)| bytes.as_deref()).collect();
        let stopped_at = retried.stopped.as_ref().map(|(offset, _)| *offset);
        let reason = retried.stopped.as_ref().map(|(_, reason)| super::storable(reason));
        let asked = what.asked.map(Ask::as_str);
        let moved = client
            .execute(
                &statement,
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
                ],
            )
            .await?;
        Ok(moved == 1)
    }
}
