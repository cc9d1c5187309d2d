//! The work of a platform: a process that ended is started again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::task::JoinHandle;

use super::{Cluster, Member, Role, Service, Shared};

const LOOK: Duration = Duration::from_millis(50);
/// The longest that a probe may take.
const PROBE: Duration = Duration::from_secs(3);

/// Watches over processes, Postgres and Kafka until the cluster stops.
pub(super) fn begin(shared: &Arc<Shared>) -> Vec<JoinHandle<()>> {
    vec![
        tokio::spawn(watch_members(shared.clone())),
        tokio::spawn(watch_service(shared.clone(), Service::Postgres)),
        tokio::spawn(watch_service(shared.clone(), Service::Kafka)),
    ]
}

async fn watch_members(shared: Arc<Shared>) {
    while !shared.stopping() {
        shared.members().look(&shared);
        tokio::time::sleep(LOOK).await;
    }
}

async fn watch_service(shared: Arc<Shared>, service: Service) {
    while !shared.stopping() {
        tokio::time::sleep(LOOK).await;
        if shared.services.runs(service) || shared.services.is_held_down(service) {
            continue;
        }
        if !shared.services.end_was_meant(service) {
            shared.ended_unexpectedly(service.name(), "it is gone".to_owned(), &shared.services.log(service));
        }
        restart(&shared, service).await;
    }
}

/// Tries until it runs: a full disk, for example, keeps Postgres from starting.
async fn restart(shared: &Arc<Shared>, service: Service) {
    while !shared.stopping() {
        let starting = shared.clone();
        let started = tokio::task::spawn_blocking(move || starting.services.start(&[service])).await;
        match started {
            Ok(Ok(())) => {
                shared.proxy.set_server(shared.services.addresses().postgres);
                return;
            }
            Ok(Err(error)) => tracing::debug!(service = service.name(), error = format!("{error:#}"), "not yet"),
            Err(error) => tracing::warn!(service = service.name(), %error, "starting it panicked"),
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

impl Cluster {
    /// Whether a process says that it is ready; false for one that there is not.
    pub async fn is_ready(&self, name: &str) -> bool {
        let Ok(member) = self.member(name) else { return false };
        let Ok(client) = client() else { return false };
        probe(&client, &member).await.is_ok()
    }

    /// Waits until every process that is not held down says that it is ready.
    ///
    /// # Errors
    /// After `patience`: who is not, and what it said.
    pub async fn ready(&self, patience: Duration) -> anyhow::Result<()> {
        let client = client()?;
        let until = Instant::now() + patience;
        loop {
            let members = self.everybody();
            let probes = members.iter().filter(|member| !member.held_down).map(|member| {
                let client = &client;
                async move { probe(client, member).await.err().map(|why| format!("{}: {why}", member.name)) }
            });
            let missing: Vec<String> = futures_util::future::join_all(probes).await.into_iter().flatten().collect();
            if missing.is_empty() {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("after {patience:?} not ready: {}", missing.join("; "));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().no_proxy().timeout(PROBE).build()
}

/// Asks where clients would be sent by it; where it is not ready, its operations tell why.
async fn probe(client: &reqwest::Client, member: &Member) -> Result<(), String> {
    // Those outside have no more to say than that they live.
    let path = if matches!(member.role, Role::Outside(_)) { "healthz" } else { "readyz" };
    let ask = |url: &str| client.get(format!("{url}/{path}")).send();
    let response = ask(&member.url).await.map_err(|error| error.to_string())?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let told = ask(&member.operations).await.unwrap_or(response);
    Err(format!("{status} {}", told.text().await.unwrap_or_default()))
}
