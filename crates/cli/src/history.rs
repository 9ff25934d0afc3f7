//! `riptide history`: the windows that a service judged, read from its state.

use std::path::PathBuf;

use riptide_server::History;

use crate::exit::Ending;
use crate::output::{Column, Output, p_value, percent, table};

/// Options of `riptide history`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  riptide history --state state --last 20\n  riptide history --state state --monitor cifar10 --out windows.parquet"
)]
pub struct HistoryArgs {
    /// The folder of a service's database; the service may run meanwhile
    #[arg(long, env = "RIPTIDE_STATE", value_name = "DIR", default_value = "riptide-state")]
    state: PathBuf,

    /// Windows of this monitor alone
    #[arg(long, value_name = "NAME")]
    monitor: Option<String>,

    /// The last windows alone, so many of each monitor's together
    #[arg(long, value_name = "N")]
    last: Option<usize>,

    /// Write the windows to a file instead, as its extension says: .csv or .parquet
    #[arg(long, value_name = "FILE", conflicts_with = "last")]
    out: Option<PathBuf>,

    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
}

/// Shows the windows.
pub fn run(args: HistoryArgs) -> anyhow::Result<Ending> {
    let history = History::open(&args.state, args.monitor.as_deref())?;
    let mut out = Output::new(args.json);
    if let Some(path) = &args.out {
        history.write(path)?;
        out.line(format_args!("{} windows; {}", history.rows().len(), path.display()))?;
        out.flush()?;
        return Ok(Ending::Fine);
    }
    let rows = history.rows();
    let rows = &rows[rows.len() - args.last.unwrap_or(rows.len()).min(rows.len())..];
    if args.json {
        out.document(&rows)?;
        out.flush()?;
        return Ok(Ending::Fine);
    }
    let columns = [
        Column::left("monitor"),
        Column::right("window"),
        Column::left("to"),
        Column::right("images"),
        Column::left("verdict"),
        Column::right("accuracy"),
        Column::right("excess fraction"),
        Column::right("p-value"),
        Column::right("realised"),
    ];
    let optional = |value: Option<f64>, write: fn(f64) -> String| value.map(write).unwrap_or_default();
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                row.monitor.clone(),
                row.window.to_string(),
                row.to.clone().unwrap_or_default(),
                row.images.to_string(),
                row.verdict.clone(),
                optional(row.accuracy, percent),
                optional(row.excess_fraction, percent),
                optional(row.p_value, p_value),
                optional(row.realised_accuracy, percent),
            ]
        })
        .collect();
    match cells.is_empty() {
        true => out.line("no window was judged yet")?,
        false => out.line(table(&columns, &cells))?,
    }
    out.flush()?;
    Ok(Ending::Fine)
}
