"""Compare the LEEP paper's statements with the records: agrees, disagrees or inconclusive, and why."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from scipy.stats import binomtest

from leepjax.report.captions import number_text
from leepjax.report.page import Verdict
from leepjax.studies.analysis.analyse import Analysis, SettingAnalysis
from leepjax.studies.analysis.by_level import Convergence, LevelMeans
from leepjax.studies.analysis.correlations import LEAD, PAPER_MEASURES

LARGE_R = 0.94
WON, SETTINGS = 15, 23
FEWEST = 3
"""The fewest tasks in a level whose curve is interpreted."""
TOP_1 = (
    "ResNet18/34/50 70.93 / 74.37 / 77.36, MobileNet 1.0/.75/.5/.25 73.28 / 70.25 / 65.20 / 52.91, DarkNet53 78.56, "
    "SENet154 81.26"
)


def published_facts(analysis: Analysis) -> list[Verdict]:
    """A verdict on each published fact."""
    analysed = analysis.settings
    return [
        large_targets([each for each in analysed if (each.setting.study, each.setting.profile) == ("large", "")]),
        best_of_three([each for each in analysed if each.counts]),
        rising_levels([each.levels for each in analysed if each.levels and each.setting.method != "meta"]),
        rising_levels([each.levels for each in analysed if each.levels and each.setting.method == "meta"], META),
        earlier_levels(analysis.convergence["final"], analysis.convergence["same-epoch"]),
        Verdict(
            f"The candidates' ImageNet top-1 accuracies are {TOP_1}.",
            "not measured",
            "–",
            "The list is the paper's. No study here uses ImageNet, so it can't be checked.",
        ),
    ]


def large_targets(analysed: Sequence[SettingAnalysis]) -> Verdict:
    """The verdict on r above 0.94."""
    statement = f"On the large targets LEEP's r is above {LARGE_R} for both sources."
    rows = [(each, r) for each in analysed if LEAD in each.of and not math.isnan((r := each.of[LEAD].pearson).value)]
    sources = {each.setting.source for each, _ in rows}
    listed = "; ".join(
        f"{each.setting.pairing}, {each.setting.how}, n = {len(each.setting.outcomes)}: {_with_interval(r)}"
        for each, r in rows
    )
    classes = "; ".join(
        f"{each.setting.source}, {each.setting.how}: {number_text(each.of['neg_log_classes'].pearson.value)}"
        for each, _ in rows
        if "neg_log_classes" in each.of
    )
    caution = f" r of the number of classes alone, −log c: {classes}." if classes else ""
    if not rows:
        return _inconclusive(statement, "No large targets with a varying number of classes were recorded.")
    if any(r.high <= LARGE_R for _, r in rows):
        return _disagrees(statement, f"{listed}. An interval lies entirely below {LARGE_R}.{caution}")
    if len(sources) < 2:
        return _inconclusive(statement, f"{listed}. Only one source was transferred.{caution}")
    if all(r.low > LARGE_R for _, r in rows):
        return _agrees(statement, f"{listed}.{caution}")
    return _inconclusive(statement, f"{listed}. An interval contains {LARGE_R}.{caution}")


def best_of_three(analysed: Sequence[SettingAnalysis]) -> Verdict:
    """The verdict on how often LEEP is the best measure."""
    statement = f"LEEP is the best of LEEP, NCE and H-score in {WON} of {SETTINGS} settings."
    if not analysed:
        return _inconclusive(statement, "No setting of four outcomes or more has all three scores.")
    won = [each for each in analysed if each.winner.measure == LEAD]
    lost = [each for each in analysed if each.winner.measure != LEAD]
    n, share = len(analysed), WON / SETTINGS
    low, high = binomtest(len(won), n).proportion_ci()
    why = (
        f"It is the best in {len(won)} of {n} settings here, in {sum(each.winner.certain for each in won)} of them by "
        f"more than chance; in the other {len(lost)} it is beaten by more than chance in "
        f"{sum(each.winner.certain for each in lost)}. It isn't known exactly which settings "
        f"the paper's {SETTINGS} are; these differ from them. A share of {len(won)} in {n} has the "
        f"95 % interval [{number_text(low)}, {number_text(high)}] if the settings were independent, which those on the "
        f"same classes are not; the paper's is {number_text(share)}."
    )
    if leads := [
        each.winner.pearson / (each.winner.pearson - each.winner.margin.value) - 1
        for each in won
        if each.winner.pearson > each.winner.margin.value
    ]:
        why += (
            f" Its largest lead is {100 * max(leads):.0f} % of the better of the others' r; the paper's is up to 30 %."
        )
    if undefined := sum(any(math.isnan(each.of[name].pearson.value) for name in PAPER_MEASURES) for each in analysed):
        why += f" In {undefined} settings one of the three is undefined and only the others are compared."
    if high < share or low > share:
        return _disagrees(statement, f"{why} LEEP wins {'more' if low > share else 'less'} often than in the paper.")
    if high - low > 0.5:
        return _inconclusive(statement, f"{why} There are too few settings to decide.")
    return _agrees(statement, f"{why} The interval contains the paper's share.")


RISING = "The mean accuracies of the five transferability levels rise from each level to the next."
META = "Meta-transfer's mean accuracies rise with the level of LEEP, too."


def rising_levels(means: Sequence[LevelMeans], statement: str = RISING) -> Verdict:
    """The verdict on mean accuracies by level."""
    means = [each for each in means if sum(level.n > 0 for level in each.levels) > 1]
    if not means:
        return _inconclusive(statement, "No small targets of two levels or more were recorded.")
    rising = [each for each in means if each.rising]
    falling = [each for each in means if _falls(each)]
    why = f"They rise throughout in {len(rising)} of {len(means)} settings, in equal-width levels of LEEP."
    if falling:
        names = "; ".join(each.setting.name for each in falling)
        return _disagrees(
            statement,
            f"{why} In these settings a mean falls from one level to the next with disjoint 95 % intervals: {names}.",
        )
    if len(rising) == len(means) and all(level.n for each in means for level in each.levels):
        return _agrees(statement, why)
    others = "; ".join(
        f"{each.setting.name} ({_sizes(each)} tasks)"
        for each in means
        if not each.rising or not all(level.n for level in each.levels)
    )
    return _inconclusive(
        statement, f"{why} Elsewhere a level is empty, or a mean falls by an amount that may be chance: {others}."
    )


def earlier_levels(final: Sequence[Convergence], same_epoch: Sequence[Convergence]) -> Verdict:
    """The verdict on the epoch at which fine-tuning reaches the finished reference."""
    statement = "Fine-tuning reaches the accuracy from scratch (the zero line) earlier in higher levels of LEEP."
    if not final:
        return _inconclusive(statement, "Nothing was trained from scratch.")
    found = [each.higher_is_earlier for each in final]
    why = (
        f"Against the finished reference, first epochs at the zero line from the lowest level to the highest: "
        f"{_matches(final)}. Against the reference after the same epoch: {_matches(same_epoch)}."
    )
    least = min((level.n for each in final for level in each.levels if level.n), default=0)
    if least < FEWEST:
        return _inconclusive(
            statement, f"{why} Some levels have fewer than {FEWEST} tasks, which is too few to decide."
        )
    if all(found):
        return _agrees(statement, why)
    if all(each is False for each in found):
        return _disagrees(statement, f"{why} Higher levels do not reach the finished reference earlier.")
    earlier, known = sum(bool(each) for each in found), sum(each is not None for each in found)
    if not known:
        return _inconclusive(statement, f"{why} Fewer than two levels reach the zero line, so none can be compared.")
    return _inconclusive(
        statement, f"{why} Higher levels are earlier in {earlier} of {known} transfers that can be compared."
    )


def _falls(means: LevelMeans) -> bool:
    """Whether a level's interval lies entirely below that of the level before."""
    there = [level.accuracy for level in means.levels if level.n > 1]
    return any(after.high < before.low for before, after in pairwise(there))


def _sizes(means: LevelMeans) -> str:
    return ", ".join(str(level.n) for level in means.levels)


def _matches(found: Iterable[Convergence]) -> str:
    return "; ".join(
        f"{each.pairing} "
        + ", ".join(f"{level.matched or 'never'} ({level.n} tasks)" for level in each.levels if level.n)
        for each in found
    )


def _with_interval(r) -> str:
    return f"{number_text(r.value, 3)} [{number_text(r.low, 3)}, {number_text(r.high, 3)}]"


def _agrees(statement: str, why: str) -> Verdict:
    return Verdict(statement, "agrees", "✓", why)


def _disagrees(statement: str, why: str) -> Verdict:
    return Verdict(statement, "disagrees", "✗", why)


def _inconclusive(statement: str, why: str) -> Verdict:
    return Verdict(statement, "inconclusive", "?", why)
