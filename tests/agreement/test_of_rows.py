"""Statistics of many rows at once equal those of each row alone."""

import numpy as np
import pytest

from leepjax.agreement.correlation import ties
from leepjax.agreement.of_rows import statistics_of_rows
from leepjax.agreement.statistics import STATISTICS, p_value


@pytest.fixture(params=[3, 4, 7, 40])
def rows(request):
    """[r n] scores and accuracies: ordinary rows, and rows with ties, constants, infinities and extremes."""
    x, y = np.random.default_rng(0).normal(size=(2, 12, request.param))
    x[1], y[1] = np.round(x[1]), np.round(y[1])
    x[2], y[3] = 0, 1
    x[4, 0] = np.inf
    x[5] = np.round(x[5], 1)
    y[6] = -np.abs(y[6])
    x[7] = y[7]
    x[8] *= 1e300
    return x, y


def test_rows_have_the_statistics_of_each_alone(rows):
    found = statistics_of_rows(*rows)
    assert list(found.values) == list(STATISTICS)
    for name, statistic in STATISTICS.items():
        alone = [statistic(x, y) for x, y in zip(*rows, strict=True)]
        np.testing.assert_allclose(found.values[name], alone, rtol=1e-12, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(found.p_values, [p_value(x, y) for x, y in zip(*rows, strict=True)], rtol=1e-9)
    assert found.ties.tolist() == [ties(x, y) for x, y in zip(*rows, strict=True)]


def test_blocks_of_rows_are_the_rows(rows, monkeypatch):
    whole = statistics_of_rows(*rows)
    monkeypatch.setattr("leepjax.agreement.rows._MOST_PAIRS", 5 * rows[0].shape[1] ** 2)
    for name, values in statistics_of_rows(*rows).values.items():
        np.testing.assert_array_equal(values, whole.values[name])
