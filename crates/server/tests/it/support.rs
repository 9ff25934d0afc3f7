//! A service on loopback, monitors to serve, and a client.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use riptide::corruptions::{Corruption, Corruptor, Severity};
use riptide::datasets::shapes::{CLASS_NAMES, Shapes, TEST_FIRST_INDEX};
use riptide::prelude::*;
use riptide::{Calibrate, pretrained, shipped_networks};
use riptide_server::{Clock, Config, MonitorConfig, Service};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Monitors on disk, made once.
pub struct Monitors {
    _folder: TempDir,
    /// Of the shipped networks for Shapes, without a calibration, with 300 images as its reference.
    pub plain: PathBuf,
    /// The same, calibrated on a few families of corruptions.
    pub calibrated: PathBuf,
}

pub fn monitors() -> &'static Monitors {
    static MONITORS: OnceLock<Monitors> = OnceLock::new();
    MONITORS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let save = |name: &str, calibration: Option<Calibrate>| {
            let (classifier, distilled) = shipped_networks(&pretrained::SHAPES).unwrap();
            let import = Import::default()
                .class_names(Some(CLASS_NAMES.map(String::from).to_vec()))
                .calibration(calibration);
            let monitor = import.run(classifier, distilled, clean(0, 300), &mut Silent).unwrap();
            let path = folder.path().join(name);
            monitor.save(&path).unwrap();
            path
        };
        let families = [
            Corruption::ShotNoise,
            Corruption::DefocusBlur,
            Corruption::Contrast,
            Corruption::Fog,
            Corruption::Pixelate,
            Corruption::Saturate,
        ];
        let families = families.map(Into::into).to_vec();
        let quick = Calibrate::default().n_images(100).families(families).required(true);
        Monitors {
            plain: save("plain", None),
            calibrated: save("calibrated", Some(quick)),
            _folder: folder,
        }
    })
}

/// Clean images of Shapes, behind those of the reference.
pub fn clean(first: u64, n: usize) -> ImageSet {
    Shapes::new(0).generate(TEST_FIRST_INDEX + first, n)
}

/// The same images with a corruption at severity 5.
pub fn corrupted(images: &ImageSet, corruption: Corruption) -> ImageSet {
    Corruptor::new(0)
        .apply(images, corruption, Severity::new(5).unwrap())
        .unwrap()
}

/// A service with its state, which ends with the test.
pub struct Running {
    pub runtime: tokio::runtime::Runtime,
    pub service: Option<Service>,
    pub address: SocketAddr,
    pub clock: Clock,
}

/// The settings of most tests: one plain monitor, windows of 100 images.
pub fn settings(state: &Path) -> Config {
    let mut config = Config::default();
    config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.state = state.into();
    config.monitors = vec![MonitorConfig::new(&monitors().plain).name("shapes")];
    config.window.images = 100;
    config
}

impl Running {
    pub fn start(config: Config) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let clock = Clock::default();
        let service = runtime.block_on(Service::start_with(config, clock.clone())).unwrap();
        let address = service.address();
        Self {
            runtime,
            service: Some(service),
            address,
            clock,
        }
    }

    pub fn stop(mut self) {
        let service = self.service.take().unwrap();
        self.runtime.block_on(service.stop());
    }

    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// Windows that were judged, oldest first, as soon as there are so many.
    pub fn windows(&self, name: &str, n: usize) -> Vec<Value> {
        let mut client = self.client();
        wait(|| {
            let windows = client.get(&format!("/v1/monitors/{name}/windows?most=1000")).json();
            let mut judged: Vec<Value> = windows["windows"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|w| w["state"] == "judged")
                .cloned()
                .collect();
            judged.reverse();
            (judged.len() >= n).then_some(judged)
        })
    }

    /// A number among the metrics, 0 if it is not there.
    pub fn metric(&self, line: &str) -> f64 {
        let text = self.client().get("/metrics").text();
        let found = text
            .lines()
            .find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
        found.unwrap_or(0.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(service) = self.service.take() {
            self.runtime.block_on(service.stop());
        }
    }
}

/// Asks until there is an answer.
pub fn wait<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < until, "it took too long");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A plain client of HTTP/1.1 that keeps its connection, and sends what it is told to.
pub struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], &[]).unwrap()
    }

    pub fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.send("POST", path, headers, body).unwrap()
    }

    /// Sends a request; an error is a connection that ended without an answer.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<Answer> {
        let mut text = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n",
            self.address,
            body.len()
        );
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        self.raw(&[text.as_bytes(), body].concat())
    }

    /// Sends bytes as they are. A connection that the service closed meanwhile is opened anew, once.
    pub fn raw(&mut self, bytes: &[u8]) -> std::io::Result<Answer> {
        let was_open = self.stream.is_some();
        match self.once(bytes) {
            Err(_) if was_open => self.once(bytes),
            answer => answer,
        }
    }

    fn once(&mut self, bytes: &[u8]) -> std::io::Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => TcpStream::connect(self.address)?,
        };
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.set_nodelay(true)?;
        // Who is refused early may be cut off while it still sends; the answer is there all the same.
        let sent = stream.write_all(bytes);
        let answer = read(&mut stream).or_else(|error| sent.and(Err(error)))?;
        if !answer.head.to_ascii_lowercase().contains("connection: close") {
            self.stream = Some(stream);
        }
        Ok(answer)
    }
}

/// Reads one answer.
pub fn read(stream: &mut TcpStream) -> std::io::Result<Answer> {
    let ended = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let mut all = Vec::new();
    let mut buffer = [0; 1 << 16];
    let end = loop {
        if let Some(end) = all.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read(&mut buffer)? {
            0 => return Err(ended()),
            n => all.extend_from_slice(&buffer[..n]),
        }
    };
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length:")?
            .trim()
            .parse()
            .ok()
    });
    let length: usize = length.unwrap_or(0);
    while all.len() < end + length {
        match stream.read(&mut buffer)? {
            0 => return Err(ended()),
            n => all.extend_from_slice(&buffer[..n]),
        }
    }
    Ok(Answer {
        status,
        head,
        body: all[end..end + length].to_vec(),
    })
}

/// What a logger of KServe sends: a request or a response, in binary mode.
pub fn log(client: &mut Client, half: &str, id: &str, more: &[(&str, &str)], body: &[u8]) -> Answer {
    let kind = format!("org.kubeflow.serving.inference.{half}");
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", id),
        ("ce-source", "http://localhost:9081/"),
        ("ce-type", &kind),
        ("ce-inferenceservicename", "shapes"),
        ("ce-namespace", "default"),
        ("content-type", "application/json"),
    ];
    client.post("/", &[&headers, more].concat(), body)
}

/// Images as a V1 request of scaled floats, as KServe's notebook makes it.
pub fn v1(images: &ImageSet) -> Vec<u8> {
    let (height, width) = (images.height(), images.width());
    let rows = |image: &[u8]| -> Value {
        let pixel = |pixel: &[u8]| -> Value { pixel.iter().map(|&byte| json!(f64::from(byte) / 255.0)).collect() };
        let row = |row: &[u8]| -> Value { row.chunks(3).map(pixel).collect() };
        assert_eq!(image.len(), height * width * 3);
        image.chunks(width * 3).map(row).collect()
    };
    let instances: Vec<Value> = images.images().map(rows).collect();
    json!({ "instances": instances }).to_string().into_bytes()
}

/// Images as a V2 request with a binary tensor.
pub fn v2(images: &ImageSet, id: Option<&str>) -> Vec<u8> {
    let mut head = json!({ "inputs": [{ "name": "images", "datatype": "UINT8", "shape": images.shape(),
        "parameters": { "binary_data_size": images.pixels().len() } }] });
    if let Some(id) = id {
        head["id"] = id.into();
    }
    [head.to_string().as_bytes(), images.pixels()].concat()
}

/// The classifier's answers as a V1 response.
pub fn answers(images: &ImageSet) -> Vec<u8> {
    let monitor = Monitor::load(&monitors().plain).unwrap();
    let rows = monitor
        .classifier()
        .unwrap()
        .predict_proba(images.pixels(), |_| ())
        .unwrap();
    let rows: Vec<&[f32]> = rows.chunks(monitor.n_classes()).collect();
    json!({ "predictions": rows }).to_string().into_bytes()
}

/// An image as a PNG file.
pub fn png(image: &[u8], height: usize, width: usize) -> Vec<u8> {
    use base64::Engine;
    let uri = riptide::draw::data_uri(image, height, width).unwrap();
    base64::engine::general_purpose::STANDARD
        .decode(uri.split(',').nth(1).unwrap())
        .unwrap()
}

/// That a window's numbers are those of the library for the same images, bit for bit.
pub fn assert_same(window: &Value, monitor: &Path, images: &ImageSet) {
    let outcome = Monitor::load(monitor).unwrap().detect(images).unwrap();
    let expected = serde_json::to_value(&outcome).unwrap();
    // As text, so that every bit of every number counts.
    assert_eq!(window["findings"]["outcome"].to_string(), expected.to_string());
}
