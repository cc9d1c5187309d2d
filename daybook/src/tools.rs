//! What an operator needs: audits and loading.

use daybook_command_handlers::ParkedMessages;
use daybook_replay::{Progress, ReplayError, ShowUntil, VerifyOptions, show, verify};
use serde_json::json;

use crate::cli::{Load, Parked, Replay};
use crate::roles::registry;
use crate::settings::{Settings, usage};
use crate::{Verdict, generations, load as loading};

/// `daybook load …`
pub(crate) async fn load(command: Load, json: bool) -> anyhow::Result<Verdict> {
    match command {
        Load::Catalogue(args) => {
            let report = loading::catalogue(args).await?;
            if json {
                println!("{}", serde_json::to_string_pretty(&report)?);
            } else {
                println!("{report}");
            }
            Ok(if report.is_good() { Verdict::Good } else { Verdict::FoundSomething })
        }
    }
}

/// `daybook replay …`
pub(crate) async fn replay(settings: &Settings, command: Replay, json: bool) -> anyhow::Result<Verdict> {
    let (databases, registry) = (settings.databases()?, registry()?);
    match command {
        Replay::Verify { service, partition, kafka } => {
            let bus = if kafka { Some(settings.bus("replay")?) } else { None };
            let options = VerifyOptions { service, partition, kafka };
            let report = verify(&databases, bus, &registry, &options, &mut progress()).await.map_err(told)?;
            if json {
                println!("{}", serde_json::to_string_pretty(&report)?);
            } else {
                print!("{report}");
            }
            Ok(if report.is_sound() { Verdict::Good } else { Verdict::FoundSomething })
        }
        Replay::Show { service, stream, version, at } => {
            let until = at.map(|at| ShowUntil::Time(at.into())).or(version.map(ShowUntil::Version)).unwrap_or_default();
            let shown = show(&databases, &registry, &service, &stream, until).await.map_err(told)?;
            if json {
                println!("{}", serde_json::to_string_pretty(&shown)?);
            } else {
                print!("{shown}");
            }
            Ok(Verdict::Good)
        }
        of_read_models => generations::replay(settings, of_read_models, json).await,
    }
}

/// What was asked for and is not there is wrong usage, not a failing infrastructure.
pub(crate) fn told(error: ReplayError) -> anyhow::Error {
    if error.is_usage() { usage(error.to_string()) } else { error.into() }
}

/// A line for people, at most once a second, where standard error is a terminal.
fn progress() -> impl FnMut(Progress) + Send {
    let mut last = std::time::Instant::now();
    let shown = std::io::IsTerminal::is_terminal(&std::io::stderr());
    move |p| {
        if shown && last.elapsed() > std::time::Duration::from_secs(1) {
            last = std::time::Instant::now();
            eprintln!("{}/{} {:?}: {} of {}", p.service, p.partition, p.phase, p.done, p.of);
        }
    }
}

/// `daybook parked …`
pub(crate) async fn parked(settings: &Settings, command: Parked, as_json: bool) -> anyhow::Result<Verdict> {
    let services = registry()?.services();
    let messages = ParkedMessages::open(&settings.databases()?, settings.bus("parked")?, &services).await?;
    match command {
        Parked::List => {
            let all = messages.list().await?;
            for (partition, m) in &all {
                if as_json {
                    let line = json!({ "id": m.parked_id.to_string(), "partition": partition.name(), "stream": m.stream_id, "kind": m.kind, "reason": m.reason, "parkedAt": m.parked_at.to_string() });
                    println!("{line}");
                } else {
                    println!("{}  {}  {}  {}  {}  {}", m.parked_id, m.parked_at, partition.name(), m.stream_id, m.kind, m.reason);
                }
            }
            if !as_json {
                println!("{} parked", all.len());
            }
        }
        Parked::Show { id } => {
            let (partition, m, request) = messages.show(id).await?;
            let command = registry()?.of_command(&request.r#type).and_then(|a| a.command_json(&request.r#type, &request.command).ok());
            let shown = json!({
                "id": m.parked_id.to_string(), "partition": partition.name(), "messageOffset": m.message_offset, "stream": m.stream_id,
                "commandId": m.command_id.to_string(), "kind": m.kind, "reason": m.reason, "parkedAt": m.parked_at.to_string(),
                "type": request.r#type, "command": command, "caller": request.caller, "actor": request.actor,
            });
            println!("{shown:#}");
        }
        Parked::Retry { id } => {
            messages.retry(id).await?;
            println!("{id} was sent to its lane again");
        }
        Parked::Skip { id } => {
            messages.skip(id).await?;
            println!("{id} was given up");
        }
    }
    Ok(Verdict::Good)
}
