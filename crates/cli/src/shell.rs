//! `riptide completions` and `riptide man`.

use std::path::PathBuf;

use anyhow::Context;
use clap_complete::Shell;
use clap_mangen::Man;
use riptide_datasets::atomic;

use crate::exit::Ending;
use crate::output::Output;

/// Options of `riptide completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riptide completions bash > ~/.local/share/bash-completion/completions/riptide")]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Options of `riptide man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riptide man | man -l -\n  riptide man --out ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Write riptide.1 and a page for each command into this folder, instead of the first to standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints a completion script.
pub fn completions(args: CompletionsArgs, mut command: clap::Command) -> anyhow::Result<Ending> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "riptide", &mut script);
    to_stdout(&script)
}

/// Prints the man page, or writes them all.
pub fn man(args: ManArgs, command: clap::Command) -> anyhow::Result<Ending> {
    let mut command = command.disable_help_subcommand(true);
    // Gives each command its whole name.
    command.build();
    let Some(folder) = args.out else {
        return to_stdout(&page(&Man::new(command))?);
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for command in command.get_subcommands().chain([&command]) {
        let man = Man::new(command.clone());
        atomic::write(folder.join(man.get_filename()), &page(&man)?)?;
    }
    Ok(Ending::Fine)
}

fn page(man: &Man) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    man.render(&mut page).context("cannot make the man page")?;
    Ok(page)
}

fn to_stdout(bytes: &[u8]) -> anyhow::Result<Ending> {
    let mut out = Output::new(false);
    out.bytes(bytes)?;
    out.flush()?;
    Ok(Ending::Fine)
}
