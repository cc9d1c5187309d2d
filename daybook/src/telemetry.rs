//! Logs and metrics of the process.

use std::sync::Arc;
use std::time::Duration;

use daybook_process::metrics;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tracing_subscriber::EnvFilter;

use crate::cli::{Global, LogFormat};
use crate::settings::usage;

/// Gives the process's metrics in Prometheus' text format.
pub(crate) type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Logs go to standard error: standard output belongs to answers. A role that serves tells what it does; a tool only what is
/// wrong, unless it is asked for more.
///
/// # Errors
/// When what is to be logged can't be read.
pub(crate) fn logs(global: &Global, serves: bool) -> anyhow::Result<()> {
    let (name, asked) = match (&global.log, std::env::var("RUST_LOG")) {
        (Some(asked), _) => ("--log", asked.clone()),
        (None, Ok(asked)) if !asked.is_empty() => ("RUST_LOG", asked),
        _ => ("--log", if serves { "info" } else { "warn" }.to_owned()),
    };
    let filter = EnvFilter::try_new(&asked)
        .map_err(|error| usage(format!("{name} {asked:?}: {error}; it is a level, or directives such as info,daybook_log=debug")))?;
    // Where standard error is gone, a line is lost: it must not end the process.
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    match global.log_format {
        LogFormat::Text => logs.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => logs.json().init(),
    }
    Ok(())
}

/// Installs the recorder.
pub(crate) fn metrics() -> anyhow::Result<Metrics> {
    let mut builder = PrometheusBuilder::new();
    for definition in metrics::definitions() {
        if let metrics::Kind::Histogram(bounds) = definition.kind {
            builder = builder.set_buckets_for_metric(Matcher::Full(definition.name.to_owned()), bounds)?;
        }
    }
    let handle = builder.install_recorder()?;
    metrics::describe();
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            upkeep.run_upkeep();
        }
    });
    Ok(Arc::new(move || handle.render()))
}
