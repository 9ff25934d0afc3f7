//! Reading ahead changes nothing but the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use riptide_datasets::{DatasetError, ImageSet, ImageSource, ReadAhead};

use super::{assert_chunks, assert_error, images};

/// Counts the chunks that were asked for, decodes on rayon's pool, and says when it is gone.
struct Watched {
    set: ImageSet,
    next: usize,
    fails_at: usize,
    asked: Arc<AtomicUsize>,
    is_gone: Arc<AtomicBool>,
}

impl Watched {
    fn new(set: &ImageSet) -> Self {
        Self {
            set: set.clone(),
            next: 0,
            fails_at: usize::MAX,
            asked: Arc::default(),
            is_gone: Arc::default(),
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.is_gone.store(true, Ordering::SeqCst);
    }
}

impl ImageSource for Watched {
    fn next_chunk(&mut self, max: usize) -> Result<Option<ImageSet>, DatasetError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.next >= self.fails_at {
            return Err(DatasetError::Empty {
                path: "the source".into(),
                hint: "failed on purpose".into(),
            });
        }
        let sum: usize = (0..1000_usize).into_par_iter().sum();
        assert_eq!(sum, 499_500);
        let end = (self.next + max).min(self.set.len());
        let chunk = self.set.slice(self.next..end)?;
        self.next = end;
        Ok((!chunk.is_empty()).then_some(chunk))
    }

    fn remaining(&self) -> Option<u64> {
        Some((self.set.len() - self.next) as u64)
    }
}

#[test]
fn chunks_are_the_sources() {
    let set = images(100, 3, 2);
    for chunk in [1, 7, 100, 1000] {
        assert_chunks(ReadAhead::new(set.clone().into_source()), chunk, &set);
    }
    // What is asked for changes on the way.
    let mut source = ReadAhead::new(Watched::new(&set));
    let mut at = 0;
    for max in [9, 2, 2, 30, 1, 1000, 5, 1000, 1000, 1000] {
        let Some(chunk) = source.next_chunk(max).unwrap() else {
            break;
        };
        assert!(chunk.len() <= max);
        assert_eq!(chunk, set.slice(at..at + chunk.len()).unwrap());
        at += chunk.len();
        assert_eq!(source.remaining(), Some((100 - at) as u64));
    }
    assert_eq!(at, 100);
}

#[test]
fn an_error_comes_after_the_chunks_before_it() {
    let mut source = Watched::new(&images(100, 3, 2));
    source.fails_at = 40;
    let mut source = ReadAhead::new(source);
    for _ in 0..4 {
        assert_eq!(source.next_chunk(10).unwrap().unwrap().len(), 10);
    }
    assert_error(source.next_chunk(10), "the source", "failed on purpose");
    assert!(source.next_chunk(10).unwrap().is_none());
}

#[test]
fn it_reads_one_chunk_ahead_and_ends_when_it_is_dropped() {
    let source = Watched::new(&images(100, 3, 2));
    let (asked, is_gone) = (source.asked.clone(), source.is_gone.clone());
    let mut source = ReadAhead::new(source);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(asked.load(Ordering::SeqCst), 0, "nothing before it is needed");
    source.next_chunk(10).unwrap();
    let until = |what: &dyn Fn() -> bool| {
        let start = Instant::now();
        while !what() && start.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(what());
    };
    until(&|| asked.load(Ordering::SeqCst) == 2);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(asked.load(Ordering::SeqCst), 2, "one ahead, no more");
    drop(source);
    until(&|| is_gone.load(Ordering::SeqCst));
}

#[test]
fn it_does_not_wait_for_ever_inside_a_pool() {
    let set = images(50, 3, 2);
    // All threads of the global pool wait for sources that need the global pool.
    let counts: Vec<usize> = (0..4 * rayon::current_num_threads())
        .into_par_iter()
        .map(|_| {
            let mut source = ReadAhead::new(Watched::new(&set));
            let mut count = 0;
            while let Some(chunk) = source.next_chunk(7).unwrap() {
                count += chunk.len();
            }
            count
        })
        .collect();
    assert!(counts.iter().all(|&count| count == 50));
    // A pool of one thread.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let all = pool.install(|| ReadAhead::new(Watched::new(&set)).read_all().unwrap().unwrap());
    assert_eq!(all, set);
}

#[test]
fn a_source_that_panics_is_an_error() {
    struct Panics;
    impl ImageSource for Panics {
        fn next_chunk(&mut self, _: usize) -> Result<Option<ImageSet>, DatasetError> {
            panic!("on purpose")
        }
        fn remaining(&self) -> Option<u64> {
            None
        }
    }
    assert_error(ReadAhead::new(Panics).next_chunk(1), "", "ended unexpectedly");
}
