"""A ranking in words: which source to take, and remarks on the tables."""

import math
from typing import TYPE_CHECKING

from leepjax.agreement.correlation import significance_note
from leepjax.models.tap_names import selection
from leepjax.ranking.draws import defined, draws_of, too_few, undefined_share
from leepjax.tables import some
from leepjax.tasks import difference, level
from leepjax.types import LOWER_IS_BETTER, METRICS

if TYPE_CHECKING:
    from leepjax.ranking.ranking import Ranking

_COUNTS = {2: "two", 3: "three", 4: "four", 5: "five"}


def answer_of(ranking: "Ranking") -> str:
    """The answer in a sentence or two: the source to take, others that can't be distinguished from it, and its lead."""
    if not ranking.sources:
        return f"No source could be measured for {ranking.target}."
    if ranking.decided_by != ranking.verified_by:
        return _unverified(ranking)
    verified = ranking.records_of(ranking.verified_by)
    best = verified[ranking.best]
    if math.isnan(best.worth):
        return f"No source could be verified for {ranking.target}: {METRICS[ranking.metric]} is undefined."
    examples = f"{best.num_examples:,} test {ranking.noun.many}"
    if len(ranking.sources) == 1:
        text = f"Take {ranking.best}, the only source: {level(ranking.metric, best.value or 0.0)} on {examples}."
    elif others := ranking.tied_with_best:
        count = _count(1 + len(others))
        text = f"Take {ranking.best} (or {_any(others)}: the {count} can't be distinguished on {examples})."
    else:
        text = (
            f"Take {ranking.best}: {level(ranking.metric, best.value or 0.0)} on {examples}{_lead_over_next(ranking)}."
        )
    return f"{text}{_cheaper(ranking)}{_by_measures_alone(ranking)}"


def _unverified(ranking: "Ranking") -> str:
    lead = ranking.measures[0]
    record = ranking.records_of(lead)[ranking.best]
    if len(ranking.sources) == 1:
        return f"{ranking.best} is the only source; how well it transfers isn't known: verify by training heads."
    if math.isnan(record.worth):
        return f"{lead} is undefined for every source: choose another measure, or verify by training heads."
    share, noun = ranking.first_in()[ranking.best], ranking.noun.many
    resampled = (
        "" if math.isnan(share) else f", in {per_cent(share)} of resamples of the {record.num_examples:,} {noun}"
    )
    others = f"; it can't be distinguished from {_any(ranking.tied_with_best)}" if ranking.tied_with_best else ""
    return (
        f"{lead} puts {ranking.best} first{resampled}{others}. "
        "Whether it transfers best isn't known: verify by training heads."
    )


def _lead_over_next(ranking: "Ranking") -> str:
    verified = ranking.records_of(ranking.verified_by)
    following = next((source for source in ranking.sources[1:] if source in verified), None)
    if following is None or math.isnan(verified[following].worth):
        return ""
    return f", {_difference(ranking, ranking.best, following)} better than {following}"


def _cheaper(ranking: "Ranking") -> str:
    """The fastest leader, if it takes at most half of the first source's time per image."""
    costs = ranking.costs
    leaders = [source for source in ranking.leaders if source in costs]
    if ranking.best not in leaders:
        return ""
    fastest = min(leaders, key=lambda source: costs[source].seconds_per_image)
    times = costs[ranking.best].seconds_per_image / max(costs[fastest].seconds_per_image, 1e-12)
    return f" {fastest} is {times:.1f} times as fast." if times >= 2 else ""


def _by_measures_alone(ranking: "Ranking") -> str:
    """The source that the first measure would have chosen without verification, and that of LEEP if it differs."""
    if len(ranking.sources) == 1:
        return ""
    lead = ranking.measures[0]
    text = _by_measure_alone(ranking, lead)
    if "leep" in ranking.measures and ranking.best_by("leep") != ranking.best_by(lead):
        text += _by_measure_alone(ranking, "leep")
    return text


def _by_measure_alone(ranking: "Ranking", measure: str) -> str:
    verified, taken = ranking.records_of(ranking.verified_by), ranking.best_by(measure)
    if taken is None or taken not in verified or math.isnan(verified[taken].worth):
        return ""
    if taken == ranking.best:
        return f" {measure} alone would have taken it, too."
    if taken in ranking.tied_with_best:
        return f" {measure} alone would have taken {taken}, which is one of these."
    return f" {measure} alone would have taken {taken}, {_difference(ranking, ranking.best, taken)} worse."


def _difference(ranking: "Ranking", better: str, worse: str) -> str:
    verified = ranking.records_of(ranking.verified_by)
    return difference(ranking.metric, verified[better].worth - verified[worse].worth)


def _any(names: tuple[str, ...]) -> str:
    """One name, or several joined for a choice."""
    shown, more = names[:4], len(names) - 4
    last = f"{more:,} more" if more > 0 else shown[-1]
    before = shown if more > 0 else shown[:-1]
    return f"{', '.join(before)} or {last}" if before else last


def _count(number: int) -> str:
    return _COUNTS.get(number, f"{number:,}")


def per_cent(share: float) -> str:
    """A share in whole per cent, never rounded to 0 or 100 %; – where undefined."""
    if math.isnan(share):
        return "–"
    if 0 < share < 0.005:
        return "<1 %"
    return ">99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"


def _calibration(ranking: "Ranking") -> str:
    if ranking.metric == "accuracy" and ranking.verified_by != "finetune":
        return "In 300 benchmark tasks, the sources marked with 95 % confidence included the best one in 96 %."
    return "How well P(best) is calibrated was measured only for accuracies of heads."


def _lacks_some(ranking: "Ranking", measure: str) -> bool:
    undefined = [math.isnan(score) for score in ranking.scores(measure).values()]
    return any(undefined) and not all(undefined)


def undefined_remark(name: str, share: float, judged: str, what: str) -> list[str]:
    """A sentence about the share of resamples that were left out as a metric or measure is undefined in them; none
    where it is at most 1 %.

    Args:
        name: of the metric or measure.
        share: of the resamples.
        judged: what is resampled.
        what: is of the other resamples, beside intervals.
    """
    if share <= 0.01:
        return []
    undefined = f"{name} is undefined in {per_cent(share)} of the resamples of the {judged}"
    if share > 0.5:
        return [f"{undefined}, so there is no interval, and nothing tells the sources apart."]
    return [f"{undefined}; intervals and {what} are of the others."]


def num_too_few(ranking: "Ranking") -> int:
    """The number of examples that sources were told apart on, if it is too small for that; otherwise 0."""
    records = ranking.records_of(ranking.decided_by)
    count = min((record.num_examples for record in records.values()), default=0) if len(records) > 1 else 0
    return count if too_few(count) else 0


def remarks_on(ranking: "Ranking") -> list[str]:
    """Remarks, in sentences, without which the tables could be over-interpreted."""
    found = []
    verified = ranking.decided_by == ranking.verified_by
    noun = ranking.noun
    judged = f"test {noun.many}" if verified else noun.many
    deciding = list(ranking.records_of(ranking.decided_by).values())
    draws = draws_of(deciding)
    count = num_too_few(ranking)
    if count:
        found.append(f"{count} {judged} are too few to tell sources apart, so no confidence is claimed.")
    if tied := ranking.tied_with_best:
        compared = ""
        if defined(draws).any():
            sure = f": together they hold the best source with {100 * deciding[0].confidence:g} % confidence"
            compared = f"{'' if count else sure}, by paired resamples of the {judged}"
        found.append(f"= {some(tied)} can't be distinguished from {ranking.best}{compared}.")
    name = METRICS[ranking.metric] if verified else ranking.decided_by
    found += undefined_remark(name, undefined_share(draws), judged, "P(best)" if verified else "the leaders")
    if any(not math.isnan(share) for share in ranking.p_best().values()):
        found.append(
            "P(best) is the probability that a source has the "
            f"{'lowest' if ranking.metric in LOWER_IS_BETTER else 'highest'} {METRICS[ranking.metric]}, by these "
            f"paired resamples{'; so few hardly differ.' if count else f'. {_calibration(ranking)}'}"
        )
    missing = [source for source in ranking.sources if verified and source not in ranking.accuracies]
    if missing:
        found.append(f"Not verified, and so behind the others: {some(missing)}.")
    if among := selection(ranking.sources):
        found.append(
            f"Selected among {among}: the best of many owes part of its result to chance, so expect a little less on "
            f"new {noun.many}. {'P(best) takes' if verified else 'The leaders take'} all of them into account; an "
            "interval is that of one candidate."
        )
    undefined = [measure for measure in ranking.measures if _lacks_some(ranking, measure)]
    if undefined:
        found.append(
            f"– stands where a measure is undefined for a source ({some(undefined)}); those that read class "
            "probabilities are undefined for sources without a head, such as layers."
        )
    if ranking.dominated_by:
        found.append(
            "Dominated by: another source is at least as good and as fast, and better in at least one; times per "
            f"{noun.one} are of this run's machine, and count as equal within 10 %."
        )
    if ranking.verified_by and len(ranking.accuracies) > 1:
        found.append(significance_note(len(ranking.accuracies)))
    return found
