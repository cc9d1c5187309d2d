//! Rows of read models that are kept as SQL, on their way to Postgres; and the views that show them.

use std::error::Error;

use bytes::{BufMut as _, BytesMut};
use daybook_kernel::{ReadModel, SqlRows, SqlValue, digest};
use tokio_postgres::Transaction;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::lifecycle::LifecycleError;
use crate::sql;

/// Postgres counts time from 2000, in microseconds.
const EPOCH: i64 = 946_684_800_000_000;

/// A value of a column.
#[derive(Debug)]
pub(crate) struct Cell(SqlValue);

impl Cell {
    /// The value in Postgres' binary form; false: it is null.
    pub(crate) fn write(&self, out: &mut BytesMut) -> bool {
        match &self.0 {
            SqlValue::Null => return false,
            SqlValue::Text(text) => out.extend_from_slice(text.as_bytes()),
            SqlValue::BigInt(n) => out.put_i64(*n),
            SqlValue::Boolean(b) => out.put_u8((*b).into()),
            SqlValue::DoublePrecision(n) => out.put_f64(*n),
            SqlValue::Timestamp(micros) => out.put_i64(micros - EPOCH),
        }
        true
    }
}

impl ToSql for Cell {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        Ok(if self.write(out) { IsNull::No } else { IsNull::Yes })
    }

    /// Its column has the type that it is written in.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The row of one part.
pub(crate) fn row(rows: &SqlRows, part: &[u8]) -> impl Iterator<Item = Cell> + use<> {
    rows.row(part).into_iter().map(Cell)
}

/// The rows of parts, an array a column; none where the read model is not kept as SQL. A part that goes has a row of nulls.
pub(crate) fn columns<'a>(rows: Option<&SqlRows>, parts: impl Iterator<Item = Option<&'a [u8]>>) -> Vec<Vec<Cell>> {
    let Some(rows) = rows else { return Vec::new() };
    let mut columns: Vec<Vec<Cell>> = rows.columns.iter().map(|_| Vec::with_capacity(parts.size_hint().0)).collect();
    for part in parts {
        for (column, cell) in columns.iter_mut().zip(row(rows, part.unwrap_or_default())) {
            column.push(cell);
        }
    }
    columns
}

/// A statement's parameters, with the columns behind them.
pub(crate) fn with_columns<'a>(parameters: &[&'a (dyn ToSql + Sync)], columns: &'a [Vec<Cell>]) -> Vec<&'a (dyn ToSql + Sync)> {
    parameters.iter().copied().chain(columns.iter().map(|column| column as &(dyn ToSql + Sync))).collect()
}

/// Has the views of a read model show the generation whose parts are in this table: it is served once the transaction is committed. A view
/// that shows it already is left alone.
///
/// # Errors
/// [`LifecycleError::Refused`] where somebody's views rest upon one whose columns change, or somebody reads one for too long.
pub(crate) async fn show(transaction: &Transaction<'_>, model: &ReadModel, parts: &str) -> Result<(), LifecycleError> {
    for view in model.rows.iter().flat_map(|rows| rows.views) {
        let select = view.select.trim().replace("{rows}", &format!("read.{parts}"));
        let mark = format!("Daybook, {}: {}", model.name, hex(&digest::sha256(select.as_bytes())));
        let stands: Option<String> = transaction.query_one(sql::SHOWN_VIEW, &[&view.name]).await?.get(0);
        if stands.as_deref() == Some(mark.as_str()) {
            continue;
        }
        let statements = sql::SHOW_VIEW.replace("{view}", view.name).replace("{mark}", &mark).replace("{select}", &select);
        transaction.batch_execute(&statements).await.map_err(|error| refused(view.name, error))?;
    }
    Ok(())
}

fn refused(view: &str, error: tokio_postgres::Error) -> LifecycleError {
    let Some(db) = error.as_db_error() else { return error.into() };
    match db.code().code() {
        "2BP01" => LifecycleError::Refused(format!(
            "the columns of view read.{view} change, and others rest upon it ({}): drop those, and make them again afterwards",
            db.detail().unwrap_or(db.message())
        )),
        "55P03" => LifecycleError::Refused(format!("somebody reads view read.{view} at this time: try again when that has ended")),
        "42809" => LifecycleError::Refused(format!("read.{view} is there, and is no view: give it another name")),
        _ => error.into(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
