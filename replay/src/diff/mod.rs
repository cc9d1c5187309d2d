//! `diff`: two generations of a read model, part by part.
//!
//! Both may move meanwhile. Everything is compared in one snapshot of the database; where the stream of a part that is not the same stands
//! elsewhere in the two, and the one behind has simply not come so far, it is looked at again later; what moves all the time is
//! compared while the older one is held where it is, in the end. Only rows that differ leave Postgres.

mod fields;
mod report;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use daybook_kernel::ReadModel;
use daybook_postgres::{Databases, OwnConnection, Role};
use daybook_projections::lifecycle::KnownGeneration;
use daybook_projections::promotion::meet;
use daybook_projections::rebuild::Tail;
use daybook_proto::DescriptorPool;
use futures_util::TryStreamExt as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row, Transaction};

use crate::ReplayError;
pub use fields::FieldDifference;
pub(crate) use fields::message_json;
pub use report::{DiffReport, DifferenceKind, PartDifference, StreamName};

const DIFF_PARTS: &str = include_str!("../sql/diff_parts.sql");
const DIFF_SOME_PARTS: &str = include_str!("../sql/diff_some_parts.sql");
const STANDING: &str = include_str!("../sql/standing.sql");
const COUNT_PARTS: &str = include_str!("../sql/count_parts.sql");
const DIFF_PARKED: &str = include_str!("../sql/diff_parked.sql");
const DIFF_CHECKPOINTS: &str = include_str!("../sql/diff_checkpoints.sql");

/// Two tables of parts are joined by sorting or hashing: 64 MiB for each step of that.
const SETTINGS: &[(&str, &str)] = &[("work_mem", "65536"), ("lock_timeout", "10000")];
/// The name of a difference in no field: the same message, encoded in another way.
const ENCODING: &str = "(encoding)";
/// The first pause before parts are looked at again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Settings of a comparison.
#[derive(Clone, Copy, Debug)]
pub struct DiffOptions {
    /// The number of differences to show with their fields (20 by default); all are counted.
    pub show: usize,
    /// The number of times that parts of moving streams are looked at again (8 by default: 13 s together).
    pub rounds: u32,
}

impl Default for DiffOptions {
    fn default() -> Self {
        Self { show: 20, rounds: 8 }
    }
}

/// The message of a read model, described.
pub(crate) fn descriptor(model: &ReadModel, pool: &DescriptorPool) -> Result<MessageDescriptor, ReplayError> {
    pool.get_message_by_name(model.message).ok_or_else(|| ReplayError::Usage(format!("this build has no descriptor of {}", model.message)))
}

/// Compares a generation with an older one. `tail` keeps the new one up between two looks, where nobody else does; with it, the older
/// one is held at the end for as long as it takes to compare what never stood still, if there is any.
///
/// # Errors
/// When a database does not answer. What is not the same is no error: it stands in the report.
pub async fn compare(
    databases: &Databases,
    model: &ReadModel,
    pool: &DescriptorPool,
    (old, new): (&KnownGeneration, &KnownGeneration),
    options: &DiffOptions,
    mut tail: Option<&mut Tail>,
) -> Result<DiffReport, ReplayError> {
    let mut session = OwnConnection::new(databases.read_url(), Some(Role::Reader), SETTINGS, "daybook diff").await?;
    let standing = |parts: &str| STANDING.replace("{parts}", parts);
    let sql = |statement: &str| {
        let joined = statement.replace("{standing in old}", &standing(&old.parts)).replace("{standing in new}", &standing(&new.parts));
        joined.replace("{old}", &old.parts).replace("{new}", &new.parts)
    };
    let mut comparison = Comparison {
        model: model.name,
        numbers: (old.number, new.number),
        message: descriptor(model, pool)?,
        show: options.show,
        report: DiffReport { projection: model.name.to_owned(), old: old.number, new: new.number, ..DiffReport::default() },
        streams: BTreeSet::new(),
        pending: Vec::new(),
    };
    let snapshot = begin(&mut session).await?;
    let old_parts: i64 = snapshot.query_one(&sql(COUNT_PARTS), &[]).await?.get(0);
    comparison.look(&snapshot, &sql(DIFF_PARTS), &[]).await?;
    for row in snapshot.query(DIFF_PARKED, &[&model.name, &old.number, &new.number]).await? {
        let stream = StreamName { service: row.get(0), stream: row.get(1) };
        let DiffReport { newly_parked, no_longer_parked, .. } = &mut comparison.report;
        if row.get(2) {
            newly_parked.push(stream)
        } else {
            no_longer_parked.push(stream)
        };
    }
    snapshot.rollback().await?;
    let pending = comparison.pending.iter().filter(|p| p.in_old).count() as u64;
    let found = comparison.report.differing + comparison.report.only_old + pending;
    comparison.report.identical = old_parts.cast_unsigned().saturating_sub(found);

    let mut pause = FIRST_PAUSE;
    for _ in 0..options.rounds {
        if comparison.pending.is_empty() {
            break;
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
        if let Some(tail) = tail.as_deref_mut() {
            tail.catch_up().await?;
        }
        comparison.look_again(&mut session, &sql(DIFF_SOME_PARTS)).await?;
    }
    if !comparison.pending.is_empty()
        && let Some(tail) = tail
    {
        let look = async || comparison.look_again(&mut session, &sql(DIFF_SOME_PARTS)).await;
        meet(databases, model, old.number, tail, look).await?.transpose()?;
    }
    comparison.report.unsettled = comparison.pending.len() as u64;
    let streams = std::mem::take(&mut comparison.streams);
    comparison.report.name_streams(streams);
    Ok(comparison.report)
}

/// Everything that is read in it is of one moment.
async fn begin(session: &mut OwnConnection) -> Result<Transaction<'_>, ReplayError> {
    Ok(session.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start().await?)
}

/// A part to look at again.
struct Pending {
    key: String,
    part: String,
    in_old: bool,
}

struct Comparison {
    model: &'static str,
    numbers: (i32, i32),
    message: MessageDescriptor,
    show: usize,
    report: DiffReport,
    streams: BTreeSet<StreamName>,
    pending: Vec<Pending>,
}

/// (generation, service, partition) to next offset.
type Checkpoints = HashMap<(i32, String, i32), i64>;

impl Comparison {
    /// Reads what is not the same now, and sorts it into differences and what is to be looked at again.
    async fn look(&mut self, snapshot: &Transaction<'_>, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<(), ReplayError> {
        let (old, new) = self.numbers;
        let rows = snapshot.query(DIFF_CHECKPOINTS, &[&self.model, &old, &new]).await?;
        let checkpoints: Checkpoints = rows.iter().map(|r| ((r.get(0), r.get(1), r.get(2)), r.get(3))).collect();
        let rows = snapshot.query_raw(sql, values.iter().copied()).await?;
        let mut rows = std::pin::pin!(rows);
        while let Some(row) = rows.try_next().await? {
            if self.is_moving(&row, &checkpoints) {
                let in_old = row.get::<_, Option<&[u8]>>(2).is_some();
                self.pending.push(Pending { key: row.get(0), part: row.get(1), in_old });
            } else {
                self.differs(&row);
            }
        }
        Ok(())
    }

    /// Looks again at what was moving.
    async fn look_again(&mut self, session: &mut OwnConnection, sql: &str) -> Result<(), ReplayError> {
        let (again, before) = (std::mem::take(&mut self.pending), self.report.differences());
        let (keys, parts): (Vec<&str>, Vec<&str>) = again.iter().map(|p| (p.key.as_str(), p.part.as_str())).unzip();
        let snapshot = begin(session).await?;
        self.look(&snapshot, sql, &[&keys, &parts]).await?;
        snapshot.rollback().await?;
        let open = self.pending.len() as u64 + self.report.differences() - before;
        self.report.identical += (again.len() as u64).saturating_sub(open);
        Ok(())
    }

    /// Whether the generation that is behind in the part's stream has not come to the event that the other one rests on. Where it has
    /// passed that, and still stands at another version, it has done so on purpose: it parked the stream, or does not read it.
    fn is_moving(&self, row: &Row, checkpoints: &Checkpoints) -> bool {
        if row.get::<_, Option<bool>>(7) == Some(true) {
            return false;
        }
        let stands = |at: usize| (row.get::<_, Option<i64>>(at).unwrap_or_default(), row.get::<_, Option<i64>>(at + 1).unwrap_or(-1));
        let ((old, old_offset), (new, new_offset)) = (stands(8), stands(10));
        let (behind, ahead_offset) = match old.cmp(&new) {
            std::cmp::Ordering::Equal => return false,
            std::cmp::Ordering::Less => (self.numbers.0, new_offset),
            std::cmp::Ordering::Greater => (self.numbers.1, old_offset),
        };
        let next = checkpoints.get(&(behind, row.get(4), row.get(6)));
        next.is_some_and(|next| *next <= ahead_offset)
    }

    fn differs(&mut self, row: &Row) {
        let (old, new): (Option<&[u8]>, Option<&[u8]>) = (row.get(2), row.get(3));
        let stream = StreamName { service: row.get(4), stream: row.get(5) };
        let decode = |bytes: &[u8]| DynamicMessage::decode(self.message.clone(), bytes).map_err(|e| e.to_string());
        let (before, after) = (old.map(decode).transpose(), new.map(decode).transpose());
        let report = &mut self.report;
        let kind = match (old, new) {
            (_, None) => DifferenceKind::OnlyOld,
            (None, _) => DifferenceKind::OnlyNew,
            _ => DifferenceKind::Differs,
        };
        *match kind {
            DifferenceKind::OnlyOld => &mut report.only_old,
            DifferenceKind::OnlyNew => &mut report.only_new,
            DifferenceKind::Differs => &mut report.differing,
        } += 1;
        report.undecodable += u64::from(after.is_err());
        let (mut found, mut message, mut undecodable) = (Vec::new(), None, None);
        match (&before, &after) {
            (Ok(Some(before)), Ok(Some(after))) => {
                found = fields::differences(before, after);
                let changed: BTreeSet<&str> = found.iter().map(|d| d.field.as_str()).collect();
                for field in if changed.is_empty() { BTreeSet::from([ENCODING]) } else { changed } {
                    *report.fields.entry(field.to_owned()).or_default() += 1;
                }
            }
            (Ok(Some(one)), Ok(None)) | (Ok(None), Ok(Some(one))) if report.shown.len() < self.show => message = Some(message_json(one)),
            (Err(why), _) | (_, Err(why)) => undecodable = Some(why.clone()),
            _ => {}
        }
        if report.shown.len() < self.show {
            let (key, part, stream) = (row.get(0), row.get(1), stream.clone());
            report.shown.push(PartDifference { key, part, stream, kind, fields: found, message, undecodable });
        }
        self.streams.insert(stream);
    }
}
