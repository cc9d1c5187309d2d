//! The one binary: every role of Daybook, and what an operator needs, as subcommands.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod answers;
mod cli;
mod display;
mod load;
mod operations;
mod out;
mod outside;
mod past;
mod rebuilding;
mod roles;
mod searching;
mod settings;
mod simulate;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::settings::Settings;

/// Small pieces of memory come and go with every command and query: glibc's allocator took about an eighth of a query's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit codes: 0 good, 1 found something wrong, 2 wrong usage (clap's own), 3 infrastructure.
const INFRASTRUCTURE: u8 = 3;

/// The end of a subcommand that ran.
pub(crate) enum Verdict {
    Good,
    /// It ran, and what it looked at is not right.
    FoundSomething,
}

impl Verdict {
    /// Whether what was looked at is right.
    pub(crate) fn of(is_good: bool) -> Self {
        if is_good { Self::Good } else { Self::FoundSomething }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = telemetry::logs(&cli.global, cli.command.serves()) {
        return failed(&error);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(run(cli)) {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::FoundSomething) => ExitCode::from(1),
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    out::note(format_args!("daybook: {error:#}"));
    ExitCode::from(if error.is::<settings::UsageError>() || error.is::<load::UsageError>() { 2 } else { INFRASTRUCTURE })
}

async fn run(cli: Cli) -> anyhow::Result<Verdict> {
    let settings = Settings::read(&cli.global)?;
    match cli.command {
        Command::Up(args) => roles::up(&settings, &args).await,
        Command::Migrate(args) => roles::migrate(&settings, &args).await,
        Command::CommandHandlers(args) => roles::command_handlers(&settings, &args).await,
        Command::Projectors(args) => roles::projectors(&settings, &args).await,
        Command::QueryApi(args) => roles::query_api(&settings, &args).await,
        Command::Replay(command) => answers::replay(&settings, command, cli.global.json).await,
        Command::Parked(command) => answers::parked(&settings, command, cli.global.json).await,
        Command::Deadlines(command) => answers::deadlines(&settings, command, cli.global.json).await,
        Command::Calls(command) => answers::calls(&settings, command, cli.global.json).await,
        Command::Report(args) => answers::report(&settings, args, cli.global.json).await,
        Command::Load(command) => answers::load(command, cli.global.json).await,
        Command::Simulate(command) => simulate::simulate(command).await,
    }
}
