//! The conversation with a limit: a question a line, an answer of some lines, and an empty one.

use std::io::{BufRead as _, Write as _};

/// Prints `ready`, and answers each line of the standard input until that ends.
///
/// # Errors
/// When a question has no answer.
pub(crate) async fn answer(mut answer: impl AsyncFnMut(&str) -> anyhow::Result<String>) -> anyhow::Result<()> {
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let said = answer(line?.trim()).await?;
        let mut output = std::io::stdout().lock();
        writeln!(output, "{said}\n")?;
        output.flush()?;
    }
    Ok(())
}
