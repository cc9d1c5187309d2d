//! Logs and metrics of the process.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tracing_subscriber::EnvFilter;

use crate::cli::{Global, LogFormat};
use crate::settings::usage;

/// Gives the process's metrics in Prometheus' text format.
pub(crate) type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Buckets of every time, in seconds: around the 100 ms that are the promise.
const SECONDS: &[f64] = &[0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

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
    let handle = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?.install_recorder()?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            upkeep.run_upkeep();
        }
    });
    Ok(Arc::new(move || handle.render()))
}
