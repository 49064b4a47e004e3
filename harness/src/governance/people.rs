//! From names with addresses to people.

use std::collections::HashMap;

use git2::{Mailmap, Signature, Time};

use super::pattern::Patterns;
use super::{Identities, Rules};

/// A name with an address as a commit has them.
pub(super) type Raw = (String, String);

/// The people of a history.
#[derive(Debug, Default)]
pub(super) struct People {
    /// The person of each signature; `None` for a bot.
    pub(super) of: Vec<Option<u32>>,
    /// Their names.
    pub(super) names: Vec<String>,
    /// The bots' names, sorted.
    pub(super) bots: Vec<String>,
    /// How they came about.
    pub(super) counts: Identities,
}

impl People {
    /// Merges signatures by `.mailmap`, then by address, then, if the rules say so, by full name. `uses` has the commits of
    /// each signature: the most used name of a person is the one that's shown.
    pub(super) fn new(signatures: &[Raw], uses: &[usize], mailmap: Option<&Mailmap>, bots: &Patterns, rules: Rules) -> Self {
        let resolved: Vec<Raw> = signatures.iter().map(|raw| resolve(raw, mailmap)).collect();
        let mut people = Self {
            counts: Identities {
                signatures: signatures.len(),
                by_mailmap: signatures
                    .iter()
                    .zip(&resolved)
                    .filter(|(a, b)| a.0 != b.0 || !a.1.eq_ignore_ascii_case(&b.1))
                    .count(),
                ..Identities::default()
            },
            ..Self::default()
        };
        // Signatures with a key in common are one person: each is joined to the first one that had the key.
        let mut first_with: HashMap<String, usize> = HashMap::new();
        let mut joined: Vec<usize> = (0..signatures.len()).collect();
        let mut addresses = 0;
        let is_bot: Vec<bool> = signatures.iter().zip(&resolved).map(|(raw, to)| bot(raw, bots) || bot(to, bots)).collect();
        for (index, (name, address)) in resolved.iter().enumerate().filter(|(index, _)| !is_bot[*index]) {
            let by_address = key(name, address);
            addresses += usize::from(!first_with.contains_key(&by_address));
            for key in [by_address].into_iter().chain(full_name(name).filter(|_| rules.same_name)) {
                let first = *first_with.entry(key).or_insert(index);
                let (a, b) = (root(&joined, first), root(&joined, index));
                joined[a.max(b)] = a.min(b);
            }
        }
        let mut person_of_root: HashMap<usize, u32> = HashMap::new();
        // Of each person, their names with how often each was used.
        let mut known_as: Vec<HashMap<&str, usize>> = Vec::new();
        for (index, (name, _)) in resolved.iter().enumerate() {
            if is_bot[index] {
                people.bots.push(name.clone());
                people.of.push(None);
                continue;
            }
            let person = *person_of_root.entry(root(&joined, index)).or_insert_with(|| {
                known_as.push(HashMap::new());
                known_as.len() as u32 - 1
            });
            *known_as[person as usize].entry(name).or_default() += uses[index];
            people.of.push(Some(person));
        }
        people.names = known_as.iter().map(most_used).collect();
        people.counts.people = people.names.len();
        people.counts.by_name = addresses - people.names.len();
        people.bots.sort();
        people.bots.dedup();
        people
    }
}

fn bot((name, address): &Raw, bots: &Patterns) -> bool {
    bots.matches_name(&format!("{name} <{address}>"))
}

/// The least signature that this one is joined with.
fn root(joined: &[usize], mut index: usize) -> usize {
    while joined[index] != index {
        index = joined[index];
    }
    index
}

/// A `.mailmap`. Addresses match in any case, as git has it; libgit2 wants them alike.
pub(super) fn mailmap(text: &str) -> Option<Mailmap> {
    let mut inside = false;
    let lower = |c: char| {
        inside = (inside && c != '>') || c == '<';
        if inside { c.to_ascii_lowercase() } else { c }
    };
    Mailmap::from_buffer(&text.chars().map(lower).collect::<String>()).ok()
}

fn resolve(raw: &Raw, mailmap: Option<&Mailmap>) -> Raw {
    let resolved = mailmap.and_then(|mailmap| {
        let signature = Signature::new(&raw.0, &raw.1.to_ascii_lowercase(), &Time::new(0, 0)).ok()?;
        let resolved = mailmap.resolve_signature(&signature).ok()?;
        Some((resolved.name().ok()?.to_owned(), resolved.email().ok()?.to_owned()))
    });
    resolved.unwrap_or_else(|| raw.clone())
}

/// What two signatures of one person have in common. GitHub's private addresses come in two forms, `name@` and `number+name@`.
fn key(name: &str, address: &str) -> String {
    let address = address.trim().to_lowercase();
    if address.is_empty() {
        return format!("{}<>", name.trim().to_lowercase());
    }
    match address.split_once('+') {
        Some((number, rest)) if rest.ends_with("@users.noreply.github.com") && number.chars().all(|c| c.is_ascii_digit()) => {
            rest.to_owned()
        }
        _ => address,
    }
}

/// A name of two words or more, which hardly two people of one project have; an address never looks like it.
fn full_name(name: &str) -> Option<String> {
    let words: Vec<String> = name.split_whitespace().map(str::to_lowercase).collect();
    (words.len() >= 2 && !name.contains('@')).then(|| format!("name:{}", words.join(" ")))
}

fn most_used(names: &HashMap<&str, usize>) -> String {
    let best = names.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)));
    best.map(|(name, _)| (*name).to_owned()).unwrap_or_default()
}

/// Those whom a message's `Co-authored-by:` lines name.
pub(super) fn co_authors(message: &str) -> Vec<Raw> {
    let named = message.lines().filter_map(|line| {
        let (key, rest) = line.trim().split_once(':')?;
        if !key.eq_ignore_ascii_case("co-authored-by") {
            return None;
        }
        let (name, address) = rest.trim().strip_suffix('>')?.rsplit_once('<')?;
        Some((name.trim().to_owned(), address.trim().to_owned()))
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(name: &str, address: &str) -> Raw {
        (name.to_owned(), address.to_owned())
    }

    #[test]
    fn mailmap_address_and_name_make_one_person_of_several_signatures() {
        let signatures = [
            raw("Ada", "ada@new.example"),
            raw("ada l", "ADA@old.example"),
            raw("Bob Byte", "bob@example.org"),
            raw("Bob Byte", "7+bob@users.noreply.github.com"),
            raw("bob", "bob@users.noreply.github.com"),
            raw("release[bot]", "r@example.org"),
        ];
        let mailmap =
            Mailmap::from_buffer("Ada Lovelace <ada@new.example> <ada@old.example>\nAda Lovelace <ada@new.example>\n").unwrap();
        let bots = Patterns::new(&["*[bot]*".to_owned()]);
        let uses = [5, 1, 2, 1, 9, 4];
        let by = |same_name| People::new(&signatures, &uses, Some(&mailmap), &bots, Rules { same_name, ..Rules::default() });
        let people = by(false);
        assert_eq!(people.of, [Some(0), Some(0), Some(1), Some(2), Some(2), None]);
        assert_eq!(people.names, ["Ada Lovelace", "Bob Byte", "bob"]);
        assert_eq!(people.bots, ["release[bot]"]);
        assert_eq!(people.counts, Identities { signatures: 6, people: 3, by_mailmap: 2, by_name: 0 });
        let people = by(true);
        assert_eq!(people.of, [Some(0), Some(0), Some(1), Some(1), Some(1), None]);
        assert_eq!(people.counts, Identities { signatures: 6, people: 2, by_mailmap: 2, by_name: 1 });
    }

    #[test]
    fn co_authors_are_read_from_the_message() {
        let message = "Fix it\n\nWhy.\n\nCo-authored-by: Ada Lovelace <ada@x.org>\nco-Authored-By: Bob <b@x.org>\nSigned-off-by: C <c@x.org>\n";
        assert_eq!(co_authors(message), [raw("Ada Lovelace", "ada@x.org"), raw("Bob", "b@x.org")]);
    }
}
