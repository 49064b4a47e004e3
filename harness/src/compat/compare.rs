//! Where two results differ.

use serde_json::Value;

use super::model::Difference;

/// So many differences are listed; more say nothing new.
pub const MOST: usize = 20;

/// So many characters of a value are shown.
const LONGEST: usize = 300;

/// The places where two values differ, the first [`MOST`] of them.
pub fn compare(off: &Value, on: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("", off, on, &mut found);
    found.truncate(MOST);
    found
}

fn walk(at: &str, off: &Value, on: &Value, found: &mut Vec<Difference>) {
    if found.len() > MOST {
        return;
    }
    match (off, on) {
        (Value::Object(a), Value::Object(b)) => {
            let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
            for name in names {
                let at = format!("{at}/{name}");
                match (a.get(name), b.get(name)) {
                    (Some(x), Some(y)) => walk(&at, x, y, found),
                    (x, y) => found.push(difference(&at, x, y)),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            // What one has and the other hasn't is more telling at its place than as a change of all that follows.
            let from_start = a.iter().zip(b).take_while(|(x, y)| x == y).count();
            let rest = a.len().min(b.len()) - from_start;
            let from_end = a.iter().rev().zip(b.iter().rev()).take(rest).take_while(|(x, y)| x == y).count();
            let (a, b) = (&a[from_start..a.len() - from_end], &b[from_start..b.len() - from_end]);
            for index in 0..a.len().max(b.len()) {
                let at = format!("{at}/{}", from_start + index);
                match (a.get(index), b.get(index)) {
                    (Some(x), Some(y)) => walk(&at, x, y, found),
                    (x, y) => found.push(difference(&at, x, y)),
                }
            }
        }
        (x, y) if x == y => {}
        (x, y) => found.push(difference(at, Some(x), Some(y))),
    }
}

fn difference(at: &str, off: Option<&Value>, on: Option<&Value>) -> Difference {
    let at = if at.is_empty() { "/" } else { at };
    Difference { at: at.to_owned(), off: shown(off), on: shown(on) }
}

fn shown(value: Option<&Value>) -> String {
    let text = match value {
        None => return String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    shorten(&text, LONGEST)
}

/// A text's beginning, with a sign if that isn't all.
pub(super) fn shorten(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}...", &text[..at]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn places(off: &Value, on: &Value) -> Vec<String> {
        compare(off, on).into_iter().map(|d| format!("{}: {} | {}", d.at, d.off, d.on)).collect()
    }

    #[test]
    fn equal_values_have_no_difference() {
        let value = json!({"a": [1, 2.5, "x", null, {"b": true}], "c": []});
        assert_eq!(compare(&value, &value), []);
    }

    #[test]
    fn a_difference_is_named_by_its_place() {
        let off = json!({"events": [["call", 1], ["line", 2], ["return", 3]], "depth": 7});
        let on = json!({"events": [["call", 1], ["line", 9], ["return", 3]], "depth": 7});
        assert_eq!(places(&off, &on), ["/events/1/1: 2 | 9"]);
        assert_eq!(places(&json!({"a": 1}), &json!({"b": 1})), ["/a: 1 | ", "/b:  | 1"]);
        assert_eq!(places(&json!(1), &json!("1")), ["/: 1 | 1"], "a number isn't the text of it");
    }

    #[test]
    fn one_more_event_is_one_difference() {
        let off = json!(["a", "b", "c", "d"]);
        assert_eq!(places(&off, &json!(["a", "b", "x", "c", "d"])), ["/2:  | x"]);
        assert_eq!(places(&off, &json!(["a", "d"])), ["/1: b | ", "/2: c | "]);
        assert_eq!(places(&off, &json!([])).len(), 4);
        assert_eq!(places(&json!(["a", "a"]), &json!(["a", "a", "a"])), ["/2:  | a"]);
    }

    #[test]
    fn what_is_long_or_much_is_cut() {
        let off: Value = (0..100).collect();
        let on: Value = (0..100).map(|n| n + 1000).collect();
        assert_eq!(compare(&off, &on).len(), MOST);
        let long = compare(&json!("é".repeat(1000)), &json!(""));
        assert_eq!(long[0].off.chars().count(), LONGEST + 3);
    }
}
