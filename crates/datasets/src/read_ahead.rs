//! Reading the next chunk while the last one is worked on.

use std::sync::mpsc::{self, Receiver, RecvError, Sender, TryRecvError};
use std::time::Duration;

use crate::error::{DatasetError, Result};
use crate::image_set::ImageSet;
use crate::source::{ImageSource, Skipped};

/// A source that reads one chunk ahead on a thread of its own, so that reading and whatever is done with the images do not wait
/// for each other. Chunks, their order and errors are the source's.
///
/// At most two chunks are in memory beside those handed out: the one that is being read, and what is left of one that was
/// larger than was asked for. Reading starts with the first chunk that is asked for. If this is dropped, the thread ends after
/// the chunk that it is reading.
///
/// ```
/// use riptide_datasets::{ImageSet, ImageSource, ReadAhead};
///
/// # fn main() -> Result<(), riptide_datasets::DatasetError> {
/// let set = ImageSet::unlabelled((0..30).collect(), 1, 2)?;
/// let mut source = ReadAhead::new(set.clone().into_source());
/// assert_eq!(source.next_chunk(2)?, Some(set.slice(0..2)?));
/// assert_eq!(source.next_chunk(9)?, Some(set.slice(2..4)?), "what was read ahead");
/// assert_eq!(source.next_chunk(9)?, Some(set.slice(4..5)?));
/// assert_eq!(source.next_chunk(9)?, None);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ReadAhead<S> {
    state: State<S>,
    /// What is left of a chunk.
    rest: Option<ImageSet>,
    /// What the source said when it handed out the last chunk.
    said: Said,
}

#[derive(Debug)]
enum State<S> {
    /// Not started.
    Here(S),
    /// On its thread.
    Away(Worker),
    /// At its end, or failed.
    Over,
}

#[derive(Debug)]
struct Worker {
    requests: Sender<usize>,
    answers: Receiver<Answer>,
    /// Whether a chunk has been asked for and has not come.
    is_asked: bool,
}

#[derive(Debug)]
struct Answer {
    chunk: Result<Option<ImageSet>>,
    said: Said,
}

#[derive(Debug, Clone, Default)]
struct Said {
    remaining: Option<u64>,
    size: Option<(usize, usize)>,
    unreadable: Option<Skipped>,
}

impl<S: ImageSource + Send + 'static> ReadAhead<S> {
    /// Wraps a source; nothing is read yet.
    pub fn new(source: S) -> Self {
        Self {
            said: Said::of(&source),
            state: State::Here(source),
            rest: None,
        }
    }

    fn start(source: S) -> Result<Worker> {
        let (requests, asked) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        std::thread::Builder::new()
            .name("read-ahead".to_owned())
            .spawn(move || work(source, &asked, &answer))
            .map_err(|error| DatasetError::io("a thread that reads ahead", error))?;
        Ok(Worker {
            requests,
            answers,
            is_asked: false,
        })
    }

    /// The next chunk that the thread reads, which is then asked for one more.
    fn receive(&mut self, max: usize) -> Result<Option<ImageSet>> {
        if matches!(self.state, State::Here(_))
            && let State::Here(source) = std::mem::replace(&mut self.state, State::Over)
        {
            self.state = State::Away(Self::start(source)?);
        }
        let State::Away(worker) = &mut self.state else {
            return Ok(None);
        };
        // A thread that ended without an answer has panicked; what it said of that is on standard error.
        let gone = || DatasetError::malformed("a thread that reads ahead", "ended unexpectedly");
        if !worker.is_asked {
            worker.requests.send(max).map_err(|_| gone())?;
        }
        let Answer { chunk, said } = wait(&worker.answers).map_err(|_| gone())?;
        self.said = said;
        match chunk {
            Ok(Some(chunk)) => {
                worker.is_asked = worker.requests.send(max).is_ok();
                Ok(Some(chunk))
            }
            end => {
                self.state = State::Over;
                end
            }
        }
    }
}

impl Said {
    fn of(source: &impl ImageSource) -> Self {
        Self {
            remaining: source.remaining(),
            size: source.image_size(),
            unreadable: source.unreadable().cloned(),
        }
    }
}

fn work(mut source: impl ImageSource, requests: &Receiver<usize>, answers: &Sender<Answer>) {
    while let Ok(max) = requests.recv() {
        let chunk = source.next_chunk(max);
        let is_over = !matches!(chunk, Ok(Some(_)));
        let said = Said::of(&source);
        if answers.send(Answer { chunk, said }).is_err() || is_over {
            return;
        }
    }
}

/// Waits for an answer. A thread of a rayon pool works on meanwhile: the source may need the pool to decode, and would wait for
/// ever if all its threads waited here.
fn wait<T>(answers: &Receiver<T>) -> Result<T, RecvError> {
    if rayon::current_thread_index().is_none() {
        return answers.recv();
    }
    loop {
        match answers.try_recv() {
            Ok(answer) => return Ok(answer),
            Err(TryRecvError::Disconnected) => return Err(RecvError),
            Err(TryRecvError::Empty) if rayon::yield_now() == Some(rayon::Yield::Executed) => {}
            Err(TryRecvError::Empty) => std::thread::sleep(Duration::from_micros(100)),
        }
    }
}

impl<S: ImageSource + Send + 'static> ImageSource for ReadAhead<S> {
    fn next_chunk(&mut self, max: usize) -> Result<Option<ImageSet>> {
        let max = max.max(1);
        let chunk = match self.rest.take() {
            Some(rest) => rest,
            None => match self.receive(max)? {
                Some(chunk) => chunk,
                None => return Ok(None),
            },
        };
        if chunk.len() <= max {
            return Ok(Some(chunk));
        }
        self.rest = Some(chunk.slice(max..chunk.len())?);
        chunk.slice(0..max).map(Some)
    }

    fn remaining(&self) -> Option<u64> {
        let rest = self.rest.as_ref().map_or(0, ImageSet::len);
        self.said.remaining.map(|remaining| remaining + rest as u64)
    }

    fn image_size(&self) -> Option<(usize, usize)> {
        self.said.size
    }

    fn unreadable(&self) -> Option<&Skipped> {
        self.said.unreadable.as_ref()
    }
}
