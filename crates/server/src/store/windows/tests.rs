use super::super::{Contents, contents, schema};
use super::*;

const HOUR: Millis = 3_600_000;

struct Bench {
    _folder: tempfile::TempDir,
    c: Connection,
    rules: Closing,
    next: i64,
}

fn bench(images: Option<i64>, every: Option<Millis>) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let c = schema::open(&folder.path().join("a.db")).unwrap();
    c.execute(
        "INSERT INTO models(id, name, digest, created_at) VALUES(1, 'm', 'd', 0)",
        (),
    )
    .unwrap();
    let rules = Closing {
        images,
        every,
        lateness: HOUR / 6,
        idle: Some(HOUR),
        exemplars: 3,
        oldest: 100 * HOUR,
    };
    Bench {
        _folder: folder,
        c,
        rules,
        next: 0,
    }
}

impl Bench {
    /// An event of n images at a time, whose scores go on from those before.
    fn event(&mut self, n: usize, at: Millis) -> Tally {
        self.c.execute("INSERT INTO events(model, source, event_id, event_time, received_at, n, state) VALUES(1, '', '', ?1, ?1, ?2, 1)", [at, n as i64]).unwrap();
        let event = self.c.last_insert_rowid();
        self.c.execute("INSERT INTO ready(event) VALUES(?1)", [event]).unwrap();
        let scored = Scored {
            scores: (0..n).map(|i| (self.next + i as i64) as f32).collect(),
            predictions: vec![1; n],
            distilled: vec![2; n],
            confidences: vec![0.5; n],
            errors: Vec::new(),
            values: Vec::new(),
            properties: Vec::new(),
            pixels: vec![9; n * 12],
            height: 2,
            width: 2,
        };
        self.next += n as i64;
        let event = ScoredEvent {
            seq: self.c.last_insert_rowid(),
            event,
            model: 1,
            event_time: at,
            n,
            scored: Ok(scored),
        };
        let tally = place(&self.c, &[event], &self.rules, at).unwrap();
        close_due(&self.c, &self.rules, 0).unwrap();
        tally
    }

    /// Per window: how it is, and its first score and number of images.
    fn windows(&self) -> Vec<(i64, i64, f32, usize)> {
        let mut statement = self
            .c
            .prepare("SELECT id, state, revision, n FROM windows ORDER BY id")
            .unwrap();
        let rows = statement
            .query_map((), |row| {
                Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, row.get::<_, i64>(3)?))
            })
            .unwrap();
        rows.map(|row| {
            let (id, state, revision, n) = row.unwrap();
            let Contents { scores, .. } = contents(&self.c, id).unwrap();
            assert_eq!(scores.len() as i64, n);
            (state, revision, scores[0], scores.len())
        })
        .collect()
    }
}

#[test]
fn windows_by_number_are_exact_and_the_rest_carries_over() {
    let mut b = bench(Some(10), None);
    for n in [4, 4, 4, 25, 1] {
        b.event(n, 5);
    }
    assert_eq!(
        b.windows(),
        [(1, 0, 0.0, 10), (1, 0, 10.0, 10), (1, 0, 20.0, 10), (0, 0, 30.0, 8)]
    );
    // The worst three of each.
    let worst: Vec<f64> =
        b.c.prepare("SELECT score FROM exemplars ORDER BY window, score")
            .unwrap()
            .query_map((), |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
    assert_eq!(
        worst,
        [7.0, 8.0, 9.0, 17.0, 18.0, 19.0, 27.0, 28.0, 29.0, 35.0, 36.0, 37.0]
    );
    assert_eq!(close_due(&b.c, &b.rules, 5 + HOUR - 1).unwrap(), 0);
    assert_eq!(close_due(&b.c, &b.rules, 5 + HOUR).unwrap(), 1);
    b.event(1, 9);
    assert_eq!(b.windows().last(), Some(&(0, 0, 38.0, 1)));
}

#[test]
fn windows_by_time_wait_for_late_events_and_are_revised() {
    let mut b = bench(None, Some(HOUR));
    b.event(3, 5);
    b.event(2, HOUR + 1);
    // Reordered, but within the lateness.
    b.event(4, HOUR - 1);
    assert_eq!(b.windows(), [(0, 0, 0.0, 7), (0, 0, 3.0, 2)]);
    b.event(1, HOUR + HOUR / 6);
    assert_eq!(b.windows(), [(1, 0, 0.0, 7), (0, 0, 3.0, 3)]);
    // Late, before and after the window was judged.
    assert_eq!(b.event(2, 7).revised, 2);
    assert_eq!(b.windows().first(), Some(&(1, 0, 0.0, 9)));
    b.c.execute("UPDATE windows SET state = 2 WHERE id = 1", ()).unwrap();
    assert_eq!(b.event(1, 8).revised, 1);
    assert_eq!(b.event(1, 9).revised, 1);
    assert_eq!(b.windows().first(), Some(&(1, 1, 0.0, 11)));
    // Nothing came for long: the clock closes what is open, unless something waits to be scored.
    b.c.execute(
        "INSERT INTO events(model, source, event_id, event_time, received_at, n, state) VALUES(1, '', '', 0, 0, 1, 1)",
        (),
    )
    .unwrap();
    b.c.execute("INSERT INTO ready(event) VALUES(last_insert_rowid())", ())
        .unwrap();
    assert_eq!(close_due(&b.c, &b.rules, 10 * HOUR).unwrap(), 0);
    b.c.execute("DELETE FROM ready", ()).unwrap();
    assert_eq!(close_due(&b.c, &b.rules, 2 * HOUR).unwrap(), 0);
    assert_eq!(close_due(&b.c, &b.rules, 10 * HOUR).unwrap(), 1);
    // Before 1970, and older than anything that is kept.
    b.event(1, -1);
    assert_eq!(b.windows().last(), Some(&(1, 0, 14.0, 1)));
    b.rules.oldest = HOUR;
    let old = Scored {
        scores: vec![0.0],
        ..Scored::default()
    };
    b.c.execute("INSERT INTO ready(event) VALUES(1)", ()).unwrap();
    let seq = b.c.last_insert_rowid();
    let event = ScoredEvent {
        seq,
        event: 1,
        model: 1,
        event_time: 5,
        n: 1,
        scored: Ok(old),
    };
    assert_eq!(
        place(&b.c, &[event], &b.rules, 10 * HOUR).unwrap(),
        Tally {
            too_late: 1,
            ..Tally::default()
        }
    );
}

#[test]
fn number_and_time_together_end_with_whichever_comes_first() {
    let mut b = bench(Some(5), Some(HOUR));
    b.event(7, 1);
    b.event(2, HOUR);
    b.event(1, 2);
    assert_eq!(b.windows(), [(1, 0, 0.0, 5), (0, 0, 5.0, 3), (0, 0, 7.0, 2)]);
    b.event(1, 3 * HOUR);
    assert_eq!(
        b.windows(),
        [(1, 0, 0.0, 5), (1, 0, 5.0, 3), (1, 0, 7.0, 2), (0, 0, 10.0, 1)]
    );
    // A window that time closed takes late events beyond its number.
    b.event(9, 3);
    assert_eq!(b.windows()[1], (1, 0, 5.0, 12));
}

#[test]
fn an_event_is_counted_once() {
    let mut b = bench(Some(10), None);
    b.event(3, 0);
    let again = ScoredEvent {
        seq: 1,
        event: 1,
        model: 1,
        event_time: 0,
        n: 3,
        scored: Ok(Scored {
            scores: vec![0.0; 3],
            ..Scored::default()
        }),
    };
    place(&b.c, &[again], &b.rules, 0).unwrap();
    assert_eq!(b.windows(), [(0, 0, 0.0, 3)]);
    let failed = ScoredEvent {
        seq: 99,
        event: 1,
        model: 1,
        event_time: 0,
        n: 3,
        scored: Err("no".into()),
    };
    place(&b.c, &[failed], &b.rules, 0).unwrap();
    assert_eq!(b.windows(), [(0, 0, 0.0, 3)]);
}
