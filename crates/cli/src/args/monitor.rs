//! Options about monitors: which one, how it judges, what a new one is like.

use std::path::PathBuf;

use riptide::prelude::*;

use super::{alternative, drop, inside_unit, names, percentile};

/// The option that names a saved monitor.
#[derive(Debug, Clone, clap::Args)]
pub struct MonitorArgs {
    /// A monitor's folder, as `riptide fit` or `riptide import` wrote it
    #[arg(long, alias = "detector", value_name = "DIR")]
    pub monitor: PathBuf,
}

impl MonitorArgs {
    /// Loads it.
    pub fn load(&self) -> riptide::Result<Monitor> {
        Monitor::load(&self.monitor)
    }
}

/// The options of a new monitor.
#[derive(Debug, Clone, clap::Args)]
pub struct NewMonitorArgs {
    /// Where the monitor goes, a folder; an existing monitor is replaced
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// The percentile of the reference's scores that becomes the threshold of single images
    #[arg(long, value_name = "Q", value_parser = percentile, default_value_t = Options::default().percentile)]
    percentile: f64,

    /// The classes' names in the order of the classifier's outputs, separated by commas, or @FILE with one per line [default:
    /// those of the images if the classifier gets most of them right, else numbers]
    #[arg(long, value_name = "NAMES", value_parser = names_list)]
    classes: Option<Names>,

    #[command(flatten)]
    judge: JudgeArgs,
}

/// A list that is one value of the command line.
#[derive(Debug, Clone)]
struct Names(Vec<String>);

fn names_list(text: &str) -> Result<Names, String> {
    names(text).map(Names)
}

impl NewMonitorArgs {
    /// Whether a monitor could be saved, before any long work.
    pub fn check(&self) -> riptide::Result<()> {
        Monitor::check_destination(&self.out)
    }

    /// How the monitor judges.
    pub fn options(&self) -> Options {
        self.judge.apply(Options::default().percentile(self.percentile))
    }

    /// The classes' names, if they were given.
    pub fn class_names(&self) -> Option<Vec<String>> {
        self.classes.clone().map(|Names(names)| names)
    }
}

/// How scores are judged.
#[derive(Debug, Clone, clap::Args)]
pub struct JudgeArgs {
    /// Significance level of the tests [default: the monitor's; 0.05 for a new one]
    #[arg(long, alias = "p-val", value_name = "P", value_parser = inside_unit)]
    level: Option<f64>,

    /// What counts as drift of the scores; greater: they are larger, the harmful direction [default: the monitor's; two-sided
    /// for a new one]
    #[arg(long, value_parser = alternative())]
    alternative: Option<Alternative>,

    /// The drop of accuracy that is accepted; a batch is harmful if more is lost [default: the monitor's; 0.05, five points, for a
    /// new one]
    #[arg(long, value_name = "DROP", value_parser = drop)]
    tolerated_drop: Option<f64>,
}

impl JudgeArgs {
    /// The same options but for those that were given.
    pub fn apply(&self, options: Options) -> Options {
        let (level, alternative, drop) = (options.level, options.alternative, options.tolerated_drop);
        options
            .tolerated_drop(self.tolerated_drop.unwrap_or(drop))
            .level(self.level.unwrap_or(level))
            .alternative(self.alternative.unwrap_or(alternative))
    }
}
