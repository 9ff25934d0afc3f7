//! `riptide fetch`: the public data sets and networks, into the cache.

use std::path::PathBuf;

use anyhow::bail;
use clap::ValueEnum;
use riptide::datasets::cache_dir;
use riptide::datasets::fetch::catalogue::{self, CORRUPTIONS};
use riptide::datasets::fetch::{Artifact, FetchError, Fetched, Fetcher, Mirror, Outcome};
use serde::Serialize;

use crate::exit::{Ending, say};
use crate::output::Output;
use crate::progress::Bar;

/// Options of `riptide fetch`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riptide fetch cifar10 cifar10c")]
pub struct FetchArgs {
    /// What to fetch; everything if nothing is named
    #[arg(value_enum, value_name = "WHAT")]
    what: Vec<What>,

    /// Corruptions of CIFAR-10-C, separated by commas, or `all`
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "all")]
    corruptions: Vec<String>,

    /// How to get CIFAR-10-C
    #[arg(long, value_enum, default_value_t = Cifar10cFrom::Auto)]
    cifar10c_from: Cifar10cFrom,

    /// The cache [default: $RIPTIDE_CACHE, else $XDG_CACHE_HOME/riptide, else ~/.cache/riptide]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,

    /// A folder or base address that holds the files by name, instead of the published addresses
    #[arg(long, value_name = "URL|DIR")]
    mirror: Option<Mirror>,

    /// Files fetched at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,

    /// Print JSON on standard output, and nothing else there
    #[arg(long)]
    json: bool,
}

/// A group of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum What {
    /// CIFAR-10 in the binary layout (162 MiB)
    Cifar10,
    /// CIFAR-10-C, the corrupted test images (2.7 GiB for all corruptions)
    Cifar10c,
    /// The published classifier and distillation detector in Keras's format (a few MiB)
    Models,
    /// The textures of the published frost corruption (2 MiB)
    Frost,
}

/// Where CIFAR-10-C comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Cifar10cFrom {
    /// The archive if all corruptions are asked for, else file by file
    Auto,
    /// The one archive, which has a published digest, keeping only what was asked for
    Archive,
    /// File by file; the files have no published digests and are pinned on first use
    Files,
}

#[derive(Serialize)]
struct Report {
    cache_dir: PathBuf,
    fetched: Vec<Fetched>,
    failed: Vec<Failure>,
}

#[derive(Serialize)]
struct Failure {
    name: String,
    error: String,
}

/// Fetches what the arguments name, and prints what came of it.
pub fn run(args: FetchArgs) -> anyhow::Result<Ending> {
    let (artifacts, instead) = plan(&args)?;
    let mut bar = Bar::new();
    let mut fetcher = Fetcher::new(cache_dir(args.cache_dir.clone())).jobs(args.jobs.into());
    if let Some(mirror) = args.mirror.clone() {
        fetcher = fetcher.mirror(mirror);
    }
    let mut report = Report {
        cache_dir: fetcher.cache().to_path_buf(),
        fetched: Vec::new(),
        failed: Vec::new(),
    };
    let mut outcomes: Vec<_> = artifacts
        .iter()
        .map(Artifact::name)
        .zip(fetcher.fetch_all(&artifacts, &mut bar)?)
        .collect();
    // A mirror may hold CIFAR-10-C's files and not the archive.
    if let Some(position) = outcomes
        .iter()
        .position(|(name, outcome)| *name == ARCHIVE && matches!(outcome, Err(FetchError::NotFound { .. })))
        && !instead.is_empty()
    {
        drop(outcomes.remove(position));
        outcomes.extend(
            instead
                .iter()
                .map(Artifact::name)
                .zip(fetcher.fetch_all(&instead, &mut bar)?),
        );
    }
    for (name, outcome) in outcomes {
        match outcome {
            Ok(fetched) => report.fetched.push(fetched),
            Err(error) => report.failed.push(Failure {
                name: name.to_owned(),
                error: error.to_string(),
            }),
        }
    }
    print(&report, args.json)?;
    match report.failed.len() {
        0 => Ok(Ending::Fine),
        failed => {
            if !args.json {
                for failure in &report.failed {
                    say(&format!("{}: {}\n", failure.name, failure.error));
                }
            }
            bail!("{failed} of {} could not be fetched", failed + report.fetched.len())
        }
    }
}

const ARCHIVE: &str = "CIFAR-10-C.tar";

/// What to fetch; and what to fetch instead of the archive of CIFAR-10-C if that is not there.
fn plan(args: &FetchArgs) -> anyhow::Result<(Vec<Artifact>, Vec<Artifact>)> {
    let mut what = args.what.clone();
    if what.is_empty() {
        what.extend(What::value_variants());
    }
    what.sort_unstable();
    what.dedup();
    let corruptions = corruptions(&args.corruptions)?;
    let (mut artifacts, mut instead) = (Vec::new(), Vec::new());
    for what in what {
        match what {
            What::Cifar10 => artifacts.push(catalogue::cifar10()),
            What::Models => artifacts.extend(catalogue::models()),
            What::Frost => artifacts.extend(catalogue::frost()),
            What::Cifar10c => match args.cifar10c_from {
                Cifar10cFrom::Archive => artifacts.push(catalogue::cifar10c_archive(&corruptions)),
                Cifar10cFrom::Auto if corruptions.len() == CORRUPTIONS.len() => {
                    artifacts.push(catalogue::cifar10c_archive(&corruptions));
                    instead = catalogue::cifar10c_files(&corruptions);
                }
                Cifar10cFrom::Auto | Cifar10cFrom::Files => artifacts.extend(catalogue::cifar10c_files(&corruptions)),
            },
        }
    }
    Ok((artifacts, instead))
}

/// The corruptions named, in the published order, each once.
fn corruptions(names: &[String]) -> anyhow::Result<Vec<&'static str>> {
    let names: Vec<&str> = names
        .iter()
        .map(|name| name.trim())
        .filter(|name| !name.is_empty())
        .collect();
    if names.contains(&"all") {
        return Ok(CORRUPTIONS.to_vec());
    }
    if let Some(unknown) = names.iter().find(|name| !CORRUPTIONS.contains(name)) {
        bail!(
            "unknown corruption {unknown:?}; known are {}, or all",
            CORRUPTIONS.join(", ")
        );
    }
    if names.is_empty() {
        bail!("no corruption is named; known are {}, or all", CORRUPTIONS.join(", "));
    }
    Ok(CORRUPTIONS.into_iter().filter(|name| names.contains(name)).collect())
}

fn print(report: &Report, json: bool) -> anyhow::Result<()> {
    let mut out = Output::new(json);
    if out.is_json() {
        out.document(report)?;
        return out.flush();
    }
    for file in report.fetched.iter().flat_map(|fetched| &fetched.files) {
        let outcome = match file.outcome {
            Outcome::Present => "present",
            Outcome::Downloaded => "downloaded",
            Outcome::Resumed => "resumed",
        };
        let check = if file.published_digest { "verified" } else { "pinned" };
        let digest = file.sha256.get(..12).unwrap_or(&file.sha256);
        out.line(format_args!(
            "{outcome:<10}  {check:<8}  {digest}  {:>13}  {}",
            file.bytes,
            file.path.display()
        ))?;
    }
    out.line(format_args!("cache: {}", report.cache_dir.display()))?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: FetchArgs,
    }

    fn names(line: &[&str]) -> Vec<String> {
        let cli = Cli::try_parse_from([&["fetch"], line].concat()).unwrap();
        plan(&cli.args)
            .unwrap()
            .0
            .iter()
            .map(|artifact| artifact.name().to_owned())
            .collect()
    }

    #[test]
    fn nothing_named_is_everything() {
        let all = names(&[]);
        assert_eq!(all.len(), 1 + 1 + 3 + 5, "{all:?}");
        assert_eq!(all[1], ARCHIVE);
    }

    #[test]
    fn some_corruptions_come_file_by_file_and_all_as_the_archive() {
        assert_eq!(
            names(&["cifar10c", "--corruptions", "snow,fog,snow"]),
            ["fog.npy", "snow.npy", "labels.npy"]
        );
        assert_eq!(names(&["cifar10c", "cifar10c"]), [ARCHIVE]);
        assert_eq!(names(&["cifar10c", "--cifar10c-from", "files"]).len(), 20);
        assert_eq!(
            names(&["cifar10c", "--corruptions", "fog", "--cifar10c-from", "archive"]),
            [ARCHIVE]
        );
    }

    #[test]
    fn unknown_names_are_refused() {
        assert!(Cli::try_parse_from(["fetch", "imagenet"]).is_err());
        assert!(Cli::try_parse_from(["fetch", "--jobs", "0"]).is_err());
        assert!(Cli::try_parse_from(["fetch", "--mirror", "ftp://host"]).is_err());
        for wrong in ["rain", "../labels", ""] {
            let cli = Cli::try_parse_from(["fetch", "--corruptions", wrong]).unwrap();
            assert!(plan(&cli.args).is_err(), "{wrong}");
        }
    }
}
