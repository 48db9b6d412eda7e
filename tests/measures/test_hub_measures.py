"""Measures of a whole hub: scores that compare its sources, and the terms that they are made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from cases import TALL, WIDE, problem
from profiles import only_long
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from leepjax import FURTHER, classification_score, energy_score, etran, ncti, ncti_terms
from leepjax.measures.of_more.relative import in_hub
from leepjax.types import InputError

HUB = [problem(seed, features=kind) for seed, kind in enumerate(("normal", "apart", "rectified"))]
LABELS = HUB[1].labels
FEATURES = [np.asarray(p.features) for p in HUB]
LOGITS = [(2 + seed) * np.log(p.probs) for seed, p in enumerate(HUB)]
MEASURES = {
    "ncti": lambda features, logits, labels, **options: ncti(features, labels, **options),
    "etran": etran,
}
every_measure = pytest.mark.parametrize("name", MEASURES)


def score(name, rows=slice(None), labels=LABELS, **options):
    taken = ([evidence[rows] for evidence in hub] for hub in (FEATURES, LOGITS))
    return np.asarray(MEASURES[name](*taken, labels[rows], num_classes=8, **options))


def same(actual, expected, **tolerance):
    np.testing.assert_allclose(actual, expected, **({"rtol": 2e-4, "atol": 2e-5} | tolerance))


def test_they_are_in_the_table():
    assert set(MEASURES) <= set(FURTHER)


@every_measure
def test_order_of_examples_names_of_classes_and_order_of_sources(name):
    whole = score(name)
    assert whole.shape == (3,)
    same(score(name, np.random.default_rng(0).permutation(len(LABELS))), whole)
    same(score(name, labels=np.array([2, 0, 1])[LABELS]), whole)
    same(score(name, labels=np.array([0, 3, 7])[LABELS]), whole)
    same(MEASURES[name](FEATURES[::-1], LOGITS[::-1], LABELS, num_classes=8), whole[::-1])


@every_measure
def test_hidden_rows_hold_anything(name):
    weights = np.random.default_rng(0).permutation(np.arange(len(LABELS)) % 4)
    hidden = np.where(weights[:, None] > 0, 0, np.nan).astype(np.float32)
    hub = [[evidence + hidden for evidence in kind] for kind in (FEATURES, LOGITS)]
    actual = MEASURES[name](*hub, np.where(weights > 0, LABELS, -1), num_classes=8, where=weights)
    same(actual, score(name, where=weights))


@every_measure
def test_jit_is_eager_and_float32_close_to_float64(name):
    compiled = jax.jit(lambda *hub: MEASURES[name](*hub, num_classes=8))
    # The program holds the terms of each source anew: two are enough.
    expected = MEASURES[name](FEATURES[:2], LOGITS[:2], LABELS, num_classes=8)
    same(compiled(FEATURES[:2], LOGITS[:2], LABELS), expected)
    with jax.enable_x64(True):
        exact = MEASURES[name](
            *([x.astype(np.float64) for x in hub] for hub in (FEATURES, LOGITS)), LABELS, num_classes=8
        )
        assert exact.dtype == np.float64
    same(score(name), exact)


@every_measure
def test_classes_that_lie_apart_score_higher(name):
    near = [x + 4 * np.eye(3, dtype=x.dtype)[LABELS] for x in FEATURES[:1]]
    scores = MEASURES[name]([FEATURES[0], *near], [LOGITS[0], LOGITS[0]], LABELS, num_classes=8)
    assert scores[1] > scores[0]


@every_measure
def test_a_source_without_a_score_has_no_part_in_the_scales(name):
    constant = np.ones_like(FEATURES[0])
    scores = MEASURES[name]([*FEATURES, constant], [*LOGITS, LOGITS[0]], LABELS, num_classes=8)
    assert np.isnan(scores[3])
    same(scores[:3], score(name))


@every_measure
def test_a_hub_of_one_has_nothing_to_compare(name):
    assert MEASURES[name](FEATURES[:1], LOGITS[:1], LABELS, num_classes=8).tolist() == [0]
    with pytest.raises(InputError, match=f"^{name}: expected"):
        MEASURES[name]([], [], LABELS)
    with pytest.raises(InputError, match=f"^{name}: features must be finite"):
        MEASURES[name]([FEATURES[0] * np.nan], LOGITS[:1], LABELS)


@pytest.mark.parametrize(("shape", "where"), [(TALL, "weights"), (WIDE, "all")])
@pytest.mark.parametrize("name", MEASURES)
def test_the_scores_are_the_oracles(name, shape, where):
    kinds = ("normal", "apart", "rectified", "in mixed units", "a constant column")
    hub = [problem(seed, shape, features=kind, where=where) for seed, kind in enumerate(kinds)]
    labels, weights = hub[0].labels, hub[0].where
    features, logits = [p.features for p in hub], [3 * np.log(p.probs) for p in hub]
    exact = [[x.astype(np.float64) for x in kind] for kind in (features, logits)]
    oracle = (
        reference.ncti(exact[0], labels, weights) if name == "ncti" else reference.etran(*exact, labels, where=weights)
    )
    same(MEASURES[name](features, logits, labels, num_classes=8, where=weights), oracle, rtol=1e-3, atol=1e-4)


def test_in_hub():
    same(in_hub(jnp.array([1.0, 3.0, 2.0])), [0, 1, 0.5])
    same(in_hub(jnp.array([5.0, jnp.nan, 5.0])), [0, np.nan, 0])
    assert np.isnan(in_hub(jnp.array([jnp.nan, jnp.nan]))).all()


def test_sources_that_differ_by_rounding_alone_stand_alike():
    same(in_hub(jnp.array([1.0, 1 - 1e-7, jnp.nan])), [0, 0, np.nan])
    same(in_hub(jnp.array([-3e4, -3e4 + 0.01])), [0, 0])
    same(in_hub(jnp.array([1.0, 1 - 2e-5])), [1, 0])
    apart = FEATURES[1] + 50 * np.eye(3, dtype=np.float32)[LABELS]
    same(ncti([apart, apart[:, ::-1]], LABELS, num_classes=8), [0, 0])


def nuclear(matrix):
    return np.linalg.svd(matrix, compute_uv=False).sum()


@pytest.mark.parametrize("scale", [0.3, 1])
def test_ncti_terms_are_those_of_the_authors_pipeline(scale):
    """PCA, shrinkage by its variances, scikit-learn's LDA and nuclear norms, on few features of small variance."""
    features = FEATURES[1].astype(np.float64) * scale
    shrinkage = np.exp(-features.var(axis=0).sum())
    rotated = (features - features.mean(axis=0)) @ np.linalg.svd(features - features.mean(axis=0))[2].T
    lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage=shrinkage)
    projected, posteriors = lda.fit_transform(rotated, LABELS), lda.predict_proba(rotated)
    terms = ncti_terms(FEATURES[1] * np.float32(scale), LABELS, num_classes=8)
    same(terms.simplex, nuclear(projected - projected.mean(axis=0)))
    same(terms.center, posteriors[np.arange(len(LABELS)), LABELS].mean())
    same(terms.collapse, np.log(sum(nuclear(posteriors[y == LABELS]) for y in range(3))))


def test_one_class_by_hand():
    """Its posterior is one; no axis tells classes apart."""
    terms = ncti_terms(FEATURES[1], np.zeros_like(LABELS), num_classes=8)
    same([terms.center, terms.simplex, terms.collapse], [1, 0, np.log(len(LABELS)) / 2])
    same(classification_score(FEATURES[1], np.zeros_like(LABELS), num_classes=8), 1)


def test_classes_of_any_size_have_their_own_nuclear_norms():
    """Each class uses the smallest block that holds it: classes of one, nine and hundreds of rows, with hidden rows."""
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, 4, 6], [1, 9, 8, 300, 182]))
    features = np.random.default_rng(1).normal(size=(500, 6)) + np.random.default_rng(2).normal(size=(7, 6))[labels]
    weights = np.random.default_rng(3).integers(0, 3, 500)
    terms = ncti_terms(features.astype(np.float32), labels, num_classes=7, where=weights)
    same(terms, reference.ncti_terms(features.astype(np.float32).astype(np.float64), labels, weights))


@pytest.mark.parametrize("offset", [1000, *only_long((0,))])
@pytest.mark.parametrize(
    ("labels", "where"), [(np.arange(3), np.full(3, 3)), *only_long((np.repeat(range(3), 50), None))]
)
def test_features_that_are_constant_within_classes_have_no_terms(labels, where, offset):
    """Rounding alone varies them there: divided by, it made a simplex of 1e8."""
    features = np.random.default_rng(0).normal(offset, 1, size=(3, 7)).astype(np.float32)[labels]
    assert np.isnan(ncti_terms(features, labels, where=where)).all()
    assert np.isnan(classification_score(features, labels, where=where))


@pytest.mark.parametrize("scale", [1, 50])
def test_features_that_vary_within_classes_along_one_direction_alone(scale):
    """The others have the variance that shrinkage gives them, which is far below rounding of the largest."""
    labels, draw = np.repeat(range(3), 50), np.random.default_rng(0)
    features = scale * draw.normal(size=(3, 7))[labels]
    features[:, 2] += draw.normal(size=150)
    features = features.astype(np.float32)
    same(ncti_terms(features, labels), reference.ncti_terms(features.astype(np.float64), labels))


def test_many_features_of_decaying_variances_are_whitened_alike_in_float32():
    """What is left out must be what float32 resolves: eigenvalues of 1e-5 of 256 features aren't, of 1e-3 they are."""
    draw = np.random.default_rng(0)
    labels, rotation = draw.integers(20, size=1500), np.linalg.qr(draw.normal(size=(256, 256)))[0]
    features = (10 * draw.normal(size=(1500, 256)) * np.arange(1, 257) ** -1.5 @ rotation).astype(np.float32)
    exact = reference.classification_score(features.astype(np.float64), labels)
    same(classification_score(features, labels), exact, rtol=2e-3)


def test_energy_of_a_share_by_hand():
    logits = np.array([[3.0], [1.0], [2.0], [4.0]])
    same(energy_score(logits), 2.5)
    same(energy_score(logits, share=0.5), 1.5)
    same(energy_score(logits, share=0.6), (1 + 2 + 0.4 * 3) / 2.4)
    same(energy_score(logits, share=0.5, where=[0, 1, 0, 3]), (1 + 4) / 2)
    assert energy_score(np.array([[1e4, 0.0]])) == 1e4
    with pytest.raises(InputError, match=r"^energy_score: expected share in \(0, 1\], got 0"):
        energy_score(logits, share=0)
    with pytest.raises(InputError, match=r"^energy_score: logits must be finite"):
        energy_score(np.array([[np.nan, 1.0]]))
