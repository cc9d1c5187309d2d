//! The tools' output. Standard output belongs to answers, standard error to everything else.
//!
//! A reader that goes away, as `head` does, ends the tool quietly: nothing is wrong. `println!` would panic, so the lints of
//! this crate refuse it everywhere else.

use std::fmt::Display;
use std::io::{ErrorKind, Write as _};

use serde::Serialize;

/// The exit code that a shell reports of a process that SIGPIPE has ended, as it ends the tools beside this one in a pipeline. Rust ignores
/// the signal itself, and so do the roles that serve sockets.
const READER_IS_GONE: i32 = 128 + 13;
/// Exit code of a failing infrastructure.
const CAN_NOT_BE_WRITTEN: i32 = 3;

/// Prints the answer of a verb: its results for programs, a line of JSON each, or a text for people that ends its own lines.
///
/// # Errors
/// When a result can't be serialised.
pub(crate) fn answer(results: &[impl Serialize], people: impl Display, json: bool) -> anyhow::Result<()> {
    if json {
        for result in results {
            line(serde_json::to_string(result)?);
        }
    } else {
        text(people);
    }
    Ok(())
}

/// Prints one line of an answer.
pub(crate) fn line(line: impl Display) {
    text(format_args!("{line}\n"));
}

/// Prints a text that ends its own lines.
pub(crate) fn text(text: impl Display) {
    let mut out = std::io::stdout().lock();
    // As one piece: a pipe that is full must not leave half of a line before the error.
    let written = out.write_all(text.to_string().as_bytes()).and_then(|()| out.flush());
    if let Err(error) = written {
        if error.kind() == ErrorKind::BrokenPipe {
            std::process::exit(READER_IS_GONE);
        }
        note(format_args!("daybook: the answer can't be written: {error}"));
        std::process::exit(CAN_NOT_BE_WRITTEN);
    }
}

/// Says where a role serves, to whoever listens: it serves on when nobody does.
pub(crate) fn announce(line: impl Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Says something beside the answer. Where that can't be written, work goes on.
pub(crate) fn note(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
