"""Write the text of figures: names of measures, numbers, captions, and descriptions for screen readers."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from leepjax.agreement import significance_note
from leepjax.agreement.few_sources import MOST
from leepjax.measures import FURTHER, MEASURES
from leepjax.studies.analysis.analyse import SettingAnalysis
from leepjax.studies.analysis.by_level import Convergence, LevelMeans
from leepjax.studies.analysis.correlations import LEAD, Correlation
from leepjax.studies.analysis.settings import Setting

# Scores that have no row in a table of measures.
_BASELINES = {
    "neg_log_classes": "−log c",
    "neg_entropy": "−H(Y)",
    "source_accuracy": "source accuracy",
    "neg_num_parameters": "−parameters",
    "neg_label_entropy": "−H(Y)",
    "num_parameters": "parameters",
}
_METRICS = {"accuracy": "test accuracy", "macro_f1": "macro F1"}


def measure_name(measure: str) -> str:
    """A measure's name in text."""
    row = MEASURES.get(measure) or FURTHER.get(measure)
    return row.title if row else _BASELINES.get(measure, measure.replace("_", " "))


def metric_name(setting: Setting) -> str:
    """The name of a setting's metric."""
    return _METRICS[setting.metric]


def number_text(value: float, digits: int = 2) -> str:
    """A number with a true minus sign; – where it is undefined."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def summary_of(row: Correlation) -> str:
    """Pearson's r with its interval, p and n, in a line."""
    r, p = row.pearson, row.p_value
    between = "" if math.isnan(r.low) else f" [{number_text(r.low)}, {number_text(r.high)}]"
    chance = "p –" if math.isnan(p) else "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    return f"r = {number_text(r.value)}{between}, {chance}, n = {row.n}"


class Words(NamedTuple):
    """The text that belongs to a figure."""

    kind: str
    caption: str
    alt: str


def words_of_scatter(each: SettingAnalysis) -> Words:
    """The text of `scatter` of LEEP."""
    setting, row = each.setting, each.plots[0].correlation
    summary, metric = summary_of(row), metric_name(setting)
    how = "Fisher's" if row.n <= MOST else "from a bootstrap over tasks"
    caption = (
        f"{setting.name}. LEEP against {metric}, one point per task, with the least-squares line and its 95 % band: "
        f"{summary}; the interval is {how}."
    )
    if np.ptp(setting.num_classes) > 0:
        alone = each.of["neg_log_classes"].pearson.value if "neg_log_classes" in each.of else math.nan
        caption += (
            f" The number of classes c varies: −log c alone has r = {number_text(alone)}, and LEEP's "
            f"partial r given log c is {number_text(row.given_classes)}."
        )
    return Words("scatter", caption, f"Scatter plot of LEEP and {metric}, {setting.pairing}: {summary}.")


def words_of_selection(each: SettingAnalysis) -> Words:
    """The text of `selection`."""
    setting = each.setting
    n, detectable = (each.of[LEAD].n, each.of[LEAD].minimum_detectable) if LEAD in each.of else (0, math.nan)
    caption = (
        f"{setting.name}. Scores of {len(setting.outcomes)} sources against {metric_name(setting)}, with least-squares "
        f"lines and their 95 % bands. {significance_note(n)} A true |r| of "
        f"{number_text(detectable)} is detected with a power of 80 %."
    )
    best = setting.labels[int(np.argmax(setting.accuracies))]
    return Words(
        "selection", caption, f"Scatter plots of scores and {metric_name(setting)}; {best} is the best source."
    )


def words_of_levels(means: Sequence[LevelMeans]) -> Words:
    """The text of `level_bars`."""
    setting, kind = means[0].setting, means[0].kind
    rising = [each.setting.pairing for each in means if each.rising]
    caption = (
        f"{setting.kind_of_task}, {setting.how}. Mean {metric_name(setting)} of the tasks in each of "
        f"{len(means[0].levels)} {kind} levels of {measure_name(means[0].measure)}, with 95 % t intervals; dots are "
        f"the single tasks. Means rise from each level to the next in {_count(rising, len(means))}."
    )
    alt = f"Bar charts of mean {metric_name(setting)} by level; they rise throughout in {len(rising)} of {len(means)}."
    return Words("levels", caption, alt)


def words_of_methods(panels: Sequence[Sequence[LevelMeans]]) -> Words:
    """The text of `method_bars`."""
    setting, kind = panels[0][0].setting, panels[0][0].kind
    rising = [f"{each.setting.pairing}, {each.setting.how}" for panel in panels for each in panel if each.rising]
    caption = (
        f"{setting.kind_of_task}. Mean {metric_name(setting)} by {kind} level of {measure_name(panels[0][0].measure)} "
        f"for each method, with 95 % t intervals; the numbers below a level count its tasks, in the methods' order. "
        "A method's levels divide the scores of its own tasks. Means rise from each level to the next in "
        f"{len(rising)} of {sum(map(len, panels))}{': ' if rising else ''}{'; '.join(rising)}."
    )
    return Words("levels", caption, f"Bar charts of mean {metric_name(setting)} by level for each method.")


def words_of_convergence(found: Sequence[Convergence]) -> Words:
    """The text of `convergence_curves`."""
    same = found[0].against == "same-epoch"
    reference = "training from scratch after the same epoch" if same else "finished training from scratch"
    zero = "training from scratch has caught up" if same else "fine-tuning has caught up"
    matched = "; ".join(f"{each.pairing}: {_matched(each)}" for each in found)
    caption = (
        f"Test accuracy of fine-tuning minus that of {reference}, averaged over the tasks in each {found[0].kind} "
        f"level of {measure_name(found[0].measure)}, with 95 % t bands. At the zero line {zero}. First epoch there, "
        f"from the lowest level to the highest: {matched}."
    )
    return Words("convergence", caption, f"Curves of the accuracy difference by epoch, one curve per level. {matched}.")


def _matched(found: Convergence) -> str:
    return ", ".join("never" if level.matched is None else str(level.matched) for level in found.levels if level.n)


def _count(pairings: Sequence[str], of: int) -> str:
    """How many panels, and which ones unless it is all or none."""
    if len(pairings) in (0, of):
        return f"{len(pairings)} of {of} panel{'s' if of > 1 else ''}"
    return f"{len(pairings)} of {of} panels ({', '.join(pairings)})"
