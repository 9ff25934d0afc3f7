//! `riptide corrupt`: the corruptions of CIFAR-10-C, and our own, on any images.

use std::path::PathBuf;

use anyhow::bail;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use riptide::corruptions::{Cifar10cWriter, Corruption, CorruptionError, Corruptor, Extended, Family, Severity};
use riptide::datasets::is_read;
use riptide::datasets::npy::NpyWriter;
use riptide::files::{Progress, Unit, shown};
use serde::Serialize;

use crate::args::{Common, ImagesArgs, check_output, severity};
use crate::exit::Ending;
use crate::output::Output;
use crate::progress::Bar;

/// Images that are corrupted at a time, and the bytes of their pixels unless one has more: corrupting takes several times as much.
const CHUNK: usize = 4096;
const CHUNK_BYTES: usize = 32 << 20;

/// Options of `riptide corrupt`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  riptide corrupt --images today/ --corruption gaussian_noise --severity 3 --out noisy.npy\n  \
    riptide corrupt --images cifar-10-batches-bin/ --corruption all --severity all --out cifar-10-c/"
)]
pub struct CorruptArgs {
    #[command(flatten)]
    images: ImagesArgs,

    /// The corruption; all: the nineteen of CIFAR-10-C; extended: the others
    #[arg(long, value_name = "NAME", value_parser = corruption())]
    corruption: Which,

    /// 1 (slight) to 5 (severe), or all five, one after the other
    #[arg(long, value_name = "S", value_parser = severities)]
    severity: Severities,

    /// Decides the random numbers
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// A .npy file for one corruption, uint8 (N, H, W, 3), or (5 N, H, W, 3) for all severities; else a folder in the layout of
    /// CIFAR-10-C, which needs labelled images and all severities
    #[arg(long, value_name = "Y")]
    out: PathBuf,

    #[command(flatten)]
    common: Common,
}

/// One corruption or several.
#[derive(Debug, Clone, Copy)]
enum Which {
    One(Family),
    /// The nineteen of CIFAR-10-C.
    All,
    /// Our own.
    Extended,
}

/// One severity or all.
#[derive(Debug, Clone, Copy)]
struct Severities(Option<Severity>);

fn corruption() -> impl TypedValueParser<Value = Which> {
    let names = Family::all().map(Family::name);
    PossibleValuesParser::new(names.chain(["all", "extended"])).try_map(|name| match name.as_str() {
        "all" => Ok::<_, CorruptionError>(Which::All),
        "extended" => Ok(Which::Extended),
        name => name.parse().map(Which::One),
    })
}

fn severities(text: &str) -> Result<Severities, String> {
    severity(text).map(Severities)
}

#[derive(Debug, Serialize)]
struct Report {
    out: PathBuf,
    corruptions: Vec<Family>,
    severities: Vec<Severity>,
    seed: u64,
    images: u64,
}

/// Corrupts images.
pub fn run(args: CorruptArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    let corruptor = Corruptor::new(args.seed);
    let is_npy = args
        .out
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("npy"));
    let report = match (args.corruption, is_npy) {
        (Which::One(family), true) => to_npy(&args, &corruptor, family)?,
        (Which::All | Which::Extended, true) => bail!(
            "--out {}: a .npy file holds one corruption; give a folder",
            args.out.display()
        ),
        (which, false) => to_folder(&args, corruptor, which)?,
    };
    let mut out = Output::new(args.common.json);
    if out.is_json() {
        out.document(&report)?;
    } else {
        let names: Vec<&str> = report.corruptions.iter().map(|family| family.name()).collect();
        let what = if names.is_empty() {
            "nothing new".to_owned()
        } else {
            names.join(", ")
        };
        let severities: Vec<String> = report.severities.iter().map(ToString::to_string).collect();
        out.line(format_args!(
            "{}: {what}, severity {}, seed {}",
            report.out.display(),
            severities.join(", "),
            report.seed
        ))?;
    }
    out.flush()?;
    Ok(Ending::Fine)
}

/// How many images of a size are corrupted at a time.
fn together((height, width): (usize, usize)) -> usize {
    let bytes = height.saturating_mul(width).saturating_mul(3).max(1);
    (CHUNK_BYTES / bytes).clamp(1, CHUNK)
}

fn to_npy(args: &CorruptArgs, corruptor: &Corruptor, family: Family) -> anyhow::Result<Report> {
    let severities = args
        .severity
        .0
        .map_or(Severity::ALL.to_vec(), |severity| vec![severity]);
    if severities.len() > 1 && is_stdin(args) {
        bail!(
            "--severity all reads the images five times, which standard input cannot give; give one severity, or a file"
        );
    }
    check_output("--out", &args.out, Some(&args.images.images), &[])?;
    let open = args.images.sources()?;
    let mut bar = Bar::new();
    let mut writer: Option<NpyWriter> = None;
    let mut total = 0;
    for &severity in &severities {
        let mut images = open()?;
        let Some(n) = images.remaining() else {
            bail!(
                "{}: the number of images is not known beforehand",
                args.images.images.display()
            );
        };
        bar.begin("corrupting", Some(n), Unit::Images);
        let mut first = 0;
        let mut at_once = images.image_size().map_or(1, together);
        while let Some(chunk) = images.next_chunk(at_once)? {
            at_once = together((chunk.height(), chunk.width()));
            let rows = n * severities.len() as u64;
            let writer = match &mut writer {
                Some(writer) => writer,
                None => writer.insert(NpyWriter::create(&args.out, rows, chunk.height(), chunk.width())?),
            };
            writer.append(&corruptor.apply_from(&chunk, first, family, severity)?)?;
            first += chunk.len() as u64;
            bar.advance(chunk.len() as u64);
        }
        bar.end();
        total += first;
        if writer.is_none() {
            bail!("{}: no images", args.images.images.display());
        }
    }
    if let Some(writer) = writer {
        writer.finish()?;
    }
    Ok(Report {
        out: args.out.clone(),
        corruptions: vec![family],
        severities,
        seed: args.seed,
        images: total,
    })
}

fn to_folder(args: &CorruptArgs, corruptor: Corruptor, which: Which) -> anyhow::Result<Report> {
    if args.severity.0.is_some() {
        bail!(
            "--out {}: a folder in the layout of CIFAR-10-C holds all severities; give --severity all, or a .npy file",
            args.out.display()
        );
    }
    if is_stdin(args) {
        bail!("a folder is written from images that can be read more than once; give a file or folder instead of -");
    }
    let wanted = match which {
        Which::All => Corruption::ALL.map(Family::from).to_vec(),
        Which::Extended => Extended::ALL.map(Family::from).to_vec(),
        Which::One(family) => vec![family],
    };
    for file in wanted
        .iter()
        .map(|family| format!("{}.npy", family.name()))
        .chain(["labels.npy".to_owned()])
    {
        let file = args.out.join(file);
        // What an earlier run wrote is kept or made again; what is read here must not be.
        if is_read(&args.images.images, &file) {
            bail!(
                "--out {}: {} in it is read as images; name another folder",
                args.out.display(),
                shown(&file)
            );
        }
    }
    let open = args.images.sources()?;
    let n = open()?.remaining().unwrap_or_default();
    let writer = Cifar10cWriter::new(corruptor, &args.out);
    let mut bar = Bar::new();
    bar.begin("corrupting", Some(n * 5 * wanted.len() as u64), Unit::Images);
    let mut written = Vec::new();
    for &family in &wanted {
        written.extend(writer.write(&[family], &open)?);
        bar.advance(5 * n);
    }
    bar.end();
    Ok(Report {
        out: args.out.clone(),
        images: n * 5 * written.len() as u64,
        corruptions: written,
        severities: Severity::ALL.to_vec(),
        seed: args.seed,
    })
}

fn is_stdin(args: &CorruptArgs) -> bool {
    args.images.images.as_os_str() == "-"
}
