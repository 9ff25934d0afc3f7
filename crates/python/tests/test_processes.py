"""Threads, forks, interrupts and memory."""

import _thread
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import riptide_drift as rd
from conftest import brightness, noise


def test_an_interrupt_ends_a_fit_within_a_second():
    images = noise(4000, 32)
    began = threading.Event()

    def progress(task, done, total):
        if task == "training" and done > 0:
            began.set()

    sent = []

    def interrupt():
        began.wait(60)
        sent.append(time.monotonic())
        _thread.interrupt_main()

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        rd.Monitor.fit(images, brightness, epochs=500, calibration=False, progress=progress)
    assert time.monotonic() - sent[0] < 1.0


@pytest.mark.skipif(os.name == "nt", reason="signals are other there")
def test_an_interrupt_ends_a_script_that_calibrates_or_scores():
    script = """
import sys, numpy as np, riptide_drift as rd
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import CLASSIFIER, DISTILLED
images, labels, _ = rd.shapes(3000)
print("ready", flush=True)
if sys.argv[2] == "calibrate":
    rd.Monitor.from_networks(CLASSIFIER, DISTILLED, images, labels, progress=False)
else:
    monitor = rd.Monitor.from_networks(CLASSIFIER, DISTILLED, images[:100], calibration=False, progress=False)
    print("scoring", flush=True)
    monitor.detect(images for _ in range(1000))
"""
    for what, mark in (("calibrate", "ready"), ("detect", "scoring")):
        child = subprocess.Popen(
            [sys.executable, "-c", script, os.path.dirname(__file__), what],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while child.stdout.readline().strip() != mark:
            pass
        time.sleep(1.0)
        assert child.poll() is None, child.stderr.read()
        sent = time.monotonic()
        child.send_signal(signal.SIGINT)
        error = child.communicate(timeout=20)[1]
        assert "KeyboardInterrupt" in error and child.returncode != 0
        # A chunk of images is scored to its end, and the interpreter ends.
        assert time.monotonic() - sent < 4.0


def test_two_threads_score_at_a_time(own):
    """While one waits inside its classifier, the other goes on: the lock is not held."""
    batches = [noise(200, seed=seed) for seed in range(8)]
    expected = [own.score(batch).scores for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            found = list(pool.map(lambda batch: own.score(batch).scores, batches))
            assert all(np.array_equal(a, b) for a, b in zip(found, expected))

    meeting = threading.Barrier(2, timeout=20)

    def classifier(images):
        if threading.current_thread().name.startswith("pair"):
            meeting.wait()
        return brightness(images)

    monitor = rd.Monitor.fit(noise(300), classifier, epochs=1, filters=8, calibration=False, progress=False)
    with ThreadPoolExecutor(2, thread_name_prefix="pair") as pool:
        # The barrier opens only if both are inside at once.
        assert len(list(pool.map(monitor.detect, batches[:2]))) == 2


def test_the_lock_is_released_while_rust_works():
    ticks = 0
    stop = threading.Event()

    def tick():
        nonlocal ticks
        while not stop.is_set():
            ticks += 1
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    began, before = time.monotonic(), ticks
    rd.corrupt(noise(3000, 64), "glass_blur", 5)
    took, ticked = time.monotonic() - began, ticks - before
    stop.set()
    thread.join()
    assert took < 0.05 or ticked > took * 20


def in_child(own, batch, results):
    results.put(own.score(batch).scores.tolist())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_has_threads_of_its_own(own, monitor, shapes):
    batch = noise(200, seed=4)
    own.score(batch)
    monitor.score(shapes[0][:200])  # the parent's threads run
    context = multiprocessing.get_context("fork")
    for which, images in ((own, batch), (monitor, shapes[0][:200])):
        results = context.Queue()
        child = context.Process(target=in_child, args=(which, images, results))
        child.start()
        found = results.get(timeout=60)
        child.join(20)
        assert child.exitcode == 0 and np.array_equal(np.float32(found), which.score(images).scores)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_ten_thousand_calls_leak_nothing(own):
    batch, scores = noise(20), np.random.default_rng(0).normal(size=100)
    drift = rd.KSDrift(scores)

    def calls(n):
        for _ in range(n):
            own.detect(batch)
            own.score(batch)
            drift.predict(scores)
            rd.ks_2samp(scores, scores)
            try:
                own.detect(batch[:, :4])
            except rd.Error:
                pass

    calls(400)
    before = resident()
    calls(2000)
    assert resident() - before < 4 << 20


def test_importing_takes_numpy_and_little_else():
    script = "import sys, numpy; before = set(sys.modules); import riptide_drift; print(*(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {name.partition(".")[0] for name in loaded} & {"torch", "scipy", "pandas", "tqdm", "IPython", "PIL"}
