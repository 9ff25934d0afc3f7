"""The tests and scores by themselves: beside scipy, and beside alibi-detect's recorded outcomes."""

import copy
import gzip
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import riptide_drift as rd
from conftest import brightness, noise

SHARED = os.environ.get("RIPTIDE_SHARED")
shared = pytest.mark.skipif(not SHARED, reason="RIPTIDE_SHARED does not name recorded outcomes")


def test_ks_has_the_numbers_of_scipy():
    scipy = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(0)
    tested = 0
    while tested < 500:
        n, m = random.integers(1, 400, 2)
        x, y = random.normal(size=n), random.normal(random.uniform(-1, 1), size=m)
        if tested % 3 == 0:
            x, y = np.round(x, 1), np.round(y, 1)
        alternative = ("two-sided", "less", "greater")[tested % 3]
        method = ("auto", "asymp", "exact")[(tested // 3) % 3]
        theirs = scipy.ks_2samp(x, y, alternative=alternative, method=method)
        mine = rd.ks_2samp(x, y, alternative, "asymptotic" if method == "asymp" else method)
        assert mine.statistic == pytest.approx(theirs.statistic, abs=1e-14)
        assert mine.pvalue == pytest.approx(theirs.pvalue, rel=1e-10, abs=1e-10)
        if theirs.statistic > 0:
            assert mine.statistic_sign == theirs.statistic_sign
        tested += 1


def test_cvm_has_the_numbers_of_scipy():
    scipy = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(1)
    for _ in range(50):
        x, y = random.normal(size=random.integers(5, 200)), random.normal(0.3, size=random.integers(5, 200))
        theirs = scipy.cramervonmises_2samp(x, y)
        assert rd.cvm_2samp(x, y) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)


def test_samples_that_cannot_be_tested_are_refused():
    for x, said in [([], "empty|at least"), ([1.0, np.nan], "NaN|not a number"), ([[1.0]], "shape")]:
        with pytest.raises(rd.Error, match=said):
            rd.ks_2samp(x, [1.0, 2.0])
    with pytest.raises(rd.Error, match="alternative"):
        rd.ks_2samp([1.0], [2.0], "bigger")
    with pytest.raises(rd.Error, match="exact"):
        rd.ks_2samp([1.0], [2.0], method="guess")


@pytest.mark.parametrize("Detector", [rd.KSDrift, rd.CVMDrift])
def test_drift_is_found_by_feature_and_by_batch(Detector):
    random = np.random.default_rng(2)
    reference, batch = random.normal(size=(500, 2, 2)), random.normal(size=(100, 2, 2))
    batch[:, 0, 1] += 1.0
    detector = Detector(reference, p_val=0.05)
    found = detector.predict(batch)
    assert found["data"]["is_drift"] == 1 and found["data"]["threshold"] == 0.0125
    assert found["data"]["p_val"].dtype == np.float32 and found["data"]["p_val"].shape == (4,)
    assert found["meta"]["name"] == Detector.__name__
    each = detector.predict(batch, drift_type="feature", return_distance=False)["data"]
    assert each["is_drift"][1] == 1 and each["is_drift"].shape == (4,) and "distance" not in each
    p_values, distances = detector.score(batch)
    assert np.array_equal(p_values, found["data"]["p_val"]) and np.array_equal(distances, found["data"]["distance"])
    assert Detector(reference, correction="fdr").predict(batch)["data"]["is_drift"] == 1


def test_the_reference_follows_and_is_copied_with_it():
    random = np.random.default_rng(3)
    x = random.normal(size=(100, 1))
    for update in ({"last": 50}, {"reservoir_sampling": 50}):
        detector = rd.KSDrift(x, update_x_ref=update)
        detector.predict(random.normal(size=(30, 1)))
        assert detector.x_ref.shape == (50, 1) and detector.n == 130
        batch = random.normal(size=(30, 1))
        copies = [pickle.loads(pickle.dumps(detector)), copy.deepcopy(detector)]
        expected = detector.predict(batch)["data"]["p_val"]
        for same in copies:
            assert same.predict(batch)["data"]["p_val"] == expected
            assert np.array_equal(same.x_ref, detector.x_ref)
    with pytest.raises(rd.Error, match="update_x_ref"):
        rd.KSDrift(x, update_x_ref={"first": 3})


def mean_of(images):
    assert images.dtype == np.uint8 and images.shape[1:] == (8, 8, 3)
    return images.reshape(len(images), -1).mean(axis=1)


def test_rows_are_preprocessed_when_they_should_be():
    images, batch = noise(200), noise(50, seed=1)
    early = rd.KSDrift(images, preprocess_fn=mean_of)
    late = rd.KSDrift(images, preprocess_fn=mean_of, preprocess_at_init=False)
    ready = rd.KSDrift(mean_of(images), preprocess_fn=mean_of, x_ref_preprocessed=True)
    expected = early.predict(batch)["data"]["p_val"]
    assert early.x_ref.shape == (200, 1) and late.x_ref.shape == (200, 192)
    for other in (late, ready, pickle.loads(pickle.dumps(late))):
        assert np.array_equal(other.predict(batch)["data"]["p_val"], expected)


def test_distillation_is_scored_thresholded_and_refused():
    images = noise(300)
    distilled = lambda x: np.full((len(x), 2), 0.5)  # noqa: E731
    detector = rd.ModelDistillation(model=brightness, distilled_model=distilled)
    scores = detector.score(images, batch_size=64)
    p = brightness(images)
    expected = (p * np.log(p / 0.5)).sum(axis=1)
    assert np.allclose(scores, expected, atol=1e-6)
    with pytest.raises(rd.Error, match="threshold"):
        detector.predict(images)
    detector.infer_threshold(images, threshold_perc=90)
    assert detector.threshold == pytest.approx(np.percentile(scores, 90))
    found = detector.predict(images)["data"]
    assert found["is_adversarial"].sum() == 30 and np.array_equal(found["instance_score"], scores)
    fitted = rd.ModelDistillation(model=brightness)
    with pytest.raises(rd.Error, match="fit"):
        fitted.score(images)
    fitted.fit(images, epochs=2, filters=8, progress=False)
    assert fitted.score(images).shape == (300,)


@shared
def test_alibi_detects_networks_give_its_scores():
    folder = Path(SHARED) / "golden/alibi"
    kept = np.load(folder / "outputs.npz")
    for name, options in [
        ("score_kld", {}),
        ("score_xent", {"loss_type": "xent"}),
        ("score_kld_t0.5", {"temperature": 0.5}),
        ("score_kld_t3", {"temperature": 3.0}),
    ]:
        detector = rd.ModelDistillation(model=folder / "model.h5", distilled_model=folder / "distilled_model.h5", **options)
        assert np.allclose(detector.score(kept["images"]), kept[name], rtol=2e-4, atol=2e-5), name


@shared
def test_alibi_detects_drift_outcomes_are_found_again():
    folder = Path(SHARED) / "golden/alibi"
    kept = json.loads((folder / "outputs.json").read_text())
    with gzip.open(Path(SHARED) / "data/cifar10-lossless-4000.bin.gz") as file:
        records = np.frombuffer(file.read(), np.uint8).reshape(-1, 3073)
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    corrupted = np.load(folder / "outputs.npz")["images"]
    detector = rd.ModelDistillation(model=folder / "model.h5", distilled_model=folder / "distilled_model.h5")
    reference = detector.score(images[1000:2000])
    for percentile, threshold in kept["threshold_on_images_1000_2000"].items():
        detector.infer_threshold(images[1000:2000], float(percentile))
        assert detector.threshold == pytest.approx(threshold, rel=1e-4)
    batches = {
        "clean_2000_2100": images[2000:2100],
        "clean_2100_2200": images[2100:2200],
        "clean_0_16": images[:16],
        "gaussian_noise_5_first16": corrupted[64:80],
        "motion_blur_3_first16": corrupted[80:96],
    }
    seen = 0
    for outcome in kept["ks_drift_reference_images_1000_2000"]:
        if outcome["batch"] not in batches:
            continue
        drift = rd.KSDrift(reference, alternative=outcome["alternative"])
        data = drift.predict(detector.score(batches[outcome["batch"]]))["data"]
        assert data["is_drift"] == outcome["is_drift"] and data["threshold"] == outcome["threshold"]
        assert data["p_val"][0] == pytest.approx(outcome["p_val"], rel=0.02)
        assert data["distance"][0] == pytest.approx(outcome["distance"], abs=2e-3)
        seen += 1
    assert seen >= 6


def test_corruptions_are_the_same_for_any_cut():
    images = noise(20, 32)
    assert len(rd.corruptions()) == 35
    whole = rd.corrupt(images, "gaussian_noise", 3, seed=5)
    assert whole.dtype == np.uint8 and whole.shape == images.shape
    assert np.array_equal(whole[12:], rd.corrupt(images[12:], "gaussian_noise", 3, seed=5, first=12))
    assert not np.array_equal(whole, rd.corrupt(images, "gaussian_noise", 3, seed=6))
    for arguments, said in [(("rain", 3), "rain"), (("fog", 6), "6"), (("fog", 0), "0")]:
        with pytest.raises(rd.Error, match=said):
            rd.corrupt(images, *arguments)
