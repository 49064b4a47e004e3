//! Numbers and verdicts as text, the same in every document.

use std::path::{Path, PathBuf};

use pepjit_harness::analysis::{Estimate, Failure, Verdict};
use pepjit_harness::stats::warmup::{Class, Consensus};

/// A document as it can be passed on: what is in the project or in a run is told from there, and `~` stands for the home folder of
/// who made it, in prose and in commands for a shell. `projects` are folders that the project was in, `runs` those of runs.
pub(crate) fn without_places(text: &str, projects: &[PathBuf], runs: &[PathBuf]) -> String {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let mut folders: Vec<(String, String)> =
        projects.iter().map(PathBuf::as_path).chain(own).map(|p| (p.display().to_string(), String::new())).collect();
    for run in runs {
        let name = run.file_name().map(|name| format!("{}/", name.display())).unwrap_or_default();
        folders.push((run.display().to_string(), name));
    }
    if let Ok(home) = std::env::var("HOME") {
        folders.push((home.trim_end_matches('/').to_owned(), "~/".to_owned()));
    }
    // A checkout in a home folder is the checkout first.
    folders.sort_by_key(|(folder, _)| std::cmp::Reverse(folder.len()));
    folders.into_iter().fold(text.to_owned(), |text, (folder, name)| shorten(&text, &folder, &name))
}

/// [`without_places`] where nothing but the project's own folder and the home folder can be in the text.
pub(crate) fn without_home(text: &str) -> String {
    without_places(text, &[], &[])
}

/// Puts a name for a folder where a path begins with it, and not where it's in the middle of one.
fn shorten(text: &str, folder: &str, name: &str) -> String {
    if folder.len() < 2 {
        return text.to_owned();
    }
    let folder = format!("{folder}/");
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(&folder) {
        let (before, after) = (&rest[..at], &rest[at + folder.len()..]);
        let inside = before.chars().next_back().is_some_and(|c| c.is_alphanumeric() || "/._-~".contains(c));
        out.push_str(before);
        out.push_str(if inside { &folder } else { name });
        rest = after;
    }
    out + rest
}

/// Text as HTML shows it, in an element or a quoted attribute.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#x27;")
}

/// What stands where there is no number.
pub const NONE: &str = "n/a";

/// A ratio: `1.234x`.
pub fn ratio(value: f64) -> String {
    format!("{}x", bare_ratio(value))
}

fn bare_ratio(value: f64) -> String {
    if value < 10.0 { format!("{value:.3}") } else { format!("{value:.2}") }
}

/// An interval of ratios: `[1.201, 1.267]`, or `n/a`.
pub fn interval(ci: Option<(f64, f64)>) -> String {
    ci.map_or_else(|| NONE.to_owned(), |(low, high)| format!("[{}, {}]", bare_ratio(low), bare_ratio(high)))
}

/// A ratio with its interval: `1.234x [1.201, 1.267]`.
pub fn estimate(estimate: Option<&Estimate>) -> String {
    estimate.map_or_else(
        || NONE.to_owned(),
        |e| match e.ci {
            Some(_) => format!("{} {}", ratio(e.ratio), interval(e.ci)),
            None => format!("{} (no interval)", ratio(e.ratio)),
        },
    )
}

/// A share: `1.2 %`.
pub fn percent(share: Option<f64>) -> String {
    let Some(percent) = share.map(|s| s * 100.0) else { return NONE.to_owned() };
    if percent.abs() < 10.0 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// A change: `+1.2 %`.
pub fn change(ratio: f64) -> String {
    let percent = (ratio - 1.0) * 100.0;
    if percent.abs() < 100.0 { format!("{percent:+.1} %") } else { format!("{percent:+.0} %") }
}

/// A time with three significant digits: `12.3 ms`.
pub fn seconds(value: Option<f64>) -> String {
    let Some(value) = value else { return NONE.to_owned() };
    if value == 0.0 {
        return "0 s".to_owned();
    }
    let (scaled, unit) = match value {
        v if v >= 1.0 => (v, "s"),
        v if v >= 1e-3 => (v * 1e3, "ms"),
        v if v >= 1e-6 => (v * 1e6, "us"),
        v => (v * 1e9, "ns"),
    };
    let decimals = if scaled >= 100.0 {
        0
    } else if scaled >= 10.0 {
        1
    } else {
        2
    };
    format!("{scaled:.decimals$} {unit}")
}

/// A span: `3 min 20 s`.
pub fn span(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

/// A size given in KiB: `12.3 MiB`.
pub fn kib(value: Option<f64>) -> String {
    let Some(value) = value else { return NONE.to_owned() };
    match value.abs() {
        v if v >= 1024.0 * 1024.0 => format!("{:.2} GiB", value / 1024.0 / 1024.0),
        v if v >= 1024.0 => format!("{:.1} MiB", value / 1024.0),
        v if v >= 10.0 || v == 0.0 => format!("{value:.0} KiB"),
        _ => format!("{value:.1} KiB"),
    }
}

/// A share from 0 to 1, in percent.
pub fn share(value: f64) -> String {
    format!("{:.1} %", value * 100.0)
}

/// A count, with thousands apart: `1,234,567`; small means keep a decimal.
pub fn count(value: f64) -> String {
    if value.fract() != 0.0 && value.abs() < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(c);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}

/// So many things, by what one of them is called: `1 processor`, `4 processors`.
pub fn of(number: impl Into<u64>, thing: &str) -> String {
    let number = number.into();
    format!("{} {thing}{}", count(number as f64), if number == 1 { "" } else { "s" })
}

/// The first of some names, and how many more there are.
pub fn some(names: &[String]) -> String {
    const SHOWN: usize = 6;
    match names.len() {
        0 => "none".to_owned(),
        n if n <= SHOWN + 1 => names.join(", "),
        n => format!("{} and {} more", names[..SHOWN].join(", "), n - SHOWN),
    }
}

/// A sign for a verdict, so that no document needs colour.
pub fn symbol(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Faster => "▲",
        Verdict::Slower => "▼",
        Verdict::NoChange => "=",
        Verdict::Inconclusive => "?",
        Verdict::Failed => "✗",
        Verdict::Missing => "-",
    }
}

/// How processes warm up, in words.
pub fn warmup(consensus: Option<Consensus>) -> &'static str {
    match consensus {
        None => NONE,
        Some(Consensus::All(Class::Flat)) => "flat",
        Some(Consensus::All(Class::Warmup)) => "warm-up",
        Some(Consensus::All(Class::Slowdown)) => "slowdown",
        Some(Consensus::All(Class::NoSteadyState)) => "no steady state",
        Some(Consensus::GoodInconsistent) => "flat or warm-up",
        Some(Consensus::BadInconsistent) => "inconsistent",
    }
}

/// A failure in a line: `round 2: passed its time limit: ...`.
pub fn failure(failure: &Failure) -> String {
    let round = failure.round.map(|r| format!("round {r}: ")).unwrap_or_default();
    format!("{round}{}: {}", failure.kind.describe(), failure.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_says_nothing_of_whose_home_it_was_made_in() {
        let text = "PEPJIT_PYTHON=/home/me/bin/python3 /home/me/run.py /home/meadow /home/me /data/home/me/x";
        let short = "PEPJIT_PYTHON=~/bin/python3 ~/run.py /home/meadow /home/me /data/home/me/x";
        assert_eq!(shorten(text, "/home/me", "~/"), short);
        assert_eq!(shorten("/bin/sh", "", "~/"), "/bin/sh");
        let inside = [PathBuf::from("/home/me/project")];
        assert_eq!(without_places("a=/home/me/project/x.py", &inside, &[]), "a=x.py");
        assert_eq!(without_places("/r/runs/one/raw", &[], &[PathBuf::from("/r/runs/one")]), "one/raw");
    }

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!(seconds(Some(0.012_345)), "12.3 ms");
        assert_eq!(seconds(Some(1.5)), "1.50 s");
        assert_eq!(seconds(Some(3.2e-7)), "320 ns");
        assert_eq!(seconds(Some(0.0)), "0 s");
        assert_eq!(ratio(1.0), "1.000x");
        assert_eq!(ratio(12.345), "12.35x");
        assert_eq!(percent(Some(0.0123)), "1.2 %");
        assert_eq!(change(0.95), "-5.0 %");
        assert_eq!(kib(Some(20_480.0)), "20.0 MiB");
        assert_eq!(count(1_234_567.0), "1,234,567");
        assert_eq!(count(-1234.0), "-1,234");
        assert_eq!(count(2.5), "2.5");
        assert_eq!(span(200.4), "3 min 20 s");
        assert_eq!(span(7260.0), "2 h 1 min");
        let names: Vec<String> = (1..=9).map(|i| format!("n{i}")).collect();
        assert_eq!(
            [some(&[]), some(&names[..7]), some(&names)],
            ["none", "n1, n2, n3, n4, n5, n6, n7", "n1, n2, n3, n4, n5, n6 and 3 more"]
        );
        assert_eq!([of(1_u32, "round"), of(1000_u32, "round")], ["1 round", "1,000 rounds"]);
    }

    #[test]
    fn nothing_is_called_so() {
        assert_eq!(seconds(None), NONE);
        assert_eq!(interval(None), NONE);
        assert_eq!(estimate(None), NONE);
        assert_eq!(percent(None), NONE);
    }
}
