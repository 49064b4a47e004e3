//! What a process has mapped once the module is loaded and on.

use std::path::Path;
use std::process::{Command, Stdio};

use super::RedistributorError;
use crate::interpreters::Interpreter;

/// Prints the mapped files before and after, a line in between.
const SCRIPT: &str = r#"
import sys
def mapped():
    with open("/proc/self/maps") as lines:
        return sorted({line.split(None, 5)[5].strip() for line in lines if "/" in line})
print(*mapped(), sep="\n")
print()
import pepjit
pepjit.enable(threshold=0)  # at the first call: a process this young would compile later, for its own good
def hot(n):
    total = 0
    for i in range(n):
        total += i
    return total
hot(100)
hot(100)
if not pepjit.is_compiled(hot):
    sys.exit("the module loaded and compiled nothing")
print(*mapped(), sep="\n")
"#;

/// The files mapped before, and those that came with the module.
pub(super) fn files(interpreter: &Interpreter, folder: &Path) -> Result<(Vec<String>, Vec<String>), RedistributorError> {
    let failed = |cause: String| RedistributorError::Load { interpreter: interpreter.name(), cause };
    let output = Command::new(&interpreter.path)
        .args(["-c", SCRIPT])
        .env("PYTHONPATH", folder)
        .env_remove("PEPJIT")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

fn parse(text: &str) -> (Vec<String>, Vec<String>) {
    let (before, after) = text.split_once("\n\n").unwrap_or((text, ""));
    let before: Vec<String> = before.lines().map(str::to_owned).collect();
    let new = after.lines().filter(|line| !before.iter().any(|known| known == line)).map(str::to_owned).collect();
    (before, new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_with_the_module_is_told_from_the_rest() {
        let (before, new) = parse("/lib/libc.so.6\n/usr/bin/python\n\n/lib/libc.so.6\n/m/pepjit.so\n/usr/bin/python\n");
        assert_eq!((before.len(), new.as_slice()), (2, &["/m/pepjit.so".to_owned()][..]));
    }
}
