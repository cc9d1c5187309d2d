//! A log of the shop's own events, made through the log's own pages, with the ledger and the requests that commands would have left there.

use daybook_kernel::{StreamId, digest};
use daybook_log::{AppendOutcome, LedgerRow, Log, MigrateOptions, NewEvent, Page, PageHead, Writer, WriterSessions, migrate};
use daybook_postgres::{Databases, Role, connect_owner, migrate_install};
use daybook_proto::EventSet;
use daybook_proto::v1::command_result::Outcome;
use daybook_proto::v1::{Accepted, CommandResult, EventRef, Metadata, Request};
use prost::Message as _;
use shop_proto::catalog::v1::{Price, ProductCreated, ProductEvent, ProductRepriced, ProductRevised};
use shop_proto::common::v1::Money;
use shop_proto::inventory::v1::{StockEvent, StockReceived, StockReserved};
use uuid::Uuid;

/// The services whose logs are filled, in equal shares: products, and their stock.
pub(crate) const SERVICES: [&str; 2] = ["catalog", "inventory"];
/// Events of a page: the most that a lane would write.
const PAGE: usize = 2_000;

/// The size of what is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Events, of products and of stock in equal shares.
    pub(crate) events: u64,
    /// Streams that they are of.
    pub(crate) streams: u64,
    /// Partitions of each log.
    pub(crate) partitions: u32,
}

/// Makes both logs in an empty database, fills them, and lets Postgres settle.
///
/// # Errors
/// When Postgres refuses something.
pub(crate) async fn make(url: &str, size: Size) -> anyhow::Result<Databases> {
    let databases = Databases::one(url);
    migrate_install(&databases).await?;
    migrate(&databases, &MigrateOptions { services: SERVICES.map(str::to_owned).to_vec(), partitions: size.partitions }).await?;
    crate::progress(&format!("a log of {} events of {} streams", size.events, size.streams));
    fill(&databases, size, "SKU").await?;
    let owner = connect_owner(url).await?;
    for service in SERVICES {
        owner.batch_execute(&format!("VACUUM (ANALYZE) {service}.event, {service}.page, {service}.command, {service}.request")).await?;
    }
    owner.batch_execute("CHECKPOINT").await?;
    Ok(databases)
}

/// A story for each stream, written page by page, all partitions side by side. `prefix` begins each SKU: nobody has had it.
///
/// # Errors
/// When Postgres refuses something, or somebody else writes.
pub(crate) async fn fill(databases: &Databases, size: Size, prefix: &str) -> anyhow::Result<()> {
    let sessions = WriterSessions::new(2);
    let each = size.events.div_ceil(size.streams).max(1);
    let (mut versions, mut written) = (0, 0);
    let mut lanes = Vec::new();
    for service in SERVICES {
        let log = Log::open(databases, service, Role::Writer).await?;
        for n in 0..size.partitions.cast_signed() {
            let writer = Writer::new(log.partition(n)?, &sessions).await?;
            let head = writer.open(Writer::now()).await?.head;
            lanes.push(Lane { service, writer, head, partition: n, events: Vec::new() });
        }
    }
    while versions < each {
        versions += 1;
        for stream in 0..size.streams {
            if written >= size.events {
                break;
            }
            written += 1;
            let (service, event) = story(prefix, stream, versions);
            let id = StreamId::parse(&event.stream_id)?;
            let at = service * size.partitions as usize + usize::try_from(id.partition(size.partitions))?;
            lanes[at].push(event).await?;
        }
    }
    for lane in &mut lanes {
        lane.write().await?;
    }
    Ok(())
}

struct Lane {
    service: &'static str,
    writer: Writer,
    head: PageHead,
    partition: i32,
    events: Vec<NewEvent>,
}

impl Lane {
    async fn push(&mut self, event: NewEvent) -> anyhow::Result<()> {
        self.events.push(event);
        if self.events.len() >= PAGE { self.write().await } else { Ok(()) }
    }

    async fn write(&mut self) -> anyhow::Result<()> {
        let mut events = std::mem::take(&mut self.events);
        let ledger = (self.head.next_offset()..).zip(&mut events).map(|(offset, event)| self.command(offset, event)).collect();
        let (writer, message) = (self.writer.name(), self.head.message_offset);
        let page = Page::following(&self.head, self.partition, writer, Writer::now(), message, events, ledger);
        let outcome = self.writer.append(&page).await;
        anyhow::ensure!(outcome == AppendOutcome::Appended, "a page was not appended: {outcome:?}");
        self.head = page.head().clone();
        Ok(())
    }

    /// The command that led to this event, which has no metadata yet.
    fn command(&self, offset: i64, event: &mut NewEvent) -> LedgerRow {
        let (command_id, source_address) = (Uuid::new_v4(), "127.0.0.1:50000".to_owned());
        let (id, correlation_id) = (command_id.as_bytes().to_vec(), command_id.to_string());
        event.metadata =
            Metadata { command_id: id, correlation_id, source_address: source_address.clone(), ..Metadata::default() }.encode_to_vec();
        // Nobody reads the command itself here: it is as long as its event.
        let request = Request { r#type: event.type_name.clone(), command: event.payload.clone(), source_address, ..Request::default() };
        let result = CommandResult {
            service: self.service.to_owned(),
            stream_id: event.stream_id.clone(),
            version: event.version.unsigned_abs(),
            events: vec![EventRef { r#type: event.type_name.clone(), offset }],
            partition: self.partition,
            offset,
            epoch: self.head.epoch.unsigned_abs(),
            command_digest: digest::command(&request.r#type, &request.command, None).to_vec(),
            outcome: Some(Outcome::Accepted(Accepted {})),
        };
        LedgerRow { stream_id: event.stream_id.clone(), command_id, request: request.encode_to_vec(), result: result.encode_to_vec() }
    }
}

/// The service, by its place among [`SERVICES`], and the event that a stream has at this version, without metadata.
fn story(prefix: &str, stream: u64, version: u64) -> (usize, NewEvent) {
    let sku = format!("{prefix}-{:07}", stream / 2);
    let money = |minor_units: u64| Some(Money { currency: "EUR".to_owned(), minor_units: minor_units.cast_signed() });
    let new = |key: &str, (type_name, payload, aggregate): (&str, Vec<u8>, &str)| NewEvent {
        stream_id: format!("{aggregate}/{key}"),
        version: version.cast_signed(),
        type_name: type_name.to_owned(),
        payload,
        metadata: Vec::new(),
    };
    if stream.is_multiple_of(2) {
        let event: ProductEvent = match version {
            1 => ProductCreated {
                sku: sku.clone(),
                title: format!("A lamp that gives light, number {stream}"),
                description: "It stands on the floor, and is switched on and off by foot. The bulb is not part of it.".to_owned(),
                brand: "Lux".to_owned(),
                category: "Home > Lamps".to_owned(),
                price: money(1_999),
                attributes: [("colour", "red"), ("size", "M"), ("material", "steel")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
                ..ProductCreated::default()
            }
            .into(),
            v if v % 2 == 0 => {
                let price = Price { list: money(1_000 + v), sale: None };
                ProductRepriced { sku: sku.clone(), price: Some(price) }.into()
            }
            v => ProductRevised { sku: sku.clone(), title: Some(format!("A lamp, revised {v} times")), ..Default::default() }.into(),
        };
        (0, new(&sku, encoded(&event)))
    } else {
        let warehouse = "w-1".to_owned();
        let event: StockEvent = if version % 2 == 1 {
            StockReceived { sku: sku.clone(), warehouse, quantity: 5, ..Default::default() }.into()
        } else {
            StockReserved { sku: sku.clone(), warehouse, quantity: 1, ..Default::default() }.into()
        };
        (1, new(&format!("{sku}@w-1"), encoded(&event)))
    }
}

fn encoded<E: EventSet>(event: &E) -> (&'static str, Vec<u8>, &'static str) {
    (event.type_name(), event.encode_to_vec(), E::AGGREGATE)
}
