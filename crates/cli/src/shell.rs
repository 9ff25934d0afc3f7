//! `riptide completions` and `riptide man`.

use std::path::PathBuf;

use anyhow::Context;
use clap_complete::Shell;
use clap_mangen::Man;
use riptide::files::atomic;
use serde::Serialize;

use crate::args::Common;
use crate::exit::Ending;
use crate::output::Output;

/// Options of `riptide completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riptide completions bash > ~/.local/share/bash-completion/completions/riptide")]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,

    #[command(flatten)]
    common: Common,
}

/// Options of `riptide man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riptide man | man -l -\n  riptide man --out ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Write riptide.1 and a page for each command into this folder, instead of the first to standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Script {
    shell: String,
    script: String,
}

/// The page that was printed, or the pages that were written.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Pages {
    Printed { page: String },
    Written { pages: Vec<PathBuf> },
}

/// Prints a completion script.
pub fn completions(args: CompletionsArgs, mut command: clap::Command) -> anyhow::Result<Ending> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "riptide", &mut script);
    let script = String::from_utf8(script)?;
    let shell = args.shell.to_string();
    tell(
        &args.common,
        &script,
        &Script {
            shell,
            script: script.clone(),
        },
    )
}

/// Prints the man page, or writes them all.
pub fn man(args: ManArgs, command: clap::Command) -> anyhow::Result<Ending> {
    let mut command = command.disable_help_subcommand(true);
    // Gives each command its whole name.
    command.build();
    let Some(folder) = args.out else {
        let page = page(&Man::new(command))?;
        return tell(&args.common, &page, &Pages::Printed { page: page.clone() });
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut pages = Vec::new();
    for command in command.get_subcommands().chain([&command]) {
        let man = Man::new(command.clone());
        let path = folder.join(man.get_filename());
        atomic::write(&path, page(&man)?.as_bytes())?;
        pages.push(path);
    }
    tell(&args.common, "", &Pages::Written { pages })
}

fn page(man: &Man) -> anyhow::Result<String> {
    let mut page = Vec::new();
    man.render(&mut page).context("cannot make the man page")?;
    Ok(String::from_utf8(page)?)
}

/// The text, or the document.
fn tell(common: &Common, text: &str, document: &impl Serialize) -> anyhow::Result<Ending> {
    let mut out = Output::new(common.json);
    match common.json {
        true => out.document(document)?,
        false => out.bytes(text.as_bytes())?,
    }
    out.flush()?;
    Ok(Ending::Fine)
}
