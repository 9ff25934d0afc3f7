//! Batches by group and by time.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};
use riptide_files::{Progress, Silent};

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::images::Images;
use crate::monitor::Monitor;
use crate::outcome::Outcome;
use crate::score::Scored;
use crate::window::Window;

/// How images are divided into batches by what a table says of them: by the value of a column, such as the camera, by the time
/// at which they were taken, or by both.
///
/// The images need not be sorted. What is kept of an image is its score (and in some monitors the classifier's doubt), until all
/// have been read. Windows have no alarm over a sequence.
///
/// ```no_run
/// use riptide::datasets::TableOptions;
/// use riptide::prelude::*;
///
/// let monitor = Monitor::load("monitor")?;
/// let windows = Windows::by_time("taken_at", "1h")?.group_by("camera");
/// let table = TableOptions::default().columns(windows.columns());
/// let images = Images::open_with("today.csv", OpenOptions::default().table(table))?;
/// for outcome in monitor.detect_windows(images, &windows)? {
///     println!("{:?}: harmful: {}", outcome.window, outcome.is_harmful);
/// }
/// # Ok::<(), riptide::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows {
    group: Option<String>,
    time: Option<Time>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Time {
    column: String,
    /// The length of a window in nanoseconds, at least 1.
    every: i128,
}

impl Windows {
    /// One batch for each value of a column.
    pub fn by_group(column: impl Into<String>) -> Self {
        Self {
            group: Some(column.into()),
            time: None,
        }
    }

    /// One batch for each span of time, such as `1h`, `15m`, `1d` or `1h 30m`; a day has 24 hours, and spans are counted from
    /// the beginning of 1970 in UTC, so that hours and days begin where they do in UTC.
    ///
    /// Times are RFC 3339 (`2024-05-01T12:00:00+02:00`), `YYYY-MM-DD HH:MM:SS` or a date alone, which are taken as UTC, or
    /// seconds since 1970.
    ///
    /// # Errors
    /// [`Error::Option`] if the span is not positive, or has no fixed length, as a month.
    pub fn by_time(column: impl Into<String>, every: &str) -> Result<Self> {
        Ok(Self {
            group: None,
            time: Some(Time {
                column: column.into(),
                every: nanoseconds(every)
                    .ok_or_else(|| Error::option("every", every, "a span of time such as 15m, 1h or 1d"))?,
            }),
        })
    }

    /// Divides each of the batches by a column, too.
    #[must_use]
    pub fn group_by(mut self, column: impl Into<String>) -> Self {
        self.group = Some(column.into());
        self
    }

    /// The columns that images have to be opened with.
    pub fn columns(&self) -> Vec<String> {
        let time = self.time.iter().map(|time| &time.column);
        self.group.iter().chain(time).cloned().collect()
    }
}

fn nanoseconds(every: &str) -> Option<i128> {
    let span: Span = every.trim().parse().ok()?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    (length.is_positive()).then(|| length.as_nanos())
}

/// A time in nanoseconds since 1970.
fn time(text: &str) -> Option<i128> {
    let text = text.trim();
    if let Some(seconds) = unix(text) {
        return Some(seconds);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_nanosecond());
    }
    let time: DateTime = text.parse().ok()?;
    Some(time.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp().as_nanosecond())
}

/// Seconds since 1970 with at most nine digits behind the point, in nanoseconds.
fn unix(text: &str) -> Option<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let whole: i128 = whole.parse().ok()?;
    let fraction: i128 = format!("{fraction:0<9}").parse().ok()?;
    let nanoseconds = sign * (whole.checked_mul(1_000_000_000)?.checked_add(fraction)?);
    // A number outside of the calendar is no number of seconds; milliseconds are such numbers.
    Timestamp::from_nanosecond(nanoseconds)
        .ok()
        .map(Timestamp::as_nanosecond)
}

/// A window that is being gathered.
#[derive(Debug)]
struct Gathered {
    first_image: usize,
    batch: Batch,
}

/// A window's place in the order in which windows are told: its beginning, and the number of its group.
type Key = (Option<i128>, usize);

/// Tells the window of each image.
struct Sorter<'a> {
    windows: &'a Windows,
    /// Where the images come from.
    name: String,
    /// The groups, numbered as they first appear.
    groups: HashMap<String, usize>,
}

impl Sorter<'_> {
    /// The windows of the images of a chunk.
    fn keys(&mut self, chunk: &Scored) -> Result<Vec<Key>> {
        let wrong = |reason: String| Error::Column {
            name: self.name.clone(),
            reason,
        };
        let column = |column: &str| {
            let missing = || {
                wrong(format!(
                    "the images were read without a column {column}; tables and tar shards have columns"
                ))
            };
            chunk.images.column(column).ok_or_else(missing)
        };
        let groups = self.windows.group.as_deref().map(column).transpose()?;
        let times = self
            .windows
            .time
            .as_ref()
            .map(|time| column(&time.column))
            .transpose()?;
        let mut keys = Vec::with_capacity(chunk.scores.len());
        for place in 0..chunk.scores.len() {
            let start = match (&self.windows.time, times.and_then(|times| times.get(place))) {
                (Some(window), Some(text)) => {
                    let time = time(text).ok_or_else(|| {
                        wrong(format!(
                            "image {}: {} is {text:?}, which is no time; expected RFC 3339, YYYY-MM-DD HH:MM:SS or seconds since \
                             1970",
                            chunk.first + place,
                            window.column
                        ))
                    })?;
                    Some(time.div_euclid(window.every) * window.every)
                }
                _ => None,
            };
            let group = match groups.and_then(|groups| groups.get(place)) {
                None => 0,
                Some(value) => match self.groups.get(value) {
                    Some(&group) => group,
                    None => {
                        let group = self.groups.len();
                        self.groups.insert(value.clone(), group);
                        group
                    }
                },
            };
            keys.push((start, group));
        }
        Ok(keys)
    }

    /// The names of the windows.
    fn names(self) -> impl Fn(Key) -> Window {
        let groups: HashMap<usize, String> = self.groups.into_iter().map(|(value, group)| (group, value)).collect();
        let every = self.windows.time.as_ref().map_or(0, |time| time.every);
        let at = |nanoseconds: i128| {
            Timestamp::from_nanosecond(nanoseconds)
                .ok()
                .map(|time| time.to_string())
        };
        move |(start, group)| Window {
            group: groups.get(&group).cloned(),
            start: start.and_then(at),
            end: start.and_then(|start| at(start.saturating_add(every))),
        }
    }
}

impl Monitor {
    /// Tests one batch per window, those of earlier times first, and those of one time in the order in which their groups first
    /// appear.
    ///
    /// # Errors
    /// As [`score`](Self::score); [`Error::Column`] if the images were opened without a column, or a time cannot be read.
    pub fn detect_windows<'a>(&'a self, images: impl Into<Images<'a>>, windows: &Windows) -> Result<Vec<Outcome>> {
        self.detect_windows_with(images, windows, &mut Silent)
    }

    /// As [`detect_windows`](Self::detect_windows), with progress, whose task the caller has begun.
    ///
    /// # Errors
    /// As [`detect_windows`](Self::detect_windows).
    pub fn detect_windows_with<'a>(
        &'a self,
        images: impl Into<Images<'a>>,
        windows: &Windows,
        progress: &mut dyn Progress,
    ) -> Result<Vec<Outcome>> {
        let images: Images<'a> = images.into();
        let mut sorter = Sorter {
            windows,
            name: images.name().to_owned(),
            groups: HashMap::new(),
        };
        let mut gathered: BTreeMap<Key, Gathered> = BTreeMap::new();
        for chunk in self.score_stream(images).without_errors() {
            let chunk = chunk?;
            let keys = sorter.keys(&chunk)?;
            let mut first = 0;
            // Neighbours mostly belong to one window.
            for run in keys.chunk_by(|a, b| a == b) {
                let places = first..first + run.len();
                if let Some(&key) = run.first() {
                    let window = gathered.entry(key).or_insert_with(|| Gathered {
                        first_image: chunk.first + places.start,
                        batch: Batch::default(),
                    });
                    window.batch.add(self, &chunk, places.clone())?;
                }
                first = places.end;
            }
            progress.advance(chunk.scores.len() as u64);
        }
        progress.end();
        let name = sorter.names();
        let each = gathered.into_iter().enumerate();
        each.map(|(batch, (key, gathered))| {
            Ok(Outcome {
                batch,
                first_image: gathered.first_image,
                window: Some(name(key)),
                ..Outcome::new(self, &gathered.batch)?
            })
        })
        .collect()
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.start, &self.group) {
            (Some(start), Some(group)) => write!(f, "{start} {group}"),
            (Some(text), None) | (None, Some(text)) => f.write_str(text),
            (None, None) => f.write_str("all"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_writing_are_the_same() {
        let noon = 1_714_564_800_000_000_000;
        for text in [
            "2024-05-01T12:00:00Z",
            "2024-05-01T14:00:00+02:00",
            "2024-05-01 12:00:00",
            "2024-05-01T12:00:00",
            "1714564800",
            "1714564800.000",
            " 1714564800 ",
        ] {
            assert_eq!(time(text), Some(noon), "{text}");
        }
        assert_eq!(time("2024-05-01"), Some(noon - 12 * 3_600_000_000_000));
        assert_eq!(time("0.25"), Some(250_000_000));
        assert_eq!(time("-1.5"), Some(-1_500_000_000));
        // Milliseconds since 1970 are no seconds.
        for text in ["1714564800000", "yesterday", "", "12:00", "1e9", "2024-13-01"] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn spans_have_a_fixed_length() {
        let hour = 3_600_000_000_000;
        for (text, length) in [
            ("1h", hour),
            ("15m", hour / 4),
            ("1h 30m", hour * 3 / 2),
            ("1d", 24 * hour),
            ("1w", 7 * 24 * hour),
            ("PT1H", hour),
        ] {
            assert_eq!(nanoseconds(text), Some(length), "{text}");
        }
        for text in ["", "0s", "-1h", "1mo", "1 fortnight", "60"] {
            assert_eq!(nanoseconds(text), None, "{text}");
        }
        assert!(matches!(Windows::by_time("t", "1mo"), Err(Error::Option { .. })));
    }
}
