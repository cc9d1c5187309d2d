//! The document of the table.

use std::fmt::Write as _;

use super::{ALL, Label};

/// Metrics in Markdown: `docs/metrics.md`.
pub fn document() -> String {
    let mut text = String::from(
        "# Metrics\n\n\
         `/metrics` of every process, on its operations address, shows them in Prometheus' text format. A process shows those of the roles that it has, each from its \
         first use on. The table in `engine/process/src/metrics/table.rs` defines each once, and makes this document:\n\n\
         ```\ncargo run -q -p daybook-process --example metrics > docs/metrics.md\n```\n",
    );
    for (part, definitions) in ALL {
        let _ = write!(text, "\n## {part}\n| name | kind | unit | labels | |\n|---|---|---|---|---|\n");
        for of in *definitions {
            let labels: Vec<String> = of.labels.iter().map(|label| format!("`{}`", label.name())).collect();
            let (kind, unit) = (of.kind.as_str(), of.unit.as_str());
            let _ = writeln!(text, "| `{}` | {kind} | {unit} | {} | {} |", of.name, labels.join(", "), of.help);
        }
    }
    text.push_str("\n## Labels\n| name | values |\n|---|---|\n");
    for label in Label::ALL {
        let _ = writeln!(text, "| `{}` | {} |", label.name(), label.values());
    }
    text
}
