"""The tables of STUDIES.md, from the committed records of the studies."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
from decisions.decision import Decision
from decisions.gather import by_lot
from decisions.strategies import strategies
from results import HERE

from leepjax.agreement import significant_digits
from leepjax.measures import DEFAULT_MEASURES, MEASURES
from leepjax.report.captions import measure_name
from leepjax.report.published import published_facts
from leepjax.studies.analysis.analyse import FEWEST, Analysis, SettingAnalysis, analyse, analyse_setting
from leepjax.studies.analysis.settings import Setting
from leepjax.studies.outcome import BASELINES, Outcome, read_studies

FOLDER = HERE / "studies"
CIFAR_SIZE = 32
EPOCHS = (1, 2, 5, 10)
LOTS = 200
SHOWN = ("leep", "nce", "h_score", "shrunk_h_score", "logme", "knn", "neg_log_classes")

Rows = Iterator[dict[str, str]]


@cache
def outcomes() -> list[Outcome]:
    return [outcome for study in read_studies(FOLDER) for outcome in study.outcomes]


@cache
def analysis() -> Analysis:
    return analyse(outcomes())


def _with_larger_alone() -> Iterator[tuple[SettingAnalysis, dict[str, str]]]:
    """Every setting; for sources, also those of larger images only, because two clusters correlate in any case."""
    for each in analysis().settings:
        setting = each.setting
        yield each, _named(setting)
        large = tuple(outcome for outcome in setting.outcomes if outcome.image_size > CIFAR_SIZE)
        if setting.over == "sources" and 3 < len(large) < len(setting.outcomes):
            named = _named(setting) | {"source → target": f"sources above 32 pixels → {setting.target}"}
            yield analyse_setting(replace(setting, outcomes=large)), named


def _named(setting: Setting) -> dict[str, str]:
    return {"study": setting.kind_of_task, "source → target": setting.pairing, "method": setting.how}


def run_rows() -> Rows:
    """What was run, how long it took, and by which command."""
    for study in read_studies(FOLDER):
        told, done = study.provenance, study.outcomes
        heads, adapted = (sum(outcome.method == method for outcome in done) for method in ("head", "meta"))
        yield {
            "study": told.study,
            "tasks": str(len({(outcome.target, outcome.profile, outcome.task) for outcome in done})),
            "heads": f"{heads:,}",
            "meta-transfers": f"{adapted:,}",
            "trainings": f"{len(done) - heads - adapted:,}",
            "hours": f"{told.seconds / 3600:.2f}",
            "commit": told.commit,
            "command": f"`{told.command}`",
        }


def fact_rows() -> Rows:
    """The paper's statements, and whether these records confirm them."""
    for fact in published_facts(analysis()):
        yield {"the paper states": fact.statement, "here": f"**{fact.verdict}**", "why": fact.why}


def correlation_rows() -> Rows:
    """Pearson's r in every setting; the best of LEEP, NCE and H-score is bold, and certain where it has a star."""
    for each, named in _with_larger_alone():
        rows, won = each.of, each.winner
        cells = {name: _r(rows[name].pearson.value) if name in rows else "–" for name in SHOWN}
        cells[won.measure] = f"**{cells[won.measure]}**{'*' if won.certain else ''}"
        low, high = rows["leep"].pearson.low, rows["leep"].pearson.high
        cells["leep"] += f" [{_r(low)}, {_r(high)}]"
        yield named | {"n": str(len(each.setting.outcomes))} | {_title(name): cells[name] for name in SHOWN}


def measure_rows() -> Rows:
    """Pearson's r of every measure and baseline, a row each, over the outcomes scored by more than the default ones."""
    further = {*MEASURES} - {*DEFAULT_MEASURES} - {*BASELINES}
    whole: dict[str, SettingAnalysis] = {}
    for setting in (each.setting for each in analysis().settings):
        scored = tuple(outcome for outcome in setting.outcomes if further & outcome.scores.keys())
        if len(scored) >= FEWEST:
            named = _named(setting)
            title = f"{named['study']}: {named['source → target']}, {named['method']}"
            whole[title] = analyse_setting(replace(setting, outcomes=scored))
    yield {"measure": "n"} | {title: str(len(each.setting.outcomes)) for title, each in whole.items()}
    best = {title: np.nanmax([row.pearson.value for row in each.correlations]) for title, each in whole.items()}
    for name in dict.fromkeys(name for each in whole.values() for name in each.of):
        values = {title: each.of[name].pearson.value if name in each.of else math.nan for title, each in whole.items()}
        yield {"measure": measure_name(name)} | {
            title: f"**{_r(r)}**" if r == best[title] else _r(r) for title, r in values.items()
        }


def choice_rows() -> Rows:
    """The source that each strategy takes by the records of one task, and how many points of accuracy that loses."""
    tables = {
        named["source → target"].split(" →")[0]: decision_of(each.setting)
        for each, named in _with_larger_alone()
        if each.setting.over == "sources" and each.setting.method == "head"
    }
    found: dict[str, dict[str, str]] = {}
    for title, decision in tables.items():
        # Among equal candidates, one is drawn at random.
        drawn = [by_lot(decision._replace(number=number)) for number in range(LOTS)]
        for name, strategy in strategies([name for name in MEASURES if name in decision.scores]).items():
            choices = [(each, choice.order[0]) for each in drawn for choice in strategy(each) or ()]
            if choices:
                takes = {each.names[first] for each, first in choices}
                cells = found.setdefault(name, {"strategy": _worded(name)})
                cells[f"choice among {title}"] = takes.pop() if len(takes) == 1 else f"one of {len(takes)}"
                cells[f"points lost among {title}"] = f"{np.mean([each.regrets[first] for each, first in choices]):.1f}"
    yield from found.values()


def decision_of(setting: Setting) -> Decision:
    """The records of a setting over sources, in the form that strategies read."""
    # Beyond the fifth digit, float32's rounding would break the ties of a saturated measure.
    scores = {name: significant_digits(setting.scores(name)) for name in setting.measures}
    scores["num_parameters"] = -scores.pop("neg_num_parameters")
    return Decision("studies", setting.study, 0, list(setting.labels), setting.accuracies, scores)


def _worded(strategy: str) -> str:
    name, comma, heads = strategy.partition(",")
    return f"{measure_name(name)}{comma}{heads}" if name in MEASURES else strategy


def level_rows() -> Rows:
    """Mean accuracy, or macro F1, in five levels of LEEP of equal width."""
    for each in analysis().settings:
        if found := each.levels:
            cells = {
                f"level {place}": f"{level.accuracy.value:.3f} ({level.n})" if level.n else "–"
                for place, level in enumerate(found.levels, start=1)
            }
            yield _named(each.setting) | cells | {"rising": "yes" if found.rising else "no"}


def convergence_rows() -> Rows:
    """Fine-tuned minus from scratch after some epochs, in levels of LEEP."""
    pairs = zip(analysis().convergence["same-epoch"], analysis().convergence["final"], strict=True)
    for found, finished in pairs:
        for place, (level, end) in enumerate(zip(found.levels, finished.levels, strict=True), start=1):
            named = {"source → target": found.pairing, "level": str(place), "tasks": str(level.n)}
            shown = {
                f"epoch {epoch}": f"{level.differences[epoch - 1].value:+.3f}" if level.n else "–" for epoch in EPOCHS
            }
            yield named | shown | {"level with the finished reference at epoch": str(end.matched or "–")}


TABLES = {
    "study_runs": run_rows,
    "study_facts": fact_rows,
    "study_correlations": correlation_rows,
    "study_measures": measure_rows,
    "study_choices": choice_rows,
    "study_levels": level_rows,
    "study_convergence": convergence_rows,
}


def _r(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _title(name: str) -> str:
    return {"leep": "LEEP", "nce": "NCE", "h_score": "H-score", "logme": "LogME", "knn": "k-NN"}.get(
        name, {"neg_log_classes": "−log c", "shrunk_h_score": "shrunk H-score"}.get(name, name)
    )
