//! The service under load, on loopback: images a second from the socket to the window, time to an acknowledgement, memory.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use riptide::datasets::shapes::{Shapes, TEST_FIRST_INDEX};
use riptide::prelude::*;
use riptide::pretrained::CIFAR10;
use riptide::shipped_networks;
use riptide_server::{Config, MonitorConfig};
use serde::Serialize;

use super::measure::{head, report, row};

/// Options of `cargo xtask bench serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Seconds that each form of request is sent for, as fast as it is taken, and again at half that rate
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Connections
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
    clients: u64,
    /// Images of a request
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=1000))]
    batch: u64,
    /// The forms of requests
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Form::V1, Form::V2, Form::V2Binary, Form::Logged])]
    forms: Vec<Form>,
    /// Be the service, with its state in this folder: what the command runs for every form, in a process of its own
    #[arg(long, hide = true, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// How images are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Form {
    /// V1 JSON of scaled floats
    V1,
    /// V2 JSON of bytes
    V2,
    /// V2 with a binary tensor
    V2Binary,
    /// The same with the classifier's answer behind it, so that only the distilled network runs
    Logged,
}

/// What was measured of one form.
#[derive(Debug, Serialize)]
struct Measured {
    form: Form,
    /// From the first request to the last image scored.
    images_per_second: f64,
    /// Share of it that `Monitor::score` reaches by itself on the same images, both networks.
    share_of_score: f64,
    /// Milliseconds to an acknowledgement at full load.
    p50: f64,
    p99: f64,
    /// At half of the rate.
    half_p50: f64,
    half_p99: f64,
    /// Answers 429, after which the client waited.
    refused: u64,
    /// Seconds of processor time an image, in microseconds.
    cpu_microseconds: f64,
    /// The most memory that the process had resident, in MiB.
    peak_mib: f64,
}

/// Different requests of each client; more would measure the client's memory.
const REQUESTS: u64 = 64;

/// Runs the measurement.
pub fn run(args: ServeArgs) -> anyhow::Result<()> {
    if let Some(state) = &args.state {
        return be_the_service(state);
    }
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let monitor = folder.path().join("monitor");
    let (classifier, distilled) = shipped_networks(&CIFAR10)?;
    let reference = Shapes::new(0).generate(0, 500);
    let import = Import::default().calibration(None);
    let made = import.run(classifier, distilled, reference, &mut Silent)?;
    made.save(&monitor)?;
    let alone = alone(&made, args.seconds)?;
    let measured = args
        .forms
        .iter()
        .map(|&form| measure(&args, &made, folder.path(), form, alone));
    let measured = measured.collect::<anyhow::Result<Vec<Measured>>>()?;
    report(&measured, args.json, |measured| {
        println!("Monitor::score by itself: {alone:.0} images/s");
        let columns = [
            "images/s", "of score", "p50 ms", "p99 ms", "half p50", "half p99", "429", "CPU us", "peak MiB",
        ];
        head(&columns, "POST latency at full and at half load");
        for m in measured {
            let figures = [
                m.images_per_second,
                m.share_of_score,
                m.p50,
                m.p99,
                m.half_p50,
                m.half_p99,
                m.refused as f64,
                m.cpu_microseconds,
                m.peak_mib,
            ];
            let name = m.form.to_possible_value().map(|value| value.get_name().to_owned());
            row(&name.unwrap_or_default(), &figures, 2, "");
        }
    })
}

/// Images a second of the library by itself, over the same kind of chunks.
fn alone(monitor: &Monitor, seconds: u64) -> anyhow::Result<f64> {
    let images = Shapes::new(0).generate(TEST_FIRST_INDEX, 1024);
    super::measure::rate(images.len(), seconds as f64, || monitor.score(&images).map(|_| ())).map_err(Into::into)
}

/// The service, in a process of its own; its standard output says where it listens.
fn be_the_service(state: &Path) -> anyhow::Result<()> {
    let mut config = Config::default();
    config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.state = state.into();
    config.queue.images = 20_000;
    let monitor = state
        .parent()
        .context("the state has no folder around it")?
        .join("monitor");
    config.monitors = vec![MonitorConfig::new(monitor)];
    riptide_server::run(config, |address| println!("{address}"))?;
    Ok(())
}

/// A service under measurement; killed when this goes.
struct Service {
    process: Child,
    address: SocketAddr,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Service {
    fn start(state: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(program);
        command
            .args(["bench", "serve", "--state"])
            .arg(state)
            .stdout(Stdio::piped());
        let mut process = command.spawn().context("cannot start this program again")?;
        let mut line = String::new();
        let said = process.stdout.take().context("the service has no standard output")?;
        BufReader::new(said).read_line(&mut line)?;
        let address = line
            .trim()
            .parse()
            .with_context(|| format!("the service said {line:?}"))?;
        Ok(Self { process, address })
    }

    /// Images scored so far.
    fn scored(&self) -> anyhow::Result<u64> {
        let mut stream = TcpStream::connect(self.address)?;
        write!(stream, "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let found = text.lines().find_map(|line| {
            line.strip_prefix("riptide_images_total{model=\"monitor\"} ")?
                .parse()
                .ok()
        });
        Ok(found.unwrap_or(0))
    }

    /// Seconds of processor time, and the most memory in MiB.
    fn used(&self) -> (f64, f64) {
        let read =
            |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", self.process.id())).unwrap_or_default();
        let stat = read("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        // User and system time in ticks, of which Linux has a hundred a second.
        let ticks = |place: usize| {
            fields
                .get(place)
                .and_then(|ticks| ticks.parse::<f64>().ok())
                .unwrap_or(0.0)
        };
        let status = read("status");
        let peak = status.lines().find_map(|line| {
            line.strip_prefix("VmHWM:")?
                .trim()
                .strip_suffix(" kB")?
                .trim()
                .parse::<f64>()
                .ok()
        });
        ((ticks(11) + ticks(12)) / 100.0, peak.unwrap_or(0.0) / 1024.0)
    }
}

fn measure(args: &ServeArgs, monitor: &Monitor, folder: &Path, form: Form, alone: f64) -> anyhow::Result<Measured> {
    let state = folder.join(format!("state-{form:?}"));
    let service = Service::start(&state)?;
    let bodies: Vec<Vec<Exchange>> = (0..args.clients)
        .map(|client| bodies(monitor, form, client, args.batch))
        .collect::<anyhow::Result<_>>()?;
    let full = load(&service, &bodies, args, None)?;
    let (cpu, _) = service.used();
    let rate = full.images as f64 / full.seconds;
    let half = load(&service, &bodies, args, Some(rate / 2.0))?;
    let (_, peak) = service.used();
    let percentile = |latencies: &[f64], q: f64| {
        latencies
            .get((q * latencies.len() as f64) as usize)
            .copied()
            .unwrap_or_default()
    };
    Ok(Measured {
        form,
        images_per_second: rate,
        share_of_score: rate / alone,
        p50: percentile(&full.latencies, 0.5),
        p99: percentile(&full.latencies, 0.99),
        half_p50: percentile(&half.latencies, 0.5),
        half_p99: percentile(&half.latencies, 0.99),
        refused: full.refused,
        cpu_microseconds: 1e6 * cpu / full.images as f64,
        peak_mib: peak,
    })
}

/// A request with its headers, and the response if it is logged.
struct Exchange {
    request: Vec<u8>,
    response: Option<Vec<u8>>,
}

fn bodies(monitor: &Monitor, form: Form, client: u64, batch: u64) -> anyhow::Result<Vec<Exchange>> {
    let shapes = Shapes::new(0);
    (0..REQUESTS)
        .map(|i| -> anyhow::Result<Exchange> {
            let images = shapes.generate(TEST_FIRST_INDEX + (client * REQUESTS + i) * batch, batch as usize);
            let shape = images.shape();
            let nested = |pixel: &dyn Fn(u8) -> String| {
                let mut text = String::from("{\"instances\":[");
                for (place, image) in images.images().enumerate() {
                    text += if place > 0 { ",[" } else { "[" };
                    let rows = image.chunks(shape[2] * 3).map(|row| {
                        let pixels = row.chunks(3).map(|p| format!("[{}]", p.iter().map(|&b| pixel(b)).collect::<Vec<_>>().join(",")));
                        format!("[{}]", pixels.collect::<Vec<_>>().join(","))
                    });
                    text += &rows.collect::<Vec<_>>().join(",");
                    text.push(']');
                }
                text + "]}"
            };
            let tensor = |more: &str| format!("{{\"inputs\":[{{\"name\":\"x\",\"shape\":{shape:?},\"datatype\":\"UINT8\",{more}}}]}}");
            let request = match form {
                Form::V1 => nested(&|byte| (f64::from(byte) / 255.0).to_string()).into_bytes(),
                Form::V2 => {
                    let data: Vec<String> = images.pixels().iter().map(u8::to_string).collect();
                    tensor(&format!("\"data\":[{}]", data.join(","))).into_bytes()
                }
                Form::V2Binary | Form::Logged => {
                    let head = tensor(&format!("\"parameters\":{{\"binary_data_size\":{}}}", images.pixels().len()));
                    [head.as_bytes(), images.pixels()].concat()
                }
            };
            let response = match form {
                Form::Logged => {
                    let classifier = monitor.classifier().context("the monitor has no classifier")?;
                    let rows = classifier.predict_proba(images.pixels(), |_| ())?;
                    let size = 4 * rows.len();
                    let head = format!(
                        "{{\"outputs\":[{{\"name\":\"p\",\"shape\":[{batch},{}],\"datatype\":\"FP32\",\"parameters\":{{\"binary_data_size\":{size}}}}}]}}",
                        monitor.n_classes()
                    );
                    let bytes: Vec<u8> = rows.iter().flat_map(|value| value.to_le_bytes()).collect();
                    Some([head.into_bytes(), bytes].concat())
                }
                _ => None,
            };
            Ok(Exchange { request, response })
        })
        .collect()
}

struct Load {
    images: u64,
    seconds: f64,
    /// Sorted, in milliseconds.
    latencies: Vec<f64>,
    refused: u64,
}

/// Sends for a time, as fast as it is taken or at a rate of images a second, and waits until everything is scored.
fn load(service: &Service, bodies: &[Vec<Exchange>], args: &ServeArgs, rate: Option<f64>) -> anyhow::Result<Load> {
    let before = service.scored()?;
    let started = Instant::now();
    let ends = started + Duration::from_secs(args.seconds);
    let (taken, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let pause = rate.map(|rate| Duration::from_secs_f64(args.batch as f64 * bodies.len() as f64 / rate));
    let work = |client: usize, exchanges: &[Exchange]| -> anyhow::Result<Vec<f64>> {
        let mut connection = Connection::open(service.address)?;
        let mut latencies = Vec::new();
        let mut due = Instant::now();
        for (n, exchange) in exchanges.iter().cycle().enumerate() {
            if Instant::now() >= ends {
                break;
            }
            if let Some(pause) = pause {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                due += pause;
            }
            let id = format!("{client}-{n}-{}", started.elapsed().as_nanos());
            let mode = if exchange.response.is_some() { "logged" } else { "own" };
            let halves = [
                Some(("request", &exchange.request)),
                exchange.response.as_ref().map(|body| ("response", body)),
            ];
            for (half, body) in halves.into_iter().flatten() {
                loop {
                    let sent = Instant::now();
                    match connection.post(half, mode, &id, body)? {
                        202 => {
                            latencies.push(1000.0 * sent.elapsed().as_secs_f64());
                            break;
                        }
                        429 => {
                            refused.fetch_add(1, Ordering::Relaxed);
                            connection = Connection::open(service.address)?;
                            std::thread::sleep(Duration::from_millis(10));
                        }
                        other => bail!("the service answered {other}"),
                    }
                }
            }
            taken.fetch_add(args.batch, Ordering::Relaxed);
        }
        Ok(latencies)
    };
    let mut latencies = std::thread::scope(|scope| {
        let threads: Vec<_> = bodies
            .iter()
            .enumerate()
            .map(|(client, exchanges)| scope.spawn(move || work(client, exchanges)))
            .collect();
        let mut all = Vec::new();
        for thread in threads {
            match thread.join() {
                Ok(latencies) => all.extend(latencies?),
                Err(_) => bail!("a client panicked"),
            }
        }
        Ok(all)
    })?;
    let images = taken.load(Ordering::Relaxed);
    while service.scored()? < before + images {
        ensure!(
            started.elapsed() < Duration::from_secs(60 + 20 * args.seconds),
            "not everything that was acknowledged is scored"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    latencies.sort_by(f64::total_cmp);
    Ok(Load {
        images,
        seconds: started.elapsed().as_secs_f64(),
        latencies,
        refused: refused.load(Ordering::Relaxed),
    })
}

struct Connection {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Connection {
    fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            address,
            stream: BufReader::new(stream),
        })
    }

    /// Sends half of an exchange; gives the status. Images without an answer go to the address that waits for none.
    fn post(&mut self, half: &str, mode: &str, id: &str, body: &[u8]) -> anyhow::Result<u16> {
        let source = format!(
            "ce-source: bench\r\nce-type: org.kubeflow.serving.inference.{half}\r\nce-specversion: 1.0\r\nce-id: {id}\r\n"
        );
        // A request that has no response to wait for says so.
        let path = if mode == "own" { "/?answers=own" } else { "/" };
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\n{source}content-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.with_context(|| format!("no answer: {line:?}"))?;
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut rest = vec![0; length];
        self.stream.read_exact(&mut rest)?;
        Ok(status)
    }
}
