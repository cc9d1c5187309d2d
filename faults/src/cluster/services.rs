//! The cluster's own Postgres and Kafka, by the project's script.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::disk::{self, SmallDisks};
use super::process::{Identity, Signal, children};
use super::{Cluster, Plan};

/// What Kafka's Java is told of its memory, and of its compiler.
const KAFKA_JAVA: &str = "-Xms256m -Xmx512m -XX:TieredStopAtLevel=1";

/// The services that Daybook stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Postgres.
    Postgres,
    /// Kafka.
    Kafka,
}

impl Service {
    /// The script's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Kafka => "kafka",
        }
    }
}

/// Where they are; the same over restarts.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    pub(super) owner_url: String,
    pub(super) postgres: SocketAddr,
    pub(super) kafka: String,
    data: PathBuf,
}

#[derive(Debug)]
pub(super) struct Services {
    script: PathBuf,
    dir: PathBuf,
    small_disk: bool,
    addresses: Mutex<Option<Addresses>>,
    each: [State; 2],
}

#[derive(Debug, Default)]
struct State {
    runs: Mutex<Option<Identity>>,
    /// Its next end is a nemesis's work.
    meant: AtomicBool,
    /// It may end while this is above 0: something that it can't live without is taken away.
    endangered: AtomicU32,
    /// It is left ended while this is so.
    held_down: AtomicBool,
    starts: AtomicU32,
}

impl Services {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            script: plan.services_script.clone(),
            dir: plan.dir.join("services"),
            small_disk: plan.small_disk,
            addresses: Mutex::default(),
            each: Default::default(),
        }
    }

    /// Starts both for the first time; on small disks where that is planned, and why not.
    pub(super) async fn start_first(&self, plan: &Plan) -> anyhow::Result<Result<SmallDisks, String>> {
        tokio::task::block_in_place(|| {
            if let Some(prepared) = plan.prepared.as_ref().filter(|prepared| prepared.exists()) {
                self.script("copy", &[&prepared.display().to_string()])?;
            }
            let mut disks = Err("the cluster was planned without disks of a fixed size".to_owned());
            if plan.small_disk {
                self.start(&[Service::Postgres])?;
                self.script("stop", &[])?;
                disks = SmallDisks::below(&self.cluster());
            }
            if let Err(error) = self.start(&[Service::Postgres, Service::Kafka]) {
                self.kill();
                if let Ok(disks) = &disks {
                    disks.unmount()?;
                }
                return Err(error);
            }
            Ok(disks)
        })
    }

    /// Keeps a copy of both as they are now, in a folder that there is not yet.
    pub(super) fn keep(&self, prepared: &Path) -> anyhow::Result<()> {
        tokio::task::block_in_place(|| {
            self.script("stop", &[])?;
            self.script_for("copy", prepared, &[&self.dir.display().to_string()])?;
            self.start(&[Service::Postgres, Service::Kafka])
        })
    }

    fn state(&self, service: Service) -> &State {
        &self.each[service as usize]
    }

    fn kept(&self) -> MutexGuard<'_, Option<Addresses>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nowhere before the first start.
    pub(super) fn addresses(&self) -> Addresses {
        self.kept().clone().unwrap_or_else(|| Addresses {
            owner_url: String::new(),
            postgres: SocketAddr::from(([127, 0, 0, 1], 0)),
            kafka: String::new(),
            data: self.dir.clone(),
        })
    }

    /// Starts what does not run of these, and waits until it serves.
    pub(super) fn start(&self, services: &[Service]) -> anyhow::Result<()> {
        let names: Vec<&str> = services.iter().map(|service| service.name()).collect();
        self.script("start", &names)?;
        let text = std::fs::read_to_string(self.dir.join("services.env")).context("services.env")?;
        let value = |name: &str| text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned()));
        for service in services {
            let variable = format!("{}_PID", service.name().to_uppercase());
            let pid = value(&variable).and_then(|pid| pid.parse().ok()).with_context(|| format!("{variable} is missing"))?;
            let state = self.state(*service);
            *state.runs.lock().unwrap_or_else(PoisonError::into_inner) = Identity::of(pid);
            state.meant.store(false, SeqCst);
            state.starts.fetch_add(1, SeqCst);
        }
        let mut kept = self.kept();
        let before = kept.clone();
        // Only what runs stands in the file.
        let keep = |name: &str, before: Option<String>| value(name).or(before).unwrap_or_default();
        let owner_url = keep("DAYBOOK_DATABASE_URL", before.as_ref().map(|it| it.owner_url.clone()));
        let address = owner_url.rsplit_once('@').and_then(|(_, rest)| rest.split('/').next()?.parse().ok());
        let kafka = keep("DAYBOOK_KAFKA", before.as_ref().map(|it| it.kafka.clone()));
        if let Some(before) = before.as_ref().filter(|before| !before.kafka.is_empty()) {
            anyhow::ensure!(
                before.kafka == kafka && before.owner_url == owner_url,
                "a service came back at another port: {kafka}, {owner_url}"
            );
        }
        *kept = Some(Addresses {
            postgres: address.context("DAYBOOK_DATABASE_URL names no address")?,
            owner_url,
            kafka,
            data: value("DAYBOOK_DATA_DIR").context("DAYBOOK_DATA_DIR is missing")?.into(),
        });
        Ok(())
    }

    fn script(&self, verb: &str, more: &[&str]) -> anyhow::Result<()> {
        self.script_for(verb, &self.dir, more)
    }

    fn script_for(&self, verb: &str, dir: &Path, more: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(&self.script);
        command.arg(verb).arg(dir).args(more).stdin(Stdio::null());
        // A broker of minutes is never paid back what it costs to compile it well.
        command.env("KAFKA_HEAP", KAFKA_JAVA);
        if self.small_disk {
            command.env("PG_EXTRA", disk::SETTINGS);
        }
        let output = command.output().with_context(|| format!("{} can't be run", self.script.display()))?;
        if !output.status.success() {
            bail!("services {verb} {}: {}", more.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    fn identity(&self, service: Service) -> Option<Identity> {
        (*self.state(service).runs.lock().unwrap_or_else(PoisonError::into_inner)).filter(|it| it.is_alive())
    }

    /// Whether the supervisor leaves it ended.
    pub(super) fn is_held_down(&self, service: Service) -> bool {
        self.state(service).held_down.load(SeqCst)
    }

    /// Where Postgres' data lies.
    pub(super) fn cluster(&self) -> PathBuf {
        self.addresses().data.join("postgres/cluster")
    }

    pub(super) fn runs(&self, service: Service) -> bool {
        self.identity(service).is_some()
    }

    /// Whether its end, which was just seen, is a nemesis's work.
    pub(super) fn end_was_meant(&self, service: Service) -> bool {
        let state = self.state(service);
        state.meant.load(SeqCst) || state.endangered.load(SeqCst) > 0
    }

    pub(super) fn starts(&self, service: Service) -> u32 {
        self.state(service).starts.load(SeqCst)
    }

    pub(super) fn log(&self, service: Service) -> PathBuf {
        self.addresses().data.join("log").join(format!("{}.log", service.name()))
    }

    /// Both, with all that Postgres started, whether they are stopped or not.
    pub(super) fn kill(&self) {
        for service in [Service::Postgres, Service::Kafka] {
            if let Some(first) = self.identity(service) {
                let others = children(first.pid);
                first.signal(Signal::KILL);
                others.into_iter().for_each(|child| {
                    child.signal(Signal::KILL);
                });
            }
        }
    }

    pub(super) fn keep_logs(&self, to: &Path) {
        for service in [Service::Postgres, Service::Kafka] {
            let log = self.log(service);
            let _ = std::fs::copy(&log, to.join(format!("{}.log", service.name())));
            let _ = std::fs::copy(log.with_extension("log.1"), to.join(format!("{}.log.1", service.name())));
        }
    }

    /// Forgets the data. What can't be forgotten is said by the script, and no reason to stop here.
    pub(super) fn wipe(&self) {
        if let Err(error) = self.script("wipe", &[]) {
            tracing::warn!(error = format!("{error:#}"), "the services' data could not be forgotten");
        }
    }
}

/// While it lives, a service's end is no surprise.
#[derive(Debug)]
#[must_use]
pub struct Endangered<'a>(&'a AtomicU32);

impl Drop for Endangered<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// While it lives, a service is left ended.
#[derive(Debug)]
#[must_use]
pub(super) struct HeldDown<'a>(&'a AtomicBool);

impl Drop for HeldDown<'_> {
    fn drop(&mut self) {
        self.0.store(false, SeqCst);
    }
}

/// While it lives, no process of a service moves.
#[derive(Debug)]
#[must_use]
pub struct StandingStill(Vec<Identity>);

impl StandingStill {
    /// The number of processes.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether the first process is there still: one that was killed did not stand still to the end.
    pub fn is_whole(&self) -> bool {
        self.0.first().is_some_and(|first| first.is_alive())
    }
}

impl Drop for StandingStill {
    fn drop(&mut self) {
        for process in &self.0 {
            process.signal(Signal::CONT);
        }
    }
}

impl Cluster {
    /// A service's first process; none while it does not run.
    pub fn service_pid(&self, service: Service) -> Option<u32> {
        self.shared.services.identity(service).map(|it| it.pid)
    }

    /// The number of a service's starts.
    pub fn service_starts(&self, service: Service) -> u32 {
        self.shared.services.starts(service)
    }

    /// Ends a service by a signal to its first process; the supervisor starts it again. Whether it ran.
    pub fn end_service(&self, service: Service, signal: Signal) -> bool {
        let Some(identity) = self.shared.services.identity(service) else { return false };
        self.shared.services.state(service).meant.store(true, SeqCst);
        identity.signal(signal)
    }

    /// Until what is given back goes, the service may end: something that it can't live without is taken away.
    pub fn endanger(&self, service: Service) -> Endangered<'_> {
        let endangered = &self.shared.services.state(service).endangered;
        endangered.fetch_add(1, SeqCst);
        Endangered(endangered)
    }

    /// Lines that a service has written into its log, since the start before its last one.
    pub fn service_log(&self, service: Service) -> String {
        let log = self.shared.services.log(service);
        let read = |path: &Path| std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        read(&log.with_extension("log.1")) + &read(&log)
    }

    /// Kills every process of a service, which is left ended until what is given back goes.
    pub(super) async fn hold_service_down(&self, service: Service) -> HeldDown<'_> {
        let state = self.shared.services.state(service);
        state.held_down.store(true, SeqCst);
        state.meant.store(true, SeqCst);
        let held_down = HeldDown(&state.held_down);
        let mut processes = self.service_processes(service);
        while !processes.is_empty() {
            for process in &processes {
                process.signal(Signal::KILL);
            }
            processes.extend(self.service_processes(service));
            tokio::time::sleep(Duration::from_millis(20)).await;
            processes.retain(|process| process.is_alive());
        }
        held_down
    }

    /// Stops every process of a service until what is given back goes.
    pub fn stand_still(&self, service: Service) -> StandingStill {
        let mut stopped = StandingStill(Vec::new());
        // The first one first: it makes no more then. Whom it had just made is seen the second time.
        for _ in 0..2 {
            for process in self.service_processes(service) {
                if !stopped.0.contains(&process) && process.signal(Signal::STOP) {
                    stopped.0.push(process);
                }
            }
        }
        stopped
    }

    /// A service's processes as they are now, the first one first.
    fn service_processes(&self, service: Service) -> Vec<Identity> {
        let Some(first) = self.shared.services.identity(service) else { return Vec::new() };
        std::iter::once(first).chain(children(first.pid)).collect()
    }
}
