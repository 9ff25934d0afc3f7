//! One file behind an HTTP address, read in spite of cut connections, timeouts and misbehaving servers.

use std::io::{self, Read};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ureq::ResponseExt;
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body, BodyReader};

use super::error::redact;

/// How long to wait, and how often to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// Attempts in a row that may fail without a single byte of progress, after the first.
    pub retries: u32,
    /// The pause before the first retry; it doubles with each further one.
    pub first_delay: Duration,
    /// The longest pause.
    pub max_delay: Duration,
    /// How long an address may take to resolve and connect.
    pub connect: Duration,
    /// How long a server may take to start answering.
    pub response: Duration,
    /// How long a server may be silent within a file.
    pub silence: Duration,
    /// How long everything together may take until the first answer of any server; after that there is no network.
    pub no_network: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            retries: 4,
            first_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(8),
            connect: Duration::from_secs(5),
            response: Duration::from_secs(20),
            silence: Duration::from_secs(30),
            no_network: Duration::from_secs(12),
        }
    }
}

impl Patience {
    /// The pause before retry number `retry` (from 0).
    pub(crate) fn delay(&self, retry: u32) -> Duration {
        self.first_delay
            .saturating_mul(1u32.checked_shl(retry).unwrap_or(u32::MAX))
            .min(self.max_delay)
    }
}

/// The HTTP client and what is known of the network, shared by all transfers of a fetcher.
#[derive(Debug)]
pub(crate) struct Network {
    agent: Agent,
    pub(crate) patience: Patience,
    first_request: OnceLock<Instant>,
    answered: AtomicBool,
}

impl Network {
    pub(crate) fn new(patience: Patience) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(concat!("riptide/", env!("CARGO_PKG_VERSION")))
            .timeout_per_read(Some(patience.silence))
            .build()
            .into();
        Self {
            agent,
            patience,
            first_request: OnceLock::new(),
            answered: AtomicBool::new(false),
        }
    }

    /// How long may still be waited for a first answer; `None` when some server has answered before.
    fn left(&self) -> Option<Duration> {
        let start = *self.first_request.get_or_init(Instant::now);
        if self.answered.load(Ordering::Relaxed) {
            return None;
        }
        Some(self.patience.no_network.saturating_sub(start.elapsed()))
    }
}

/// Why a transfer was given up.
#[derive(Debug)]
pub(crate) enum TransferError {
    Unreachable(String),
    NotFound(String),
    Failed(String),
}

/// The outcome of one request.
enum Attempt {
    /// Worth another try.
    Again(TransferError),
    /// Not worth another try.
    GiveUp(TransferError),
}

/// What is told about a retry: the reason and the pause.
pub(crate) type OnRetry<'a> = &'a mut dyn FnMut(&str, Duration);

/// The bytes of one address from `offset` on, across as many connections as it takes.
pub(crate) struct Remote<'n> {
    network: &'n Network,
    url: String,
    body: Option<BodyReader<'static>>,
    offset: u64,
    total: Option<u64>,
    /// The published length, for servers that do not tell it.
    size: Option<u64>,
    /// A strong entity tag or a date, to be sure that a later range is of the same file.
    validator: Option<String>,
    started: Instant,
    answered: bool,
    failures: u32,
    complete: bool,
}

impl<'n> Remote<'n> {
    /// Connects, asking for what comes after the first `offset` bytes of the file that had `validator`. If the server
    /// gives the whole file instead, [`offset`](Self::offset) is 0 afterwards and the caller has to begin again.
    pub(crate) fn open(
        network: &'n Network,
        url: &str,
        offset: u64,
        validator: Option<String>,
        size: Option<u64>,
        on_retry: OnRetry<'_>,
    ) -> Result<Self, TransferError> {
        let mut remote = Self {
            network,
            url: url.to_owned(),
            body: None,
            offset,
            total: None,
            size,
            validator,
            started: Instant::now(),
            answered: false,
            failures: 0,
            complete: false,
        };
        remote.connect(true, on_retry)?;
        Ok(remote)
    }

    /// Bytes of the file so far.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The length of the file, if the server has told it.
    pub(crate) fn total(&self) -> Option<u64> {
        self.total
    }

    /// What identifies this version of the file to the server.
    pub(crate) fn validator(&self) -> Option<&str> {
        self.validator.as_deref()
    }

    /// Reads on; 0 at the true end of the file.
    pub(crate) fn read(&mut self, buffer: &mut [u8], on_retry: OnRetry<'_>) -> Result<usize, TransferError> {
        while !self.complete {
            let Some(body) = &mut self.body else {
                self.connect(false, on_retry)?;
                continue;
            };
            let cut = match body.read(buffer) {
                Ok(0) => match self.total.or(self.size) {
                    Some(total) if self.offset < total => {
                        format!("the connection ended after {} of {total} bytes", self.offset)
                    }
                    _ => return Ok(0),
                },
                Ok(read) => {
                    self.offset += read as u64;
                    self.failures = 0;
                    return Ok(read);
                }
                Err(error) => format!("the connection broke after {} bytes: {error}", self.offset),
            };
            self.body = None;
            self.pause(TransferError::Failed(cut), on_retry)?;
        }
        Ok(0)
    }

    /// Counts a failure and waits, or gives up with it.
    fn pause(&mut self, error: TransferError, on_retry: OnRetry<'_>) -> Result<(), TransferError> {
        let patience = &self.network.patience;
        if self.failures >= patience.retries {
            return Err(error);
        }
        let delay = patience.delay(self.failures);
        if self.left().is_some_and(|left| left <= delay) {
            return Err(error);
        }
        self.failures += 1;
        let (TransferError::Unreachable(reason) | TransferError::NotFound(reason) | TransferError::Failed(reason)) =
            &error;
        on_retry(reason, delay);
        std::thread::sleep(delay);
        Ok(())
    }

    /// How long this address may still take to answer for the first time.
    fn left(&self) -> Option<Duration> {
        if self.answered {
            return None;
        }
        let own = self.network.patience.no_network.saturating_sub(self.started.elapsed());
        Some(self.network.left().map_or(own, |shared| shared.min(own)))
    }

    /// Connects until it works. `fresh`: nothing has been read yet, so the file may be begun again.
    fn connect(&mut self, fresh: bool, on_retry: OnRetry<'_>) -> Result<(), TransferError> {
        loop {
            match self.request(fresh) {
                Ok(()) => return Ok(()),
                Err(Attempt::GiveUp(error)) => return Err(error),
                Err(Attempt::Again(error)) => self.pause(error, on_retry)?,
            }
        }
    }

    fn request(&mut self, fresh: bool) -> Result<(), Attempt> {
        let patience = &self.network.patience;
        let left = self.left();
        let bounded = |limit: Duration| left.map_or(limit, |left| left.min(limit));
        if left.is_some_and(|left| left.is_zero()) {
            let reason = format!("no answer within {} seconds", patience.no_network.as_secs());
            return Err(Attempt::GiveUp(TransferError::Unreachable(reason)));
        }
        let mut request = self
            .network
            .agent
            .get(&self.url)
            .header(header::ACCEPT_ENCODING, "identity");
        if self.offset > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", self.offset));
            if let Some(validator) = &self.validator {
                request = request.header(header::IF_RANGE, validator);
            }
        }
        let request = request
            .config()
            .timeout_resolve(Some(bounded(patience.connect)))
            .timeout_connect(Some(bounded(patience.connect)))
            .timeout_recv_response(Some(bounded(patience.response)))
            .build();
        let response = request.call().map_err(|error| self.classify(&error))?;
        self.answered = true;
        self.network.answered.store(true, Ordering::Relaxed);
        self.accept(response, fresh)
    }

    /// A request without an answer: worth another try unless the address itself is wrong.
    fn classify(&self, error: &ureq::Error) -> Attempt {
        let reason = error.to_string();
        match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::InvalidProxyUrl => {
                Attempt::GiveUp(TransferError::Failed(format!("not a valid address: {reason}")))
            }
            ureq::Error::TooManyRedirects | ureq::Error::RedirectFailed => {
                Attempt::GiveUp(TransferError::Failed(reason))
            }
            _ if self.answered => Attempt::Again(TransferError::Failed(reason)),
            _ => Attempt::Again(TransferError::Unreachable(reason)),
        }
    }

    /// Looks at the answer, and takes its body if it is what was asked for.
    fn accept(&mut self, response: Response<Body>, fresh: bool) -> Result<(), Attempt> {
        let give_up = |reason: String| Err(Attempt::GiveUp(TransferError::Failed(reason)));
        let status = response.status();
        if self.url.starts_with("https:") && response.get_uri().scheme_str() == Some("http") {
            return give_up(format!(
                "led on to an address without encryption: {}",
                redact(&response.get_uri().to_string())
            ));
        }
        let text = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let answer = format!("HTTP status {status}");
        match status {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => {
                if text(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
                    return give_up("the server sends the file in another encoding than was asked for".to_owned());
                }
                let validator = strong(text(header::ETAG)).or_else(|| text(header::LAST_MODIFIED));
                if status == StatusCode::OK {
                    let total = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
                    self.take_whole(response, total, validator, fresh)
                } else {
                    let range = text(header::CONTENT_RANGE).and_then(|range| content_range(&range));
                    let Some((start, total)) = range.filter(|(start, _)| *start == self.offset) else {
                        return give_up(format!("asked for the bytes from {} on, and got others", self.offset));
                    };
                    debug_assert_eq!(start, self.offset);
                    if self.total.is_some() && total.is_some() && self.total != total {
                        return give_up("the file changed while it was being fetched".to_owned());
                    }
                    self.total = total.or(self.total);
                    self.validator = validator.or_else(|| self.validator.take());
                    self.body = Some(response.into_body().into_reader());
                    Ok(())
                }
            }
            StatusCode::RANGE_NOT_SATISFIABLE if self.offset > 0 => {
                let total = text(header::CONTENT_RANGE).and_then(|range| range.strip_prefix("bytes */")?.parse().ok());
                if total == Some(self.offset) {
                    self.total = total;
                    self.complete = true;
                    return Ok(());
                }
                if !fresh {
                    return give_up("the file changed while it was being fetched".to_owned());
                }
                self.offset = 0;
                self.validator = None;
                self.request(fresh)
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(Attempt::GiveUp(TransferError::NotFound(answer))),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                Err(Attempt::Again(TransferError::Failed(answer)))
            }
            status if status.is_server_error() => Err(Attempt::Again(TransferError::Failed(answer))),
            _ => give_up(answer),
        }
    }

    /// The server sends the file from its start. In the middle of a transfer what is there already is read over.
    fn take_whole(
        &mut self,
        response: Response<Body>,
        total: Option<u64>,
        validator: Option<String>,
        fresh: bool,
    ) -> Result<(), Attempt> {
        let mut body = response.into_body().into_reader();
        if fresh {
            self.offset = 0;
            self.validator = validator;
        } else {
            let changed = (self.validator.is_some() && self.validator != validator)
                || (self.total.is_some() && total.is_some() && self.total != total);
            if changed {
                let reason = "the file changed while it was being fetched".to_owned();
                return Err(Attempt::GiveUp(TransferError::Failed(reason)));
            }
            let skipped = io::copy(&mut (&mut body).take(self.offset), &mut io::sink());
            if !matches!(skipped, Ok(skipped) if skipped == self.offset) {
                let reason = format!("the server does not resume, and broke off before byte {}", self.offset);
                return Err(Attempt::Again(TransferError::Failed(reason)));
            }
        }
        self.total = total.or(self.total);
        self.body = Some(body);
        Ok(())
    }
}

/// An entity tag that is not weak: only such a one may be used with a range.
fn strong(etag: Option<String>) -> Option<String> {
    etag.filter(|tag| !tag.starts_with("W/"))
}

/// The start and, if it is known, the total of `bytes START-END/TOTAL`.
fn content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _end) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_bound() {
        let patience = Patience::default();
        let delays: Vec<u64> = (0..6).map(|retry| patience.delay(retry).as_millis() as u64).collect();
        assert_eq!(delays, [500, 1000, 2000, 4000, 8000, 8000]);
        assert_eq!(patience.delay(u32::MAX), patience.max_delay);
    }

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for wrong in ["", "bytes", "bytes 5/10", "items 5-9/10", "bytes x-9/10", "bytes 5-9"] {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
    }
}
