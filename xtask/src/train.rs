//! `cargo xtask train`.

/// Options of `cargo xtask train`.
#[derive(Debug, clap::Args)]
pub struct TrainArgs {}

/// Runs the task.
pub fn run(_args: TrainArgs) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
