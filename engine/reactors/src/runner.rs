//! The rules of a process: their checkpoints, and what they need to run among its followers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use daybook_bus::{BusConfig, Guarantee, Inspector, ProducerOptions, SharedProducer};
use daybook_follow::{Follower, Followers, Home, Kind, Roster};
use daybook_kernel::{Begins, ReadModel, Registry};
use daybook_log::{Log, PartitionLog, Writer};
use daybook_messages::{LocalLanes, lanes_group};
use daybook_postgres::{Databases, Pool, Role, read_secret};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::common::{Common, Destination, Target};
use crate::news::GoodNews;
use crate::pages::Reader;
use crate::reacting::Reacting;
use crate::sending::Sender;
use crate::store::{Store, pools};
use crate::{ReactorError, Rule};

/// Longest time that Kafka may take with a reaction before it is sent again from the log, if need be with another client.
const DELIVERED_WITHIN: Duration = Duration::from_secs(10);

/// Which reactors a process runs, and where.
#[derive(Clone)]
pub struct ReactorsConfig {
    /// The logs.
    pub databases: Databases,
    /// Kafka.
    pub bus: BusConfig,
    /// The services that a rule may send to.
    pub registry: Registry,
    /// The rules that run here.
    pub rules: Vec<Rule>,
    /// Every rule of the build, wherever it runs: after a takeover deadlines wait until all of them have heard what stood.
    pub all_rules: Vec<Rule>,
    /// The read models that lookups may read.
    pub read_models: Vec<ReadModel>,
    /// The most calls of effects to one destination that may be under way at once in this process (32 by default). What a provider allows is
    /// shared by all processes.
    pub calls_at_once: usize,
    /// The machine's time, for deadlines, lookups, and effects that may become too late. A partition's is never behind what its log has said.
    pub clock: Clock,
    /// The lanes of this process, which are handed commands beside Kafka (none by default).
    pub local: LocalLanes,
}

impl ReactorsConfig {
    /// These rules, which are all that the build has; 32 calls at once, the clock that lanes have too.
    pub fn new(databases: Databases, bus: BusConfig, registry: Registry, rules: Vec<Rule>, read_models: Vec<ReadModel>) -> Self {
        let all_rules = rules.clone();
        Self {
            databases,
            bus,
            registry,
            rules,
            all_rules,
            read_models,
            calls_at_once: 32,
            clock: Arc::new(Writer::now),
            local: LocalLanes::default(),
        }
    }
}

/// The rules of a process, ready to follow.
pub struct Reactors {
    rules: Vec<Rule>,
    logs: Vec<Log>,
    /// Kept: nobody is added, and nobody leaves.
    roster: watch::Sender<Roster>,
}

/// The outcome of [`prepare`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// `reactor`, `lookup`, `effect` or `deadlines`.
    pub kind: &'static str,
    /// The rule.
    pub rule: &'static str,
    /// It was new here, in some partition at least.
    pub made: bool,
}

/// Gives each rule that is new here a checkpoint in each partition of the log that it follows. To be called as the owner's `migrate`.
///
/// # Errors
/// When a database does not answer.
pub async fn prepare(databases: &Databases, rules: &[Rule]) -> Result<Vec<Prepared>, ReactorError> {
    let mut prepared = Vec::new();
    for rule in rules {
        let log = Log::open(databases, rule.service(), Role::Writer).await?;
        // The owner's: a writer may move marks, and make none.
        let pools = pools(databases, [&log], None)?;
        let mut made = false;
        for n in 0..log.partitions() {
            let partition = log.partition(n.cast_signed())?;
            let head = partition.last_page().await?;
            let (at, epoch) = match rule.begins() {
                Begins::AtTheEnd => (head.next_offset(), head.epoch),
                Begins::AtTheBeginning => (0, 1),
            };
            made |= Store::new(rule.name(), &partition, pools[partition.url()].clone()).begin(at, epoch).await?;
        }
        prepared.push(Prepared { kind: rule.kind(), rule: rule.name(), made });
    }
    Ok(prepared)
}

struct RuleKind {
    rule: Rule,
    common: Arc<Common>,
    pools: Arc<BTreeMap<String, Pool>>,
}

impl Kind for RuleKind {
    fn name(&self) -> &'static str {
        self.rule.name()
    }

    fn generation(&self) -> i32 {
        0
    }

    fn follows(&self, service: &str) -> bool {
        self.rule.service() == service
    }

    fn home(&self, log: &PartitionLog) -> Home {
        Home { name: "log", pool: self.pools[log.url()].clone(), rests: false }
    }

    fn open(&self, log: PartitionLog) -> Box<dyn Follower> {
        let store = Store::new(self.rule.name(), &log, self.pools[log.url()].clone());
        Box::new(Reacting::new(self.rule.clone(), log, self.common.clone(), store))
    }
}

impl Reactors {
    /// Checks that all is there: logs, checkpoints, the services that rules send to.
    ///
    /// # Errors
    /// When a database or Kafka can't be reached, a rule has no checkpoint ([`ReactorError::NotPrepared`]), or two rules share a name.
    pub async fn new(config: ReactorsConfig) -> Result<Self, ReactorError> {
        let mut targets = HashMap::new();
        for service in config.registry.services() {
            let log = Log::open(&config.databases, service, Role::Writer).await?;
            let target = Target { topic: config.bus.messages(service).into(), lanes: lanes_group(&config.bus, service), log };
            targets.insert(service, target);
        }
        let mut logs: BTreeMap<&'static str, Log> = BTreeMap::new();
        let mut names = HashSet::new();
        for rule in &config.rules {
            let (kind, name, service) = (rule.kind(), rule.name(), rule.service());
            if !names.insert(name) {
                return Err(ReactorError::Configuration(format!("two rules are named {name}: rename the {kind}")));
            }
            let unknown = || ReactorError::Configuration(format!("the {kind} {name} follows {service}, which is no service of this build"));
            logs.insert(service, targets.get(service).ok_or_else(unknown)?.log.clone());
        }
        // Of all logs: deadlines look at other services' rules.
        let pools = Arc::new(pools(&config.databases, targets.values().map(|target| &target.log), Some(Role::Writer))?);
        let mut stores = BTreeMap::new();
        for (service, target) in &targets {
            for n in 0..target.log.partitions() {
                let partition = target.log.partition(n.cast_signed())?;
                let store = || Store::new("", &partition, pools[partition.url()].clone());
                stores.entry((*service, partition.url().to_owned())).or_insert_with(store);
            }
        }
        // The same command may come again; it takes effect once.
        let options = ProducerOptions { message_timeout: DELIVERED_WITHIN, guarantee: Guarantee::InOrder, ..ProducerOptions::default() };
        let destination = |rule: &Rule| match rule {
            Rule::Effect(effect) => Some((effect.destination(), Destination::new(effect.destination(), config.calls_at_once))),
            Rule::Reactor(_) | Rule::Lookup(_) | Rule::Deadlines(_) => None,
        };
        let destinations = config.rules.iter().filter_map(destination).collect();
        let common = Arc::new(Common {
            sender: Sender { producer: SharedProducer::new(&config.bus, options)?, local: config.local },
            inspector: Inspector::new(&config.bus)?,
            secret: read_secret(&config.databases, Role::Writer).await?,
            targets,
            registry: config.registry,
            reader: Reader::new(&config.databases, &config.read_models)?,
            clock: config.clock,
            news: GoodNews::new(config.all_rules.iter().map(Rule::name).collect(), stores),
            destinations,
        });
        let mut kinds: Vec<Arc<dyn Kind>> = Vec::new();
        for rule in &config.rules {
            let log = &logs[rule.service()];
            for n in 0..log.partitions() {
                let partition = log.partition(n.cast_signed())?;
                Store::new(rule.name(), &partition, pools[partition.url()].clone()).mark().await?;
            }
            kinds.push(Arc::new(RuleKind { rule: rule.clone(), common: common.clone(), pools: pools.clone() }));
        }
        let roster = watch::Sender::new(Roster(Arc::new(kinds)));
        Ok(Self { rules: config.rules, logs: logs.into_values().collect(), roster })
    }

    /// For the process that follows for them.
    pub fn followers(&self) -> Followers {
        let runs = self.rules.iter().map(|rule| (rule.name(), rule.fingerprint())).collect();
        Followers { runs, logs: self.logs.clone(), roster: self.roster.subscribe() }
    }
}
