//! What the threads and the requests of a service share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use riptide::datasets::picture::PictureOptions;
use riptide::files::digest;
use riptide::prelude::Monitor;
use tokio::sync::{Semaphore, oneshot};

use crate::appearance::Appearance;
use crate::config::{AnswerSource, Config};
use crate::metrics::Metrics;
use crate::payload::{Expected, Rejection, Taken};
use crate::store::{Closing, Contents, Pairing, Reader, Rules, Writer};
use crate::time::{Clock, Millis, seconds};

/// Everything that is shared.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) writer: Writer,
    pub(crate) reader: Reader,
    pub(crate) models: Vec<Served>,
    pub(crate) queue: Queue,
    pub(crate) waiters: Waiters,
    /// Bytes of bodies in work.
    pub(crate) bodies: Budget,
    pub(crate) requests: Arc<Semaphore>,
    /// Bodies that are taken apart at the same time: as many as there are cores.
    pub(crate) parsing: Semaphore,
    pub(crate) scorer: Wake,
    pub(crate) judge: Wake,
    pub(crate) outbox: Wake,
    /// Whether requests are taken.
    pub(crate) is_ready: AtomicBool,
    /// Whether the threads are to end.
    pub(crate) is_stopping: AtomicBool,
}

/// A monitor with what is needed to serve it.
#[derive(Debug)]
pub(crate) struct Served {
    /// Its number in the database.
    pub(crate) id: i64,
    pub(crate) name: String,
    /// Of its facts, options not included.
    pub(crate) digest: String,
    pub(crate) monitor: Monitor,
    pub(crate) expected: Expected,
    /// What its reference looks like, if images of it were given.
    pub(crate) appearance: Option<Appearance>,
}

impl Served {
    pub(crate) fn new(
        id: i64,
        name: String,
        monitor: Monitor,
        appearance: Option<Appearance>,
        config: &Config,
    ) -> Self {
        let (height, width) = monitor.input_size();
        let expected = Expected {
            height,
            width,
            n_classes: monitor.n_classes(),
            pixels: config.input.pixels,
            pictures: PictureOptions::default().framing(config.input.framing),
            most_images: config.limits.images,
        };
        Self {
            id,
            name,
            digest: monitor_digest(&monitor),
            monitor,
            expected,
            appearance,
        }
    }
}

/// Tells monitors apart whose scores mean different things.
pub(crate) fn monitor_digest(monitor: &Monitor) -> String {
    // Facts are plain data, which always can be written as JSON.
    let facts = serde_json::to_vec(monitor.facts()).unwrap_or_default();
    digest::of_bytes(&facts)
}

impl Shared {
    /// The monitor of a name.
    pub(crate) fn served(&self, name: &str) -> Taken<&Served> {
        let found = self.models.iter().find(|served| served.name == name);
        found.ok_or_else(|| Rejection::new(404, "unknown_model", "there is no monitor of this name here"))
    }

    /// The monitor of an event: by its InferenceService, or the only one.
    pub(crate) fn served_for(&self, service: Option<&str>) -> Taken<&Served> {
        match (service, self.models.as_slice()) {
            (_, [only]) => Ok(only),
            (Some(name), _) => self.served(name),
            (None, _) => {
                let message = "several monitors are served, and the event does not say by ce-inferenceservicename which one it is for";
                Err(Rejection::new(422, "unknown_model", message))
            }
        }
    }

    pub(crate) fn served_by_id(&self, id: i64) -> Option<&Served> {
        self.models.iter().find(|served| served.id == id)
    }

    /// How long halves wait for each other. A calibration of two views needs the classifier's answer to the mirrored image, which no
    /// log has.
    pub(crate) fn pairing(&self, served: &Served) -> Pairing {
        let is_two_views = served
            .monitor
            .calibration()
            .is_some_and(|calibration| calibration.model().views() > 1);
        match self.config.input.answers {
            AnswerSource::Logged if is_two_views => Pairing::Own,
            AnswerSource::Logged => Pairing::Wait(seconds(self.config.queue.pairing_seconds)),
            AnswerSource::Own => Pairing::Own,
        }
    }

    pub(crate) fn closing(&self) -> Closing {
        let window = &self.config.window;
        let some = |value: u64| (value > 0).then(|| i64::try_from(value).unwrap_or(i64::MAX));
        Closing {
            images: some(window.images),
            every: some(window.seconds).map(|_| seconds(window.seconds)),
            lateness: seconds(window.lateness_seconds),
            idle: some(window.idle_seconds).map(|_| seconds(window.idle_seconds)),
            exemplars: window.exemplars,
            oldest: seconds(self.config.retention.event_days.saturating_mul(86_400)),
        }
    }

    pub(crate) fn alarm_rules(&self) -> Rules {
        Rules {
            raise_after: self.config.alarm.raise_after.into(),
            resolve_after: self.config.alarm.resolve_after.into(),
            sinks: self.config.sinks.iter().map(|sink| sink.called()).collect(),
        }
    }

    /// When an event happened. A time that is ahead of our clock by more than the lateness comes from a clock that is wrong, and
    /// would close windows before their time.
    pub(crate) fn event_time(&self, told: Option<Millis>, received_at: Millis) -> Millis {
        let most = received_at.saturating_add(seconds(self.config.window.lateness_seconds));
        match told {
            Some(time) if time <= most => time,
            _ => received_at,
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }
}

/// How much waits to be scored.
#[derive(Debug)]
pub(crate) struct Queue {
    images: AtomicI64,
    bytes: AtomicI64,
    most_images: i64,
    most_bytes: i64,
}

/// Room in the queue, given back unless it is kept.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    queue: &'a Queue,
    images: i64,
    bytes: i64,
}

impl Queue {
    pub(crate) fn new(config: &Config, (images, bytes): (u64, u64)) -> Self {
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        Self {
            images: AtomicI64::new(signed(images)),
            bytes: AtomicI64::new(signed(bytes)),
            most_images: signed(config.queue.images),
            most_bytes: signed(config.queue.bytes),
        }
    }

    /// Takes room for images, or says that there is none. One request always fits into an empty queue.
    pub(crate) fn reserve(&self, images: usize, bytes: usize) -> Taken<Room<'_>> {
        let (images, bytes) = (images as i64, bytes as i64);
        let before = self.images.fetch_add(images, Ordering::AcqRel);
        let before_bytes = self.bytes.fetch_add(bytes, Ordering::AcqRel);
        let room = Room {
            queue: self,
            images,
            bytes,
        };
        let is_full = before + images > self.most_images || before_bytes + bytes > self.most_bytes;
        match is_full && before > 0 {
            true => Err(Rejection::busy(
                "queue_full",
                "too many images wait to be scored; try again later",
            )),
            false => Ok(room),
        }
    }

    /// Images were scored.
    pub(crate) fn release(&self, images: usize, bytes: usize) {
        self.images.fetch_sub(images as i64, Ordering::AcqRel);
        self.bytes.fetch_sub(bytes as i64, Ordering::AcqRel);
    }

    /// Images and bytes.
    pub(crate) fn waiting(&self) -> (i64, i64) {
        (self.images.load(Ordering::Acquire), self.bytes.load(Ordering::Acquire))
    }
}

impl Room<'_> {
    /// The images are in the queue now.
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.queue.images.fetch_sub(self.images, Ordering::AcqRel);
        self.queue.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// Bytes that may be in work at the same time.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    most: usize,
}

/// Bytes in work, given back when this goes.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    budget: &'a Budget,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            most,
        }
    }

    pub(crate) fn share(&self) -> Share<'_> {
        Share { budget: self, bytes: 0 }
    }
}

impl Share<'_> {
    /// Takes more bytes, or says that there are none.
    pub(crate) fn grow(&mut self, bytes: usize) -> Taken<()> {
        let before = self.budget.used.fetch_add(bytes, Ordering::AcqRel);
        self.bytes += bytes;
        match before.saturating_add(bytes) > self.budget.most {
            true => Err(Rejection::busy(
                "bodies",
                "too many bytes of requests are in work; try again",
            )),
            false => Ok(()),
        }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// A thread that sleeps until there is something to do.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    called: Mutex<bool>,
    condition: Condvar,
}

impl Wake {
    /// There is something to do.
    pub(crate) fn call(&self) {
        *self.called.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.condition.notify_all();
    }

    /// Sleeps until called, at most so long.
    pub(crate) fn sleep(&self, longest: Duration) {
        let called = self.called.lock().unwrap_or_else(PoisonError::into_inner);
        let woken = self.condition.wait_timeout_while(called, longest, |called| !*called);
        let (mut called, _) = woken.unwrap_or_else(PoisonError::into_inner);
        *called = false;
    }
}

/// What an event was found to be, or why it could not be scored.
pub(crate) type EventResult = Result<Arc<Contents>, String>;

/// Requests that wait for the result of their event, by its key.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Mutex<HashMap<[u8; 32], oneshot::Sender<EventResult>>>);

impl Waiters {
    /// Waits for an event that is about to be written.
    pub(crate) fn wait(&self, key: [u8; 32]) -> oneshot::Receiver<EventResult> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those who left are found when somebody comes.
        waiting.retain(|_, sender| !sender.is_closed());
        waiting.insert(key, sender);
        receiver
    }

    /// Whether anybody waits for an event.
    pub(crate) fn take(&self, key: &[u8]) -> Option<oneshot::Sender<EventResult>> {
        let key: [u8; 32] = key.try_into().ok()?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_bounded_and_gives_back() {
        let mut config = Config::default();
        config.queue.images = 10;
        config.queue.bytes = 100;
        let queue = Queue::new(&config, (4, 0));
        let room = queue.reserve(6, 50).unwrap();
        assert_eq!(queue.reserve(1, 1).unwrap_err().status, 429);
        drop(room);
        queue.reserve(6, 50).unwrap().keep();
        assert_eq!(queue.waiting(), (10, 50));
        queue.release(10, 50);
        // One that is larger than the queue is not refused for ever.
        queue.reserve(50, 5000).unwrap().keep();
        assert!(queue.reserve(1, 1).is_err());
        let budget = Budget::new(10);
        let mut share = budget.share();
        share.grow(8).unwrap();
        assert!(budget.share().grow(3).is_err());
        drop(share);
        assert!(budget.share().grow(10).is_ok());
    }
}
