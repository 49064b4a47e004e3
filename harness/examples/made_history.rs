//! A made-up history of CPython's size and shape, as a stream for `git fast-import`: what governance is timed on.
//!
//! ```text
//! git init --bare made.git
//! cargo run --release --package pepjit-harness --example made_history -- 130000 | git -C made.git fast-import --quiet
//! git -C made.git symbolic-ref HEAD refs/heads/main
//! cargo xtask governance --repo made.git
//! ```

use std::io::{self, BufWriter, Write};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Files of the map of CPython's stages, and of the interpreter.
const STAGES: [&str; 14] = [
    "Python/optimizer.c",
    "Python/specialize.c",
    "Python/optimizer_analysis.c",
    "Python/optimizer_bytecodes.c",
    "Python/optimizer_symbols.c",
    "Tools/cases_generator/analyzer.py",
    "Tools/cases_generator/parser.py",
    "Python/jit.c",
    "Tools/jit/_stencils.py",
    "Tools/jit/_targets.py",
    "InternalDocs/jit.md",
    "Lib/test/test_capi/test_opt.py",
    "Python/bytecodes.c",
    "Python/ceval.c",
];
const OTHERS: usize = 5000;
const PEOPLE: usize = 2500;
/// Of the commits, the share after which the stages' files begin to exist.
const STAGES_FROM: f64 = 0.85;

struct File {
    path: String,
    lines: Vec<u32>,
}

impl File {
    fn text(&self) -> String {
        let words = |line: &u32| ["    line ", &line.to_string(), " of this file says what the others don't\n"].concat();
        self.lines.iter().map(words).collect()
    }

    /// Changes a few lines somewhere.
    fn edit(&mut self, rng: &mut StdRng, mark: u32) {
        let at = rng.random_range(0..self.lines.len());
        let end = (at + rng.random_range(1..8)).min(self.lines.len());
        let new: Vec<u32> = (0..rng.random_range(1..9)).map(|i| mark * 16 + i).collect();
        self.lines.splice(at..end, new);
    }
}

fn main() -> io::Result<()> {
    let commits: u32 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(130_000);
    let mut rng = StdRng::seed_from_u64(1);
    let mut files: Vec<File> = (0..OTHERS)
        .map(|i| File { path: format!("Lib/package{}/module{i}.py", i % 150), lines: (0..40 + i as u32 % 120).collect() })
        .collect();
    files.extend(STAGES.map(|path| File { path: path.to_owned(), lines: (0..1500).collect() }));
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    let stages_from = (f64::from(commits) * STAGES_FROM) as u32;
    let mut alive = vec![false; files.len()];
    for commit in 0..commits {
        // Few people do most of it, and many come once.
        let share: f64 = rng.random();
        let person = (share.powi(4) * PEOPLE as f64) as usize;
        let (name, address) = if commit % 97 == 0 {
            ("made[bot]".to_owned(), "bot".to_owned())
        } else {
            (format!("Person {person}"), format!("p{person}"))
        };
        // From 1990 on, two hours apart.
        let time = 631_152_000 + u64::from(commit) * 8640;
        let mark = if commit == 0 { String::new() } else { format!("from :{commit}\n") };
        let merge = if commit > 2 && commit % 33 == 0 { format!("merge :{}\n", commit - 1) } else { String::new() };
        let message = format!("Change number {commit}\n");
        write!(out, "commit refs/heads/main\nmark :{}\n", commit + 1)?;
        write!(
            out,
            "author {name} <{address}@example.org> {time} +0000\ncommitter {name} <{address}@example.org> {time} +0000\n"
        )?;
        write!(out, "data {}\n{message}{mark}{merge}", message.len())?;
        for _ in 0..rng.random_range(1..5) {
            let stage = commit >= stages_from && rng.random_bool(0.15);
            let index = if stage { OTHERS + rng.random_range(0..STAGES.len()) } else { rng.random_range(0..OTHERS) };
            if alive[index] {
                files[index].edit(&mut rng, commit);
                // Some files move.
                if !stage && rng.random_bool(0.01) {
                    let path = format!("Lib/package{}/moved{commit}_{index}.py", commit % 150);
                    writeln!(out, "D {}", files[index].path)?;
                    files[index].path = path;
                }
            }
            alive[index] = true;
            let text = files[index].text();
            write!(out, "M 100644 inline {}\ndata {}\n{text}\n", files[index].path, text.len())?;
        }
    }
    out.flush()
}
