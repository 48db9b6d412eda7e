"""Arrays on disk: what is scored batch by batch, what is refused, and the labels beside them."""

import numpy as np
import pytest

from leepjax.experiments import score
from leepjax.experiments.score import score_arrays
from leepjax.measures import MEASURES, streamed
from leepjax.types import InputError

STREAMED = [name for name, row in MEASURES.items() if row.streams]


@pytest.fixture
def arrays(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=50)
    logits = rng.normal(size=(50, 4)) + 2 * (np.arange(4) == labels[:, None])
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for name, array in (("labels", labels), ("features", logits), ("logits", logits), ("probs", probs)):
        np.save(tmp_path / f"{name}.npy", array.astype(np.int64 if name == "labels" else np.float32))
    return tmp_path


def scored(folder, kind, measures, labels="labels.npy", **options):
    rows = score_arrays(folder / f"{kind}.npy", folder / labels, kind, measures, **{"resamples": 0} | options)
    return {row["measure"]: row["score"] for row in rows}


@pytest.mark.parametrize("name", STREAMED)
def test_batches_score_as_the_whole_does_and_nothing_holds_it(name, arrays, monkeypatch):
    monkeypatch.setattr(streamed, "_BATCH_BYTES", 7 * 16)  # 7 rows, the last batch has one
    kinds = ("features",) if MEASURES[name].reads == "features" else ("probs", "logits")
    data = {kind: np.load(arrays / f"{kind}.npy") for kind in ("features", "probs")}
    whole = MEASURES[name].score(data["features"], data["probs"], np.load(arrays / "labels.npy"))
    monkeypatch.setattr(score, "_held", lambda *_: pytest.fail("the whole was read"))
    for kind in kinds:
        np.testing.assert_allclose(scored(arrays, kind, [name])[name], whole, rtol=1e-4)


@pytest.mark.parametrize("kind", ["probs", "logits", "features"])
def test_a_row_that_is_wrong_is_named_by_its_number_in_the_file(kind, arrays, monkeypatch):
    monkeypatch.setattr(streamed, "_BATCH_BYTES", 7 * 16)
    array = np.load(arrays / f"{kind}.npy")
    array[33, 1] = np.nan
    np.save(arrays / f"{kind}.npy", array)
    with pytest.raises(InputError, match=f"^score: .*{kind}.* at row 33"):
        scored(arrays, kind, ["h_score" if kind == "features" else "leep"])


def test_logits_are_scored_as_their_softmax_whatever_the_measure(arrays):
    for name in ("em_leep", "loo_leep"):
        assert scored(arrays, "logits", [name])[name] == pytest.approx(scored(arrays, "probs", [name])[name], rel=1e-5)
