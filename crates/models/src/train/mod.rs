//! Training.

mod engine;
#[cfg(test)]
mod tests;
