"""Merged statistics of chunks, devices and hosts score like the whole."""

import json
import subprocess
import sys

import numpy as np
import pytest
from cases import ABSOLUTE, FEATURES, MEASURES, ORACLES, PLACES, SEEDS, STREAMS, problem
from hypothesis import given
from hypothesis import strategies as st
from places import environment
from profiles import by_turns, examples, of_this_profile

from leepjax.statistics.class_moments import ClassMoments
from leepjax.statistics.moments import Moments


def whole_score(name, p):
    """By the oracle, because a measure of the whole would be one more program."""
    return ORACLES[name](p.astype(np.float64))


def same(actual, expected, atol=5e-6):
    np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=atol)


@pytest.mark.parametrize(("name", "bounds"), by_turns(STREAMS, [(8, 16), (1, 2, 23)], of=4), ids=str)
def test_chunked_is_whole(name, bounds):
    start, read, finish = STREAMS[name]

    @examples(5)
    @given(SEEDS, st.sampled_from(list(FEATURES)))
    def law(seed, features):
        p = problem(seed, features=features)
        first, *rest = (p.take(rows) for rows in np.split(np.arange(len(p.labels)), bounds))
        merged = updated = start(p).update(*read(first))
        for chunk in rest:
            merged = merged.merge(start(p).update(*read(chunk)))
            updated = updated.update(*read(chunk))
        expected = whole_score(name, p)
        for streamed in (merged, updated):
            same(finish(streamed, p), expected, atol=ABSOLUTE.get(name, 5e-6))

    law()


@pytest.mark.parametrize("name", STREAMS)
def test_an_empty_chunk_adds_nothing(name):
    start, read, finish = STREAMS[name]
    p = problem(0)
    whole, nothing = start(p).update(*read(p)), start(p)
    hidden = whole.update(*read(p), where=np.zeros(len(p.labels)))
    for merged in (nothing.merge(whole), whole.merge(nothing), hidden):
        same(finish(merged, p), whole_score(name, p))


@pytest.mark.parametrize("kind", [Moments, ClassMoments])
def test_the_larger_set_keeps_its_anchor(kind):
    """Whichever is merged into the other: a single example far away, read first, isn't what all are summed about."""
    p = problem(0)
    far, rest = kind.of(100 + p.features[:1], p.labels[:1], 3), kind.of(p.features[1:], p.labels[1:], 3)
    for merged in (far.merge(rest), rest.merge(far)):
        np.testing.assert_array_equal(merged.anchor, rest.anchor)


@pytest.mark.parametrize("name", [n for n in STREAMS if MEASURES[n].reads == "features"])
def test_moments_far_from_zero_merge(name):
    """Chunks choose anchors of their own; features a hundred deviations away keep the score."""
    start, read, finish = STREAMS[name]
    p = problem(1, features="normal")
    p = p._replace(features=(p.features + 100).astype(np.float32))
    merged = start(p)
    for rows in np.split(np.arange(len(p.labels)), 3):
        merged = merged.merge(start(p).update(*read(p.take(rows))))
    np.testing.assert_allclose(finish(merged, p), whole_score(name, p), rtol=1e-3)


SHARDED = """
import json, sys
import jax, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from cases import MEASURES, problem, score

scores = {}
for case in sys.argv[1:]:
    name, kind = case.split()
    mesh = jax.make_mesh((8,), ("rows",), axis_types=(AxisType[kind],))
    p = problem(8, where="weights")
    rows = NamedSharding(mesh, PartitionSpec("rows"))
    sharded = jax.device_put(p._replace(num_classes=None), rows)._replace(num_classes=p.num_classes)
    assert len(sharded.features.sharding.device_set) == 8
    scores[case] = float(score(name, sharded))
print(json.dumps(scores))
"""
AXES = by_turns(MEASURES, ["Auto", "Explicit"], of=4)


@pytest.fixture(scope="module")
def sharded_scores():
    eight = environment(XLA_FLAGS="--xla_force_host_platform_device_count=8")
    command = [sys.executable, "-c", SHARDED, *map(" ".join, of_this_profile(AXES))]
    run = subprocess.run(command, env=eight, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize(("name", "kind"), AXES)
def test_sharded_is_single_device(name, kind, sharded_scores):
    atol = max(5e-6, ABSOLUTE.get(name, 0), PLACES.get(name, 0))
    same(sharded_scores[f"{name} {kind}"], whole_score(name, problem(8, where="weights")), atol=atol)
