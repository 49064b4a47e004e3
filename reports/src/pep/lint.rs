//! Checks of the template (no figure typed by hand) and of the draft (PEP 12's form).

use super::notes;
use super::wrap::WIDTH;

/// Something to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its line, from 1; 0 for the whole text.
    pub line: usize,
    /// What is wrong, and what to do.
    pub message: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line == 0 { f.write_str(&self.message) } else { write!(f, "line {}: {}", self.line, self.message) }
    }
}

fn finding(line: usize, message: impl Into<String>) -> Finding {
    Finding { line, message: message.into() }
}

/// Figures that a template has outside of its expressions: everything with a digit that isn't a name. A figure in words counts
/// when it measures something.
pub fn template(text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let lines: Vec<String> = without_expressions(text).lines().map(without_roles).collect();
    // Over the ends of lines: where a line ends means nothing.
    let tokens: Vec<(usize, &str)> =
        lines.iter().enumerate().flat_map(|(index, line)| line.split_whitespace().map(move |token| (index + 1, token))).collect();
    for (at, (line, token)) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", |i| tokens[i].1);
        if token.chars().any(char::is_numeric) && !is_name(token, before) {
            let message = format!(
                "{token:?} is a figure typed by hand: take it from a run, a file or a criterion, as in {{{{ fig(\"pepjit\", \"speed\") }}}}"
            );
            found.push(finding(*line, message));
        }
        let words =
            |from: usize, to: usize| tokens[(at + from).min(tokens.len())..(at + to).min(tokens.len())].iter().map(|t| t.1);
        let next = words(1, 2).next().map_or("", bare_word);
        let is_part = is_fraction(bare_word(token)) && words(1, 4).any(|word| is_quantity(bare_word(word)));
        if is_multiple(bare_word(token)) || is_part || (is_number_word(bare_word(token)) && is_measure(next)) {
            let said = words(0, if is_part { 4 } else { 2 }).collect::<Vec<_>>().join(" ");
            found.push(finding(*line, format!("\"{said}\" is a figure typed by hand, in words")));
        }
    }
    found
}

/// The text with its expressions, statements and comments blank, so that lines keep their numbers.
fn without_expressions(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{").into_iter().chain(rest.find("{%")).chain(rest.find("{#")).min() {
        out.push_str(&rest[..start]);
        let close = match &rest[start..start + 2] {
            "{{" => "}}",
            "{%" => "%}",
            _ => "#}",
        };
        let end = rest[start..].find(close).map_or(rest.len(), |i| start + i + 2);
        out.push(' ');
        out.extend(rest[start..end].chars().filter(|c| *c == '\n'));
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// Without the addresses of links, and without roles such as that of a PEP's number.
fn without_roles(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(start) = rest.find("<http") {
        out.push_str(&rest[..start]);
        rest = rest[start..].find('>').map_or("", |end| &rest[start + end + 1..]);
    }
    out.push_str(rest);
    for role in [":pep:`", ":rfc:`", ":cpython-issue:`", ":cpython-pr:`"] {
        while let Some(start) = out.find(role) {
            let end = out[start + role.len()..].find('`').map_or(out.len(), |i| start + role.len() + i + 1);
            out.replace_range(start..end, "");
        }
    }
    out
}

fn bare_word(token: &str) -> &str {
    token.trim_matches(|c: char| !c.is_alphanumeric() && c != '%')
}

/// Names that have digits: versions, dates, PEPs, releases, platforms, and identifiers in literals.
fn is_name(token: &str, before: &str) -> bool {
    const NAMES: [&str; 13] = [
        "x86-64",
        "x86_64",
        "aarch64",
        "i686",
        "32-bit",
        "64-bit",
        "CC0-1.0-Universal",
        "UTF-8",
        "W^X",
        "PEP-8",
        "ARM64",
        "Tier-1",
        "9999",
    ];
    let word = token.trim_matches(|c: char| "*()[]{},.;:'\"\u{201c}\u{201d}!?".contains(c));
    if NAMES.contains(&word) {
        return true;
    }
    if let Some(code) = word.strip_prefix("``").map(|w| w.trim_end_matches("``").trim_end_matches('s')) {
        return code.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && !code.contains('%');
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = word.split(['-', '.']).collect();
    let is_version = parts[0] == "3" && (2..=3).contains(&parts.len()) && parts.iter().all(|p| digits(p)) && word.contains('.');
    let is_date = parts.len() == 3
        && word.contains('-')
        && digits(parts[0])
        && digits(parts[2])
        && (parts[0].len() == 4 || parts[2].len() == 4)
        && (digits(parts[1]) || parts[1].len() == 3);
    let is_issue = word.strip_prefix("gh-").or_else(|| word.strip_prefix("cpython#")).is_some_and(digits);
    let is_release = digits(word) && word.len() == 1 && ["beta", "rc", "Tier"].contains(&bare_word(before));
    let is_option = before == ":header-rows:";
    let is_pep = digits(word) && ["PEP", "PEPs", "PEP:"].contains(&before);
    is_version || is_date || is_issue || is_release || is_option || is_pep
}

fn is_number_word(word: &str) -> bool {
    const WORDS: [&str; 24] = [
        "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "fifteen", "twenty",
        "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred", "half", "dozen",
    ];
    let word = word.to_lowercase();
    WORDS.iter().any(|w| word == *w || word.split('-').any(|part| part == *w))
}

/// A word that is a figure by itself.
fn is_multiple(word: &str) -> bool {
    const WORDS: [&str; 10] =
        ["twice", "thrice", "double", "doubles", "doubled", "triple", "triples", "tripled", "halves", "halved"];
    let word = word.to_lowercase();
    WORDS.contains(&word.as_str()) || word.strip_suffix("fold").is_some_and(is_number_word)
}

/// A word that is a figure where a quantity is divided.
fn is_fraction(word: &str) -> bool {
    let word = word.to_lowercase();
    ["half", "third", "thirds", "quarter", "quarters", "fifth", "fifths", "tenth", "tenths"].contains(&word.as_str())
}

fn is_quantity(word: &str) -> bool {
    ["time", "times", "memory", "speed", "size", "code", "cost", "costs", "gain", "fast"].contains(&word.to_lowercase().as_str())
}

fn is_measure(word: &str) -> bool {
    let word = word.to_lowercase();
    ["per", "percent", "percentage", "times", "fold", "milliseconds", "seconds", "minutes", "megabytes", "mebibytes", "mib", "%"]
        .contains(&word.as_str())
}

/// The headers of PEP 12 in their order, and whether each has to be there.
const HEADERS: [(&str, bool); 17] = [
    ("PEP", true),
    ("Title", true),
    ("Author", true),
    ("Sponsor", false),
    ("PEP-Delegate", false),
    ("Discussions-To", false),
    ("Status", true),
    ("Type", true),
    ("Topic", false),
    ("Requires", false),
    ("Created", true),
    ("Python-Version", false),
    ("Post-History", false),
    ("Replaces", false),
    ("Superseded-By", false),
    ("Resolution", false),
    ("Version", false),
];

/// The sections of PEP 12 in their order.
const SECTIONS: [&str; 14] = [
    "Abstract",
    "Motivation",
    "Specification",
    "Rationale",
    "Backwards Compatibility",
    "Security Implications",
    "How to Teach This",
    "Reference Implementation",
    "Rejected Ideas",
    "Open Issues",
    "Acknowledgements",
    "Footnotes",
    "Change History",
    "Copyright",
];

const COPYRIGHT: &str =
    "This document is placed in the public domain or under the CC0-1.0-Universal license, whichever is more permissive.";

/// What PEP 12 asks for, and that every footnote is there and used.
pub fn draft(text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    headers(text, &mut found);
    sections(text, &mut found);
    footnotes(text, &mut found);
    for (index, line) in text.lines().enumerate() {
        let width = line.chars().count();
        if line.contains('\t') {
            found.push(finding(index + 1, "a tab: PEPs are indented with spaces"));
        }
        if line.ends_with(' ') {
            found.push(finding(index + 1, "spaces at the end"));
        }
        // A word that is longer than a line, such as a link, may stand alone.
        if width > WIDTH && line.split_whitespace().count() > 2 {
            found.push(finding(index + 1, format!("{width} columns; PEPs have {WIDTH}")));
        }
        if ["{{", "}}", "{%", notes::PLACE].iter().any(|mark| line.contains(mark)) {
            found.push(finding(index + 1, "a template's mark was left"));
        }
    }
    found
}

fn headers(text: &str, found: &mut Vec<Finding>) {
    let head = text.split("\n\n").next().unwrap_or_default();
    let mut last = 0;
    let mut seen = Vec::new();
    for (index, line) in head.lines().enumerate().filter(|(_, l)| !l.starts_with(' ')) {
        let Some((name, value)) = line.split_once(':') else {
            found.push(finding(index + 1, format!("{line:?} is no header")));
            continue;
        };
        let value = value.trim();
        let Some(place) = HEADERS.iter().position(|(known, _)| *known == name) else {
            found.push(finding(index + 1, format!("PEP 12 has no header {name}")));
            continue;
        };
        if place < last {
            found.push(finding(index + 1, format!("{name} comes before {}", HEADERS[last].0)));
        }
        last = last.max(place);
        seen.push(name);
        let wrong = match name {
            "Title" => value.chars().count() > WIDTH,
            "Status" => value != "Draft",
            "Type" => value != "Standards Track",
            "Created" => !is_header_date(value),
            _ => false,
        };
        if value.is_empty() || wrong {
            found.push(finding(index + 1, format!("{name} can't be {value:?}")));
        }
    }
    for (name, _) in HEADERS.iter().filter(|(name, needed)| *needed && !seen.contains(name)) {
        found.push(finding(1, format!("the header {name} is missing")));
    }
}

/// `23-Nov-2026`.
fn is_header_date(value: &str) -> bool {
    let parts: Vec<&str> = value.split('-').collect();
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    matches!(parts[..], [day, month, year] if digits(day, 2) && months.contains(&month) && digits(year, 4))
}

fn sections(text: &str, found: &mut Vec<Finding>) {
    let lines: Vec<&str> = text.lines().collect();
    let mut order: Vec<(usize, &str)> = Vec::new();
    for (index, pair) in lines.windows(2).enumerate() {
        let [title, rule] = pair else { continue };
        let marks = rule.chars().next().filter(|c| "=-".contains(*c) && rule.len() >= 3 && rule.chars().all(|r| r == *c));
        let Some(mark) = marks.filter(|_| !title.is_empty() && !title.starts_with(' ')) else { continue };
        if rule.chars().count() != title.chars().count() {
            found.push(finding(index + 2, format!("the rule below {title:?} is not as long as it")));
        }
        if index >= 2 && !(lines[index - 1].is_empty() && (mark == '-' || lines[index - 2].is_empty())) {
            found.push(finding(
                index + 1,
                format!("{title:?} needs {} before it", if mark == '=' { "two empty lines" } else { "an empty line" }),
            ));
        }
        if mark == '=' {
            order.push((index, title));
        }
    }
    let names: Vec<&str> = order.iter().map(|(_, title)| *title).collect();
    let known: Vec<&str> = names.iter().copied().filter(|n| SECTIONS.contains(n)).collect();
    let wanted: Vec<&str> = SECTIONS.iter().copied().filter(|s| known.contains(s)).collect();
    for missing in SECTIONS.iter().filter(|s| !known.contains(s)) {
        found.push(finding(0, format!("the section {missing} is missing")));
    }
    if known != wanted {
        found.push(finding(0, format!("the sections stand as {}, and PEP 12 wants {}", known.join(", "), wanted.join(", "))));
    }
    for (at, (index, title)) in order.iter().enumerate() {
        let end = order.get(at + 1).map_or(lines.len(), |(next, _)| *next);
        if lines[index + 2..end].iter().all(|l| l.trim().is_empty()) {
            found.push(finding(index + 1, format!("{title} is empty")));
        }
    }
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let last = lines.iter().rposition(|l| *l == "Copyright").map_or_else(String::new, |at| words(&lines[at + 2..].join(" ")));
    if last != COPYRIGHT {
        found.push(finding(0, "the copyright doesn't have the exact words of PEP 12's template, as the last section"));
    }
}

fn footnotes(text: &str, found: &mut Vec<Finding>) {
    let (mut used, mut defined): (Vec<(usize, &str)>, Vec<&str>) = (Vec::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let mut rest = line;
        while let Some(start) = rest.find("[#") {
            let Some(end) = rest[start..].find(']') else { break };
            let label = &rest[start + 2..start + end];
            if rest[..start].ends_with(".. ") {
                defined.push(label);
            } else if rest[start + end..].starts_with("]_") {
                used.push((index + 1, label));
            }
            rest = &rest[start + end..];
        }
    }
    for (line, label) in used.iter().filter(|(_, label)| !defined.contains(label)) {
        found.push(finding(*line, format!("the footnote {label} is not there")));
    }
    for label in defined.iter().filter(|label| used.iter().all(|(_, l)| l != *label)) {
        found.push(finding(0, format!("nothing refers to the footnote {label}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_typed_by_hand_are_found() {
        for bad in [
            "It is 1.77x as fast.",
            "A gain of 20 % is asked for.",
            "The suite has 43 workloads.",
            "It takes 12.6 MiB.",
            "About twenty per cent faster.",
            "It is three times as fast.",
            "a ``20%`` gain",
            "in 5 rounds",
            "fig 3.5x",
            "(1.2)",
            "half percent",
            "Twice as fast.",
            "It is twenty\ntimes as fast.",
            "It doubles the speed.",
            "a tenfold gain",
            "half of the time",
            "a third of the memory",
            "Half as fast.",
        ] {
            assert!(!template(bad).is_empty(), "{bad}");
        }
    }

    #[test]
    fn names_with_digits_and_filled_figures_are_none() {
        for good in [
            ":pep:`836` and PEP 744 ask for it in 3.16 beta 1, not in 3.15.0 or 3.17 rc 1.",
            "Measured {{ fig(\"pepjit\", \"speed\") }} and\n{{ threshold(\"pep836-year1-geomean\") }}.",
            "On x86-64 and aarch64 since 2026-06-05, Created: 23-Nov-2026, see gh-139038.",
            "``PY_START``, ``tool_id_5`` and `a thread <https://discuss.python.org/t/1234>`__.",
            "Two back ends, one interface; half of it is a table.",
            "The third reason is a claim; a half-public interface; the manifold costs of a third compiler.",
            "{# 43 in a comment #}",
            "   :header-rows: 1",
        ] {
            assert_eq!(template(good), [], "{good}");
        }
    }

    #[test]
    fn lines_are_counted_over_expressions() {
        let found = template("a\n{{ fig(\n  \"x\") }}\nb 17\n");
        assert_eq!(found.iter().map(|f| f.line).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn a_draft_without_its_parts_is_refused() {
        let found = draft("PEP: 9999\nStatus: Final\nTitle: x\n\nAbstract\n====\n\nUsed [#a]_.\n\n.. [#b] Not.\n");
        let all = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        for part in [
            "Status can't be",
            "Title comes before Status",
            "Author is missing",
            "not as long",
            "Copyright is missing",
            "footnote a is not",
            "refers to the footnote b",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
    }
}
