//! Filling paragraphs to the width of a PEP, after figures of any length took their places.

/// PEP 12: about this many columns.
pub(super) const WIDTH: usize = 79;

/// Fills every paragraph, list item, footnote and table cell. What has a layout of its own (headings, literal blocks, directives'
/// options) stays as it is.
pub(super) fn fill(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut block: Vec<&str> = Vec::new();
    let mut literal: Option<usize> = None;
    let mut header = true;
    for line in text.lines().chain([""]) {
        if let Some(indent) = literal {
            if line.trim().is_empty() || indent_of(line) > indent {
                out.push(line.trim_end().to_owned());
                continue;
            }
            literal = None;
        }
        if line.trim().is_empty() {
            if header && !block.is_empty() {
                out.extend(block.iter().map(|l| l.trim_end().to_owned()));
                header = false;
            } else {
                flush(&block, &mut out);
            }
            if block.last().is_some_and(|l| l.trim_end().ends_with("::") && !l.trim_start().starts_with("..")) {
                literal = block.last().map(|l| indent_of(l));
            }
            block.clear();
            out.push(String::new());
        } else {
            block.push(line);
        }
    }
    // A section's distance is two lines; elsewhere more than one is too many.
    let mut tidy: Vec<String> = Vec::new();
    for (index, line) in out.iter().enumerate() {
        let heading = out.get(index + 2).is_some_and(|next| is_rule(next));
        let empty_before = tidy.iter().rev().take_while(|l| l.is_empty()).count();
        if line.is_empty() && empty_before >= 1 && !heading && !starts_heading(&out, index) {
            continue;
        }
        tidy.push(line.clone());
    }
    let mut text = tidy.join("\n").trim_end().to_owned();
    text.push('\n');
    text
}

/// Whether only empty lines lie between here and a heading of the first order.
fn starts_heading(lines: &[String], from: usize) -> bool {
    let next = lines[from..].iter().position(|l| !l.is_empty()).map(|i| from + i);
    next.is_some_and(|i| lines.get(i + 1).is_some_and(|rule| is_rule(rule) && rule.starts_with('=')))
        && lines[from..].iter().take_while(|l| l.is_empty()).count() <= 1
}

fn is_rule(line: &str) -> bool {
    line.len() >= 3 && line.chars().next().is_some_and(|c| "=-~^".contains(c)) && line.chars().all(|c| line.starts_with(c))
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn flush(block: &[&str], out: &mut Vec<String>) {
    let mut at = 0;
    while at < block.len() {
        // A heading stands with its rule.
        if block.get(at + 1).is_some_and(|next| is_rule(next)) {
            out.extend(block[at..at + 2].iter().map(|l| l.trim_end().to_owned()));
            at += 2;
            continue;
        }
        let line = block[at];
        let indent = indent_of(line);
        let words = line.trim_start();
        if words.starts_with(':') && !words.starts_with(":pep:") || (words.starts_with(".. ") && !words.starts_with(".. [")) {
            out.push(line.trim_end().to_owned());
            at += 1;
            continue;
        }
        let hang = indent + marker(words);
        let mut text = words.to_owned();
        at += 1;
        while at < block.len()
            && indent_of(block[at]) >= indent
            && marker(block[at].trim_start()) == 0
            && !block.get(at + 1).is_some_and(|n| is_rule(n))
        {
            text.push(' ');
            text.push_str(block[at].trim());
            at += 1;
        }
        wrapped(&text, indent, hang, out);
    }
}

/// The width of what begins a list item, a footnote or a table's cell: 0 for running text.
fn marker(words: &str) -> usize {
    if words.starts_with("* - ") {
        4
    } else if words.starts_with("* ") || words.starts_with("- ") {
        2
    } else if words.starts_with(".. [") {
        3
    } else {
        0
    }
}

fn wrapped(text: &str, indent: usize, hang: usize, out: &mut Vec<String>) {
    let mut line = " ".repeat(indent);
    let mut empty = true;
    for word in words(text) {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push(std::mem::replace(&mut line, " ".repeat(hang)));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(&word);
        empty = false;
    }
    out.push(line);
}

/// Words, of which literals and roles with spaces are one each, and a figure keeps its unit and its footnote beside it.
fn words(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let open = out.last().is_some_and(|last| last.matches("``").count() % 2 == 1);
        let unit = ["%", "ms", "s", "KiB", "MiB", "GiB"].contains(&word.trim_end_matches(['.', ',', ';', ')', ':']));
        let figure = out.last().is_some_and(|last| last.ends_with(|c: char| c.is_ascii_digit()));
        match out.last_mut() {
            Some(last) if open || (unit && figure) => {
                last.push(' ');
                last.push_str(word);
            }
            _ => out.push(word.to_owned()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_lists_and_notes_are_filled_and_the_rest_stays() {
        let long = "word ".repeat(40);
        let text = format!(
            "PEP: 1\nTitle: A\n\n\nAbstract\n========\n\n{long}\n\n* {long}\n* short\n\n.. [#a] {long}\n\n.. list-table:: T\n   :header-rows: 1\n\n   * - {long}\n     - b\n\nAs::\n\n    x  =  {long}\n"
        );
        let filled = fill(&text);
        let layout: Vec<&str> = filled.lines().filter(|l| l.chars().count() > WIDTH).collect();
        assert_eq!(layout.len(), 1, "only the literal block keeps its length: {filled}");
        assert!(filled.starts_with("PEP: 1\nTitle: A\n\n\nAbstract\n========\n\nword word"));
        assert!(
            filled.contains("\n  word")
                && filled.contains("\n* short\n")
                && filled.contains("\n   word")
                && filled.contains("\n       word")
        );
        assert_eq!(fill(&filled), filled, "filling again changes nothing");
    }
}
