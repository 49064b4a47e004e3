//! What the compiler does, as it does it: with `PEPJIT_LOG=PATH` one JSON object a line (`%p` in the path: the process's number).
//!
//! `ms` is processor time of the process, so that what else the machine does tells nothing; `what` is `compiled`, `refused`, `early` (what it
//! calls isn't affordable yet), `invalidated` (an assumption broke), `failed` (a speculation, by `reason` at `offset`), `postponed`, `handler`
//! (an exception handler is compiled too), `learned` or `given up`.

use crate::budget::process_time;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::Write as _;

/// Where the lines go.
#[derive(Debug, Default)]
pub(crate) struct Log(Option<File>);

impl Log {
    /// The file that the environment names, or none.
    ///
    /// # Errors
    /// The file can't be made.
    pub(crate) fn from_env() -> Result<Log, String> {
        let Some(path) = std::env::var("PEPJIT_LOG").ok().filter(|path| !path.is_empty()) else { return Ok(Log(None)) };
        let path = path.replace("%p", &std::process::id().to_string());
        let file = File::options().create(true).append(true).open(&path);
        file.map(|file| Log(Some(file))).map_err(|error| format!("PEPJIT_LOG={path} can't be written: {error}"))
    }

    /// Whether anybody reads it: what only the log needs isn't worked out otherwise.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Writes a line on a function, or its loop (or the point after a yield) at `header`.
    pub(crate) fn note(&mut self, what: &str, name: &str, header: Option<u32>, facts: Value) {
        let Some(file) = &mut self.0 else { return };
        let mut line = Map::from_iter([
            ("ms".to_string(), json!(process_time() as f64 / 1e6)),
            ("what".to_string(), what.into()),
            ("name".to_string(), name.into()),
        ]);
        if let Some(header) = header {
            line.insert("header".to_string(), header.into());
        }
        if let Value::Object(facts) = facts {
            line.extend(facts);
        }
        // One write a line: a forked process has the same file.
        if let Err(error) = file.write_all(format!("{}\n", Value::Object(line)).as_bytes()) {
            eprintln!("pepjit: the log could not be written and ends here: {error}");
            self.0 = None;
        }
    }
}
