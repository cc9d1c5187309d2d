//! Those outside, beside Daybook: simulators that are members too, at addresses which the others are told before they run.

use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::Context as _;

use super::member::Members;
use super::{Cluster, Member, Plan, Role};
use crate::shop::outside::{OUTSIDE, WAITS};
use crate::workload::Server;

/// Their addresses, and the secret of their notices.
#[derive(Debug)]
pub(super) struct Outside {
    ports: Vec<u16>,
    secret: String,
    secret_file: PathBuf,
    dir: PathBuf,
    /// The endpoint that their notices go to: `http://host:port`.
    endpoint: OnceLock<String>,
}

impl Outside {
    pub(super) fn new(plan: &Plan, members: &mut Members) -> anyhow::Result<Self> {
        let ports = OUTSIDE.iter().map(|_| members.free_port()).collect::<anyhow::Result<_>>()?;
        let (secret, secret_file) = (uuid::Uuid::new_v4().to_string(), plan.dir.join("notices.secret"));
        std::fs::write(&secret_file, &secret).with_context(|| format!("{} can't be written", secret_file.display()))?;
        for outsider in &OUTSIDE {
            // Books of a run before this one.
            let _ = std::fs::remove_file(state(&plan.dir, outsider.name));
        }
        Ok(Self { ports, secret, secret_file, dir: plan.dir.clone(), endpoint: OnceLock::new() })
    }

    pub(super) fn port(&self, n: usize) -> Option<u16> {
        self.ports.get(n).copied()
    }

    /// The arguments of one of them.
    pub(super) fn of_simulator(&self, n: usize) -> Vec<String> {
        let (outsider, port) = (&OUTSIDE[n], self.ports[n]);
        let notices = format!("{}{}", self.endpoint.get().map(String::as_str).unwrap_or_default(), outsider.notices);
        let file = state(&self.dir, outsider.name).display().to_string();
        let listen = format!("127.0.0.1:{port}");
        let options = [("--listen", listen), ("--webhook-url", notices), ("--secret", self.secret.clone()), ("--state", file)];
        let options = options.into_iter().flat_map(|(option, value)| [option.to_owned(), value]);
        ["simulate".to_owned(), outsider.name.to_owned()].into_iter().chain(options).collect()
    }

    /// What a process that decides, and calls out, is told of them.
    pub(super) fn of_handlers(&self) -> Vec<String> {
        let mut told = Vec::new();
        for (outsider, port) in OUTSIDE.iter().zip(&self.ports) {
            told.extend([outsider.url.to_owned(), format!("http://127.0.0.1:{port}")]);
            told.extend([outsider.secret_file.to_owned(), self.secret_file.display().to_string()]);
        }
        let (option, waits) = WAITS;
        told.extend(waits.into_iter().flat_map(|wait| [option.to_owned(), wait.to_owned()]));
        told
    }
}

fn state(dir: &std::path::Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.state"))
}

impl Cluster {
    /// Those outside, by their simulators' names; nobody where clients place no orders.
    pub fn outside(&self) -> Vec<Server> {
        let outsiders = self.outsiders();
        let of = |(n, outsider): (usize, &crate::shop::outside::Outsider)| {
            let member = outsiders.iter().find(|member| member.role == Role::Outside(n))?;
            Some(Server { name: outsider.name.to_owned(), url: member.url.clone() })
        };
        OUTSIDE.iter().enumerate().filter_map(of).collect()
    }

    /// The processes of those outside, by name.
    pub fn outsiders(&self) -> Vec<Member> {
        self.everybody().into_iter().filter(|member| matches!(member.role, Role::Outside(_))).collect()
    }

    /// Starts them, as soon as there is an endpoint for their notices.
    pub(super) async fn add_outside(&self) -> anyhow::Result<()> {
        let Some(outside) = &self.shared.outside else { return Ok(()) };
        let endpoint = self.handlers().into_iter().next().context("there is no endpoint")?.url;
        outside.endpoint.get_or_init(|| endpoint);
        for n in 0..OUTSIDE.len() {
            self.add(Role::Outside(n)).await?;
        }
        Ok(())
    }
}
