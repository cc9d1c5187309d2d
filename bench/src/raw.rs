//! A process of the raw limits (`bench/raw`) that answers questions: it shares no path with what is measured.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context as _;

/// The program of the raw limits: it is built beside this one.
///
/// # Errors
/// When nobody knows where this one is.
pub(crate) fn program() -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe().context("this program does not know where it is")?.with_file_name("daybook-raw-limits"))
}

/// A limit that is asked a line, and answers.
pub(crate) struct Raw {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Raw {
    /// Starts it, and waits until it is ready. `database_url`: the database that it works in, when it does in one.
    ///
    /// # Errors
    /// When it can't be started, or ends before it is ready; what it says of that goes to our standard error.
    pub(crate) fn start(arguments: &[&str], database_url: Option<&str>) -> anyhow::Result<Self> {
        let program = program()?;
        let mut command = Command::new(&program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        // Not as an argument: everybody may read those.
        command.envs(database_url.map(|url| ("RAW_LIMITS_DATABASE_URL", url)));
        let started = command.spawn();
        let mut child =
            started.with_context(|| format!("{}: build it with `cargo build --release -p daybook-raw-limits`", program.display()))?;
        let input = child.stdin.take().context("its input is a pipe")?;
        let output = BufReader::new(child.stdout.take().context("its output is a pipe")?);
        let mut raw = Self { child, input, output };
        let ready = tokio::task::block_in_place(|| raw.line())?;
        anyhow::ensure!(ready == "ready", "{} {} ended before it was ready", program.display(), arguments.join(" "));
        Ok(raw)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        anyhow::ensure!(self.output.read_line(&mut line)? > 0, "the raw limit has ended");
        Ok(line.trim().to_owned())
    }

    /// Asks, and waits for the answer: its lines.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn ask(&mut self, question: &str) -> anyhow::Result<Vec<String>> {
        writeln!(self.input, "{question}")?;
        tokio::task::block_in_place(|| {
            let mut answer = Vec::new();
            loop {
                match self.line()? {
                    line if line.is_empty() => return Ok(answer),
                    line => answer.push(line),
                }
            }
        })
    }

    /// Asks what is answered with a count and the microseconds that it took: times a second.
    ///
    /// # Errors
    /// When it has ended, or answers something else.
    pub(crate) fn rate(&mut self, question: &str) -> anyhow::Result<f64> {
        let answer = self.ask(question)?.join(" ");
        let (count, micros) = answer.split_once(' ').with_context(|| format!("not a count and a time: {answer}"))?;
        Ok(count.parse::<f64>()? * 1e6 / micros.parse::<f64>()?)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
