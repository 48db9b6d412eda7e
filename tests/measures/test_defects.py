"""Defects of published implementations, each reproduced in a few lines: ours differs from it and is correct."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from cases import MEASURES, Problem, evidence, problem
from scipy.special import digamma, gammaln
from scipy.stats import spearmanr

from leepjax import (
    classification_score,
    em_leep,
    emms,
    energy_score,
    gbc,
    h_score,
    knn,
    leep,
    lfc,
    logme,
    loo_leep,
    nce,
    pactran_dirichlet,
    pactran_gaussian,
    parc,
    ped_features,
    sfda,
    shrunk_h_score,
    soft_nce,
    tmi,
    transrate,
)

THETA = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.6, 0.3], [0.1, 0.2, 0.7], [0.3, 0.3, 0.4]])
LABELS = np.array([0, 0, 1, 1, 1, 2])


def close(actual, expected, **tolerance):
    np.testing.assert_allclose(actual, expected, **({"rtol": 1e-5, "atol": 1e-6} | tolerance))


def apart(defective, true, by=0.05):
    assert np.isnan(defective) or abs(defective - true) > by, (defective, true)


def likelihood(probs, labels):
    """The probability that the EEP gives to each example's own label."""
    conditional = reference.eep(probs, labels, labels.max() + 1)
    return np.sum(conditional[labels] * probs, axis=1)


def test_leep_has_its_logarithm():
    true = np.mean(np.log(likelihood(THETA, LABELS)))
    close(leep(THETA, LABELS), true)
    close(true, -0.7928433748)
    apart(np.mean(likelihood(THETA, LABELS)), true)
    apart(np.log(np.mean(likelihood(THETA, LABELS))), true, by=0.02)


def test_leep_does_not_apply_softmax_to_probabilities():
    again = np.exp(THETA) / np.exp(THETA).sum(axis=1, keepdims=True)
    true = reference.leep(THETA, LABELS, 3)
    close(leep(THETA, LABELS), true)
    apart(reference.leep(again, LABELS, 3), true)


def test_nce_conditions_the_target_on_the_source():
    source, target = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 1, 2, 2, 3, 3])
    close(nce(source, target), -4 / 6 * 1.0397207708)
    swapped = nce(target, source)
    assert swapped == 0


def parc_nce(source, target, z, c):
    """With 1e-5 added to every cell of the joint."""
    p = np.full((c, z), 1e-5)
    np.add.at(p, (target, source), 1 / len(target))
    return np.sum(p * np.log(p / p.sum(axis=0)))


def test_nce_adds_nothing_to_empty_cells():
    source = THETA.argmax(axis=1)
    ours = nce(source, LABELS, num_source_classes=1000, num_classes=555)
    close(ours, -0.2310490602)
    close(ours, nce(source, LABELS))
    assert parc_nce(source, LABELS, 1000, 555) < -10


@pytest.mark.parametrize("measure", [leep, em_leep, loo_leep, soft_nce])
def test_a_source_class_without_mass_is_no_division_by_zero(measure):
    probs = np.insert(THETA, 1, 0, axis=1)
    joint = np.stack([probs[np.equal(LABELS, y)].sum(axis=0) for y in range(3)])
    with np.errstate(invalid="ignore"):
        assert np.isnan(np.mean(np.log((joint / joint.sum(axis=0))[LABELS] @ probs.T)))
    close(measure(probs, LABELS), measure(THETA, LABELS))


def test_repeated_labels_in_a_batch_all_add():
    rng = np.random.default_rng(0)
    labels = rng.integers(10, size=1000)
    probs = 0.7 * rng.dirichlet(np.ones(20), 1000) + 0.3 * np.eye(20)[labels]
    dropped = np.zeros((10, 20))
    dropped[labels] += probs  # NumPy keeps the last of the rows with the same label
    defective = np.mean(np.log(np.sum((dropped / dropped.sum(axis=0))[labels] * probs, axis=1)))
    true = reference.leep(probs, labels, 10)
    close(leep(probs, labels), true)
    apart(defective, true, by=0.01)


def fixed_point_logme(f, labels, whole_determinant):
    """The authors' fixed point; without `whole_determinant`, its log|A| leaves out (d − k) log α, as theirs does."""
    (n, d), (u, s, _) = f.shape, np.linalg.svd(f, full_matrices=False)
    evidences = []
    for label in np.unique(labels):
        y = (labels == label).astype(float)
        along, alpha, beta = (u.T @ y) ** 2, 1.0, 1.0
        for _ in range(300):
            t = alpha / beta
            gamma = np.sum(s**2 / (s**2 + t))
            m2 = np.sum(s**2 * along / (s**2 + t) ** 2)
            residual = np.sum(along * (t / (s**2 + t)) ** 2) + max(y @ y - along.sum(), 0)
            alpha, beta = gamma / m2, (n - gamma) / residual
        log_det = np.sum(np.log(alpha + beta * s**2)) + whole_determinant * (d - len(s)) * np.log(alpha)
        fit = n * np.log(beta) + d * np.log(alpha) - n * np.log(2 * np.pi)
        evidences.append((fit - beta * residual - alpha * m2 - log_det) / 2 / n)
    return np.mean(evidences)


def test_logme_keeps_the_whole_determinant_when_features_outnumber_examples():
    rng = np.random.default_rng(1)
    labels = np.arange(100) % 3
    features = (rng.normal(size=(100, 256)) + 0.1 * rng.normal(size=(3, 256))[labels]).astype(np.float32)
    true = reference.logme(features, labels)
    close(logme(features, labels), true)
    close(fixed_point_logme(features.astype(np.float64), labels, True), true)
    assert fixed_point_logme(features.astype(np.float64), labels, False) > true + 5


def test_logme_averages_present_classes_only():
    """A class without examples is fitted by nothing at all, at an evidence that grows without bound."""
    p = problem(0)
    gapped = np.array([0, 3, 7])[p.labels]
    close(logme(p.features, gapped), logme(p.features, p.labels))
    close(logme(p.features, gapped), reference.logme(p.features, gapped))
    n, tiny = len(gapped), 1e-5
    phantom = n / 2 * np.log(n / tiny) - n / 2 * np.log(2 * np.pi)
    apart((3 * reference.logme(p.features, gapped) + 5 * phantom / n) / 8, logme(p.features, gapped), by=1)


def test_logme_does_not_depend_on_the_order_of_classes():
    p = problem(1)
    for names in ([1, 2, 0], [2, 1, 0]):
        close(logme(p.features, np.array(names)[p.labels]), logme(p.features, p.labels))


def test_logme_does_not_depend_on_the_scale_of_the_features():
    """The prior's scale is fitted too; an epsilon in a denominator breaks this."""
    p = problem(2)
    for scale in (1e-4, 1e4):
        close(logme(p.features * np.float32(scale), p.labels), logme(p.features, p.labels))


def own_posterior(features, labels, precision):
    """The mean posterior of the own class of Gaussians about the class means, with the classes' shares as a prior."""
    means = np.stack([features[labels == y].mean(axis=0) for y in np.unique(labels)])
    fit = features @ precision @ means.T - np.sum(means @ precision * means, axis=1) / 2
    fit = np.exp(fit - fit.max(axis=1, keepdims=True)) * np.bincount(labels)
    return np.mean(fit[np.arange(len(labels)), labels] / fit.sum(axis=1))


def test_etran_uses_the_covariance_that_it_estimates():
    """Its code gives S⁻¹(T − S) to a routine for symmetric matrices: orthonormal vectors, of which S drops out."""
    p = problem(3)
    features = p.features.astype(np.float64) @ np.diag([5, 1, 0.1])
    cov, between = covariances(features, p.labels)
    within = cov - between
    strength = max(np.exp(-5 * np.linalg.eigvalsh(within)[-1]), 1e-10)
    sphere = np.trace(within) / 3 * np.eye(3)
    within = (1 - strength) * within + strength * sphere
    vectors = np.linalg.eigh(np.linalg.inv(within) @ (cov - within))[1]
    defective = own_posterior(features, p.labels, vectors @ vectors.T)
    close(defective, own_posterior(features, p.labels, np.eye(3)))
    close(
        classification_score(features.astype(np.float32), p.labels),
        own_posterior(features, p.labels, np.linalg.inv(within)),
    )
    apart(defective, classification_score(features.astype(np.float32), p.labels))


def test_energy_of_few_examples_is_that_of_at_least_a_part_of_one():
    """Half a percent of fewer than 200 examples, rounded down, is none, and the mean of none NaN."""
    logits = np.random.default_rng(0).normal(size=(100, 4))
    energies = np.log(np.exp(logits).sum(axis=1))
    assert int(0.5 * 10) * len(energies) // 1000 == 0
    close(energy_score(logits, share=0.005), energies.min())


def test_emms_is_a_mean_over_the_columns_of_embeddings():
    """`/ N*D2` divides by the first and multiplies by the second: copies of the columns count with their square."""
    p = problem(4)
    embedding = np.random.default_rng(0).normal(size=(3, 2))[p.labels].astype(np.float32)
    once, thrice = (emms(p.features, [np.tile(embedding, copies)]) for copies in (1, 3))
    close(thrice, once)
    apart(9 * once, thrice)


def test_ped_of_two_classes_of_one_mean_is_no_division_by_zero():
    features = np.array([[-1.0], [1.0], [-2.0], [2.0]], np.float32)
    line = features[:2].mean(axis=0) - features[2:].mean(axis=0)
    with np.errstate(invalid="ignore"):
        assert np.isnan(line / np.sqrt(np.sum(line**2))).all()
    close(ped_features(features, [0, 0, 1, 1]), features)


def covariances(features, labels):
    centred = features - features.mean(axis=0)
    means = np.stack([centred[labels == y].mean(axis=0) for y in labels])
    return centred.T @ centred / len(features), means.T @ means / len(features)


def test_h_score_is_the_trace_of_the_matrix_product():
    p = problem(3, (24, 3, 4, 3))
    cov, between = covariances(p.features.astype(np.float64), p.labels)
    true = np.trace(np.linalg.pinv(cov) @ between)
    close(h_score(p.features, p.labels), true)
    apart(np.trace(np.linalg.pinv(cov) * between), true)


def test_h_score_does_not_invert_rounding():
    """With fewer examples than features it is c − 1 exactly; an absolute cut-off inverts what float32 rounds."""
    rng = np.random.default_rng(0)
    features, labels = rng.normal(2, 1, size=(50, 128)).astype(np.float32), np.arange(50) % 5
    cov, between = covariances(features, labels)
    apart(np.trace(np.linalg.pinv(cov, rcond=1e-15) @ between), 4)
    close(h_score(features, labels), 4, rtol=1e-4)


def test_h_score_keeps_every_scale():
    """An absolute cut-off loses small features."""
    p = problem(4)
    cov, between = covariances(p.features.astype(np.float64) * [1, 1e-3, 1e3], p.labels)
    apart(np.trace(np.linalg.pinv(cov, rcond=1e-5) @ between), h_score(p.features, p.labels), by=0.01)
    scaled = p.features * np.float32([1, 1e-3, 1e3])
    close(h_score(scaled, p.labels), h_score(p.features, p.labels))


def published_lfc(f, labels, order):
    """With the mean of all entries taken from both matrices, and spectral norms (2) or Frobenius' (None)."""
    kernel, same = f @ f.T, np.where(labels[:, None] == labels, 1.0, -1.0)
    kernel, same = kernel - kernel.mean(), same - same.mean()
    return np.sum(kernel * same) / np.linalg.norm(kernel, order) / np.linalg.norm(same, order)


def test_lfc_is_a_cosine():
    labels = np.arange(40) % 4
    close(lfc(np.eye(4)[labels], labels), np.sqrt(3) / 2)
    close(published_lfc(np.eye(4)[labels], labels, 2), 3)
    close(published_lfc(np.eye(4)[labels], labels, None), 1)


def test_lfc_does_not_depend_on_where_the_features_lie():
    p = problem(0)
    close(lfc(p.features + 10, p.labels), lfc(p.features, p.labels), rtol=1e-4)
    apart(published_lfc(p.features + 10, p.labels, None), published_lfc(p.features, p.labels, None), by=0.4)


def published_1nn(f, labels):
    """With the first of the sorted distances taken for that to the example itself."""
    distances = np.linalg.norm(f[:, None] - f, axis=2)
    return np.mean(labels[np.argsort(distances, axis=1, kind="stable")[:, 1]] == labels)


def test_knn_has_no_example_vote_for_itself():
    features, labels = np.array([[0.0], [0.0], [5.0], [5.0]]), np.array([0, 1, 0, 1])
    assert knn(features, labels, k=1) == 0
    assert published_1nn(features, labels) == 0.5


def published_tmi(f, labels, k=3, least=1.0):
    """By the largest difference of a feature, distances below 1 put there, and one division by the classes too many."""
    entropies = []
    for label in np.unique(labels):
        members = f[labels == label]
        distances = np.sort(np.abs(members[:, None] - members).max(axis=2), axis=1)[:, k]
        entropy = digamma(len(members)) - digamma(k) + f.shape[1] * np.log(2 * np.maximum(distances, least)).mean()
        entropies.append(entropy * len(members) / len(f))
    return np.mean(entropies)


def test_tmi_is_a_mean_over_classes_and_knows_small_distances():
    rng, labels = np.random.default_rng(0), np.arange(600) % 3
    features = rng.uniform(size=(600, 2)).astype(np.float32)
    close(tmi(features / 2, labels), tmi(features, labels) - 2 * np.log(2), rtol=1e-4)
    assert published_tmi(features / 2, labels) == published_tmi(features, labels)
    assert abs(tmi(features, labels)) < 0.2  # the entropy of a uniform density on the unit square is 0
    close(3 * published_tmi(features, labels, least=0), tmi(features, labels), atol=0.15)
    apart(published_tmi(features, labels), tmi(features, labels), by=0.5)


def published_parc(components, labels):
    """With label distances whose exact ties rounding breaks, and the components' signs as they come."""
    features = components / components.std(axis=0)
    above = np.triu_indices(len(labels), 1)
    return 100 * spearmanr(*(1 - np.corrcoef(x)[above] for x in (features, np.eye(3)[labels]))).statistic


def test_parc_has_two_label_distances_and_signs_that_are_fixed():
    p = problem(0, (40, 5, 4, 3)).astype(np.float64)
    centred = p.features - p.features.mean(axis=0)
    directions = np.linalg.svd(centred)[2]
    directions = directions * np.sign(directions[np.arange(5), np.abs(directions).argmax(axis=1)])[:, None]
    true = reference.parc(p.features, p.labels)
    close(parc(p.features, p.labels), true, atol=0.02)
    apart(published_parc(centred @ directions.T, p.labels), true, by=0.02)
    apart(published_parc(centred @ directions.T * [-1, 1, 1, 1, 1], p.labels), true, by=1)


def published_coding_rate(z, eps=1e-4):
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.linalg.slogdet(np.eye(z.shape[1]) + z.T @ z / (np.float64(len(z)) * eps))[1] / 2


def published_transrate(f, labels):
    """The rates of all class numbers up to the largest, over how many these are."""
    z, k = f - f.mean(axis=0), labels.max() + 1
    return published_coding_rate(z) - sum(published_coding_rate(z[labels == y]) for y in range(k)) / k


def test_transrate_averages_present_classes_only():
    p = problem(0)
    f = p.features.astype(np.float64)
    close(transrate(f, p.labels), published_transrate(f, p.labels))
    gapped = np.array([0, 3, 7])[p.labels]
    close(transrate(f, gapped), transrate(f, p.labels))
    apart(published_transrate(f, gapped), transrate(f, p.labels))


def test_transrate_says_which_weights_its_classes_have():
    """The paper's listing weights classes equally, its text and other code by their size: two different measures."""
    p = problem(1)
    labels = np.where(np.arange(24) < 16, 0, p.labels)
    alike, by_size = (transrate(p.features, labels, weighting=w) for w in ("uniform", "frequency"))
    close(alike, published_transrate(p.features.astype(np.float64), labels), rtol=1e-4)
    apart(alike, by_size)


def published_spherical_gbc(x, labels, whole_determinant):
    """Spherical GBC, whose log-determinants count a variance once per dimension or, as in public code, only once."""
    classes = [(x[labels == y].mean(axis=0), x[labels == y].var(axis=0).mean()) for y in np.unique(labels)]
    total = 0
    for i, (mean_i, var_i) in enumerate(classes):
        for mean_j, var_j in classes[:i]:
            mean = (var_i + var_j) / 2
            times = x.shape[1] if whole_determinant else 1
            distance = np.sum((mean_i - mean_j) ** 2) / mean / 8 + times * np.log(mean / np.sqrt(var_i * var_j)) / 2
            total -= 2 * np.exp(-distance)
    return total


def test_spherical_gbc_has_the_whole_determinant():
    p = problem(2)
    x = p.features.astype(np.float64) * np.array([1, 3, 9])[p.labels][:, None]
    true = published_spherical_gbc(x, p.labels, True)
    close(gbc(x, p.labels, covariance="spherical"), true)
    apart(published_spherical_gbc(x, p.labels, False), true)


BROKEN = {
    "NaN": lambda x, y: (np.where(np.arange(6)[:, None] == 2, np.nan, x), y),
    "a zero row": lambda x, y: (np.where(np.arange(6)[:, None] == 2, 0, x), y),
    "negative labels": lambda x, y: (x, np.where(np.arange(6) == 2, -1, y)),
    "rows that don't sum to one": lambda x, y: (2 * x, y),
    "logits": lambda x, y: (np.log(x), y),
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("name", MEASURES)
def test_nothing_is_silent(name, broken):
    read, options = evidence(name, Problem(THETA, THETA, LABELS, None, 3))
    if MEASURES[name].reads != "probs" and broken != "negative labels" and (read.ndim == 1 or broken != "NaN"):
        pytest.skip("any finite number is a feature, any class number a source label")
    with pytest.raises(ValueError, match=f"^{name}: "):
        MEASURES[name].function(*BROKEN[broken](read, LABELS), num_classes=3, **options)


def sfda_of_posteriors(features, labels, again):
    """SFDA; if `again`, examples are mixed by a softmax of the posterior, as in the authors' code."""

    def fit(x):
        means = np.stack([x[labels == y].mean(axis=0) for y in range(3)])
        residuals = x - means[labels]
        return means, residuals.T @ residuals / len(x)

    def posteriors(x, λ):
        means, within = fit(x)
        precision, offsets = np.linalg.inv((1 - λ) * within + λ * np.eye(x.shape[1])), x[:, None] - means
        powers = np.bincount(labels) * np.exp(-np.einsum("ncd,de,nce->nc", offsets, precision, offsets) / 2)
        return powers / powers.sum(axis=1, keepdims=True)

    λ = max(np.exp(-5 * np.linalg.eigvalsh(fit(features)[1])[-1]), 1e-10)
    p = posteriors(features, λ)
    p = np.exp(p) / np.exp(p).sum(axis=1, keepdims=True) if again else p
    outside = np.stack([features[labels != y].mean(axis=0) for y in labels])
    own = p[np.arange(len(labels)), labels][:, None]
    return posteriors(own * features + (1 - own) * outside, λ)[np.arange(len(labels)), labels].mean()


def test_sfda_mixes_by_the_posterior_itself():
    p = problem(7)
    exact = p.features.astype(np.float64)
    true = sfda_of_posteriors(exact, p.labels, again=False)
    close(sfda(p.features, p.labels), true)
    apart(sfda_of_posteriors(exact, p.labels, again=True), true)


def authors_pactran_dirichlet(probs, labels, num_steps):
    """Their cost: over the entries of the one-hot labels, with the posterior of the step before the last."""
    q, one_hot = probs, np.eye(labels.max() + 1)[labels]
    a0 = one_hot.mean(axis=0)[:, None]
    for _ in range(num_steps):
        a = a0 + one_hot.T @ q
        q = probs * np.exp(digamma(a)[labels] - digamma(a.sum(axis=0)))
        q /= q.sum(axis=1, keepdims=True)
    log_beta, prior = (gammaln(x).sum(axis=0) - gammaln(x.sum(axis=0)) for x in (a, a0))
    return (np.sum(q * np.log(q / probs)) - np.sum(log_beta - prior)) / one_hot.size


def test_pactran_is_per_example_and_of_its_last_step():
    p = problem(8)
    exact = p.probs.astype(np.float64)
    true, first, last = (reference.pactran_dirichlet(exact, p.labels, num_steps=steps) for steps in (10, 1, 2000))
    close(pactran_dirichlet(p.probs, p.labels), true)
    apart(-authors_pactran_dirichlet(exact, p.labels, 10), true)
    apart(-3 * authors_pactran_dirichlet(exact, p.labels, 1), first, by=0.005)
    close(-3 * authors_pactran_dirichlet(exact, p.labels, 2000), last)


def test_pactran_takes_the_hessian_of_the_mean_loss():
    """Of features that are zero the head is the labels' shares; the authors sum the Hessian over examples."""
    labels = np.arange(30) % 3
    curvature, mass, spread, size = 3 * 1 / 3 * 2 / 3, 0.1 * 2 * 30, 10 * 30, 3 * 2
    true, theirs = (-np.log(3) - size / (2 * mass) * np.log1p(spread / size * curvature * n) for n in (1, 30))
    close(pactran_gaussian(np.zeros((30, 2), np.float32), labels), true)
    apart(theirs, true, by=1)


@pytest.mark.parametrize("measure", [h_score, shrunk_h_score, logme, sfda, pactran_gaussian])
def test_a_second_call_returns_the_same(measure):
    """A toolkit centres the caller's features in place."""
    p = problem(5)
    before = p.features.copy()
    first = measure(p.features, p.labels)
    assert measure(p.features, p.labels) == first
    np.testing.assert_array_equal(p.features, before)


def largest_array(jaxpr):
    """The number of elements of the largest array that a program makes, its inner programs included."""
    sizes = [out.aval.size for equation in jaxpr.eqns for out in equation.outvars]
    for equation in jaxpr.eqns:
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                sizes.append(largest_array(inner))
    return max(sizes)


@pytest.mark.parametrize("name", [n for n, row in MEASURES.items() if row.reads != "features"])
def test_no_array_of_examples_by_target_by_source_classes(name):
    p = problem(6, (29, 2, 13, 7))
    read, options = evidence(name, p)

    def measure(read):
        return MEASURES[name].function(read, p.labels, num_classes=7, **options)

    n, z, c = 29, 13, 7
    biggest = largest_array(jax.make_jaxpr(measure)(jnp.asarray(read)).jaxpr)
    assert c * z <= biggest <= max(n * z, c * z) < n * c * z
    gigantic = jax.make_jaxpr(lambda probs: (probs[:, None] * jnp.ones((c, 1))).sum())(jnp.asarray(p.probs)).jaxpr
    assert largest_array(gigantic) == n * c * z


def test_nce_makes_no_one_hot_array():
    read = jnp.zeros(1000, int)
    program = jax.make_jaxpr(lambda read: nce(read, read, num_source_classes=50, num_classes=3))(read)
    assert largest_array(program.jaxpr) <= 1000
