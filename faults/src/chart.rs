//! Resources that processes used over time: a table for programs, and a chart for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// Resources that one process used at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Seconds since the run began.
    pub at: f64,
    /// Which member or service.
    pub of: String,
    /// The number of its starts: one life after the other.
    pub life: u32,
    /// Name of a quantity, for example `memory MiB`, and its value.
    pub values: Vec<(&'static str, f64)>,
}

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 180.0;
const LEFT: f64 = 70.0;
const COLOURS: [&str; 8] = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f"];

/// The samples of one quantity and process.
type Line<'a> = Vec<(f64, f64)>;

/// By quantity, then by process.
fn lines(samples: &[Sample]) -> BTreeMap<&'static str, BTreeMap<&str, Line<'_>>> {
    let mut all: BTreeMap<&'static str, BTreeMap<&str, Line<'_>>> = BTreeMap::new();
    for sample in samples {
        for (name, value) in &sample.values {
            all.entry(name).or_default().entry(&sample.of).or_default().push((sample.at, *value));
        }
    }
    all
}

/// Writes `usage.csv` and `usage.svg`: a panel a quantity, a line a process.
///
/// # Errors
/// When a file can't be written.
pub fn write(folder: &Path, samples: &[Sample]) -> std::io::Result<()> {
    let mut table = String::from("seconds,process,quantity,value\n");
    for sample in samples {
        for (name, value) in &sample.values {
            let _ = writeln!(table, "{:.1},{},{name},{value}", sample.at, sample.of);
        }
    }
    std::fs::write(folder.join("usage.csv"), table)?;
    std::fs::write(folder.join("usage.svg"), chart(samples))
}

fn chart(samples: &[Sample]) -> String {
    let lines = lines(samples);
    let last = samples.iter().map(|s| s.at).fold(1.0, f64::max);
    let (width, height) = (WIDTH + LEFT + 180.0, (HEIGHT + 50.0) * lines.len() as f64 + 20.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (n, (quantity, processes)) in lines.iter().enumerate() {
        let top = 30.0 + (HEIGHT + 50.0) * n as f64;
        let most = processes.values().flatten().map(|(_, value)| *value).fold(1.0, f64::max);
        let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"{}\">{quantity}, up to {most:.0}; {last:.0} s</text>", top - 8.0);
        let _ = writeln!(out, "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"none\" stroke=\"#999\"/>");
        for (m, (process, line)) in processes.iter().enumerate() {
            let colour = COLOURS[m % COLOURS.len()];
            let points: Vec<String> = line
                .iter()
                .map(|(at, value)| format!("{:.1},{:.1}", LEFT + at / last * WIDTH, top + HEIGHT - value / most * HEIGHT))
                .collect();
            let _ = writeln!(out, "<polyline fill=\"none\" stroke=\"{colour}\" points=\"{}\"/>", points.join(" "));
            let at = top + 14.0 * (m as f64 + 1.0);
            let _ = writeln!(out, "<text x=\"{}\" y=\"{at}\" fill=\"{colour}\">{process}</text>", LEFT + WIDTH + 10.0);
        }
    }
    out + "</svg>\n"
}

/// Quantities that grew between the second quarter of a run, when it has warmed up, and the last, by more than a third: (process, quantity,
/// then, now). And what grew so within one life of a process that lasted for at least `long` seconds: over a whole run, where nemeses
/// kill, a line is of many lives, and what grows for ever in one shows less. A quantity that is small is noise.
pub fn grown(samples: &[Sample], small: &[(&str, f64)], long: f64) -> Vec<(String, &'static str, f64, f64)> {
    let mut all = grown_in(samples, small);
    let mut lives: BTreeMap<(&str, u32), Vec<Sample>> = BTreeMap::new();
    for sample in samples {
        lives.entry((&sample.of, sample.life)).or_default().push(sample.clone());
    }
    for ((of, life), samples) in lives {
        let lasted = samples.last().map_or(0.0, |last| last.at) - samples.first().map_or(0.0, |first| first.at);
        if lasted >= long {
            let name = |(_, quantity, then, now)| (format!("{of}, its life {life} of {lasted:.0} s"), quantity, then, now);
            all.extend(grown_in(&samples, small).into_iter().map(name));
        }
    }
    all
}

fn grown_in(samples: &[Sample], small: &[(&str, f64)]) -> Vec<(String, &'static str, f64, f64)> {
    let mut all = Vec::new();
    for (quantity, processes) in lines(samples) {
        let floor = small.iter().find(|(name, _)| *name == quantity).map_or(0.0, |(_, value)| *value);
        for (process, line) in processes {
            let quarter = line.len() / 4;
            if quarter == 0 {
                continue;
            }
            let mean = |part: &[(f64, f64)]| part.iter().map(|(_, v)| v).sum::<f64>() / part.len() as f64;
            let (then, now) = (mean(&line[quarter..2 * quarter]), mean(&line[line.len() - quarter..]));
            if now > then * 4.0 / 3.0 && now - then > floor {
                all.push((process.to_owned(), quantity, then, now));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(value: impl Fn(f64) -> f64) -> Vec<Sample> {
        (0..40).map(|n| Sample { at: f64::from(n), of: "a".into(), life: 1, values: vec![("memory MiB", value(f64::from(n)))] }).collect()
    }

    #[test]
    fn what_grows_is_named_and_what_is_flat_is_not() {
        assert_eq!(grown(&samples(|_| 100.0), &[], 1e9), vec![]);
        let grown = grown(&samples(|n| 100.0 + 10.0 * n), &[("memory MiB", 20.0)], 1e9);
        assert_eq!(grown.len(), 1);
        assert!(chart(&samples(|n| n)).contains("polyline"));
    }

    #[test]
    fn a_little_more_is_noise() {
        assert_eq!(grown(&samples(|n| 1.0 + n / 10.0), &[("memory MiB", 20.0)], 1e9), vec![]);
    }

    #[test]
    fn what_grows_in_each_life_is_named_although_the_next_one_begins_small() {
        let mut sawtooth = samples(|n| 100.0 + 10.0 * (n % 20.0));
        sawtooth.iter_mut().for_each(|sample| sample.life = if sample.at < 20.0 { 1 } else { 2 });
        assert_eq!(grown(&sawtooth, &[("memory MiB", 20.0)], 1e9), vec![]);
        assert_eq!(grown(&sawtooth, &[("memory MiB", 20.0)], 15.0).len(), 2);
    }
}
