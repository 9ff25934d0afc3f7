use super::super::schema;
use super::*;

fn database() -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let c = schema::open(&folder.path().join("a.db")).unwrap();
    c.execute(
        "INSERT INTO models(id, name, digest, created_at) VALUES(1, 'm', 'd', 0)",
        (),
    )
    .unwrap();
    (folder, c)
}

fn event(key: u8, id: &str, at: Millis) -> NewEvent {
    NewEvent {
        model: 1,
        key: [key; 32],
        source: "s".into(),
        event_id: id.into(),
        event_time: at,
        received_at: at,
        n: 2,
        images: vec![key; 6],
        answers: None,
        pairing: Pairing::Wait(600_000),
        duplicates: 3_600_000,
    }
}

fn answers(key: u8, id: &str, at: Millis) -> NewAnswers {
    NewAnswers {
        model: 1,
        key: [key; 32],
        source: "s".into(),
        event_id: id.into(),
        received_at: at,
        n: 2,
        rows: Some(vec![f32::from(key); 4]),
        pairing: Pairing::Wait(600_000),
        duplicates: 3_600_000,
    }
}

/// What waits to be scored, in order: the first byte of the pixels, and the first answer.
fn line(c: &Connection) -> Vec<(u8, Option<f32>)> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let some = next_pending(c, after, 1000, 1000).unwrap();
        let Some(last) = some.last() else { return all };
        after = last.seq;
        all.extend(
            some.iter()
                .map(|p| (p.images[0], p.answers.as_deref().map(|a| super::super::floats(a)[0]))),
        );
    }
}

#[test]
fn halves_find_each_other_in_either_order() {
    let (_folder, c) = database();
    assert_eq!(add_event(&c, &event(1, "a", 0)).unwrap(), Arrival::Waits);
    assert_eq!(add_answers(&c, &answers(2, "b", 0)).unwrap(), Arrival::Waits);
    assert!(line(&c).is_empty());
    assert_eq!(add_event(&c, &event(3, "b", 5)).unwrap(), Arrival::Paired);
    assert_eq!(add_answers(&c, &answers(4, "a", 9)).unwrap(), Arrival::Paired);
    assert_eq!(line(&c), [(3, Some(2.0)), (1, Some(4.0))]);
    assert_eq!(queued(&c).unwrap(), (4, 12));
    // All of it once more, as after a lost acknowledgement.
    assert_eq!(add_event(&c, &event(1, "a", 10)).unwrap(), Arrival::Duplicate(1));
    assert!(matches!(
        add_answers(&c, &answers(2, "b", 10)).unwrap(),
        Arrival::Duplicate(_)
    ));
    assert!(matches!(
        add_answers(&c, &answers(4, "a", 10)).unwrap(),
        Arrival::Duplicate(_)
    ));
    assert_eq!(line(&c).len(), 2);
    // Much later it is no longer taken for the same.
    assert_eq!(add_event(&c, &event(1, "a", 4_000_000)).unwrap(), Arrival::Waits);
}

#[test]
fn an_id_that_is_used_twice_pairs_nothing() {
    let (_folder, c) = database();
    assert_eq!(add_event(&c, &event(1, "1234", 0)).unwrap(), Arrival::Waits);
    assert_eq!(add_event(&c, &event(2, "1234", 1)).unwrap(), Arrival::Ambiguous);
    assert_eq!(add_answers(&c, &answers(3, "1234", 2)).unwrap(), Arrival::Ambiguous);
    assert_eq!(add_event(&c, &event(4, "1234", 3)).unwrap(), Arrival::Ambiguous);
    assert_eq!(line(&c), [(1, None), (2, None), (4, None)]);
    // Two answers for one request, or an answer of another length.
    for (first, key) in [(10, 11), (20, 21)] {
        let id = format!("x{first}");
        let mut other = answers(key, &id, 5);
        other.n = if first == 20 { 3 } else { 2 };
        add_answers(&c, &other).unwrap();
        if first == 10 {
            add_answers(&c, &answers(key + 1, &id, 5)).unwrap();
        }
        assert_eq!(add_event(&c, &event(first, &id, 6)).unwrap(), Arrival::Ambiguous);
    }
    assert_eq!(line(&c).get(3..), Some(&[(10, None), (20, None)][..]));
}

#[test]
fn who_does_not_pair_does_not_wait() {
    let (_folder, c) = database();
    let own = NewEvent {
        pairing: Pairing::Own,
        ..event(1, "a", 0)
    };
    assert_eq!(add_event(&c, &own).unwrap(), Arrival::Own);
    let unused = NewAnswers {
        pairing: Pairing::Own,
        ..answers(2, "a", 0)
    };
    assert_eq!(add_answers(&c, &unused).unwrap(), Arrival::Unused);
    let whole = NewEvent {
        answers: Some(vec![0.5; 4]),
        ..event(3, "b", 0)
    };
    assert_eq!(add_event(&c, &whole).unwrap(), Arrival::Paired);
    // A response that was of no use lets its request go.
    assert_eq!(add_event(&c, &event(4, "c", 0)).unwrap(), Arrival::Waits);
    let useless = NewAnswers {
        rows: None,
        ..answers(5, "c", 0)
    };
    assert_eq!(add_answers(&c, &useless).unwrap(), Arrival::Ambiguous);
    assert_eq!(line(&c), [(1, None), (3, Some(0.5)), (4, None)]);
}

#[test]
fn what_is_scored_together_is_alike_and_bounded() {
    let (_folder, c) = database();
    for key in 0..6 {
        let answers = (key >= 4).then(|| vec![0.5; 4]);
        add_event(
            &c,
            &NewEvent {
                pairing: Pairing::Own,
                answers,
                ..event(key, &key.to_string(), 0)
            },
        )
        .unwrap();
    }
    let sizes = |images, bytes| {
        let (mut sizes, mut after) = (Vec::new(), 0);
        while let Some(last) = next_pending(&c, after, images, bytes).unwrap().pop() {
            sizes.push(last.seq - after);
            after = last.seq;
        }
        sizes
    };
    assert_eq!(sizes(100, 1000), [4, 2]);
    assert_eq!(sizes(4, 1000), [2, 2, 2]);
    assert_eq!(sizes(100, 13), [2, 2, 2]);
    assert_eq!(sizes(1, 1), [1, 1, 1, 1, 1, 1]);
}
