//! The processes of the roles, and what can be done to one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::outside::Outside;
use super::process::{Signal, send};
use super::{Cluster, Plan, Shared, ports};
use crate::proxy::Link;
use crate::shop::outside::OUTSIDE;
use crate::workload::Server;

/// The pause before a process that ended is started again.
const RESTART: Duration = Duration::from_millis(300);
/// At the most, when it ends again and again as soon as it is started.
const RESTART_AT_MOST: Duration = Duration::from_secs(2);
/// The longest that a process may take to end and to be ready again as another build.
const REPLACED: Duration = Duration::from_secs(60);
/// A writer's name is a UUID.
const WRITER: usize = 36;
/// A process that lived so long is not one that ends as soon as it is started.
const STABLE: Duration = Duration::from_secs(2);

/// The role of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Endpoint, lanes and relay.
    Handlers,
    /// Folds events into read models.
    Projectors,
    /// Serves read models.
    QueryApi,
    /// Is none of Daybook's: somebody outside, by their place in the list of these.
    Outside(usize),
}

impl Role {
    /// The binary's words for it, and what it is told of those outside.
    fn arguments(self, outside: Option<&Outside>) -> Vec<String> {
        let subcommand = match self {
            Self::Handlers => "command-handlers",
            Self::Projectors => "projectors",
            Self::QueryApi => "query-api",
            Self::Outside(n) => return outside.map(|outside| outside.of_simulator(n)).unwrap_or_default(),
        };
        let told = outside.filter(|_| self == Self::Handlers).map(Outside::of_handlers).unwrap_or_default();
        std::iter::once(subcommand.to_owned()).chain(told).collect()
    }

    /// Its members are called so, with a number.
    pub fn name(self) -> &'static str {
        match self {
            Self::Handlers => "handlers",
            Self::Projectors => "projectors",
            Self::QueryApi => "queries",
            Self::Outside(n) => OUTSIDE[n].name,
        }
    }
}

/// A process as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// For example handlers-1.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Where its surface is, the same for ever; of one that has none, where its operations are.
    pub url: String,
    /// Where its operations are, the same for ever.
    pub operations: String,
    /// None while it does not run.
    pub pid: Option<u32>,
    /// The number of its starts.
    pub starts: u32,
    /// Whether a nemesis has stopped it.
    pub paused: bool,
    /// Whether it is left ended.
    pub held_down: bool,
}

impl Member {
    /// Where clients find it.
    pub fn server(&self) -> Server {
        Server { name: self.name.clone(), url: self.url.clone() }
    }
}

#[derive(Debug, Default)]
pub(super) struct Members {
    all: BTreeMap<String, Process>,
    /// Of those that were removed: what they have written is still there.
    gone: BTreeMap<String, Vec<Life>>,
    /// Numbers and ports are used once.
    last: BTreeMap<Role, u32>,
    ports: Vec<u16>,
}

#[derive(Debug)]
struct Process {
    name: String,
    role: Role,
    binary: PathBuf,
    port: u16,
    /// Of its operations; of a role that has no surface, the same.
    operations_port: u16,
    link: Arc<Link>,
    variables: Vec<(String, String)>,
    child: Option<Child>,
    began: Instant,
    due: Instant,
    pause: Duration,
    starts: u32,
    paused: bool,
    held_down: bool,
    /// The signal by which a nemesis, or the end of the run, has ended it.
    meant: Option<Signal>,
    lives: Vec<Life>,
}

/// From one start of a member to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Where what it writes begins in the member's log, in bytes.
    pub log_from: u64,
    /// The build that was started.
    pub binary: PathBuf,
}

impl Process {
    fn start(&mut self, shared: &Shared) -> anyhow::Result<()> {
        use std::os::unix::process::CommandExt as _;
        let arguments = self.role.arguments(shared.outside.as_ref());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = shared.command(&self.binary, &arguments, &shared.url_by(&self.link), true);
        // By variables: a build that has no operations address yet passes the one of it over.
        command.env("DAYBOOK_LISTEN", format!("127.0.0.1:{}", self.port));
        command.env("DAYBOOK_OPERATIONS_LISTEN", format!("127.0.0.1:{}", self.operations_port));
        let log = std::fs::File::options().append(true).create(true).open(shared.plan.log(&self.name))?;
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        // A group of its own: Ctrl-C is for the harness, which ends the others in its order.
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let log_from = std::fs::metadata(shared.plan.log(&self.name))?.len();
        let child = command.spawn().with_context(|| format!("{} can't be started", self.name))?;
        tracing::debug!(member = self.name, pid = child.id(), "started");
        (self.child, self.began, self.starts) = (Some(child), Instant::now(), self.starts + 1);
        (self.meant, self.paused) = (None, false);
        self.lives.push(Life { log_from, binary: self.binary.clone() });
        Ok(())
    }

    /// Notices its end, once.
    fn ended(&mut self) -> Option<(u32, ExitStatus)> {
        let child = self.child.as_mut()?;
        let status = child.try_wait().ok()??;
        let pid = child.id();
        self.child = None;
        self.pause = if self.began.elapsed() > STABLE { RESTART } else { (self.pause * 2).min(RESTART_AT_MOST) };
        self.due = Instant::now() + self.pause;
        Some((pid, status))
    }

    /// Whether it ended as it was told to. Who is asked to end does so well; who can't do its work because what it stands on is
    /// away says so with 3, and who has only just been started may not listen yet.
    fn ended_as_meant(&self, shared: &Shared, pid: u32, status: ExitStatus) -> bool {
        use std::os::unix::process::ExitStatusExt as _;
        let by = |signal: Signal| status.signal() == Some(signal.as_raw());
        if by(Signal::KILL) {
            return self.meant == Some(Signal::KILL) || killed_at_a_point(shared, pid);
        }
        let unheard = by(Signal::TERM) && self.began.elapsed() < STABLE;
        self.meant == Some(Signal::TERM) && (unheard || matches!(status.code(), Some(0 | 3)))
    }

    fn signal(&self, signal: Signal) -> bool {
        // A child that has not been waited for keeps its id.
        self.child.as_ref().is_some_and(|child| send(child.id(), signal))
    }

    fn view(&self) -> Member {
        Member {
            name: self.name.clone(),
            role: self.role,
            url: format!("http://127.0.0.1:{}", self.port),
            operations: format!("http://127.0.0.1:{}", self.operations_port),
            pid: self.child.as_ref().map(Child::id),
            starts: self.starts,
            paused: self.paused,
            held_down: self.held_down,
        }
    }
}

impl Members {
    pub(super) fn next_name(&mut self, role: Role) -> String {
        let last = self.last.entry(role).or_default();
        *last += 1;
        format!("{}-{last}", role.name())
    }

    pub(super) fn free_port(&mut self) -> anyhow::Result<u16> {
        let port = ports::free(&self.ports).context("no free port")?;
        self.ports.push(port);
        Ok(port)
    }

    pub(super) fn add(
        &mut self,
        shared: &Shared,
        name: String,
        role: Role,
        link: Arc<Link>,
        variables: Vec<(String, String)>,
    ) -> anyhow::Result<()> {
        let port = match (role, &shared.outside) {
            (Role::Outside(n), Some(outside)) => outside.port(n).context("nobody of this number is outside")?,
            _ => self.free_port()?,
        };
        let operations_port = if matches!(role, Role::Projectors | Role::Outside(_)) { port } else { self.free_port()? };
        let now = Instant::now();
        let mut process = Process {
            name: name.clone(),
            role,
            binary: shared.plan.binary.clone(),
            port,
            operations_port,
            link,
            variables,
            child: None,
            began: now,
            due: now,
            pause: RESTART,
            starts: 0,
            paused: false,
            held_down: false,
            meant: None,
            lives: Vec::new(),
        };
        process.start(shared)?;
        self.all.insert(name, process);
        Ok(())
    }

    /// Ends it hard, when it still runs.
    pub(super) fn remove(&mut self, name: &str) {
        if let Some(mut process) = self.all.remove(name) {
            end(&mut process);
            self.gone.insert(process.name, process.lives);
        }
    }

    /// Notices who has ended, and starts again who is due.
    pub(super) fn look(&mut self, shared: &Shared) {
        for process in self.all.values_mut() {
            if let Some((pid, status)) = process.ended() {
                let meant = process.ended_as_meant(shared, pid, status);
                tracing::debug!(member = process.name, %status, meant, "ended");
                if !meant {
                    let asked = if process.meant == Some(Signal::TERM) { ", asked to end by SIGTERM" } else { "" };
                    shared.ended_unexpectedly(&process.name, format!("{status}{asked}"), &shared.plan.log(&process.name));
                }
            }
            let due = process.child.is_none() && !process.held_down && !shared.stopping() && Instant::now() >= process.due;
            if due && let Err(error) = process.start(shared) {
                tracing::warn!(error = format!("{error:#}"), "a member can't be started");
                process.due = Instant::now() + RESTART_AT_MOST;
            }
        }
    }

    /// The processes that run, by name.
    pub(super) fn running(&self) -> Vec<String> {
        self.all.values().filter(|process| process.child.is_some()).map(|process| process.name.clone()).collect()
    }

    pub(super) fn signal_all(&mut self, signal: Signal) {
        for process in self.all.values_mut() {
            process.meant = Some(signal);
            // A paused one would hear it only afterwards.
            process.signal(Signal::CONT);
            process.signal(signal);
        }
    }

    pub(super) fn kill_all(&mut self) {
        self.all.values_mut().for_each(end);
    }
}

fn end(process: &mut Process) {
    if let Some(mut child) = process.child.take() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A process that reached a fail-point left its id in the mark, which holds what it was to do there.
fn killed_at_a_point(shared: &Shared, pid: u32) -> bool {
    let by = format!(".fired-{pid}-");
    let Ok(marks) = std::fs::read_dir(shared.points_dir()) else { return false };
    let mut its_own = marks.flatten().filter(|mark| {
        let name = mark.file_name();
        let point = name.to_str().and_then(|name| name.split_once(&by)).map(|(point, _)| point);
        point.is_some_and(|point| daybook_failpoint::POINTS.contains(&point))
    });
    its_own.any(|mark| std::fs::read_to_string(mark.path()).is_ok_and(|what| what.trim().is_empty() || what.starts_with("kill")))
}

impl Plan {
    /// The output of a member, all its processes after one another.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.logs_dir().join(format!("{name}.log"))
    }
}

impl Shared {
    /// A binary with this cluster's settings, and nothing of the harness's own surroundings.
    pub(super) fn command(&self, binary: &Path, args: &[&str], database: &str, armed: bool) -> Command {
        let mut command = Command::new(binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("DAYBOOK_") {
                command.env_remove(name);
            }
        }
        command.args(args).current_dir(&self.plan.dir);
        command.env("DAYBOOK_DATABASE_URL", database).env("DAYBOOK_KAFKA", self.services.addresses().kafka);
        // Only command handlers have this option; the others pass over the variable.
        command.env("DAYBOOK_SESSION_TIMEOUT", self.plan.session_timeout_s.to_string());
        // For one backtrace a process reads all the debug information of its binary, and keeps it: in a long run that looks like a leak.
        command.env("RUST_BACKTRACE", "0");
        if armed {
            command.env("DAYBOOK_FAILPOINTS", self.points_dir());
        }
        command
    }

    /// Postgres's URL by way of a link.
    fn url_by(&self, link: &Link) -> String {
        let addresses = self.services.addresses();
        addresses.owner_url.replacen(&addresses.postgres.to_string(), &link.address().to_string(), 1)
    }
}

impl Cluster {
    /// Every process, those outside too, by name.
    pub(super) fn everybody(&self) -> Vec<Member> {
        self.shared.members().all.values().map(Process::view).collect()
    }

    /// Every process of Daybook, by name.
    pub fn members(&self) -> Vec<Member> {
        self.everybody().into_iter().filter(|member| !matches!(member.role, Role::Outside(_))).collect()
    }

    /// Those of a role.
    pub fn of_role(&self, role: Role) -> Vec<Member> {
        self.members().into_iter().filter(|member| member.role == role).collect()
    }

    /// The command handlers.
    pub fn handlers(&self) -> Vec<Member> {
        self.of_role(Role::Handlers)
    }

    /// The projectors.
    pub fn projectors(&self) -> Vec<Member> {
        self.of_role(Role::Projectors)
    }

    /// The processes of the query API.
    pub fn queries(&self) -> Vec<Member> {
        self.of_role(Role::QueryApi)
    }

    /// The builds that have run under this name, in order; also of a member that was removed.
    ///
    /// # Errors
    /// When there was none of this name.
    pub fn lives(&self, name: &str) -> anyhow::Result<Vec<Life>> {
        let members = self.shared.members();
        let lives = members.all.get(name).map(|process| &process.lives).or_else(|| members.gone.get(name));
        lives.cloned().with_context(|| format!("there was no member {name}"))
    }

    /// As [`lives`](Self::lives), each with the names under which its lanes write, as they said when they took partitions over.
    ///
    /// # Errors
    /// When there was none of this name, or its log can't be read.
    pub fn writers(&self, name: &str) -> anyhow::Result<Vec<(Life, BTreeSet<String>)>> {
        let (lives, file) = (self.lives(name)?, self.plan().log(name));
        let log = std::fs::read(&file).with_context(|| format!("{} can't be read", file.display()))?;
        let ends: Vec<u64> = lives.iter().skip(1).map(|life| life.log_from).chain([log.len() as u64]).collect();
        let of = |(life, end): (Life, u64)| {
            let said = log.get(usize::try_from(life.log_from)?..usize::try_from(end)?).unwrap_or_default();
            Ok((life, writers(&String::from_utf8_lossy(said)).collect()))
        };
        lives.into_iter().zip(ends).map(of).collect()
    }

    /// # Errors
    /// When there is none of this name.
    pub fn member(&self, name: &str) -> anyhow::Result<Member> {
        self.with(name, |process| process.view())
    }

    /// `kill -9`; the supervisor starts it again. Whether it ran.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn kill(&self, name: &str) -> anyhow::Result<bool> {
        self.end(name, Signal::KILL)
    }

    /// SIGTERM; the supervisor starts it again when it has ended, unless it is held down. Whether it ran.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn stop_gracefully(&self, name: &str) -> anyhow::Result<bool> {
        self.end(name, Signal::TERM)
    }

    /// Ends a process by SIGTERM, and starts it again from another build; returns when all members are ready.
    ///
    /// # Errors
    /// When there is none of this name, or not all are ready in time.
    pub async fn replace(&self, name: &str, binary: &Path) -> anyhow::Result<()> {
        let starts = self.with(name, |process| {
            process.binary = binary.to_owned();
            process.starts
        })?;
        self.stop_gracefully(name)?;
        let until = Instant::now() + REPLACED;
        while self.member(name)?.starts == starts {
            anyhow::ensure!(Instant::now() < until, "{name} did not end within {REPLACED:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.ready(REPLACED).await
    }

    fn end(&self, name: &str, signal: Signal) -> anyhow::Result<bool> {
        self.with(name, |process| {
            process.meant = Some(signal);
            process.signal(signal)
        })
    }

    /// SIGSTOP: it stands still, and its kernel goes on answering for it. Whether it ran.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn pause(&self, name: &str) -> anyhow::Result<bool> {
        self.with(name, |process| {
            process.paused = process.signal(Signal::STOP);
            process.paused
        })
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn resume(&self, name: &str) -> anyhow::Result<bool> {
        self.with(name, |process| {
            process.paused = false;
            process.signal(Signal::CONT)
        })
    }

    /// Whether the supervisor leaves it ended.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn hold_down(&self, name: &str, down: bool) -> anyhow::Result<()> {
        self.with(name, |process| process.held_down = down)
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Process) -> T) -> anyhow::Result<T> {
        let mut members = self.shared.members();
        members.all.get_mut(name).map(act).with_context(|| format!("there is no member {name}"))
    }
}

fn writers(said: &str) -> impl Iterator<Item = String> {
    let takeovers = said.lines().filter(|line| line.contains("took the partition over"));
    takeovers.filter_map(|line| line.split_once("writer=\"")?.1.get(..WRITER).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_says_under_which_name_it_writes() {
        let said = "2026-11-26T02:38:10.992035Z  INFO daybook_command_handlers::lane: took the partition over partition=catalog/1 \
                    page=2105 writer=\"ad98a2df-e36f-4f80-b3e1-a429d720d210\" after_ms=23\nsomething else writer=\"x\"\n";
        assert_eq!(writers(said).collect::<Vec<_>>(), ["ad98a2df-e36f-4f80-b3e1-a429d720d210"]);
    }
}
