"""The mixture of Gaussians against scikit-learn's: step by step from the same start, and where it ends on real data."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from profiles import only_long
from sklearn.datasets import load_digits
from sklearn.mixture import GaussianMixture as Theirs

from leepjax.solvers import gaussian_mixture as module
from leepjax.solvers.gaussian_mixture import GaussianMixture, fit_gaussian_mixture

COVARIANCES = {"diagonal": "diag", "spherical": "spherical", "full": "full"}
every_covariance = pytest.mark.parametrize("covariance", COVARIANCES)
# Each step is compared with scikit-learn's where the covariance has little effect.
by_default_diagonal = pytest.mark.parametrize("covariance", ["diagonal", *only_long(("spherical",), ("full",))])
not_spherical = pytest.mark.parametrize("covariance", ["diagonal", "full", *only_long(("spherical",))])
KEY = jax.random.key(0)


def fitted(*args, **options):
    return jax.tree.map(np.asarray, fit_gaussian_mixture(*args, **options))


@functools.cache
def digits(directions=12):
    x = load_digits().data
    x = x - x.mean(axis=0)
    return x @ np.linalg.svd(x, full_matrices=False)[2][:directions].T


def started(x, k, covariance):
    """A start for both: rows as means, unequal weights, one wide covariance."""
    means, weights = x[:: len(x) // k][:k], np.arange(1, k + 1) / np.arange(1, k + 1).sum()
    wide = np.full((k, x.shape[1]), x.var())
    ours = np.stack([np.diag(row) for row in wide]) if covariance == "full" else wide
    precisions = {
        "diagonal": 1 / wide,
        "spherical": 1 / wide[:, 0],
        "full": np.linalg.inv(ours) if ours.ndim > 2 else 0,
    }
    theirs = {"means_init": means, "weights_init": weights, "precisions_init": precisions[covariance]}
    return GaussianMixture(*map(jnp.asarray, (weights, means, ours))), theirs


@every_covariance
def test_each_step_is_scikit_learns(covariance):
    x, k = digits()[:400], 6
    with jax.enable_x64(True):
        ours, theirs = started(x, k, covariance)
        fits = [
            fitted(KEY, jnp.asarray(x), k, covariance=covariance, start=ours, tolerance=0.0, max_steps=s)
            for s in (0, 1, 7)
        ]
        whole = fitted(KEY, jnp.asarray(x), k, covariance=covariance, start=ours, tolerance=1e-3, max_steps=100)
    model = Theirs(k, covariance_type=COVARIANCES[covariance], **theirs).fit(x)
    np.testing.assert_allclose([fits[i].log_likelihood for i in range(2)], model.lower_bounds_[:2], rtol=1e-10)
    np.testing.assert_allclose(fits[2].log_likelihood, model.lower_bounds_[7], rtol=1e-10)
    assert whole.steps == model.n_iter_ < 100
    np.testing.assert_allclose(whole.log_likelihood, model.score(x), rtol=1e-9)
    np.testing.assert_allclose(whole.posterior, model.predict_proba(x), atol=1e-6)
    np.testing.assert_allclose(whole.mixture.means, model.means_, atol=1e-6)


@by_default_diagonal
def test_on_digits_it_ends_as_high_as_scikit_learn(covariance):
    """The best of four starts each; theirs are the ends of k-means."""
    x = digits()
    model = Theirs(10, covariance_type=COVARIANCES[covariance], n_init=4, random_state=0).fit(x)
    rows = jnp.asarray(x, jnp.float32)
    fits = [fitted(jax.random.key(s), rows, 10, covariance=covariance) for s in range(4)]
    assert max(float(fit.log_likelihood) for fit in fits) > model.score(x) - 0.25
    assert len({round(float(fit.log_likelihood), 3) for fit in fits}) > 1, "keys change the start"
    assert all(fit.steps < 100 and abs(fit.change) < 1e-3 for fit in fits)


@by_default_diagonal
def test_the_likelihood_never_falls(covariance):
    x = digits(6)[:300]
    with jax.enable_x64(True):
        ends = [
            fitted(KEY, jnp.asarray(x), 7, covariance=covariance, tolerance=0.0, max_steps=int(steps))
            for steps in (0, 1, 2, 5, 12)
        ]
    assert (np.diff([fit.log_likelihood for fit in ends]) > -1e-9).all()
    assert [int(fit.steps) for fit in ends] == [0, 1, 2, 5, 12]


@not_spherical
def test_weights_repeat_rows_and_masks_hide_them(covariance):
    x, weights = digits(4)[:120].astype(np.float32), np.arange(120) % 3
    repeated = fitted(KEY, x[np.repeat(np.arange(120), weights)], 4, covariance=covariance)
    weighted = fitted(KEY, x, 4, covariance=covariance, where=weights)
    assert np.isfinite(repeated.log_likelihood), "no component has collapsed"
    np.testing.assert_allclose(weighted.log_likelihood, repeated.log_likelihood, rtol=1e-5)
    np.testing.assert_allclose(weighted.mixture.means, repeated.mixture.means, atol=1e-3)


@not_spherical
def test_masked_components_and_columns_are_absent(covariance):
    x = digits(7)[:80].astype(np.float32)
    fewer = fitted(KEY, x[:, :4], 3, covariance=covariance)
    masked = fitted(KEY, x, 8, covariance=covariance, active=3, kept=4)
    np.testing.assert_allclose(masked.log_likelihood, fewer.log_likelihood, rtol=1e-5)
    np.testing.assert_allclose(masked.posterior[:, :3], fewer.posterior, atol=1e-4)
    np.testing.assert_array_equal(masked.posterior[:, 3:], 0)
    np.testing.assert_array_equal(masked.mixture.weights[3:], 0)


def test_products_and_differences_give_the_same_steps(monkeypatch):
    x, fits = digits()[:400], []
    with jax.enable_x64(True):
        for most in (module.WIDE_ENOUGH, -1, np.inf):
            monkeypatch.setattr(module, "WIDE_ENOUGH", most)
            jax.clear_caches()
            fits.append(fitted(KEY, jnp.asarray(x), 6, tolerance=0.0, max_steps=5))
    jax.clear_caches()
    expected = fits[0]
    for found in fits[1:]:
        np.testing.assert_allclose(found.log_likelihood, expected.log_likelihood, rtol=1e-10)
        np.testing.assert_allclose(found.posterior, expected.posterior, atol=1e-8)
        np.testing.assert_allclose(found.mixture.covariances, expected.mixture.covariances, rtol=1e-8)


def test_narrow_components_far_from_the_mean_keep_their_variances():
    """By products alone, float32 would lose a variance of 1e-4 at a distance of 10 to rounding."""
    rng = np.random.default_rng(0)
    centres = np.array([[10.0, 0], [-10, 0], [0, 10]])
    x = centres[np.arange(300) % 3] + 0.01 * rng.normal(size=(300, 2))
    fit = fitted(KEY, x.astype(np.float32), 3)
    for k, centre in enumerate(centres):
        own = x.astype(np.float32)[k::3].astype(np.float64)
        nearest = np.abs(fit.mixture.means - centre).sum(axis=1).argmin()
        np.testing.assert_allclose(fit.mixture.covariances[nearest], own.var(axis=0) + 1e-6, rtol=1e-3)


DEGENERATE = {
    "more components than rows": (digits(2)[:5], 9),
    "duplicated rows": (np.repeat(digits(2)[:3], 20, axis=0), 8),
    "constant rows": (np.full((30, 2), 1e3), 4),
    "a constant column": (digits(2)[:50] * [1, 0] + [0, 7], 4),
    "one column": (digits(1)[:50], 4),
    "one row": (digits(2)[:1], 3),
    "a row far away": (np.r_[digits(2)[:50], [[1e4, -1e4]]], 3),
}


@every_covariance
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_rows_end_in_a_mixture(case, covariance):
    rows, k = DEGENERATE[case]
    x = np.pad(rows, [(0, 60 - len(rows)), (0, 2 - rows.shape[1])]).astype(np.float32)  # one program for all cases
    fit = fitted(KEY, x, 9, covariance=covariance, where=np.arange(60) < len(rows), active=k, kept=rows.shape[1])
    for leaf in (*fit.mixture, fit.posterior, fit.log_likelihood):
        assert np.isfinite(leaf).all()
    np.testing.assert_allclose(fit.posterior.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(fit.mixture.weights.sum(), 1, atol=1e-5)
    assert (fit.mixture.weights > 0).sum() <= min(k, len(np.unique(rows, axis=0)))
    variances = np.linalg.eigvalsh(fit.mixture.covariances) if covariance == "full" else fit.mixture.covariances
    assert variances[fit.mixture.weights > 0].min() > 0


def test_a_component_that_collapses_has_the_least_variance():
    x = np.r_[digits(2)[:50], [[1e4, -1e4]]].astype(np.float32)
    fit = fitted(KEY, x, 3)
    alone = fit.posterior[-1].argmax()
    np.testing.assert_allclose(fit.mixture.weights[alone], 1 / 51, rtol=1e-5)
    np.testing.assert_allclose(fit.mixture.covariances[alone], 1e-6, rtol=1e-3)
    np.testing.assert_allclose(fit.mixture.means[alone], x[-1], rtol=1e-6)
