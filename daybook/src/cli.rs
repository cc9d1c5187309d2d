//! The command line. Every option is also a variable `DAYBOOK_…`, and may stand in the TOML file.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Daybook: an event-sourced CQRS engine, and the shop that runs on it.
#[derive(Debug, Parser)]
#[command(version, about, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every subcommand takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Postgres: postgres://user:password@host:port/database. Serves every schema, unless the file says otherwise.
    #[arg(long, global = true, env = "DAYBOOK_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// The most connections that a process that serves keeps to a database for each kind of session: see docs/databases.md (8 by default).
    #[arg(long, global = true, env = "DAYBOOK_CONNECTIONS", value_name = "N", value_parser = clap::value_parser!(u16).range(2..=1_000))]
    pub(crate) connections: Option<u16>,
    /// Kafka: host:port[,host:port…].
    #[arg(long, global = true, env = "DAYBOOK_KAFKA", value_name = "BROKERS")]
    pub(crate) brokers: Option<String>,
    /// Put before the name of every topic and group, so that installs can share a cluster.
    #[arg(long, global = true, env = "DAYBOOK_KAFKA_PREFIX", value_name = "PREFIX")]
    pub(crate) kafka_prefix: Option<String>,
    /// Settings in TOML; ./daybook.toml when it is there.
    #[arg(long, global = true, env = "DAYBOOK_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What to log, on standard error: a level, or directives such as info,daybook_log=debug. Else what RUST_LOG says, else
    /// info for roles that serve and warn for tools.
    #[arg(long, global = true, env = "DAYBOOK_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// How to log.
    #[arg(long, global = true, env = "DAYBOOK_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// Answers for programs: a line of JSON for each result.
    #[arg(long, global = true, env = "DAYBOOK_JSON")]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Every role in one process.
    Up(Up),
    /// Bring databases and topics to what this build needs; harmless to repeat.
    Migrate(Migrate),
    /// The command endpoint, lanes and relay.
    CommandHandlers(CommandHandlers),
    /// Fold events into read models.
    Projectors(Projectors),
    /// Serve read models over HTTP.
    QueryApi(QueryApi),
    /// Audits of the log.
    #[command(subcommand)]
    Replay(Replay),
    /// Real input through the command endpoint.
    #[command(subcommand)]
    Load(Load),
    /// Messages and streams that could not be handled.
    #[command(subcommand)]
    Parked(Parked),
    /// Commands that wait for their time.
    #[command(subcommand)]
    Deadlines(Deadlines),
    /// What is still to be read, and to be asked of the outside.
    #[command(subcommand)]
    Calls(Calls),
    /// What the shop has sold, has, waits for and is paid: tables for people, --json and --csv for programs.
    Report(Reports),
    /// The outside, to try the shop with: no money moves, and no parcel does.
    #[command(subcommand)]
    Simulate(Simulate),
}

impl Command {
    /// Whether it is a role that serves until it is stopped; the others are tools.
    pub(crate) fn serves(&self) -> bool {
        match self {
            Self::Up(_) | Self::CommandHandlers(_) | Self::Projectors(_) | Self::QueryApi(_) | Self::Simulate(_) => true,
            Self::Migrate(_)
            | Self::Replay(_)
            | Self::Load(_)
            | Self::Parked(_)
            | Self::Deadlines(_)
            | Self::Calls(_)
            | Self::Report(_) => false,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Partitions of a log that is born now (1 to 1024); fixed for its life, so choose it for the largest fleet.
    #[arg(long, env = "DAYBOOK_PARTITIONS", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) partitions: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Handling {
    /// Services whose lanes run here; all when it is not given. The endpoint serves every service.
    #[arg(long, env = "DAYBOOK_SERVICES", value_delimiter = ',', value_name = "A,B")]
    pub(crate) services: Option<Vec<String>>,
    /// Seconds that a silent process keeps its partitions before others take over.
    #[arg(long, env = "DAYBOOK_SESSION_TIMEOUT", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(2..=300))]
    pub(crate) session_timeout: Option<u64>,
    /// The most commands that may be under way at once through this endpoint; beyond it clients hear 429. Fewer may be while
    /// most answers take longer than a second.
    #[arg(long, env = "DAYBOOK_MAX_IN_FLIGHT", value_name = "N")]
    pub(crate) max_in_flight: Option<usize>,
    /// Milliseconds that a command may wait for company on its way to Kafka when many are under way (2 by default).
    #[arg(long, env = "DAYBOOK_LINGER_MS", value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=100))]
    pub(crate) linger_ms: Option<u64>,
    /// A time that a process waits for something, for example payment=30s; 500ms, 15m, 1h 30m and so on. Give it once for each. In the
    /// file: [waits].
    #[arg(long = "wait", env = "DAYBOOK_WAITS", value_delimiter = ',', value_name = "NAME=TIME")]
    pub(crate) waits: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Querying {
    /// Answer queries with ?at=TIME or ?at=TOKEN from the log: read models as they were. Each folds streams again.
    #[arg(long, env = "DAYBOOK_AS_OF")]
    pub(crate) as_of: bool,
    /// The shop's currency (ISO 4217): of price ranges, price facets and price orders of searches that name none. EUR when it is not given.
    #[arg(long, env = "DAYBOOK_CURRENCY", value_name = "EUR")]
    pub(crate) currency: Option<String>,
    /// Attributes that searches may filter by and count (attributes.colour=red); colour, size and material when it is not given. Each
    /// takes four bytes a product.
    #[arg(long, env = "DAYBOOK_SEARCH_FILTERS", value_delimiter = ',', value_name = "A,B")]
    pub(crate) search_filters: Option<Vec<String>>,
}

#[derive(Debug, Args)]
pub(crate) struct Browsers {
    /// Origins whose web pages may use this from a browser (CORS, without credentials): https://shop.example,…, or * for all;
    /// none when it is not given.
    #[arg(long, env = "DAYBOOK_CORS_ORIGINS", value_delimiter = ',', value_name = "ORIGIN,…")]
    pub(crate) cors_origins: Vec<String>,
}

/// Where the payment provider is.
#[derive(Debug, Default, Args)]
pub(crate) struct PaymentAddress {
    /// The payment provider's API. Without it no order is paid.
    #[arg(long, env = "DAYBOOK_PAYMENT_URL", value_name = "URL")]
    pub(crate) payment_url: Option<String>,
    /// A file with our key at the payment provider.
    #[arg(long, env = "DAYBOOK_PAYMENT_KEY_FILE", value_name = "FILE")]
    pub(crate) payment_key_file: Option<PathBuf>,
}

/// Who is outside, and how their notices are known.
#[derive(Debug, Default, Args)]
pub(crate) struct Outside {
    #[command(flatten)]
    pub(crate) payment: PaymentAddress,
    /// Currencies that the payment provider takes, each with its least amount in minor units, after a / with the step that amounts have where it
    /// takes fewer decimals: EUR=50,KWD=100/10. An order of less, or in another currency, is rejected before it is placed. All money from one
    /// minor unit on when it is not given.
    #[arg(long, env = "DAYBOOK_PAYMENT_CURRENCIES", value_delimiter = ',', value_name = "EUR=50,…")]
    pub(crate) payment_currencies: Option<Vec<String>>,
    /// A file with the secret that the payment provider signs its notices with; a line each where there are several. Without it
    /// /v1/webhooks/payment is not there.
    #[arg(long, env = "DAYBOOK_PAYMENT_WEBHOOK_SECRET_FILE", value_name = "FILE", conflicts_with = "payment_webhook_secret")]
    pub(crate) payment_webhook_secret_file: Option<PathBuf>,
    /// That secret itself. Others can see the command line of a process: a file is better.
    #[arg(long, env = "DAYBOOK_PAYMENT_WEBHOOK_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub(crate) payment_webhook_secret: Option<String>,
    /// The carrier's API. Without it no shipment gets a label.
    #[arg(long, env = "DAYBOOK_CARRIER_URL", value_name = "URL")]
    pub(crate) carrier_url: Option<String>,
    /// A file with our key at the carrier.
    #[arg(long, env = "DAYBOOK_CARRIER_KEY_FILE", value_name = "FILE")]
    pub(crate) carrier_key_file: Option<PathBuf>,
    /// A file with the secret that the carrier signs its notices with; a line each where there are several. Without it
    /// /v1/webhooks/carrier is not there.
    #[arg(long, env = "DAYBOOK_CARRIER_WEBHOOK_SECRET_FILE", value_name = "FILE", conflicts_with = "carrier_webhook_secret")]
    pub(crate) carrier_webhook_secret_file: Option<PathBuf>,
    /// That secret itself. Others can see the command line of a process: a file is better.
    #[arg(long, env = "DAYBOOK_CARRIER_WEBHOOK_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub(crate) carrier_webhook_secret: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Where the command endpoint listens; port 0: any.
    #[arg(long, env = "DAYBOOK_COMMANDS_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDR:PORT")]
    pub(crate) commands_listen: SocketAddr,
    /// Where the query API listens; port 0: any.
    #[arg(long, env = "DAYBOOK_QUERIES_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDR:PORT")]
    pub(crate) queries_listen: SocketAddr,
    /// Where readiness with its details and metrics are served, without a gate: keep it from the net. Port 0: any, printed.
    #[arg(long, env = "DAYBOOK_OPERATIONS_LISTEN", default_value = "127.0.0.1:9080", value_name = "ADDR:PORT")]
    pub(crate) operations_listen: SocketAddr,
    #[command(flatten)]
    pub(crate) handling: Handling,
    #[command(flatten)]
    pub(crate) outside: Outside,
    #[command(flatten)]
    pub(crate) querying: Querying,
    #[command(flatten)]
    pub(crate) browsers: Browsers,
}

#[derive(Debug, Args)]
pub(crate) struct CommandHandlers {
    /// Where the endpoint listens; port 0: any, printed.
    #[arg(long, env = "DAYBOOK_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDR:PORT")]
    pub(crate) listen: SocketAddr,
    /// Where readiness with its details and metrics are served, without a gate: keep it from the net. Port 0: any, printed.
    #[arg(long, env = "DAYBOOK_OPERATIONS_LISTEN", default_value = "127.0.0.1:9081", value_name = "ADDR:PORT")]
    pub(crate) operations_listen: SocketAddr,
    #[command(flatten)]
    pub(crate) handling: Handling,
    #[command(flatten)]
    pub(crate) outside: Outside,
    #[command(flatten)]
    pub(crate) browsers: Browsers,
}

#[derive(Debug, Args)]
pub(crate) struct Projectors {
    /// Where readiness with its details and metrics are served, without a gate: keep it from the net. Port 0: any, printed.
    #[arg(long, env = "DAYBOOK_OPERATIONS_LISTEN", default_value = "127.0.0.1:9083", value_name = "ADDR:PORT")]
    pub(crate) operations_listen: SocketAddr,
    /// Read models to fold here; all when it is not given.
    #[arg(long, env = "DAYBOOK_PROJECTIONS", value_delimiter = ',', value_name = "A,B")]
    pub(crate) projections: Option<Vec<String>>,
}

#[derive(Debug, Args)]
pub(crate) struct QueryApi {
    /// Where it listens; port 0: any, printed.
    #[arg(long, env = "DAYBOOK_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDR:PORT")]
    pub(crate) listen: SocketAddr,
    /// Where readiness with its details and metrics are served, without a gate: keep it from the net. Port 0: any, printed.
    #[arg(long, env = "DAYBOOK_OPERATIONS_LISTEN", default_value = "127.0.0.1:9082", value_name = "ADDR:PORT")]
    pub(crate) operations_listen: SocketAddr,
    #[command(flatten)]
    pub(crate) querying: Querying,
    #[command(flatten)]
    pub(crate) browsers: Browsers,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Replay {
    /// Walk the log: the chain, density, the ledger; with --kafka also that the events topics equal it.
    Verify {
        /// Only this service.
        #[arg(long)]
        service: Option<String>,
        /// Only this partition.
        #[arg(long)]
        partition: Option<i32>,
        /// The events topics must equal the log; repeats are counted, no fault.
        #[arg(long)]
        kafka: bool,
    },
    /// The events of one stream, and the state that they fold to.
    Show {
        /// For example catalog.
        service: String,
        /// For example product/A-1.
        stream: String,
        /// Up to this version.
        #[arg(long, conflicts_with = "at")]
        version: Option<u64>,
        /// As it was then: RFC 3339, for example 2026-11-21T08:00:00Z.
        #[arg(long, value_name = "TIME")]
        at: Option<chrono::DateTime<chrono::Utc>>,
    },
    /// After a restore of the log's database to an older state: what Kafka and the read models have that the log has not, and what to
    /// do; exit code 1 when there is something.
    Reconcile {
        /// For example catalog.
        service: String,
        /// Begin the log's next epoch: what the log has not is void from then on. For good.
        #[arg(long, requires = "reason")]
        discard: bool,
        /// Why; it stands in the log.
        #[arg(long, requires = "discard", value_name = "WHY")]
        reason: Option<String>,
    },
    /// Fold a read model again, beside the live generation, and compare: dropped again unless --keep or --promote is given.
    Rebuild(Rebuild),
    /// Compare the live parts with a fresh fold, part by part; exit code 1 when anything differs.
    Diff {
        /// For example product-pages.
        projection: String,
        #[command(flatten)]
        folding: Folding,
    },
    /// Serve another generation from now on; also the way back to the one before.
    Promote {
        /// For example product-pages.
        projection: String,
        /// As `generations` lists it; the newest that is ready when it is not given.
        #[arg(long, value_name = "N")]
        generation: Option<i32>,
        #[command(flatten)]
        patience: Patience,
    },
    /// The generations of a read model, or of all.
    Generations {
        /// For example product-pages.
        projection: Option<String>,
    },
    /// Drop a generation that is ready or kept, and that nobody serves.
    Retire {
        /// For example product-pages.
        projection: String,
        /// As `generations` lists it.
        #[arg(long, value_name = "N")]
        generation: i32,
    },
    /// A read model as it was.
    AsOf {
        /// For example product-pages.
        projection: String,
        /// For example a SKU.
        key: String,
        #[command(flatten)]
        at: AsOfPlace,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Rebuild {
    /// For example product-pages.
    pub(crate) projection: String,
    /// Keep the new generation: it is ready, and can be promoted later.
    #[arg(long, conflicts_with = "promote")]
    pub(crate) keep: bool,
    /// Serve the new generation, unless it differs from the live one.
    #[arg(long)]
    pub(crate) promote: bool,
    /// Promote it although it differs: the fold was changed.
    #[arg(long, requires = "promote")]
    pub(crate) accept_differences: bool,
    /// Fields that may differ, for example title,prices.list; parts that are gone or new are still refused.
    #[arg(long, requires = "promote", value_delimiter = ',', value_name = "FIELD,…")]
    pub(crate) expect: Vec<String>,
    #[command(flatten)]
    pub(crate) folding: Folding,
    #[command(flatten)]
    pub(crate) patience: Patience,
}

#[derive(Debug, Args)]
pub(crate) struct Folding {
    /// Events to read a second, all partitions together; as fast as it goes when it is not given.
    #[arg(long, env = "DAYBOOK_REBUILD_RATE", value_name = "N")]
    pub(crate) rate: Option<std::num::NonZeroU64>,
    /// MiB of views that may be in memory, about. Where they need more, partitions are read again for the rest.
    #[arg(long, env = "DAYBOOK_REBUILD_MEMORY", value_name = "MIB", default_value_t = 512, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub(crate) memory: u64,
    /// Differences to show with their fields; all are counted.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) show: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Patience {
    /// Seconds to wait for the new generation to catch up, and again for the query API's processes to move to it.
    #[arg(long, env = "DAYBOOK_PROMOTE_WAIT", value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(crate) wait: u64,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct AsOfPlace {
    /// What was recorded then, and before: RFC 3339, for example 2026-11-21T08:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<chrono::DateTime<chrono::Utc>>,
    /// Up to what results have said, inclusive: service/partition:offset@epoch. Other partitions up to the moment of the latest.
    #[arg(long, value_name = "TOKEN,…")]
    pub(crate) token: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Load {
    /// A catalogue of products: JSON (lines, an array, or objects one after the other) or CSV, packed by gzip or not.
    Catalogue(crate::load::CatalogueOptions),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Parked {
    /// Those that are not settled.
    List,
    /// One of them: a message with its request, a stream with the event that can't be folded.
    Show(ParkedName),
    /// Have a message decided again, under the same command id; or a stream folded again.
    Retry(Unpark),
    /// Give a message up: it will have no result. Or go on with a stream without the event that can't be folded, now and in
    /// every rebuild.
    Skip(Unpark),
}

#[derive(Debug, Args)]
pub(crate) struct ParkedName {
    /// As `list` names it: a message's id, or a projection and stream, for example product-pages/product/A-1.
    #[arg(value_name = "ID|PROJECTION/STREAM")]
    pub(crate) name: String,
    /// Of a stream, only in this generation of the projection; all that it is parked in when it is not given.
    #[arg(long, value_name = "N")]
    pub(crate) generation: Option<i32>,
}

#[derive(Debug, Args)]
pub(crate) struct Unpark {
    #[command(flatten)]
    pub(crate) what: ParkedName,
    /// Seconds to wait until a projector has folded a stream again; it stays asked for beyond that.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) wait: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Deadlines {
    /// Those that are armed, the first due first.
    List(DeadlinesListed),
    /// Have one fired now, under the same id as at its time: the process that has its partition does it.
    Fire(DeadlineFired),
}

#[derive(Debug, Args)]
pub(crate) struct DeadlinesListed {
    /// Only those that events of this service have armed.
    #[arg(long)]
    pub(crate) service: Option<String>,
    /// Only those that this stream has armed, for example order/o-1.
    #[arg(long)]
    pub(crate) stream: Option<String>,
    /// Only those that are due before then: RFC 3339, for example 2026-11-21T08:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(crate) due_before: Option<chrono::DateTime<chrono::Utc>>,
    /// No more than so many.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct DeadlineFired {
    /// The rule, as `list` names it.
    pub(crate) rule: String,
    /// The stream that has armed it, for example order/o-1.
    pub(crate) stream: String,
    /// The deadline's name, for example payment.
    pub(crate) name: String,
    /// Seconds to wait until its command has a result; it stays asked for beyond that.
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) wait: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Reports {
    /// Comma-separated values with a header.
    #[arg(long, global = true, env = "DAYBOOK_CSV")]
    pub(crate) csv: bool,
    #[command(subcommand)]
    pub(crate) report: Report,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Report {
    /// Sales by the day on which they were ordered (UTC), category and currency. An order counts once it is confirmed; pieces that did not
    /// leave or came back are taken off on the day of the order.
    Sales {
        /// From this day on, for example 2026-11-01.
        #[arg(long, value_name = "DATE")]
        from: Option<chrono::NaiveDate>,
        /// Up to this day, inclusive.
        #[arg(long, value_name = "DATE")]
        to: Option<chrono::NaiveDate>,
        /// Add up by this, and by currency.
        #[arg(long, value_name = "WHAT")]
        by: Option<SalesBy>,
    },
    /// Pieces of each product in each warehouse, and what they are worth at the list price.
    Stock {
        /// Only in this one.
        #[arg(long, value_name = "W")]
        warehouse: Option<String>,
    },
    /// Orders that wait for longer than they should: for what, why, and which stream owes the answer.
    OrdersLate {
        /// All that orders wait for, late or not.
        #[arg(long)]
        all: bool,
    },
    /// The money of each order: authorised, taken, given back, on its way, owed and lost; with --reconcile, what the provider has otherwise.
    Payments(PaymentsReported),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SalesBy {
    Day,
    Category,
    Currency,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Calls {
    /// Those that are open, the most tried first: of lookups and of effects.
    List(CallsListed),
}

#[derive(Debug, Args)]
pub(crate) struct CallsListed {
    /// Only those that events of this service ask for.
    #[arg(long)]
    pub(crate) service: Option<String>,
    /// Only those whose outcome this stream will hear, for example payment/o-1.
    #[arg(long)]
    pub(crate) stream: Option<String>,
    /// No more than so many.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct PaymentsReported {
    /// Only where money is on its way, owed or lost.
    #[arg(long, conflicts_with = "reconcile")]
    pub(crate) open: bool,
    /// Compare our books with the payment provider's, payment by payment; exit code 1 when anything differs.
    #[arg(long)]
    pub(crate) reconcile: bool,
    /// With --reconcile: what has changed within so many seconds is under way, and no difference.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub(crate) under_way: u32,
    #[command(flatten)]
    pub(crate) provider: PaymentAddress,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Simulate {
    /// A payment provider over HTTP. Test tokens name what it does; GET /books tells what it has done; PUT /faults has it fail.
    PaymentProvider {
        /// Where it listens; port 0: any, printed.
        #[arg(long, env = "DAYBOOK_SIMULATOR_LISTEN", default_value = "127.0.0.1:8090", value_name = "ADDR:PORT")]
        listen: SocketAddr,
        /// How often an authorisation may be captured.
        #[arg(long, env = "DAYBOOK_SIMULATOR_CAPTURES", default_value = "many", value_name = "HOW")]
        captures: Captures,
        /// Currencies that it takes, as --payment-currencies of the shop has them; all money when it is not given. GET /v1/currencies tells them.
        #[arg(long, env = "DAYBOOK_SIMULATOR_CURRENCIES", value_delimiter = ',', value_name = "EUR=50,…")]
        currencies: Option<Vec<String>>,
        #[command(flatten)]
        simulator: Simulator,
    },
    /// A carrier over HTTP. POST /parcels/{tracking}/deliver, lose or return moves a parcel.
    Carrier {
        /// Where it listens; port 0: any, printed.
        #[arg(long, env = "DAYBOOK_SIMULATOR_LISTEN", default_value = "127.0.0.1:8091", value_name = "ADDR:PORT")]
        listen: SocketAddr,
        #[command(flatten)]
        simulator: Simulator,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Captures {
    Once,
    Many,
}

#[derive(Debug, Args)]
pub(crate) struct Simulator {
    /// Where its notices go, for example http://127.0.0.1:8080/v1/webhooks/payment; without it there are none.
    #[arg(long, env = "DAYBOOK_SIMULATOR_WEBHOOK_URL", value_name = "URL")]
    pub(crate) webhook_url: Option<String>,
    /// A file with the secret that it signs its notices with.
    #[arg(long, env = "DAYBOOK_SIMULATOR_SECRET_FILE", value_name = "FILE", conflicts_with = "secret")]
    pub(crate) secret_file: Option<PathBuf>,
    /// That secret itself.
    #[arg(long, env = "DAYBOOK_SIMULATOR_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub(crate) secret: Option<String>,
    /// Milliseconds that an answer takes.
    #[arg(long, env = "DAYBOOK_SIMULATOR_ANSWER_MS", default_value_t = 20, value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub(crate) answer_ms: u64,
    /// It keeps what it knows in this file, and goes on from it; without it, it forgets.
    #[arg(long, env = "DAYBOOK_SIMULATOR_STATE", value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
}
