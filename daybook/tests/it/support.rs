//! Processes of the binary, each with its own ports, stopped by their id whatever happens to the test.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Output, Stdio};

use daybook_bus::BusConfig;
use daybook_failpoint::{FOLDER, Fault, Faults};
use daybook_testkit::{TestBus, TestDatabase, bus, eventually};
use reqwest::StatusCode;
use serde_json::Value;

pub(crate) struct Install {
    pub(crate) database: TestDatabase,
    pub(crate) bus: TestBus,
    pub(crate) client: reqwest::Client,
    /// Variables of every process that is started from now on.
    pub(crate) variables: Vec<(&'static str, String)>,
}

/// Fail-points of the processes that are started with its variable; gone with the test.
pub(crate) struct Points(Faults);

impl Points {
    pub(crate) fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("daybook-faults-{}", uuid::Uuid::new_v4()));
        Self(Faults::new(folder).expect("a folder"))
    }

    pub(crate) fn variable(&self) -> (&'static str, String) {
        (FOLDER, self.0.folder().display().to_string())
    }

    pub(crate) fn arm(&self, point: &str, fault: Fault) {
        self.0.arm(point, fault).expect("armed");
    }

    pub(crate) fn switch_on(&self, switch: &str) {
        self.0.switch_on(switch).expect("on");
    }

    pub(crate) fn fired(&self, name: &str) -> usize {
        self.0.fired(name).expect("readable")
    }
}

impl Drop for Points {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.folder());
    }
}

/// One process; killed when this goes.
pub(crate) struct Process {
    child: Child,
    pub(crate) commands: String,
    pub(crate) queries: String,
    pub(crate) operations: String,
}

fn daybook(database_url: &str, bus: &BusConfig) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_daybook"));
    command.env("DAYBOOK_DATABASE_URL", database_url).env("DAYBOOK_KAFKA", &bus.brokers).env("DAYBOOK_KAFKA_PREFIX", &bus.prefix);
    command
}

fn migrate(database_url: &str, bus: &BusConfig) {
    let migrated =
        daybook(database_url, bus).args(["migrate", "--partitions", "3"]).stdin(Stdio::null()).output().expect("the binary runs");
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
}

impl Install {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::copied("migrated", async |database| migrate(&database.url, &bus())).await;
        let install = Self { database, bus: bus(), client: reqwest::Client::new(), variables: Vec::new() };
        // Tables are copied, topics are not.
        migrate(&install.database.url, &install.bus);
        install
    }

    /// As [`Install::command`], but logging as it does when nobody has said anything.
    pub(crate) fn unasked(&self, args: &[&str]) -> Command {
        let mut command = self.command(args);
        command.env_remove("DAYBOOK_LOG").env_remove("RUST_LOG").stdin(Stdio::null());
        command
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = daybook(&self.database.url, &self.bus);
        command.args(args).env("DAYBOOK_SESSION_TIMEOUT", "6");
        command.env("DAYBOOK_OPERATIONS_LISTEN", "127.0.0.1:0");
        command.env("DAYBOOK_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".into()));
        command.envs(self.variables.iter().map(|(name, value)| (*name, value)));
        command
    }

    /// Runs a subcommand to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().expect("the binary runs")
    }

    /// Starts a role, and waits until it is ready.
    pub(crate) async fn start(&self, args: &[&str]) -> Process {
        let mut child = self.command(args).stdout(Stdio::piped()).stdin(Stdio::null()).spawn().expect("the binary runs");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (mut commands, mut queries, mut operations) = Default::default();
        // Operations are served last.
        for line in lines.by_ref().map(|line| line.expect("text")) {
            for (what, url) in [("commands", &mut commands), ("queries", &mut queries), ("operations", &mut operations)] {
                if let Some(at) = line.strip_prefix(what).and_then(|rest| rest.strip_prefix(" on ")) {
                    *url = at.to_owned();
                }
            }
            if !operations.is_empty() {
                break;
            }
        }
        let has = |role: &str| args[0] == "up" || args[0] == role;
        assert_eq!((commands.is_empty(), queries.is_empty()), (!has("command-handlers"), !has("query-api")), "it prints where it listens");
        // Whatever else it prints must not block it.
        std::thread::spawn(move || lines.for_each(drop));
        let process = Process { child, commands, queries, operations };
        for url in [&process.commands, &process.queries].into_iter().filter(|u| !u.is_empty()) {
            eventually("the process to be ready", || async {
                let status = self.client.get(format!("{url}/readyz")).send().await.ok()?.status();
                (status == StatusCode::OK).then_some(())
            })
            .await;
        }
        process
    }

    pub(crate) async fn up(&self) -> Process {
        self.start(&["up", "--commands-listen", "127.0.0.1:0", "--queries-listen", "127.0.0.1:0"]).await
    }

    pub(crate) async fn handlers(&self) -> Process {
        self.start(&["command-handlers", "--listen", "127.0.0.1:0"]).await
    }

    pub(crate) async fn post(&self, url: &str, path: &str, key: &str, body: &Value) -> Option<(u16, Value)> {
        let request = self.client.post(format!("{url}/v1/{path}")).header("Idempotency-Key", key).header("Prefer", "wait=20").json(body);
        let response = request.send().await.ok()?;
        Some((response.status().as_u16(), response.json().await.ok()?))
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.database.owner().await.query_one(sql, &[]).await.expect("readable").get(0)
    }

    /// The log and the topics are sound, by the auditor's own command; asked again while the last events are on their way.
    pub(crate) async fn verify(&self) {
        eventually("the log and the topics to be sound", || async {
            let output = self.run(&["replay", "verify", "--kafka"]);
            if !output.status.success() {
                eprintln!("{}", String::from_utf8_lossy(&output.stdout));
            }
            output.status.success().then_some(())
        })
        .await;
    }
}

impl Process {
    /// Sends a signal by name, for example `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// The signal that it has ended by, once it has; it is waited for.
    pub(crate) async fn ended_by(&mut self) -> Option<i32> {
        let ended = eventually("the process to end", || std::future::ready(self.child.try_wait().expect("it can be asked"))).await;
        ended.signal()
    }

    /// As `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A paused one is killed too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A catalogue of `rows` made-up products, in the format that `load` reads.
pub(crate) fn catalogue(rows: usize) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("daybook-catalogue-{}.jsonl", uuid::Uuid::new_v4()));
    let lines: String = (0..rows)
        .map(|i| format!("{{\"sku\": \"S-{i}\", \"title\": \"Lamp number {i}\", \"brand\": \"Lux\", \"price\": {{\"currency\": \"EUR\", \"minorUnits\": {}}}, \"category\": \"lamps\"}}\n", 100 + i))
        .collect();
    std::fs::write(&path, lines).expect("a file");
    path
}
