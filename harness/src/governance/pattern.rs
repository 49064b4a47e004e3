//! Patterns of paths and of people's names.

/// Patterns, of which one has to match.
#[derive(Debug, Clone, Default)]
pub(super) struct Patterns(Vec<String>);

impl Patterns {
    /// Of a map: a pattern that ends in `/` means everything below that folder.
    pub(super) fn new(patterns: &[String]) -> Self {
        Self(patterns.iter().map(|p| if p.ends_with('/') { format!("{p}**") } else { p.clone() }).collect())
    }

    /// Whether one matches the path.
    pub(super) fn matches(&self, path: &str) -> bool {
        self.0.iter().any(|pattern| glob(pattern.as_bytes(), path.as_bytes(), Some(b'/')))
    }

    /// Whether one matches a name, without regard to case. A `*` stands for anything.
    pub(super) fn matches_name(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.0.iter().any(|pattern| glob(pattern.to_lowercase().as_bytes(), name.as_bytes(), None))
    }
}

/// `*` is anything but the separator, `**` anything, `**/` also nothing, `?` one character but the separator.
fn glob(pattern: &[u8], text: &[u8], separator: Option<u8>) -> bool {
    let Some((&first, rest)) = pattern.split_first() else { return text.is_empty() };
    match first {
        b'*' if rest.first() == Some(&b'*') => {
            let rest = &rest[1..];
            let without_folder = rest.first() == Some(&b'/') && glob(&rest[1..], text, separator);
            without_folder || (0..=text.len()).any(|skip| glob(rest, &text[skip..], separator))
        }
        b'*' => {
            let reach = text.iter().position(|c| Some(*c) == separator).unwrap_or(text.len());
            (0..=reach).any(|skip| glob(rest, &text[skip..], separator))
        }
        b'?' => text.split_first().is_some_and(|(c, text)| Some(*c) != separator && glob(rest, text, separator)),
        _ => text.split_first().is_some_and(|(c, text)| *c == first && glob(rest, text, separator)),
    }
}

/// The patterns that a `.gitattributes` marks as generated (`generated` or `linguist-generated`), as ours.
pub(super) fn generated_by_attributes(attributes: &str) -> Vec<String> {
    let marks = |word: &str| matches!(word, "generated" | "linguist-generated" | "linguist-generated=true" | "generated=true");
    let lines = attributes.lines().map(str::trim).filter(|line| !line.starts_with(['#', '[']));
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let pattern = words.next()?;
            words.any(marks).then(|| {
                // As git has it: a pattern without a slash applies in every folder, one with a slash from the root on.
                if pattern.contains('/') { pattern.trim_start_matches('/').to_owned() } else { format!("**/{pattern}") }
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stop_at_folders_and_double_stars_do_not() {
        let path = |pattern: &str, path: &str| Patterns::new(&[pattern.to_owned()]).matches(path);
        assert!(path("Python/jit*.c", "Python/jit_unwind.c"));
        assert!(!path("Python/*.c", "Python/deep/jit.c"));
        assert!(path("Tools/jit/", "Tools/jit/a/b.py") && !path("Tools/jit/", "Tools/jitter"));
        assert!(path("**/x.h", "x.h") && path("**/x.h", "a/b/x.h") && !path("**/x.h", "a/yx.h"));
        assert!(path("a?c", "abc") && !path("a?c", "a/c"));
    }

    #[test]
    fn names_match_in_any_case_and_brackets_are_plain() {
        let bots = Patterns::new(&["*[bot]*".to_owned()]);
        assert!(bots.matches_name("Dependabot[Bot] <a@b/c>") && !bots.matches_name("Abbot <abbot@example.org>"));
    }

    #[test]
    fn attributes_that_mark_generated_files_are_read() {
        let text = "# c\n[attr]generated linguist-generated=true\n*.h.in text\ncases.c.h generated\n/Python/x.h linguist-generated=true\n";
        assert_eq!(generated_by_attributes(text), ["**/cases.c.h", "Python/x.h"]);
    }
}
