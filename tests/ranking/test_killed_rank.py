"""A ranking that is killed at a random moment resumes and ends with the scores of an uninterrupted one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import leepjax as lj
from leepjax.storage.records import read_records

SOURCES, MEASURES = ("random", "fashion-mnist"), ("nce", "lfc")


@pytest.fixture
def images(tmp_path, monkeypatch):
    """Forty noisy images of two classes, in the folder in which the ranking runs."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    noise = rng.integers(0, 128, (40, 32, 32, 3))
    np.savez("two.npz", images=(noise + 60 * labels[:, None, None, None]).astype(np.uint8), labels=labels)
    return "two.npz"


def killed(target, rng):
    """Start a ranking, and kill it a moment after it has written up to three of its six records."""
    options = {"sources": ",".join(SOURCES), "measures": ",".join(MEASURES), "verify": "ridge", "resamples": 20}
    options |= {"out": "out"}
    arguments = [each for name, value in options.items() for each in (f"--{name}", str(value))]
    process = subprocess.Popen(
        [sys.executable, "-m", "leepjax", "rank", target, *arguments],
        env=os.environ | {"LEEPJAX_CACHE": "cache"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    results, wanted = Path("out/results.jsonl"), rng.integers(0, 4)
    while process.poll() is None and (not results.exists() or results.read_bytes().count(b"\n") < wanted):
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.01))
    process.send_signal(signal.SIGKILL)
    return process.wait()


@pytest.mark.parametrize("seed", [0])
def test_a_ranking_killed_at_a_random_moment_resumes_and_ends_with_the_same_scores(images, seed, tmp_path):
    rank = {"target": images, "sources": SOURCES, "measures": MEASURES, "verify": "ridge", "resamples": 20}
    undisturbed = lj.rank(**rank)
    assert killed(images, np.random.default_rng(seed)) == -signal.SIGKILL
    results = tmp_path / "out/results.jsonl"
    before = {record.key for record in read_records(results)} if results.exists() else set()
    resumed = lj.rank(**rank, out="out", cache="cache")
    assert before <= {record.key for record in resumed.records}
    expected = {record.key: record for record in undisturbed.records}
    written = {record.key: record for record in read_records(results)}
    assert written.keys() == expected.keys()
    assert len(expected) == 6
    for key, record in written.items():
        found = [record.value, record.low, record.high, *record.draws]
        whole = expected[key]
        np.testing.assert_allclose(found, [whole.value, whole.low, whole.high, *whole.draws], rtol=1e-5, atol=1e-6)
    left = [path for path in os.listdir("out") if path.startswith(".leepjax-")]
    assert not left
