"""The monitor: what it takes, what it gives, and that the command gives the same."""

import copy
import json
import pickle
import subprocess

import numpy as np
import pytest

import riptide_drift as rd
from conftest import CLASSIFIER, DISTILLED, brightness, noise


def run(command, *arguments):
    done = subprocess.run([command, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line]


def test_a_fit_becomes_an_alarm(tmp_path):
    images, labels, names = rd.shapes(900)
    heard = []
    monitor = rd.Monitor.fit(
        images,
        CLASSIFIER,
        labels,
        class_names=names,
        epochs=2,
        filters=16,
        tolerated_drop=0.1,
        calibration={"n_images": 80, "families": ["gaussian_noise", "fog", "contrast"]},
        progress=lambda *told: heard.append(told),
    )
    assert monitor.class_names == tuple(names) and monitor.input_size == (32, 32)
    assert monitor.options["tolerated_drop"] == 0.1 and monitor.is_calibrated
    assert {"training", "calibrating"} <= {task for task, _, _ in heard}
    assert len(monitor.report.epochs) == 2 and monitor.report.input["accuracy"] is not None
    monitor.save(tmp_path / "monitor")
    again = rd.Monitor.load(tmp_path / "monitor")
    today = rd.corrupt(rd.shapes(300, test=True)[0], "gaussian_noise", 5)
    outcome = again.detect(today)
    assert outcome.is_alarming and outcome.is_drift and outcome.n_images == 300
    assert outcome == monitor.detect(today)


def test_the_command_gives_the_same_bit_for_bit(monitor, shapes, command, tmp_path):
    monitor.save(tmp_path / "m")
    images = rd.corrupt(shapes[0][400:], "gaussian_noise", 3, seed=4)
    np.save(tmp_path / "today.npy", images)
    np.save(tmp_path / "clean.npy", shapes[0][400:])
    where = ("--monitor", tmp_path / "m", "--images", tmp_path / "today.npy")

    run(command, "corrupt", "--images", tmp_path / "clean.npy", "--corruption", "gaussian_noise", "--severity", 3, "--seed", 4,
        "--out", tmp_path / "noisy.npy", "--json")
    assert np.array_equal(np.load(tmp_path / "noisy.npy"), images)

    found = run(command, "detect", *where, "--batch-size", 60, "--json")
    mine = monitor.detect_batches(images, 60)
    assert found == [{key: value for key, value in each.to_dict().items() if key in line} for each, line in zip(mine, found)]
    assert len(mine) == 4 and mine[1].sequential is not None

    run(command, "score", *where, "--out", tmp_path / "scores.npy", "--probabilities", tmp_path / "p.npy")
    table, scores = np.load(tmp_path / "scores.npy"), monitor.score(images, return_probabilities=True)
    assert np.array_equal(np.load(tmp_path / "p.npy"), scores.probabilities)
    column = table["score"] if table.dtype.names else table
    assert np.array_equal(column, scores.scores)

    said = run(command, "predict", *where, "--json")
    assert [line["flagged"] for line in said] == [each.flagged for each in monitor.predict(images)]
    assert [np.float32(line["score"]) for line in said] == [np.float32(each.score) for each in monitor.predict(images)]


def test_a_fit_is_the_commands_bit_for_bit(command, tmp_path):
    images, labels, _ = rd.shapes(400)
    np.save(tmp_path / "x.npy", images)
    run(command, "fit", "--classifier", CLASSIFIER, "--images", tmp_path / "x.npy", "--out", tmp_path / "theirs", "--epochs", 2,
        "--filters", 8, "--seed", 3, "--no-self-test", "--no-calibration", "--json")
    rd.Monitor.fit(images, CLASSIFIER, epochs=2, filters=8, seed=3, calibration=False, progress=False).save(tmp_path / "mine")
    files = sorted(path.relative_to(tmp_path / "mine") for path in (tmp_path / "mine").rglob("*") if path.is_file())
    assert len(files) > 5
    for file in files:
        assert (tmp_path / "mine" / file).read_bytes() == (tmp_path / "theirs" / file).read_bytes(), file


def test_images_come_in_many_forms(own):
    images = noise(40, seed=5)
    plain = own.score(images).scores
    assert plain.dtype == np.float32 and plain.shape == (40,)
    same = [
        images.transpose(0, 3, 1, 2),  # not contiguous, channels first
        np.asfortranarray(images),
        images[::-1][::-1],
        images.astype(np.float32),
        (images / 255.0).astype(np.float32),
        (images / 255.0).astype(">f8"),
        list(images),
        iter([images[:7], images[7:]]),
        [images[i] for i in range(40)],
        ((images[i : i + 9], np.zeros(len(images[i : i + 9]), int)) for i in range(0, 40, 9)),
    ]
    for form in same:
        assert np.array_equal(own.score(form).scores, plain)
    read_only = images.copy()
    read_only.flags.writeable = False
    assert np.array_equal(own.score(read_only).scores, plain)


def test_labels_may_come_with_the_batches_of_a_loader():
    images, labels, names = rd.shapes(400)
    # No batch names all classes.
    order = np.argsort(labels, kind="stable")
    order = np.concatenate([order[::2], order[1::2]])
    batches = ((images[part], labels[part]) for part in np.split(order, 10))
    options = {"epochs": 1, "filters": 8, "calibration": False, "class_names": names, "progress": False}
    from_loader = rd.Monitor.fit(batches, CLASSIFIER, **options)
    whole = rd.Monitor.fit(images[order], CLASSIFIER, labels[order], **options)
    assert np.array_equal(from_loader.reference_scores, whole.reference_scores)


def test_a_path_is_an_array(own, tmp_path):
    np.save(tmp_path / "x.npy", noise(40, seed=5))
    assert np.array_equal(own.score(tmp_path / "x.npy").scores, own.score(noise(40, seed=5)).scores)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.zeros((4, 8, 8, 3), np.int64), "dtype"),
        (np.zeros((4, 8), np.uint8), "shape"),
        (np.zeros((0, 8, 8, 3), np.uint8), "no images"),
        (np.zeros((4, 9, 9, 3), np.uint8), "9 x 9"),
        (np.random.default_rng(0).normal(size=(4, 8, 8, 3)), "range"),
        (np.full((4, 8, 8, 3), np.nan), "image 0"),
        (np.zeros((4, 8, 3, 3), np.uint8), "8 x 3"),
        (iter([]), "no images"),
        ("/nowhere/at/all", "nowhere"),
        (np.array("text"), "dtype"),
    ],
)
def test_images_that_cannot_be_read_are_refused(own, images, said):
    with pytest.raises(rd.Error, match=said):
        own.detect(images)


def test_an_answer_in_range_of_a_float_array_is_the_readers(own):
    with pytest.raises(rd.Error, match="layout"):
        own.detect(np.zeros((4, 3, 8, 3), np.uint8))
    with pytest.raises(TypeError):
        own.detect(7)


def test_a_callable_gets_bytes_and_may_answer_in_any_form():
    images = noise(300)
    seen = []

    def classifier(batch):
        assert batch.dtype == np.uint8 and batch.shape[1:] == (8, 8, 3) and batch.flags.c_contiguous
        seen.append(len(batch))
        return brightness(batch).tolist()

    monitor = rd.Monitor.fit(images, classifier, epochs=1, filters=8, calibration=False, progress=False)
    seen.clear()
    monitor.detect(noise(1300, seed=1))
    assert seen == [512, 512, 276]


class Boom(Exception):
    pass


def test_an_exception_of_the_callable_keeps_its_traceback(own):
    def broken(batch):
        raise Boom("no such weight")

    with pytest.raises(Boom, match="no such weight") as raised:
        rd.Monitor.fit(noise(300), broken, progress=False)
    assert raised.traceback[-1].name == "broken"

    calls = []

    def later(batch):
        calls.append(len(batch))
        if len(calls) > 1:
            raise Boom("later")
        return brightness(batch)

    with pytest.raises(Boom, match="later") as raised:
        rd.Monitor.fit(noise(300), later, progress=False)
    assert raised.traceback[-1].name == "later"


def test_an_exception_of_an_iterator_or_of_progress_comes_out(own):
    def images():
        yield noise(5)
        raise Boom("the disk")

    with pytest.raises(Boom, match="the disk"):
        own.detect(images())

    def progress(task, done, total):
        raise Boom(task)

    with pytest.raises(Boom, match="asking the classifier"):
        rd.Monitor.fit(noise(300), brightness, epochs=1, progress=progress)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x: np.zeros((len(x), 2)), "add up to 0"),
        (lambda x: np.full((len(x), 2), np.nan), "NaN"),
        (lambda x: np.full((len(x), 2), 7.0), "softmax"),
        (lambda x: np.zeros(len(x)), "shape"),
        (lambda x: np.ones((1, 2)) / 2, "shape"),
    ],
)
def test_answers_that_are_no_probabilities_are_refused(answer, said):
    with pytest.raises(ValueError, match=said):
        rd.Monitor.fit(noise(300), answer, progress=False)


def test_options_and_labels_are_checked(own):
    with pytest.raises(TypeError, match="levle"):
        own.with_options(levle=0.1)
    with pytest.raises(rd.Error, match="tolerated_drop"):
        own.with_options(tolerated_drop=2.0)
    with pytest.raises(TypeError, match="epoch"):
        rd.Monitor.fit(noise(300), brightness, epohcs=3)
    with pytest.raises(rd.Error, match="epochs"):
        rd.Monitor.fit(noise(300), brightness, epochs=-3, progress=False)
    with pytest.raises(rd.Error, match="10 labels"):
        rd.Monitor.fit(noise(300), brightness, np.zeros(10, int), progress=False)
    with pytest.raises(rd.Error, match="integers"):
        rd.Monitor.fit(noise(300), brightness, np.zeros(300), progress=False)
    with pytest.raises(rd.Error, match="families"):
        rd.Monitor.fit(noise(300), brightness, calibration={"families": ["fog"]}, progress=False)
    with pytest.raises(rd.Error, match="not calibrated"):
        own.estimate(noise(50))
    with pytest.raises(rd.Error, match="batch_size"):
        own.detect_batches(noise(50), 0)


def test_logged_probabilities_stand_in_for_the_classifier(tmp_path):
    images, today = noise(300), noise(60, seed=3)
    monitor = rd.Monitor.fit(images, brightness(images), epochs=2, filters=8, progress=False)
    assert "logged" in monitor.note
    outcome = monitor.detect(today, probabilities=brightness(today))
    assert outcome.n_images == 60 and outcome.confidence is not None
    with pytest.raises(rd.Error, match="logged"):
        monitor.detect(today)
    with pytest.raises(rd.Error, match="60 images, but 59"):
        monitor.detect(today, probabilities=brightness(today)[:59])
    np.save(tmp_path / "x.npy", today)
    assert monitor.detect(tmp_path / "x.npy", probabilities=brightness(today)) == outcome
    with pytest.raises(rd.Error, match="probabilities"):
        monitor.detect(tmp_path / "x.npy", probabilities=brightness(today)[:59])
    assert pickle.loads(pickle.dumps(monitor)).detect(today, probabilities=brightness(today)) == outcome


def test_a_callable_is_given_again_and_checked(own, tmp_path):
    own.save(tmp_path / "m")
    batch = noise(50, seed=9)
    assert rd.Monitor.load(tmp_path / "m", brightness).detect(batch) == own.detect(batch)
    with pytest.raises(rd.Error, match="function"):
        rd.Monitor.load(tmp_path / "m")
    with pytest.raises(rd.Error, match="answer"):
        rd.Monitor.load(tmp_path / "m", lambda x: brightness(x)[:, ::-1])
    with pytest.raises(rd.Error, match="no monitor"):
        rd.Monitor.load(tmp_path, brightness)


def test_copies_are_the_same(own, monitor, shapes):
    batch = noise(50, seed=9)
    for same in (pickle.loads(pickle.dumps(own)), copy.deepcopy(own), copy.copy(own)):
        assert same.detect(batch) == own.detect(batch)
    loaded = pickle.loads(pickle.dumps(monitor))
    outcome = monitor.detect(shapes[0][400:])
    assert loaded.detect(shapes[0][400:]) == outcome == pickle.loads(pickle.dumps(outcome)) == copy.deepcopy(outcome)


def test_outcomes_are_objects(monitor, shapes):
    outcome = monitor.detect(shapes[0][400:])
    told = outcome.to_dict()
    assert json.loads(json.dumps(told)) == told
    assert outcome.verdict in ("fit", "undecided", "harmful", "outside")
    assert outcome.excess_fraction.lower <= outcome.excess_fraction.estimate <= outcome.excess_fraction.upper
    with pytest.raises(AttributeError):
        outcome.p_value = 1.0
    assert "<table>" in outcome._repr_html_() and "p_value=" in repr(outcome)
    accuracy = monitor.estimate(shapes[0][400:])
    assert accuracy.lower <= accuracy.estimate <= accuracy.upper and accuracy.target == "errors"
    assert accuracy.drop.lower <= accuracy.drop.upper


@pytest.mark.parametrize("kind", ["detect", "predict", "explain", "certify", "audit"])
def test_every_attribute_is_declared_and_there(kind, monitor, shapes):
    """What the library tells and what the types promise are the same: a new field is declared, and none is missing."""
    images = rd.corrupt(shapes[0][400:], "gaussian_noise", 5)

    def check(record):
        declared = {name for name in type(record)._names()}
        assert set(record._data) == declared, type(record)
        hints = {name: hint for kind in type(record).__mro__ for name, hint in vars(kind).get("__annotations__", {}).items()}
        for name in declared:
            value = getattr(record, name)
            assert value is not None or "None" in hints[name], (type(record), name)
            for each in value if isinstance(value, tuple) else (value,):
                if isinstance(each, rd.Record):
                    check(each)

    if kind == "detect":
        for outcome in monitor.detect_batches(images, 50):
            check(outcome)
        assert rd.Outcome._nested.keys() <= set(rd.Outcome.__annotations__)
    elif kind == "predict":
        check(monitor.predict(images)[0])
    elif kind == "explain":
        found = monitor.explain(images, n_images=5)
        check(found)
        assert len(found.pixels) == len(found.images) == 5 and found.contact_sheet.startswith(b"\x89PNG")
        assert np.array_equal(found.pixels[0], images[found.images[0].index])
        assert "data:image/png" in found._repr_html_()
    elif kind == "certify":
        found = monitor.certify("drop=0.5,n=200", batches=50, streams=5, sizes=[100])
        check(found)
        assert isinstance(found.unmet, list) and "<html" in found.page
    else:
        audit = monitor.audit(images)
        picks = [pick.labelled(pick.prediction) for pick in audit.pick(30, seed=1)]
        check(picks[0])
        outcome = audit.update(picks)
        check(outcome)
        assert outcome.n_labelled == 30 and len(audit) == len(images)


def test_an_alarm_over_batches_goes_on_another_day(monitor, shapes):
    bad = rd.corrupt(shapes[0][400:], "gaussian_noise", 5)
    alarm = monitor.sequential()
    first = alarm.update(bad[:100])
    state = json.loads(json.dumps(alarm.state()))
    second = monitor.sequential(state).update(bad[100:])
    alarm.update(bad[100:])
    whole = monitor.detect_batches(bad, 100)
    assert first.sequential == whole[0].sequential
    assert second.sequential == whole[1].sequential and second.sequential.e_value == alarm.e_value
    assert alarm.n_batches == 2
    with pytest.raises(rd.Error, match="another monitor"):
        monitor.with_options(tolerated_drop=0.2).sequential(state)


def test_windows_are_told_by_their_columns(own, tmp_path):
    PIL = pytest.importorskip("PIL.Image")
    lines = ["path,camera,at"]
    for i, image in enumerate(noise(24)):
        PIL.fromarray(image).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png,{'ab'[i % 2]},2024-05-01T{12 + i // 12}:00:00Z")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    outcomes = own.detect_windows(tmp_path / "t.csv", group_by="camera", time="at", every="1h")
    assert [str(each.window) for each in outcomes][:2] == ["2024-05-01T12:00:00Z a", "2024-05-01T12:00:00Z b"]
    assert [each.n_images for each in outcomes] == [6, 6, 6, 6]
    with pytest.raises(rd.Error, match="belong together"):
        own.detect_windows(tmp_path / "t.csv", time="at")


def test_networks_are_put_together_as_the_command_does(command, shapes, tmp_path):
    images = shapes[0]
    np.save(tmp_path / "x.npy", images)
    run(command, "import", "--classifier", CLASSIFIER, "--distilled", DISTILLED, "--reference", tmp_path / "x.npy",
        "--out", tmp_path / "theirs", "--no-calibration", "--json")
    mine = rd.Monitor.from_networks(CLASSIFIER, DISTILLED, images, calibration=False, progress=False)
    theirs = rd.Monitor.load(tmp_path / "theirs")
    assert np.array_equal(mine.reference_scores, theirs.reference_scores) and mine.facts == theirs.facts
