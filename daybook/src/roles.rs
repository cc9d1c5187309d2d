//! The serving roles: each alone, or all in one process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use daybook_command_handlers::{CommandHandlers, HandlerConfig, HandlerParts, ensure_topics};
use daybook_follow::{Feed, Following, Limits, Sources, group_options};
use daybook_http::{Cors, Gate, Probe, Surface, operations_routes};
use daybook_kernel::{ReadModel, Registry, Waits};
use daybook_log::{Log, MigrateOptions};
use daybook_messages::LocalLanes;
use daybook_postgres::{Databases, Role};
use daybook_process::{Shutdown, shutdown};
use daybook_projections::{LiveGeneration, Projectors, ProjectorsConfig};
use daybook_query_api::{QueryApi, QueryConfig, QueryModel};
use daybook_reactors::{Reactors, ReactorsConfig, Rule};
use daybook_search::SearchSchema;
use shop_projectors::read_models;

use crate::cli::{self, Browsers, Handling, Outside, Querying};
use crate::past::past;
use crate::settings::{Settings, usage};
use crate::{Verdict, out, outside, searching, telemetry};

/// The longest name of an attribute, in characters: as the field rules of maps have it.
const LONGEST_ATTRIBUTE: usize = 128;

/// Every aggregate of this build, and the rules between them.
pub(crate) fn registry() -> anyhow::Result<Registry> {
    Ok(Registry::new(shop_domain::aggregates())?.with_rules(rules()))
}

/// Every read model of this build, each of which says who may read it.
fn models() -> anyhow::Result<Vec<ReadModel>> {
    let models = read_models();
    for model in &models {
        model.access.clone().context("a read model")?;
    }
    Ok(models)
}

/// Every rule of this build: what follows from an event, beside read models. For those who do not call: nothing is outside.
pub(crate) fn rules() -> Vec<Rule> {
    rules_with(&shop_outside::Outside::default())
}

/// The same, with effects that call the outside where it is.
fn rules_with(outside: &shop_outside::Outside) -> Vec<Rule> {
    let mut rules: Vec<Rule> = shop_domain::reactors().into_iter().map(Rule::from).collect();
    let taken = outside.taken.clone();
    rules.extend(shop_domain::lookups(Arc::new(move |currency| taken.limits(currency))).into_iter().map(Rule::from));
    rules.extend(shop_domain::deadlines().into_iter().map(Rule::from));
    rules.extend(shop_outside::effects(outside).into_iter().map(Rule::from));
    rules
}

/// Databases, topics and read models, made or checked.
pub(crate) async fn migrate(settings: &Settings, args: &cli::Migrate) -> anyhow::Result<Verdict> {
    let (databases, bus, registry) = (settings.databases()?, settings.bus("migrate")?, registry()?);
    let services = registry.services().into_iter().map(str::to_owned).collect();
    daybook_postgres::migrate_install(&databases).await?;
    let migrated = daybook_log::migrate(&databases, &MigrateOptions { services, partitions: args.partitions }).await?;
    let mut logs = Vec::new();
    for (service, partitions, born) in migrated.logs {
        out::line(format_args!("log of {service}: {partitions} partitions{}", if born { ", made now" } else { "" }));
        logs.push(Log::open(&databases, &service, Role::Reader).await?);
    }
    ensure_topics(&bus, &logs).await?;
    for prepared in daybook_reactors::prepare(&databases, &rules()).await? {
        out::line(format_args!("{} {}: {}", prepared.kind, prepared.rule, if prepared.made { "made now" } else { "ready" }));
    }
    for prepared in daybook_projections::prepare(&databases, &bus, &models()?).await? {
        let found = match prepared.found {
            LiveGeneration::Made => "made now",
            LiveGeneration::Current => "ready",
            LiveGeneration::Outdated => {
                "made by other folds than this build's: this build's projectors leave it alone until `daybook replay rebuild`"
            }
        };
        out::line(format_args!("read model {} (generation {}): {found}", prepared.model, prepared.generation));
    }
    Ok(Verdict::Good)
}

/// The origins whose web pages may use a surface.
fn cors(browsers: &Browsers) -> anyhow::Result<Option<Cors>> {
    Cors::of(browsers.cors_origins.iter().map(String::as_str)).map_err(|why| usage(format!("--cors-origins: {why}")))
}

/// The services whose lanes, and whose logs' reactors, run here.
fn handled(handling: &Handling) -> anyhow::Result<Vec<String>> {
    let all: Vec<String> = registry()?.services().into_iter().map(str::to_owned).collect();
    let services = handling.services.clone().unwrap_or_else(|| all.clone());
    if let Some(unknown) = services.iter().find(|s| !all.contains(s)) {
        return Err(usage(format!("--services: this build has no service {unknown:?}; it has {}", all.join(", "))));
    }
    Ok(services)
}

/// The times that processes wait, where the install says others than the build.
fn waited(settings: &Settings, handling: &Handling) -> anyhow::Result<Waits> {
    settings.waits(&handling.waits, &shop_domain::waits())
}

/// The rules that follow the logs of these services; `outside` says whom their effects call.
async fn reactors(
    settings: &Settings,
    databases: &Databases,
    (handling, outside): (&Handling, &Outside),
    local: LocalLanes,
) -> anyhow::Result<Reactors> {
    let services = handled(handling)?;
    let all_rules = rules_with(&outside::outside(settings, outside)?);
    let rules = all_rules.iter().filter(|rule| services.iter().any(|s| s == rule.service())).cloned().collect();
    let config = ReactorsConfig::new(databases.clone(), settings.bus("reactors")?, registry()?, rules, models()?);
    let config = ReactorsConfig { all_rules, local, ..config };
    Ok(Reactors::new(config).await?)
}

async fn start_handlers(
    settings: &Settings,
    databases: &Databases,
    (handling, outside): (&Handling, &Outside),
    (local, feed): (LocalLanes, Feed),
    surface: Surface,
    stop: Shutdown,
) -> anyhow::Result<CommandHandlers> {
    let (registry, services) = (registry()?, handled(handling)?);
    let (waits, webhooks) = (Arc::new(waited(settings, handling)?), outside::webhooks(settings, outside)?);
    let mut config = HandlerConfig { waits, webhooks, ..HandlerConfig::default() };
    if let Some(seconds) = handling.session_timeout {
        config.session_timeout = Duration::from_secs(seconds);
    }
    if let Some(n) = handling.max_in_flight {
        config.max_in_flight = n;
    }
    if let Some(ms) = handling.linger_ms {
        config.linger = Duration::from_millis(ms);
    }
    let parts = HandlerParts {
        config,
        databases: databases.clone(),
        bus: settings.bus("command-handlers")?,
        registry,
        services,
        committed: Arc::new(move |service, partition, page| feed.committed(service, partition, page)),
        local,
    };
    let handlers = CommandHandlers::start(parts, surface, stop).await?;
    out::announce(format_args!("commands on http://{}", handlers.address()));
    Ok(handlers)
}

/// How products are searched, as the settings have it.
fn searched(querying: &Querying) -> anyhow::Result<SearchSchema> {
    let mut schema = searching::products();
    if let Some(currency) = &querying.currency {
        schema.default_currency.clone_from(currency);
    }
    if (schema.decimals)(&schema.default_currency).is_none() {
        return Err(usage(format!("--currency: {:?} is no currency of ISO 4217 in capitals, such as EUR", schema.default_currency)));
    }
    if let Some(filters) = &querying.search_filters {
        schema.filters = filters.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
        if let Some(long) = schema.filters.iter().find(|name| name.chars().count() > LONGEST_ATTRIBUTE) {
            return Err(usage(format!(
                "--search-filters: no attribute has so long a name (more than {LONGEST_ATTRIBUTE} characters): {long:?}"
            )));
        }
        schema.filters.sort_unstable();
        schema.filters.dedup();
    }
    Ok(schema)
}

async fn start_queries(
    settings: &Settings,
    databases: &Databases,
    querying: &Querying,
    surface: Surface,
    stop: Shutdown,
) -> anyhow::Result<QueryApi> {
    let models = models()?.iter().map(QueryModel::from).collect();
    let secret = daybook_postgres::read_secret(databases, Role::Query).await?;
    let past = querying.as_of.then(|| past(databases.clone()));
    let config = QueryConfig {
        past,
        search: Some(searched(querying)?),
        connections: settings.connections,
        ..QueryConfig::new(databases.read_url(), settings.bus("query-api")?, models, shop_proto::descriptors().clone(), secret)
    };
    out::announce(format_args!("queries on http://{}", surface.address()));
    Ok(QueryApi::start(config, surface, stop).await?)
}

/// Before anything else is done: who can't have an address hears it at once.
async fn listen(address: SocketAddr, option: &str) -> anyhow::Result<Surface> {
    Surface::bind(address, Gate::anonymous())
        .await
        .with_context(|| format!("can't listen on {address}; choose another address with {option}"))
}

/// The address of operations: for those who run Daybook, so nobody is asked who they are.
struct OperationsAddress(Surface);

impl OperationsAddress {
    async fn bind(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self(listen(address, "--operations-listen").await?))
    }

    /// Serves the readiness of all roles of the process, and its metrics, until the shutdown.
    fn serve(self, roles: Vec<Probe>, metrics: telemetry::Metrics, stop: Shutdown) -> impl Future<Output = ()> {
        out::announce(format_args!("operations on http://{}", self.0.address()));
        self.0.serve(operations_routes(roles, metrics), stop)
    }
}

async fn start_projectors(
    settings: &Settings,
    databases: &Databases,
    models: Vec<ReadModel>,
    beside: Option<&Reactors>,
    stop: Shutdown,
) -> anyhow::Result<Projectors> {
    let config = ProjectorsConfig::new(databases.clone(), settings.bus("followers")?, models);
    Ok(Projectors::start_beside(config, beside.map(Reactors::followers).into_iter().collect(), stop).await?)
}

fn followed(projectors: &Projectors) -> Probe {
    Probe::new(projectors.clone(), |projectors| async move { projectors.readiness().await })
}

/// Every role in one process.
pub(crate) async fn up(settings: &Settings, args: &cli::Up) -> anyhow::Result<Verdict> {
    let (metrics, stop, cors) = (telemetry::metrics()?, on_signal()?, cors(&args.browsers)?);
    waited(settings, &args.handling)?;
    let commands = listen(args.commands_listen, "--commands-listen").await?.with_cors(cors.clone());
    let queries = listen(args.queries_listen, "--queries-listen").await?.with_cors(cors);
    let operations = OperationsAddress::bind(args.operations_listen).await?;
    let databases = settings.shared_databases()?;
    let local = LocalLanes::default();
    let reactors = reactors(settings, &databases, (&args.handling, &args.outside), local.clone()).await?;
    let projectors = start_projectors(settings, &databases, models()?, Some(&reactors), stop.clone()).await?;
    let queries = start_queries(settings, &databases, &args.querying, queries, stop.clone()).await?;
    let ways = (local, projectors.feed());
    let handlers = start_handlers(settings, &databases, (&args.handling, &args.outside), ways, commands, stop.clone()).await?;
    let roles = vec![handlers.probe(), queries.probe(), followed(&projectors)];
    let serving = operations.serve(roles, metrics, stop);
    tokio::join!(serving, handlers.stopped(), queries.stopped(), projectors.stopped());
    Ok(Verdict::Good)
}

/// Endpoint, lanes, relay, reactors and lookups.
pub(crate) async fn command_handlers(settings: &Settings, args: &cli::CommandHandlers) -> anyhow::Result<Verdict> {
    let (metrics, stop, cors) = (telemetry::metrics()?, on_signal()?, cors(&args.browsers)?);
    waited(settings, &args.handling)?;
    let surface = listen(args.listen, "--listen").await?.with_cors(cors);
    let operations = OperationsAddress::bind(args.operations_listen).await?;
    let databases = settings.shared_databases()?;
    let local = LocalLanes::default();
    let reactors = reactors(settings, &databases, (&args.handling, &args.outside), local.clone()).await?;
    let sources = Sources::of(settings.bus("followers")?, group_options(), Limits::default(), vec![reactors.followers()]);
    let following = Following::start(sources, stop.clone())?;
    let ways = (local, following.feed());
    let handlers = start_handlers(settings, &databases, (&args.handling, &args.outside), ways, surface, stop.clone()).await?;
    let reacting = Probe::new(following.clone(), |following| async move { following.readiness() });
    let serving = operations.serve(vec![handlers.probe(), reacting], metrics, stop);
    tokio::join!(serving, handlers.stopped(), following.stopped());
    Ok(Verdict::Good)
}

/// Projectors, which have no clients: all that they serve is operations.
pub(crate) async fn projectors(settings: &Settings, args: &cli::Projectors) -> anyhow::Result<Verdict> {
    let (metrics, stop) = (telemetry::metrics()?, on_signal()?);
    let mut models = models()?;
    if let Some(wanted) = &args.projections {
        let known: Vec<&str> = models.iter().map(|m| m.name).collect();
        if let Some(unknown) = wanted.iter().find(|w| !known.contains(&w.as_str())) {
            return Err(usage(format!("--projections: this build has no read model {unknown:?}; it has {}", known.join(", "))));
        }
        models.retain(|m| wanted.iter().any(|w| w == m.name));
    }
    let operations = OperationsAddress::bind(args.operations_listen).await?;
    let projectors = start_projectors(settings, &settings.shared_databases()?, models, None, stop.clone()).await?;
    let serving = operations.serve(vec![followed(&projectors)], metrics, stop);
    tokio::join!(serving, projectors.stopped());
    Ok(Verdict::Good)
}

/// The query API.
pub(crate) async fn query_api(settings: &Settings, args: &cli::QueryApi) -> anyhow::Result<Verdict> {
    let (metrics, stop, cors) = (telemetry::metrics()?, on_signal()?, cors(&args.browsers)?);
    let surface = listen(args.listen, "--listen").await?.with_cors(cors);
    let operations = OperationsAddress::bind(args.operations_listen).await?;
    let queries = start_queries(settings, &settings.shared_databases()?, &args.querying, surface, stop.clone()).await?;
    let serving = operations.serve(vec![queries.probe()], metrics, stop);
    tokio::join!(serving, queries.stopped());
    Ok(Verdict::Good)
}

/// A shutdown that SIGTERM and SIGINT set off.
pub(crate) fn on_signal() -> anyhow::Result<Shutdown> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (set_off, stop) = shutdown();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: what has begun is finished");
        set_off.send_replace(true);
        // Kept, so that nobody mistakes its end for a request.
        std::future::pending::<()>().await;
    });
    Ok(stop)
}
