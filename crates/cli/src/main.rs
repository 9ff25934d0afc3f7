//! The riptide command.
fn main() {}
