//! A Daybook of the harness's own: Postgres, Kafka, a proxy between, and a process for each role, with a supervisor as any
//! platform has one. Everything can be broken from here, and nothing is left of it afterwards.

mod backup;
mod disk;
mod member;
mod outside;
mod ports;
mod process;
mod resources;
mod run;
mod services;
mod supervisor;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinHandle;

pub use backup::Backup;
pub use disk::SmallDisk;
pub use member::{Life, Member, Role};
pub use process::Signal;
pub use resources::Resources;
pub use run::Ran;
pub use services::{Endangered, Service, StandingStill};

use crate::proxy::Proxy;
use disk::SmallDisks;
use member::Members;
use outside::Outside;
use services::Services;

/// The longest that a process may take to end by itself when it is asked to.
const FAREWELL: Duration = Duration::from_secs(10);

/// The longest that a cluster may take until all of it is ready for the first time: nothing is broken yet, but others may use the machine too.
const FIRST_READY: Duration = Duration::from_secs(300);

/// The plan of a cluster.
#[derive(Clone, Debug)]
pub struct Plan {
    /// A folder of its own: logs and points lie there, and below it Postgres's and Kafka's data.
    pub dir: PathBuf,
    /// The armed `daybook`.
    pub binary: PathBuf,
    /// `scripts/services/services`.
    pub services_script: PathBuf,
    /// Of each log.
    pub partitions: u32,
    /// Processes of command handlers.
    pub handlers: usize,
    /// Processes of projectors.
    pub projectors: usize,
    /// Processes of the query API.
    pub queries: usize,
    /// The time for which a silent process of command handlers keeps its partitions.
    pub session_timeout_s: u64,
    /// Postgres's data and WAL lie on disks of a fixed size, which can be filled. Needs root; where that can't be, the
    /// cluster starts all the same, and [`Cluster::small_disk`] says why it has none.
    pub small_disk: bool,
    /// A folder with Postgres' and Kafka's data after `daybook migrate`: where it is not there yet it is made, and later clusters begin with it. All
    /// clusters that share one have the same partitions and the same build.
    pub prepared: Option<PathBuf>,
    /// Simulators of those outside run beside Daybook, and its processes know them.
    pub orders: bool,
}

/// Something that ended without being asked to: neither by a nemesis nor by a fail-point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnexpectedEnd {
    /// Which member, or `postgres` or `kafka`.
    pub name: String,
    /// Since the cluster began.
    pub after: Duration,
    /// For example `exit status: 3`.
    pub status: String,
    /// The last lines of its log.
    pub log: String,
}

/// A running cluster, cheap to clone. It ends when the last clone goes; [`Cluster::stop`] ends it with a farewell.
#[derive(Clone, Debug)]
pub struct Cluster {
    shared: Arc<Shared>,
    owner: Arc<Owner>,
}

/// The parts that end with the cluster.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    supervising: Mutex<Vec<JoinHandle<()>>>,
}

/// The parts that the supervisor needs as well.
#[derive(Debug)]
struct Shared {
    plan: Plan,
    began: Instant,
    services: Services,
    disks: Result<SmallDisks, String>,
    proxy: Proxy,
    /// None where clients place no orders.
    outside: Option<Outside>,
    members: Mutex<Members>,
    unexpected: Mutex<Vec<UnexpectedEnd>>,
    stopping: AtomicBool,
    wiped: AtomicBool,
}

impl Cluster {
    /// Starts everything, and waits until it is ready.
    ///
    /// # Errors
    /// When something can't be started; nothing is left then.
    pub async fn start(plan: Plan) -> anyhow::Result<Self> {
        let plan = prepare(plan)?;
        let is_prepared = plan.prepared.as_ref().is_some_and(|prepared| prepared.exists());
        let services = Services::new(&plan);
        let started = services.start_first(&plan).await;
        let disks = match started {
            Ok(disks) => disks,
            Err(error) => {
                services.keep_logs(&plan.logs_dir());
                services.wipe();
                return Err(error);
            }
        };
        let proxy = Proxy::new(services.addresses().postgres);
        let mut members = Members::default();
        let outside = if plan.orders { Some(Outside::new(&plan, &mut members)) } else { None };
        let outside = outside.transpose().inspect_err(|_| services.wipe())?;
        let shared = Arc::new(Shared {
            began: Instant::now(),
            services,
            disks,
            proxy,
            outside,
            members: Mutex::new(members),
            unexpected: Mutex::default(),
            stopping: AtomicBool::default(),
            wiped: AtomicBool::default(),
            plan,
        });
        // From here on it ends with its Drop.
        let owner = Arc::new(Owner { shared: shared.clone(), supervising: Mutex::default() });
        let cluster = Self { shared, owner };
        if !is_prepared {
            cluster.migrate().await?;
            if let Some(prepared) = &cluster.shared.plan.prepared {
                cluster.shared.services.keep(prepared)?;
            }
        }
        for (role, count) in cluster.shared.plan.roles() {
            for _ in 0..count {
                cluster.add(role).await?;
            }
        }
        cluster.add_outside().await?;
        *cluster.owner.supervising() = supervisor::begin(&cluster.shared);
        cluster.ready(FIRST_READY).await.context("the cluster did not become ready")?;
        Ok(cluster)
    }

    /// `daybook migrate`, as a platform runs it before a start: makes what is missing.
    ///
    /// # Errors
    /// When it fails.
    pub async fn migrate(&self) -> anyhow::Result<()> {
        self.migrate_with(&self.shared.plan.binary).await
    }

    /// The same with another build.
    ///
    /// # Errors
    /// When it fails.
    pub async fn migrate_with(&self, binary: &Path) -> anyhow::Result<()> {
        let partitions = self.shared.plan.partitions.to_string();
        let command = self.shared.command(binary, &["migrate", "--partitions", &partitions], &self.owner_url(), false);
        run::to_its_end(command).await?.good()
    }

    /// Runs a subcommand to its end, straight to Postgres; `armed` lets it reach fail-points.
    ///
    /// # Errors
    /// When it can't be started, or takes longer than two minutes.
    pub async fn daybook(&self, args: &[&str], armed: bool) -> anyhow::Result<Ran> {
        run::to_its_end(self.shared.command(&self.shared.plan.binary, args, &self.owner_url(), armed)).await
    }

    /// Starts one more process, under the supervisor; does not wait until it is ready. Its name.
    ///
    /// # Errors
    /// When it can't be started.
    pub async fn add(&self, role: Role) -> anyhow::Result<String> {
        self.add_with(role, &[]).await
    }

    /// The same with more variables in its environment.
    ///
    /// # Errors
    /// When it can't be started.
    pub async fn add_with(&self, role: Role, variables: &[(&str, &str)]) -> anyhow::Result<String> {
        let name = self.shared.members().next_name(role);
        let link = self.shared.proxy.link(&name).await?;
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.shared.members().add(&self.shared, name.clone(), role, link, variables)?;
        Ok(name)
    }

    /// Ends a process by SIGTERM, and by SIGKILL when that takes longer than it may; it is not started again.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn remove(&self, name: &str) -> anyhow::Result<()> {
        self.hold_down(name, true)?;
        self.stop_gracefully(name)?;
        let until = Instant::now() + FAREWELL;
        while self.member(name)?.pid.is_some() && Instant::now() < until {
            self.shared.members().look(&self.shared);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.shared.members().remove(name);
        self.shared.proxy.remove(name);
        Ok(())
    }

    /// Ends these processes by SIGTERM, and by SIGKILL those that take longer than they may; they are left ended until the supervisor is told
    /// otherwise ([`Cluster::hold_down`]).
    ///
    /// # Errors
    /// When there is none of one of these names.
    pub async fn end_all(&self, names: &[String]) -> anyhow::Result<()> {
        for name in names {
            self.hold_down(name, true)?;
            // Who stands still would hear it only afterwards.
            self.resume(name)?;
            self.stop_gracefully(name)?;
        }
        let runs = || names.iter().filter(|name| self.member(name).is_ok_and(|member| member.pid.is_some())).collect::<Vec<_>>();
        let until = Instant::now() + FAREWELL;
        loop {
            self.shared.members().look(&self.shared);
            let still = runs();
            if still.is_empty() {
                return Ok(());
            }
            if Instant::now() > until {
                for name in still {
                    self.kill(name)?;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends everything, by SIGTERM first, and forgets the data; logs stay in `dir/logs`. What ended unexpectedly.
    ///
    /// # Errors
    /// When something is left.
    pub async fn stop(&self) -> anyhow::Result<Vec<UnexpectedEnd>> {
        self.shared.stopping.store(true, SeqCst);
        let supervising = std::mem::take(&mut *self.owner.supervising());
        for task in supervising {
            task.await.context("the supervisor panicked")?;
        }
        self.shared.members().signal_all(Signal::TERM);
        let until = Instant::now() + FAREWELL;
        while !self.shared.members().running().is_empty() && Instant::now() < until {
            self.shared.members().look(&self.shared);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for name in self.shared.members().running() {
            let status = format!("asked to end by SIGTERM, it did not within {FAREWELL:?}");
            self.shared.ended_unexpectedly(&name, status, &self.shared.plan.log(&name));
        }
        let shared = self.shared.clone();
        tokio::task::spawn_blocking(move || shared.tear_down()).await.context("tearing down panicked")??;
        Ok(self.unexpected_ends())
    }

    /// Processes that ended without being asked to, until now.
    pub fn unexpected_ends(&self) -> Vec<UnexpectedEnd> {
        self.shared.unexpected.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its plan.
    pub fn plan(&self) -> &Plan {
        &self.shared.plan
    }

    /// Postgres, as its owner, not through the proxy.
    pub fn owner_url(&self) -> String {
        self.shared.services.addresses().owner_url
    }

    /// Kafka: host and port.
    pub fn kafka(&self) -> String {
        self.shared.services.addresses().kafka
    }

    /// The net between the processes and Postgres; each link bears its process's name.
    pub fn proxy(&self) -> &Proxy {
        &self.shared.proxy
    }

    /// Where fail-points and switches are armed.
    pub fn points_dir(&self) -> PathBuf {
        self.shared.points_dir()
    }

    /// The disk of a fixed size that holds Postgres's data, or its WAL.
    ///
    /// # Errors
    /// Why there is none.
    pub fn small_disk(&self, wal: bool) -> Result<&SmallDisk, String> {
        self.shared.disks.as_ref().map(|disks| if wal { &disks.wal } else { &disks.data }).map_err(Clone::clone)
    }
}

impl Owner {
    fn supervising(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.supervising.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.stopping.store(true, SeqCst);
        for task in self.supervising().drain(..) {
            task.abort();
        }
        if let Err(error) = self.shared.tear_down() {
            eprintln!("the cluster in {} is not all gone: {error:#}", self.shared.plan.dir.display());
        }
    }
}

impl std::fmt::Display for UnexpectedEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let last = self.log.lines().next_back().unwrap_or_default();
        write!(f, "{} after {:.1} s: {}: {last}", self.name, self.after.as_secs_f64(), self.status)
    }
}

impl Shared {
    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn points_dir(&self) -> PathBuf {
        self.plan.dir.join("points")
    }

    fn stopping(&self) -> bool {
        self.stopping.load(SeqCst)
    }

    fn ended_unexpectedly(&self, name: &str, status: String, log: &Path) {
        let log = process::tail(log);
        let end = UnexpectedEnd { name: name.to_owned(), after: self.began.elapsed(), status, log };
        self.unexpected.lock().unwrap_or_else(PoisonError::into_inner).push(end);
    }

    /// Ends what still runs, at once, and forgets the data. Once.
    fn tear_down(&self) -> anyhow::Result<()> {
        if self.wiped.swap(true, SeqCst) {
            return Ok(());
        }
        self.members().kill_all();
        self.services.kill();
        self.services.keep_logs(&self.plan.logs_dir());
        if let Ok(disks) = &self.disks {
            disks.unmount()?;
        }
        self.services.wipe();
        Ok(())
    }
}

impl Plan {
    fn roles(&self) -> BTreeMap<Role, usize> {
        [(Role::Handlers, self.handlers), (Role::Projectors, self.projectors), (Role::QueryApi, self.queries)].into()
    }

    fn logs_dir(&self) -> PathBuf {
        self.dir.join("logs")
    }
}

/// Makes the folders; paths become absolute, because the processes work in `dir`.
fn prepare(plan: Plan) -> anyhow::Result<Plan> {
    let points = plan.dir.join("points");
    for folder in [&points, &plan.logs_dir(), &plan.dir.join("services")] {
        std::fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    }
    for left in std::fs::read_dir(&points)? {
        std::fs::remove_file(left?.path())?;
    }
    let absolute = |path: &Path| path.canonicalize().with_context(|| format!("{} is not there", path.display()));
    Ok(Plan { dir: absolute(&plan.dir)?, binary: absolute(&plan.binary)?, services_script: absolute(&plan.services_script)?, ..plan })
}

/// Until this process is asked to end, by SIGINT or SIGTERM.
///
/// # Errors
/// When signals can't be listened to.
pub async fn interrupted() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
