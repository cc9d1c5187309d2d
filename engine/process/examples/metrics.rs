//! Writes `docs/metrics.md` to standard output.

fn main() {
    print!("{}", daybook_process::metrics::document());
}
