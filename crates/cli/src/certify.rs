//! `riptide certify`: which drops of accuracy a monitor finds, and how often it alarms for nothing.

use std::path::PathBuf;

use riptide::detectors::certificate::{Certificate, CertifyConfig};
use riptide::files::atomic;
use riptide::{Requirement, certificate_page};
use serde::Serialize;

use crate::args::{Common, MonitorArgs, check_output, drop, inside_unit};
use crate::exit::{Ending, say};
use crate::output::{Column, Output, interval, percent, table};

/// Options of `riptide certify`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  riptide certify --monitor monitor --out certificate.html\n  \
    riptide certify --monitor monitor --require drop=0.1,n=500,power=0.95,false-alarms=0.05"
)]
pub struct CertifyArgs {
    #[command(flatten)]
    monitor: MonitorArgs,

    /// The drop of accuracy that is accepted [default: the monitor's]
    #[arg(long, value_name = "DROP", value_parser = drop)]
    tolerated_drop: Option<f64>,

    /// Significance level of the tests [default: the monitor's]
    #[arg(long, alias = "alpha", value_name = "P", value_parser = inside_unit)]
    level: Option<f64>,

    /// Images of a batch, separated by commas
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = CertifyConfig::default().sizes)]
    sizes: Vec<usize>,

    /// Batches that are drawn for every declared set and size
    #[arg(long, value_name = "N", default_value_t = CertifyConfig::default().batches)]
    batches: usize,

    /// Decides which images the batches are drawn from
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Write the certificate as a page
    #[arg(long, value_name = "PAGE.html")]
    out: Option<PathBuf>,

    /// End with exit code 1 unless the certificate shows this: drop=D,n=N[,power=P][,false-alarms=F]
    #[arg(long, value_name = "WHAT")]
    require: Option<Requirement>,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    certificate: &'a Certificate,
    /// What is required and not shown.
    unmet: &'a [String],
    out: Option<&'a PathBuf>,
}

/// Certifies a monitor.
pub fn run(args: CertifyArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    if let Some(out) = &args.out {
        check_output("--out", out, None, &[Some(args.monitor.monitor.as_path())])?;
    }
    let monitor = args.monitor.load()?;
    let options = monitor.options().clone();
    let (drop, level) = (options.tolerated_drop, options.level);
    let options = options
        .tolerated_drop(args.tolerated_drop.unwrap_or(drop))
        .level(args.level.unwrap_or(level));
    let monitor = monitor.with_options(options)?;
    let config = monitor
        .certify_config()
        .sizes(args.sizes)
        .batches(args.batches)
        .seed(args.seed);
    let config = match &args.require {
        Some(required) => required.asked_of(config),
        None => config,
    };
    let certificate = monitor.certify(&config)?;
    let unmet = args
        .require
        .map(|required| required.unmet(&certificate))
        .unwrap_or_default();
    if let Some(path) = &args.out {
        atomic::write(path, certificate_page(&monitor, &certificate)?.as_bytes())?;
    }
    let mut out = Output::new(args.common.json).outlives_reader(args.require.is_some());
    if out.is_json() {
        out.document(&Report {
            certificate: &certificate,
            unmet: &unmet,
            out: args.out.as_ref(),
        })?;
    } else {
        for line in text(&certificate) {
            out.line(line)?;
        }
        if let Some(path) = &args.out {
            out.line(format_args!("{}", path.display()))?;
        }
    }
    out.flush()?;
    for reason in &unmet {
        say(&format!("not met: {reason}"));
    }
    Ok(if unmet.is_empty() { Ending::Fine } else { Ending::Unmet })
}

fn text(certificate: &Certificate) -> Vec<String> {
    let columns = [
        Column::right("images"),
        Column::right("least drop found"),
        Column::left("clean batches that alarm"),
        Column::left("worst false alarms"),
        Column::left("in"),
        Column::right("sets missed"),
    ];
    let none = || "none".to_owned();
    let rows: Vec<Vec<String>> = certificate
        .sizes
        .iter()
        .map(|size| {
            let worst = size.false_alarms_in.as_ref();
            vec![
                size.n.to_string(),
                size.least_detectable_drop
                    .map_or_else(none, |drop| format!("{:.1} points", 100.0 * drop)),
                interval(size.clean_alarms),
                size.false_alarms.map_or_else(none, interval),
                worst.map_or_else(String::new, |set| {
                    format!("{} of {} {}", percent(set.contamination), set.family, set.severity)
                }),
                size.missed.len().to_string(),
            ]
        })
        .collect();
    let config = &certificate.config;
    vec![
        table(&columns, &rows),
        String::new(),
        sequential(certificate),
        format!(
            "Accuracy on clean images {}; {:.1} points of drop are tolerated; level {}.",
            percent(certificate.accuracy),
            100.0 * config.options.tolerated_drop,
            config.options.level
        ),
        format!(
            "Least drop found: from there on, every declared set alarms in at least {} of batches, by the lower limit of the \
             rate.",
            percent(config.power)
        ),
        format!(
            "{} families, each judged by a model that did not see it; other kinds of drift are not declared.",
            certificate.families.len()
        ),
    ]
}

/// How many images the sequential alarm takes, by drop of accuracy.
fn sequential(certificate: &Certificate) -> String {
    let tolerated = certificate.config.options.tolerated_drop;
    let within = |from: f64, to: f64| {
        let all = certificate.streams.iter();
        all.filter(move |set| set.drop > from && set.drop <= to)
    };
    let quiet = within(f64::NEG_INFINITY, tolerated);
    let (sets, ever) = quiet.fold((0, 0), |(sets, ever), set| {
        (
            sets + 1,
            ever + usize::from(set.alarms.estimate > certificate.config.sequential.level),
        )
    });
    let delays = [(0.08, 0.12), (0.12, 0.2), (0.2, 1.0)]
        .into_iter()
        .filter(|&(from, _)| from >= tolerated);
    let delays = delays.filter_map(|(from, to)| {
        let mut images: Vec<u64> = within(from, to)
            .map(|set| set.median_images.unwrap_or(u64::MAX))
            .collect();
        images.sort_unstable();
        let median = *images.get(images.len() / 2)?;
        let median = if median == u64::MAX {
            "no alarm".to_owned()
        } else {
            median.to_string()
        };
        let drop = if to < 1.0 {
            format!("{:.0} to {:.0} points", 100.0 * from, 100.0 * to)
        } else {
            format!("more than {:.0} points", 100.0 * from)
        };
        Some(format!("{median} ({drop})"))
    });
    let delays: Vec<String> = delays.collect();
    format!(
        "Sequential alarm: {ever} of {sets} sets whose drop is tolerated alarm more often than {} within {} images; images to the \
         alarm, median by drop: {}.",
        certificate.config.sequential.level,
        certificate.config.stream_length,
        if delays.is_empty() {
            "none".to_owned()
        } else {
            delays.join(", ")
        }
    )
}
