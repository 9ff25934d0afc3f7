//! A small HTTP server on this machine that misbehaves as it is told.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request, as far as it matters here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
}

impl Request {
    /// The first byte that is asked for.
    pub(crate) fn start(&self) -> Option<usize> {
        self.headers
            .get("range")?
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    }
}

/// What the server does with a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Declares this length instead of the body's.
    pub(crate) declared: Option<usize>,
    /// Breaks off after so many bytes of the body.
    pub(crate) cut_after: Option<usize>,
    /// Sends a few bytes, then waits so long, and so on.
    pub(crate) slowly: Option<Duration>,
    /// Does not answer, and keeps the connection open.
    pub(crate) silent: bool,
}

/// The whole file, without support for ranges.
pub(crate) fn whole(body: &[u8]) -> Answer {
    Answer {
        status: 200,
        body: body.to_vec(),
        ..Answer::default()
    }
}

pub(crate) fn status(status: u16) -> Answer {
    Answer {
        status,
        body: b"sorry".to_vec(),
        ..Answer::default()
    }
}

/// As a good server answers: a range if one is asked for and the tag still fits.
pub(crate) fn ranged(request: &Request, body: &[u8], etag: &str) -> Answer {
    let headers = vec![("ETag".to_owned(), etag.to_owned())];
    let fits = request.headers.get("if-range").is_none_or(|tag| tag == etag);
    match request.start().filter(|_| fits) {
        None => Answer { headers, ..whole(body) },
        Some(start) if start < body.len() => {
            let range = format!("bytes {start}-{}/{}", body.len() - 1, body.len());
            let headers = [headers, vec![("Content-Range".to_owned(), range)]].concat();
            Answer {
                status: 206,
                headers,
                body: body[start..].to_vec(),
                ..Answer::default()
            }
        }
        Some(_) => {
            let headers = vec![("Content-Range".to_owned(), format!("bytes */{}", body.len()))];
            Answer { headers, ..status(416) }
        }
    }
}

pub(crate) struct Server {
    pub(crate) base: String,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Serves with a function of the request and its number, counted from 0.
    pub(crate) fn start(answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&log), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let Some(request) = read(&stream) else { return };
                    let number = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(request.clone());
                        seen.len() - 1
                    };
                    // The client may have gone away, as some tests want it to.
                    let _ = write(stream, &answer(&request, number));
                });
            }
        });
        Self { base, log }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let mut headers = HashMap::new();
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    Some(Request { path, headers })
}

fn write(mut stream: TcpStream, answer: &Answer) -> std::io::Result<()> {
    if answer.silent {
        std::thread::sleep(Duration::from_secs(120));
        return Ok(());
    }
    let length = answer.declared.unwrap_or(answer.body.len());
    write!(
        stream,
        "HTTP/1.1 {} Whatever\r\nContent-Length: {length}\r\nConnection: close\r\n",
        answer.status
    )?;
    for (name, value) in &answer.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    let body = &answer.body[..answer.cut_after.unwrap_or(usize::MAX).min(answer.body.len())];
    match answer.slowly {
        None => stream.write_all(body)?,
        Some(pause) => {
            for piece in body.chunks(body.len().div_ceil(5).max(1)) {
                stream.write_all(piece)?;
                stream.flush()?;
                std::thread::sleep(pause);
            }
        }
    }
    stream.flush()
}
