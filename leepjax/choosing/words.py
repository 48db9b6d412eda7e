"""The answer of a choice in sentences."""

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

from leepjax.choosing.best import draws_of
from leepjax.models.tap_names import selection
from leepjax.ranking.answer import undefined_remark
from leepjax.ranking.draws import TRAINING_PART, defined, too_few, undefined_share
from leepjax.tables import some
from leepjax.types import METRICS

if TYPE_CHECKING:
    from leepjax.choosing.choice import Choice

_ENDS = {
    "few left": "every other source was worse{sure}, or dropped for the budget",
    "examples": "all {noun} had passed through the sources that were left",
    "budget": "the budget didn't pay for another look",
    "stopped": "it was interrupted",
}


def sentences(choice: "Choice") -> list[str]:
    """The source to take, how good it is, what that cost, and what would change the answer, one line each."""
    return [
        _take(choice),
        *_expected(choice),
        *_selected(choice),
        *_too_few(choice),
        _cost(choice),
        _change(choice),
    ]


def duration(seconds: float) -> str:
    """A time in seconds, minutes or hours."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _take(choice: "Choice") -> str:
    examples = f"{_num_raced(choice):,} {choice.noun.many}"
    if choice.judged:
        examples = f"{choice.judged[0].num_examples:,} {_judged(choice)}"
    how = ", fine-tuned" if choice.trained == "finetune" else ""
    unseen = _unseen(choice)
    others = [name for name in choice.leaders[1:] if name not in unseen]
    rest = f"; the budget didn't pay for a look at {some(unseen, 3)}" if unseen else ""
    if others:
        return f"Take {choice.source}{how} (or {some(others)}: not distinguishable from it on {examples}{rest})."
    if unseen:
        return f"Take {choice.source}{how}, the best of the sources that were looked at{rest}."
    if len(_sources(choice)) == 1:
        return f"Take {choice.source}{how}: it is the only source that could be looked at."
    if _num_too_few(choice):
        return f"Take {choice.source}{how}: every other source did worse on {examples}."
    return f"Take {choice.source}{how}: every other source is worse for {choice.target}, {_sure(choice)}."


def _judged(choice: "Choice") -> str:
    return f"test {choice.noun.many}" if choice.num_test else choice.noun.many


def _sources(choice: "Choice") -> set[str]:
    """The sources that were looked at."""
    return {each.source for look in choice.race.looks for each in look.standings if each.loss is not None}


def _unseen(choice: "Choice") -> list[str]:
    """The sources that the budget left out from the start."""
    first = choice.race.looks[0].standings
    return [each.source for each in first if each.loss is None and each.dropped == "budget"]


def _sure(choice: "Choice") -> str:
    return f"at a confidence of {choice.confidence * 100:g} %"


def _expected(choice: "Choice") -> list[str]:
    name = METRICS[choice.metric]
    if choice.value is None and choice.judged:
        return [f"Its {name} is undefined on {choice.judged[0].num_examples:,} {_judged(choice)}."]
    if choice.value is None:
        return [f"No head was trained, so its {name} isn't known."]
    if choice.trained == "finetune":
        tuned, held_out = choice.tuned[-1], f"{'test' if choice.num_test else 'held-out'} {choice.noun.many}"
        return [f"Expected {name} after fine-tuning: {choice.value:.3f} (on {tuned.num_examples:,} {held_out})."]
    between = " [{:.3f}, {:.3f}]".format(*choice.interval) if choice.interval else ""
    where = f" (on {choice.judged[0].num_examples:,} test {choice.noun.many})" if choice.num_test else ""
    remark = undefined_remark(name, undefined_share(draws_of(choice.judged)), _judged(choice), "P(best)")
    return [f"Expected {name} of a new head: {choice.value:.3f}{between}{where}.", *remark]


def _num_raced(choice: "Choice") -> int:
    return max(look.num_examples for look in choice.race.looks)


def _num_too_few(choice: "Choice") -> int:
    """The number of examples that sources were told apart on, if it is too small for that; otherwise 0."""
    if len(_sources(choice)) == 1:
        return 0
    counts = [_num_raced(choice)]
    counts += [each.num_examples for each in choice.judged] if len(choice.judged) > 1 else []
    return min(counts) if too_few(min(counts)) else 0


def _too_few(choice: "Choice") -> list[str]:
    if not (count := _num_too_few(choice)):
        return []
    return [f"{count} {choice.noun.many} are too few to tell sources apart, so no confidence is claimed."]


def _selected(choice: "Choice") -> list[str]:
    """A sentence that says that the best of many layers was selected."""
    first = choice.race.looks[0].standings
    among = selection(each.source for each in first)
    if not among:
        return []
    return [
        f"Selected among {among}: the best of many owes part of its result to chance, so expect a little less on new "
        f"{choice.noun.many}. The race divided its error probability among all of them."
    ]


def _cost(choice: "Choice") -> str:
    race, sources = choice.race, len({each.source for each in choice.race.looks[0].standings})
    looks = f"{len(race.looks)} {'look' if len(race.looks) == 1 else 'looks'}"
    everything = f"all {choice.noun.many} through {'the source' if sources == 1 else f'all {sources:,} sources'}"
    share = f" ({100 * choice.saved / choice.full_cost:.0f} %)" if choice.full_cost > 0 else ""
    others = duration(max(choice.spent - choice.passed, 0.0))
    training = "compilation, probes, heads and fine-tuning" if choice.tuned else "compilation, probes and heads"
    sure = "" if too_few(_num_raced(choice)) else " with confidence"
    end = _ENDS[race.ended].format(noun=choice.noun.many, sure=sure) if sources > 1 else "there was one source"
    ended = f"In addition, {others} for {training}. The race ended after {looks}: {end}."
    if choice.rows_read is not None:
        read = f"{choice.rows_read:,} of the {sources * (choice.num_examples + choice.num_test):,} rows of all tables"
        return f"Nothing had to pass through a network; {read} were read. {ended}"
    return (
        f"Passing {choice.noun.many} took {duration(choice.passed)}; {everything} would have taken "
        f"{duration(choice.full_cost)}: saved {duration(choice.saved)}{share}. {ended}"
    )


def _change(choice: "Choice") -> str:
    """A sentence that says what would change the answer."""
    dropped = {each.source for look in choice.race.looks for each in look.standings if each.dropped == "budget"}
    budgeted = [name for name in choice.leaders if name in dropped]
    parts = []
    if len(choice.leaders) > 1 + len(_unseen(choice)):
        more = _images_needed(choice)
        needed = f" (about {more:,} for the closest)" if more else ""
        parts.append(f"more labelled {_judged(choice)} would tell the leaders apart{needed}")
    elif _num_too_few(choice):
        parts.append(f"more labelled {_judged(choice)} would tell the sources apart")
    if budgeted:
        parts.append(f"a larger budget would look longer at {some(budgeted, 3)}")
    if not choice.finished:
        parts.append("running the same command again resumes the choice")
    if not parts:
        return f"More {choice.noun.many} or a larger budget are unlikely to change this answer; better sources may."
    return f"What could change this: {'; '.join(parts)}."


def _images_needed(choice: "Choice") -> int | None:
    """How many images would separate the first two judged sources, if their difference stays what it is.

    With so many, P(best) of the first one would be the confidence: the draws' variance, multiplied as for P(best),
    shrinks with the number of images.
    """
    if len(choice.judged) < 2:
        return None
    import numpy as np

    first, second = choice.judged[:2]
    if first.value is None or second.value is None:
        return None
    draws = draws_of((first, second))
    draws = draws[:, defined(draws)]
    error = float(np.std(np.subtract(*draws))) if draws.size else math.nan
    difference = abs(first.value - second.value)
    if not difference or not math.isfinite(error / difference):
        return None
    reach = max(NormalDist().inv_cdf(choice.confidence), 0) * math.sqrt(TRAINING_PART)
    needed = first.num_examples * (reach * error / difference) ** 2
    if not first.num_examples < needed < 1e7:
        return None
    digits = 2 - len(str(int(needed)))
    return int(round(needed, digits))
