"""The law of `test_conditioning.py` over the measures beyond the table: as float64, or NaN, never silently wrong.

Regressions, multi-label targets, hub-relative terms, label embeddings, moved features, hard subsets and transport.
"""

import jax
import numpy as np
import pytest
import reference
from profiles import by_turns, is_long, some_of
from test_conditioning import CLASSES, FEATURES, FEW, MANY, D, N, asked, assert_close_or_nan

import leepjax as lj

KINDS = [*FEATURES, "tiny weights"]


def labels_of(n):
    return np.arange(n) % CLASSES


def targets_of(n):
    draw = np.random.default_rng(3)
    return (draw.normal(size=(n, 2)) + np.eye(CLASSES)[labels_of(n)][:, :2]).astype(np.float32)


def tags_of(n):
    return np.stack([labels_of(n) == 0, labels_of(n) == 1], axis=1).astype(int)


def embeddings_of(n):
    draw = np.random.default_rng(4)
    means = np.eye(CLASSES)[labels_of(n)] @ draw.normal(size=(CLASSES, 4))
    return (draw.normal(size=(2, n, 4)) + means).astype(np.float32)


def by_labels(measure, oracle):
    def score(f, where=None):
        return measure(f, labels_of(len(f)), num_classes=CLASSES, where=where)

    return score, lambda f, where=None: oracle(f, labels_of(len(f)), where=where)


def by(evidence_of, measure, oracle, **options):
    def score(f, where=None):
        return measure(f, evidence_of(len(f)), where=where, **options)

    return score, lambda f, where=None: oracle(f, evidence_of(len(f)), where=where, **options)


MEASURES = {
    "ncti_terms": by_labels(lj.ncti_terms, reference.ncti_terms),
    "classification_score": by_labels(lj.classification_score, reference.classification_score),
    "ped": by_labels(lj.ped, reference.ped),
    "hard_subset": by_labels(lj.hard_subset, reference.hard_subset),
    "energy_score": (
        lambda f, where=None: lj.energy_score(f, where=where),
        lambda f, where=None: reference.energy_score(f, where=where),
    ),
    "emms": by(embeddings_of, lj.emms, reference.emms),
    "logme_regression": by(targets_of, lj.logme_regression, reference.logme_regression),
    "linear_mse": by(targets_of, lj.linear_mse, reference.linear_mse, l2=1.0),
    "linear_mse without a penalty": by(targets_of, lj.linear_mse, reference.linear_mse, l2=0.0),
    "multilabel_logme": by(tags_of, lj.multilabel_logme, reference.multilabel_logme),
    "multilabel_h_score": by(tags_of, lj.multilabel_h_score, reference.multilabel_h_score),
}
# Kinds of problems that must have a score, not NaN: a common scale changes nothing, and float64 resolves one large row.
ANSWERED = ("scale 1e", "one row")


def assert_all_close_or_nan(name, got, expected):
    for value, truth in zip(np.ravel(got), np.ravel(expected), strict=True):
        assert_close_or_nan(name, value, truth)


# Of those that, with more features than examples, solve or decompose what isn't regular: a sum and a fit.
WIDE = ("ncti_terms", "logme_regression")


@pytest.mark.parametrize(("name", "kind"), by_turns(MEASURES, KINDS, of=9))
def test_close_to_float64_or_nan(name, kind):
    measure, oracle = MEASURES[name]
    for n, d in ((N, D), (FEW, MANY)) if name in WIDE or is_long() else ((N, D),):
        p = asked(kind, n, d)
        # Weights of one where there are none: one program serves all kinds. Under jit there are none.
        where = np.ones(n, np.float32) if p.where is None else p.where
        got = np.asarray(measure(p.features, where))
        assert_all_close_or_nan(name, got, oracle(p.features.astype(np.float64), p.where))
        if any(part in kind for part in ANSWERED):
            assert not np.isnan(got).any()


@pytest.mark.parametrize("name", some_of(["ped"], MEASURES))
def test_under_jit_it_is_close_or_nan(name):
    measure, oracle = MEASURES[name]
    compiled = jax.jit(measure)
    for kind in FEATURES:
        features = asked(kind).features
        assert_all_close_or_nan(name, compiled(features), oracle(features.astype(np.float64)))


# POT has an escape sequence that newer Pythons warn of when they compile it.
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@pytest.mark.parametrize(("name", "kind"), by_turns(["otce", "jc_nce"], FEATURES, of=3))
def test_transport_is_that_of_features_at_any_scale(name, kind):
    features, half = asked(kind).features, N // 2
    halves = features[:half], labels_of(half), features[half:], labels_of(half)
    expected = getattr(reference, name)(*(x.astype(float) if x.dtype == np.float32 else x for x in halves))
    np.testing.assert_allclose(getattr(lj, name)(*halves), expected, rtol=1e-4)


@pytest.mark.parametrize("unit", [1e-20, 1e18])
def test_targets_of_any_scale(unit):
    features, targets = asked("as they are").features, targets_of(N)
    unit = np.float32(unit)
    np.testing.assert_allclose(
        lj.logme_regression(features, targets * unit), lj.logme_regression(features, targets) - np.log(unit), rtol=1e-5
    )
    # Its own unit is that of the targets, squared: of size one here by the other column.
    columns = np.c_[targets[:, 0], targets[:, 1] * np.float32(min(unit, 1))]
    expected = reference.linear_mse(features.astype(float), columns.astype(float), 1.0)
    np.testing.assert_allclose(lj.linear_mse(features, columns), expected, rtol=1e-4)


@pytest.mark.parametrize("unit", [1e-20, 1e18])
def test_ped_takes_its_units_from_a_reference_of_any_scale(unit):
    features = asked("as they are").features
    scaled = (features * unit).astype(np.float32)
    reference_features = scaled[::2] * np.float32(0.5)
    got = lj.ped_features(scaled, labels_of(N), reference=reference_features)
    expected = reference.ped_features(scaled.astype(float), labels_of(N), reference=reference_features.astype(float))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * unit)
