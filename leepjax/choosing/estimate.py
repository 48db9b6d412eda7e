"""Estimate the lowest and the highest cost of a race before it starts."""

from collections.abc import Sequence

from leepjax.callbacks import OnProgress
from leepjax.choosing.budget import read_budget
from leepjax.choosing.rules import Rules
from leepjax.choosing.words import duration
from leepjax.data.target import Target
from leepjax.models.tapped import AS_IT_IS, Layers
from leepjax.opening.sources import AnySource
from leepjax.ranking.estimate import Estimate, estimate
from leepjax.types import NOUNS


def estimate_race(
    target: Target,
    sources: Sequence[AnySource] | AnySource | None,
    budget: float | str | None,
    layers: Layers = AS_IT_IS,
    on_progress: OnProgress = lambda what, done, total: None,
) -> tuple[Estimate, str]:
    """The cost of each source, as in `leepjax.ranking.estimate.estimate`, and the cost of the race in words.

    Raises:
        InputError: for an unknown name, if no source can be opened, or for a wrong budget.
    """
    allowed = read_budget(budget)
    num_examples, noun = len(target) + len(target.test or ()), NOUNS[target.kind].many
    found = estimate(num_examples, sources, layers, on_progress)
    rows = found.rows
    first, *_ = Rules().sizes(len(target), len(target.classes))
    everything = sum(row["seconds for the images"] for row in rows)
    look = everything * first / num_examples
    most = min(everything, allowed.of(lambda: everything))
    return found, (
        f"All {num_examples:,} {noun} through all {found.total()}: {duration(everything)}. "
        f"The first look, {first:,} {noun}: {duration(look)}. The race's passes: {duration(min(look, most))} to "
        f"{duration(most)}; compiling, probes and heads come on top."
    )
