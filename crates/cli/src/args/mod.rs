//! Options that several commands share.

mod calibration;
mod classifier;
mod images;
mod logged;
mod monitor;
mod outputs;
mod values;

pub use calibration::{CalibrationArgs, NewCalibrationArgs};
pub use classifier::ClassifierArgs;
pub use images::{ImagesArgs, Reading, hint};
pub use logged::{LoggedArgs, with_logged};
pub use monitor::{JudgeArgs, MonitorArgs, NewMonitorArgs};
pub use outputs::{check_different, check_output};
pub use values::{alternative, drop, inside_unit, method, names, percentile, severity, size, triple};

use anyhow::Context;

/// What every command takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// Print JSON on standard output, and nothing else there
    #[arg(long)]
    pub json: bool,

    /// Threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

impl Common {
    /// Sets up the threads.
    pub fn start(&self) -> anyhow::Result<()> {
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new()
                .num_threads(usize::from(threads))
                .build_global()
                .context("cannot start the threads")?;
        }
        Ok(())
    }
}
