//! Progress on standard error: a bar where that is a terminal, else a line every few seconds.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::out;

/// Between two looks where somebody watches.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Between two lines where nobody does.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The progress of something.
pub(crate) struct Progressed {
    pub(crate) done: u64,
    /// The amount that there is to do; 0 where that is not known.
    pub(crate) of: u64,
    /// For people.
    pub(crate) text: String,
}

/// A progress that is on display.
pub(crate) struct ProgressDisplay {
    task: JoinHandle<()>,
    bar: ProgressBar,
}

impl ProgressDisplay {
    /// Asks again and again how far it has got, with the time since it began.
    pub(crate) fn begin(mut look: impl FnMut(Duration) -> Progressed + Send + 'static) -> Self {
        let watched = std::io::stderr().is_terminal();
        let bar = if watched { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}  {elapsed}") {
            bar.set_style(style);
        }
        let drawn = bar.clone();
        let task = tokio::spawn(async move {
            let begun = Instant::now();
            loop {
                tokio::time::sleep(if watched { LOOK_EVERY } else { LINE_EVERY }).await;
                let Progressed { done, of, text } = look(begun.elapsed());
                if watched {
                    drawn.set_length(of);
                    drawn.set_position(done);
                    drawn.set_message(text);
                } else {
                    out::note(format_args!("{text}, {:.0} s", begun.elapsed().as_secs_f64()));
                }
            }
        });
        Self { task, bar }
    }

    /// Ends it, and clears the bar: the answer says the rest.
    pub(crate) fn finish(self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}
