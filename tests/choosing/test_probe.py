"""The outcomes of the ridge probe."""

import numpy as np

from leepjax.choosing.probe import probe_outcomes


def test_an_example_is_predicted_by_the_others():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    features = np.eye(3)[labels] + 0.1 * rng.normal(size=(60, 3))
    labels[:4] = (labels[:4] + 1) % 3  # a wrong label, which only a fit to the example itself could predict
    correct, losses = probe_outcomes(features, labels, 3)
    assert (correct == (np.arange(60) >= 4)).all()
    assert losses[:4].min() > 1 > 0.5 > losses[4:].max()
    # Features that aren't finite predict nothing.
    features[0, 0] = np.nan
    correct, losses = probe_outcomes(features, labels, 3)
    assert (correct == 0).all()
    assert np.isinf(losses).all()
