"""The network that a choice writes for numbers or several labels, and its predictions."""

import numpy as np
import pytest

from leepjax import choose, predict
from leepjax.models.card import read_card

N = 60
RNG = np.random.default_rng(2)
IMAGES = RNG.integers(0, 256, (N, 8, 8), np.uint8)
BRIGHT = IMAGES.mean(axis=(1, 2))
BRIGHT = (BRIGHT - BRIGHT.mean()) / BRIGHT.std()


@pytest.mark.long
@pytest.mark.parametrize(
    ("labels", "task"),
    [(1000 + 50 * BRIGHT, "regression"), (np.stack([BRIGHT > 0, BRIGHT < -1], 1).astype(np.uint8), "multilabel")],
    ids=["numbers", "labels"],
)
def test_the_written_network_predicts_numbers_or_labels(labels, task, tmp_path):
    choice = choose((IMAGES, labels), "random", out=tmp_path)
    assert read_card(choice.path.with_suffix(".json")).task == task
    found = predict(IMAGES, tmp_path)
    if task == "regression":
        assert found.classes == ("number",)
        assert np.corrcoef(found.numbers[:, 0], labels)[0, 1] > 0.3
        assert abs(found.numbers.mean() - 1000) < 10
        assert list(found.rows()[0]) == ["image", "number"]
    else:
        assert found.classes == ("label 0", "label 1")
        assert found.numbers is None
        assert found.probabilities[labels > 0].mean() > found.probabilities[labels == 0].mean()
        assert list(found.rows()[0]) == ["image", "labels", "label 0", "label 1"]
