//! The project's commands: `cargo xtask COMMAND`.
fn main() {}
