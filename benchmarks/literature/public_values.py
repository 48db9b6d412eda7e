"""Which values in published tables are impossible for any features?

python benchmarks --size full public_values

Measures have bounds that hold in exact arithmetic for any features, probabilities and labels. No table comes with
its features, so no value can be recomputed. But a value out of bounds is wrong, and values at a bound rank nothing.
Reads the tables of `peers.py`, which aren't part of this repository.
"""

import math
from collections.abc import Callable

import numpy as np
import peers
from measuring import report, size
from peers import Setting

# The number of classes of targets for which `peers.py` doesn't state it.
CLASSES = dict.fromkeys(("cola", "mrpc", "qnli", "qqp", "rte", "sst2", "wnli"), 2) | {"mnli": 3}
CLASSES |= {"bloodmnist": 8, "breastmnist": 2, "dermamnist": 7, "octmnist": 4, "organamnist": 11, "organcmnist": 11}
CLASSES |= {"organsmnist": 11, "pathmnist": 9, "pneumoniamnist": 2, "retinamnist": 5, "tissuemnist": 8}

# Where each table is from, and its file in `../shared/peers`, whose README has the commit.
ORIGINS = {
    "tllib": ("thuml/Transfer-Learning-Library", "tllib_model_selection.csv"),
    "model-spider": ("zhangyikaii/Model-Spider", "modelspider_baseline_results.csv"),
    "TransRate": ("Long-Kai/TransRate", "transrate_official_scores.json"),
    "GLUE": ("Ba1Jun/model-selection-nlp", "glue_ba1jun.csv"),
    "MedMNIST": ("DovileDo/transferability-in-medical-imaging", "medmnist_dovile/{}_{}.csv"),
    "TransferGraph": ("TransferGraph/transfergraph", "image_classification_transferability_score_records.csv"),
    "TMLR benchmark": ("VirtualSpaceman/tmlr-transferability-benchmark", "tmlr_virtualspaceman_subset.csv"),
}
SINGULAR = {"MedMNIST, datasets": "dataset", "MedMNIST, models": "model"}

# The bounds in words, and the least and the largest value for c classes, by a column's name without its signs.
Ends = tuple[str, Callable[[float], tuple[float, float]]]
H_SCORE: Ends = ("0 to c − 1", lambda c: (0, c - 1))
LOG_LIKELIHOOD: Ends = ("−log c to 0", lambda c: (-math.log(c), 0))
COSINE: Ends = ("−1 to 1", lambda c: (-1, 1))
PERCENT: Ends = ("−100 to 100", lambda c: (-100, 100))
ENDS: dict[str, Ends] = {
    **dict.fromkeys(("hscore", "hscorer", "reghscore"), H_SCORE),
    **dict.fromkeys(("leep", "nce", "nleep"), LOG_LIKELIHOOD),
    **dict.fromkeys(("lfc", "lfccos"), COSINE),
    **dict.fromkeys(("parc", "parccorr"), PERCENT),
    "gbc": ("−c(c − 1) to 0", lambda c: (-c * (c - 1), 0)),
    "sfda": ("0 to 1", lambda c: (0, 1)),
    "pactrandirichlet": ("at most 0", lambda c: (-math.inf, 0)),
}
AT = 1e-6
"""A value within this relative distance counts as being at a bound: if it is beyond by less, it may be rounding."""
SLACK = dict.fromkeys(("hscorer", "reghscore"), 1e-2)
"""Measures that may exceed a bound: a regularised H-score exceeds c − 1 by a factor of up to n/(n − 1)."""
LEAST_RESIDUAL = 2.0**-53
"""The smallest residual of a label 0 or 1 in float64."""


def plain(column: str) -> str:
    return column.lower().replace("-", "").replace("_", "")


def columns(settings: list[Setting]) -> dict[tuple[str, str], list[tuple[str, float, np.ndarray]]]:
    """(table, column) → its targets, with their classes and the values that are there."""
    found: dict[tuple[str, str], list[tuple[str, float, np.ndarray]]] = {}
    for setting in settings:
        classes = setting.classes or CLASSES.get(setting.target, math.inf)
        for column, values in setting.scores.items():
            there = setting.target, classes, values[~np.isnan(values)]
            found.setdefault((setting.table, column), []).append(there)
    return found


def beyond_and_at(column: str, classes: float, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far each value is out of bounds (0 if it isn't), and which values are at the better bound."""
    low, high = ENDS[column][1](classes)
    slack = SLACK.get(column, AT)
    least, most = (end + sign * slack * abs(end) if math.isfinite(end) else end for end, sign in ((low, -1), (high, 1)))
    at = abs(values - high) <= AT * max(abs(high), 1) if math.isfinite(high) else np.zeros(len(values), bool)
    return np.maximum(np.maximum(least - values, values - most), 0), at


def tell_ends(settings: list[Setting]) -> None:
    """One line per column with bounds: how many of its values are out of bounds, and how many at the better bound."""
    for (table, column), targets in columns(settings).items():
        if (name := plain(column)) not in ENDS:
            continue
        found = [(target, values, *beyond_and_at(name, c, values)) for target, c, values in targets if len(values)]
        beyond = {target: int((far > 0).sum()) for target, _, far, _ in found if (far > 0).any()}
        at = {target: int(there.sum()) for target, *_, there in found if there.any()}
        farthest = max((far.max(), float(values[far.argmax()])) for _, values, far, _ in found)[1]
        report(
            benchmark="public_values" if beyond or at else "public_within",
            **origin(table, column),
            values=sum(len(values) for _, values, *_ in found),
            ends=ENDS[name][0],
            beyond=beyond,
            farthest=farthest if beyond else None,
            at_the_better_end=at,
        )


def origin(table: str, column: str) -> dict[str, str]:
    where, file = ORIGINS[table.partition(",")[0]]
    return {"table": table, "column": column, "origin": where, "file": file.format(column, SINGULAR.get(table))}


def noise(evidence: float) -> float:
    """The largest standard deviation of Gaussian noise that allows this many nats per example."""
    return math.exp(-evidence) / math.sqrt(2 * math.pi)


def tell_logme(settings: list[Setting]) -> None:
    """One line per LogME column: LogME has no bounds, but a high evidence requires very little noise."""
    for (table, column), targets in columns(settings).items():
        if plain(column) == "logme":
            values = np.concatenate([values for *_, values in targets])
            report(
                benchmark="public_logme",
                **origin(table, column),
                values=len(values),
                above_2=int((values > 2).sum()),
                below_float64=sum(noise(value) < LEAST_RESIDUAL for value in values),
                largest=float(values.max()),
                noise=float(f"{noise(values.max()):.2g}"),
            )


def tell_twice() -> None:
    """One line per data set: how far two papers differ that print the same measures for the same networks."""
    names = {"hscore": "H-Score", "leep": "LEEP", "logme": "LogME", "nce": "NCE"}
    there = {setting.target: setting for setting in peers.model_spider()}
    for setting in peers.tllib():
        other = there[setting.target]
        # Both list the networks in the same order, as the accuracies show.
        assert np.array_equal(setting.accuracy, other.accuracy)
        apart = {
            one: float(f"{np.max(abs(setting.scores[one] / other.scores[two] - 1)):.3g}") for one, two in names.items()
        }
        report(benchmark="public_twice", target=setting.target, networks=len(other.accuracy), apart=apart)


def tell_missing() -> None:
    """Accuracies that mark a missing value."""
    values = peers.parc_accuracies()
    missing = {target: int((accuracies < 0).sum()) for target, accuracies in values.items()}
    report(
        benchmark="public_missing",
        origin="dbolya/parc",
        file="parc_oracle_all.csv",
        values=sum(map(len, values.values())),
        below_0=sum(missing.values()),
    )


def assert_right() -> None:
    """Check that values at and out of the bounds are recognised, with and without a lower bound."""
    for column, c, values, far in (
        ("hscore", 3, [0.0, 2.0, 2.1, -0.1], [False, False, True, True]),
        ("nleep", 2, [-math.log(2), 0.0, 0.5, -0.7], [False, False, True, True]),
        ("gbc", 10, [-90.0, -91.0, 0.0], [False, True, False]),
        ("gbc", math.inf, [-1e9, 1.0], [False, True]),
        ("hscorer", 2, [1.005, 1.02], [False, True]),
        ("pactrandirichlet", 2, [-1e9, 0.1], [False, True]),
    ):
        beyond, _ = beyond_and_at(column, c, np.array(values))
        assert (beyond > 0).tolist() == far, (column, values, beyond)
    assert beyond_and_at("sfda", 2, np.array([1, 0.9, 1 - 1e-9]))[1].tolist() == [True, False, True]


def main() -> None:
    assert_right()
    if not peers.PEERS.is_dir():
        report(benchmark="public_values", skipped="no shared data")
        return
    settings = peers.every() if size() == "full" else peers.tllib()
    tell_ends(settings)
    tell_logme(settings)
    tell_twice()
    tell_missing()


if __name__ == "__main__":
    main()
