//! Other libraries, measured in a Python process that waits for one question a line.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::out::complain;
use anyhow::{Context, bail, ensure};
use riptide::datasets::cache_dir;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A running script of `xtask/peers`.
pub struct Peers {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// What could be measured and what could not.
    pub found: Found,
}

/// The script's first line.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Found {
    /// Name and version of each peer.
    pub present: BTreeMap<String, String>,
    /// Name of each that could not be loaded, and why.
    pub absent: BTreeMap<String, String>,
}

impl Peers {
    /// Starts a script with the Python of a virtual environment in the cache, which is made on first use from
    /// `xtask/peers/requirements.txt`. A requirement that cannot be installed leaves its peer absent.
    pub fn start(script: &str, threads: usize) -> anyhow::Result<Self> {
        Self::start_in("peers", "requirements.txt", script, threads)
    }

    /// Like [`Self::start`], in the environment of the given name and with requirements of its own.
    pub fn start_in(name: &str, requirements: &str, script: &str, threads: usize) -> anyhow::Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let python = environment(name, &folder.join(requirements))?;
        let mut child = Command::new(&python)
            .arg(folder.join(script))
            .arg(threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", python.display()))?;
        let questions = child.stdin.take();
        let answers = child.stdout.take().context("the peers' script has no output")?;
        let mut peers = Self {
            child,
            questions,
            answers: BufReader::new(answers),
            found: Found::default(),
        };
        peers.found = serde_json::from_value(peers.line()?).context("the peers' script did not say what it found")?;
        Ok(peers)
    }

    /// Asks one question and waits for the answer.
    pub fn ask(&mut self, question: &Value) -> anyhow::Result<Value> {
        let mut pipe = self.questions.as_ref().context("the peers' script has no input")?;
        writeln!(pipe, "{question}").context("the peers' script has ended")?;
        let answer = self.line()?;
        if let Some(error) = answer.get("error") {
            bail!("{question}: {error}");
        }
        Ok(answer)
    }

    fn line(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        let n = self
            .answers
            .read_line(&mut line)
            .context("cannot read from the peers' script")?;
        ensure!(n > 0, "the peers' script ended early");
        serde_json::from_str(&line).with_context(|| format!("the peers' script said {line:?}"))
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        drop(self.questions.take());
        // A script that has already ended is as good as one that ends now.
        let _ = self.child.wait();
    }
}

/// The Python of a virtual environment in the cache, with what of the requirements could be installed; a line may begin with options of pip.
fn environment(name: &str, requirements: &Path) -> anyhow::Result<PathBuf> {
    let folder = cache_dir(None).join(name);
    let python = folder.join("bin/python");
    if !python.exists() {
        complain!("making a virtual environment in {}", folder.display());
        let made = Command::new("python3").args(["-m", "venv"]).arg(&folder).status();
        ensure!(
            made.context("python3 is needed to measure peers")?.success(),
            "python3 -m venv {} failed",
            folder.display()
        );
    }
    let wanted = fs::read_to_string(requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let done = folder.join("requirements.txt");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    for requirement in wanted.lines().filter(|line| !line.trim().is_empty()) {
        complain!("installing {requirement}");
        let pip = ["-m", "pip", "install", "--quiet"];
        let mut install = Command::new(&python);
        install.args(pip).args(requirement.split_whitespace());
        if !install.status()?.success() {
            complain!("{requirement} cannot be installed; it will be said to be absent");
        }
    }
    fs::write(&done, wanted).with_context(|| format!("cannot write {}", done.display()))?;
    Ok(python)
}
