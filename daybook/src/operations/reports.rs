//! Reports: what read models that are kept as SQL say, as tables. Each is read in one snapshot.

mod table;

use chrono::{DateTime, NaiveDate, Utc};
use daybook_postgres::{OwnConnection, Role};
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row, Transaction};

use crate::settings::Settings;
pub(crate) use table::Table;
use table::{Cell, Column};

/// By what sales are added up, beside their currency: amounts of two currencies have no sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grouping {
    Everything,
    Day,
    Category,
    Currency,
}

impl Grouping {
    fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Everything => &["day", "category", "currency"],
            Self::Day => &["day", "currency"],
            Self::Category => &["category", "currency"],
            Self::Currency => &["currency"],
        }
    }
}

/// What was sold on these days, inclusive.
///
/// # Errors
/// A database that does not answer, or has not the read model.
pub(crate) async fn sales(settings: &Settings, from: Option<NaiveDate>, to: Option<NaiveDate>, by: Grouping) -> anyhow::Result<Table> {
    let mut snapshot = Snapshot::open(settings, "sales").await?;
    let transaction = snapshot.begin().await?;
    let sums = async |groups: &[&str]| {
        let groups = groups.join(", ");
        let select = format!(
            "SELECT {groups}, count(DISTINCT order_id), sum(pieces)::text, sum(gross)::text, sum(discounts)::text, sum(cancelled)::text,
                sum(returned)::text, sum(net)::text
             FROM read.sales
             WHERE ($1::date IS NULL OR day >= $1) AND ($2::date IS NULL OR day <= $2)
             GROUP BY {groups} ORDER BY {groups}"
        );
        transaction.rows(&select, &[&from, &to]).await
    };
    let groups = by.columns();
    let row = |row: &Row, groups: &[&str]| -> Vec<Cell> {
        let n = groups.len();
        let currency: String = row.get(n - 1);
        let group = groups.iter().enumerate().map(|(n, group)| match *group {
            "day" => Cell::Day(row.get(n)),
            _ => Cell::Text(row.get(n)),
        });
        let amounts = (n + 2..n + 7).map(|n| Cell::money(row.get(n), &currency));
        group.chain([Cell::Count(row.get::<_, i64>(n).into()), Cell::count(row.get(n + 1))]).chain(amounts).collect()
    };
    let rows = sums(groups).await?.iter().map(|r| row(r, groups)).collect();
    // An order of two categories is one order: totals are no sums of rows.
    let total = |r: &Row| groups[1..].iter().map(|_| Cell::Nothing).chain(row(r, &["currency"])).collect();
    let totals = match by {
        Grouping::Currency => Vec::new(),
        _ => sums(&["currency"]).await?.iter().map(total).collect(),
    };
    let columns = groups.iter().chain(&["orders", "pieces", "gross", "discounts", "cancelled", "returned", "net"]);
    Ok(Table { columns: columns.map(|name| Column::of(name)).collect(), rows, totals })
}

/// What lies in the warehouses, or in one of them, and what it is worth.
///
/// # Errors
/// As of [`sales`].
pub(crate) async fn stock(settings: &Settings, warehouse: Option<&str>) -> anyhow::Result<Table> {
    let mut snapshot = Snapshot::open(settings, "stock-value").await?;
    let transaction = snapshot.begin().await?;
    let select = "SELECT sku, title, warehouse, on_hand, reserved, available, currency, price::text, value::text
        FROM read.stock_value WHERE $1::text IS NULL OR warehouse = $1 ORDER BY sku, warehouse";
    let rows: Vec<Vec<Cell>> = transaction
        .rows(select, &[&warehouse])
        .await?
        .iter()
        .map(|r| {
            let currency: Option<String> = r.get(6);
            let money = |n: usize| currency.as_ref().map_or(Cell::Nothing, |currency| Cell::money(r.get(n), currency));
            let texts = (0..3).map(|n| Cell::Text(r.get(n)));
            let counts = (3..6).map(|n| Cell::Count(r.get::<_, i64>(n).into()));
            let worth = [currency.clone().map_or(Cell::Nothing, Cell::Text), money(7), money(8)];
            texts.chain(counts).chain(worth).collect()
        })
        .collect();
    let columns = ["sku", "title", "warehouse", "onHand", "reserved", "available", "currency", "price", "value"].map(Column::of).into();
    let totals = table::totals(&rows, 6, &[3, 4, 5, 8]);
    Ok(Table { columns, rows, totals })
}

/// What orders wait for that is late; or all that they wait for. The first due first.
///
/// # Errors
/// As of [`sales`].
pub(crate) async fn orders_late(settings: &Settings, all: bool) -> anyhow::Result<Table> {
    let mut snapshot = Snapshot::open(settings, "order-waits").await?;
    let transaction = snapshot.begin().await?;
    let view = if all { "order_waits" } else { "orders_late" };
    let select = format!(
        "SELECT order_id, status, step, number, reason, owes, since, due_at, extract(epoch FROM now() - due_at)::bigint
         FROM read.{view} ORDER BY due_at, order_id, step, number"
    );
    let row = |r: &Row| -> Vec<Cell> {
        let (step, number): (String, i64) = (r.get(2), r.get(3));
        let step = if number > 0 { format!("{step} {number}") } else { step };
        let time = |n: usize| r.get::<_, Option<DateTime<Utc>>>(n).map_or(Cell::Nothing, Cell::Time);
        let late = r.get::<_, Option<i64>>(8).filter(|seconds| *seconds >= 0);
        vec![
            Cell::Text(r.get(0)),
            Cell::Text(table::status(r.get(1))),
            Cell::Text(step),
            Cell::Text(r.get(4)),
            Cell::Text(r.get(5)),
            time(6),
            time(7),
            late.map_or(Cell::Nothing, Cell::Seconds),
        ]
    };
    let rows = transaction.rows(&select, &[]).await?.iter().map(row).collect();
    let columns = ["order", "status", "step", "reason", "owes", "since", "dueAt", "lateBy"].map(Column::of).into();
    Ok(Table { columns, rows, totals: Vec::new() })
}

/// The money of orders; with `open` only of those of which money is on its way, owed or lost.
///
/// # Errors
/// As of [`sales`].
pub(crate) async fn payments(settings: &Settings, open: bool) -> anyhow::Result<Table> {
    const AMOUNTS: [&str; 10] = [
        "amount",
        "authorised",
        "captured",
        "refunded",
        "capture_pending",
        "refund_pending",
        "owed_by_customer",
        "owed_to_customer",
        "taken_unasked",
        "lost",
    ];
    let mut snapshot = Snapshot::open(settings, "payments").await?;
    let transaction = snapshot.begin().await?;
    let select = format!(
        "SELECT order_id, status, currency, {}::text FROM read.payments
         WHERE NOT $1 OR greatest({}) > 0 OR awaits_since IS NOT NULL
         ORDER BY order_id",
        AMOUNTS.join("::text, "),
        AMOUNTS[4..].join(", ")
    );
    let row = |r: &Row| -> Vec<Cell> {
        let currency: Option<String> = r.get(2);
        let amounts = (3..3 + AMOUNTS.len()).map(|n| match (&currency, r.get::<_, Option<String>>(n)) {
            (Some(currency), Some(amount)) => Cell::money(amount, currency),
            _ => Cell::Nothing,
        });
        let texts = [Cell::Text(r.get(0)), Cell::Text(r.get(1)), currency.clone().map_or(Cell::Nothing, Cell::Text)];
        texts.into_iter().chain(amounts).collect()
    };
    let rows: Vec<Vec<Cell>> = transaction.rows(&select, &[&open]).await?.iter().map(row).collect();
    let names = ["order", "status", "currency"].into_iter().chain([
        "amount",
        "authorised",
        "captured",
        "refunded",
        "capturePending",
        "refundPending",
        "owedByCustomer",
        "owedToCustomer",
        "takenUnasked",
        "lost",
    ]);
    let totals = table::totals(&rows, 2, &(3..3 + AMOUNTS.len()).collect::<Vec<_>>());
    Ok(Table { columns: names.map(Column::of).collect(), rows, totals })
}

/// The read models' database as it stands at one moment, under the role that only reads.
struct Snapshot {
    connection: OwnConnection,
    model: &'static str,
}

/// Its transaction.
struct Reading<'a> {
    transaction: Transaction<'a>,
    model: &'static str,
}

impl Snapshot {
    async fn open(settings: &Settings, model: &'static str) -> anyhow::Result<Self> {
        let databases = settings.databases()?;
        let connection = OwnConnection::new(databases.read_url(), Some(Role::Reader), &[], "daybook report").await?;
        Ok(Self { connection, model })
    }

    async fn begin(&mut self) -> anyhow::Result<Reading<'_>> {
        let transaction = self.connection.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        Ok(Reading { transaction: transaction.start().await?, model: self.model })
    }
}

impl Reading<'_> {
    async fn rows(&self, select: &str, values: &[&(dyn ToSql + Sync)]) -> anyhow::Result<Vec<Row>> {
        let model = self.model;
        self.transaction.query(select, values).await.map_err(|error| match error.as_db_error().map(|db| db.code().code()) {
            // No view, or no right to read it.
            Some("42P01" | "42501") => anyhow::anyhow!(
                "read model {model} is not kept as SQL here: `daybook migrate` makes what is missing, and running projectors fill it; where \
                 another build has made it, `daybook replay rebuild {model} --promote` makes it anew"
            ),
            Some("42703") => anyhow::anyhow!(
                "read model {model} was made by another build, with other columns: `daybook replay rebuild {model} --promote` makes it anew"
            ),
            _ => error.into(),
        })
    }
}
