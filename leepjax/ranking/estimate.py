"""The cost of a ranking before it starts: bytes to download, and seconds to pass the images through each source."""

import os
import time
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import msgspec
from flax import nnx

from leepjax.callbacks import OVERALL, OnProgress
from leepjax.models import architectures
from leepjax.models.bridges.names import bridge_of_name
from leepjax.models.card import Card
from leepjax.models.opening import describe, find_source, load_source, plugins
from leepjax.models.ready import ready
from leepjax.models.source import Foreign, Merged, Source, UserFunction
from leepjax.models.tapped import AS_IT_IS, Layers, candidates_of, deepest_of
from leepjax.opening.sources import SENTENCES, AnySource, Failed, chosen_sources, raise_for_all
from leepjax.opening.tables import TableFile
from leepjax.printable import valid_unicode
from leepjax.tables import Row

BATCH = 8
"""How many images the estimate times."""

_TO_FETCH = "megabytes to fetch"


class Estimate(NamedTuple):
    """The costs of a ranking's sources, and the sources that can't be opened."""

    rows: list[Row]
    failed: list[Failed]

    def total(self) -> str:
        """Sums over the sources, in words."""
        parameters, megabytes = (sum(row[column] for row in self.rows) for column in ("parameters", _TO_FETCH))
        return (
            f"{len(self.rows)} sources of {parameters / 1e6:,.1f} million parameters, {megabytes:,} megabytes to fetch"
        )


def estimate(
    num_examples: int,
    sources: Sequence[AnySource] | AnySource | None,
    layers: Layers = AS_IT_IS,
    on_progress: OnProgress = lambda what, done, total: None,
) -> Estimate:
    """A row per source: its parameters, the bytes still to be downloaded, and the seconds for the images here.

    Weights aren't downloaded: the hub states the sizes of its files, and the architecture is timed with zeros in place
    of weights. Where no hub answers, the bytes are guessed from the number of parameters. The seconds don't include
    decoding, which happens while the network computes, nor compiling, scoring and training heads.

    Args:
        num_examples: the number of images.
        sources: as in `rank`.
        layers: the layers of each source; its pass ends at the deepest of them.
        on_progress: called after each source.

    Raises:
        InputError: for an unknown name, or if no source can be opened.
    """
    rows, failed = [], []
    chosen = chosen_sources("estimate", sources)
    for each in chosen:
        _ = isinstance(each, Source | TableFile) or find_source(each)  # raises for an unknown name
    for number, each in enumerate(chosen, 1):
        name = each.name if isinstance(each, Source) else valid_unicode(os.fspath(each))
        try:
            named = each.sources if isinstance(each, TableFile) else [each]
            rows += [_row(source, num_examples, layers) for source in named]
        except SENTENCES as error:
            failed.append(Failed(name, error))
        on_progress(f"{OVERALL}: {name}", number, len(chosen))
    if not rows:
        raise_for_all("estimate", failed)
    return Estimate(rows, failed)


def _row(source: AnySource, num_examples: int, layers: Layers) -> Row:
    card, to_fetch, runnable = _without_weights(source, layers)
    if to_fetch is None:  # no hub answers: assume float32, in which most weights are published
        to_fetch = 4 * card.num_parameters
    seconds = _seconds_per_image(runnable) * num_examples
    return {
        "source": card.name,
        "model": card.model,
        "parameters": card.num_parameters,
        "licence": card.licence or "–",
        _TO_FETCH: round(to_fetch / 1e6),
        "seconds for the images": round(seconds) if seconds >= 10 else round(seconds, 1),
    }


def _without_weights(source: AnySource, layers: Layers) -> tuple[Card, int | None, Source]:
    """The card of a source, the bytes to download, and a source of equal cost: with zeros or random weights."""
    if isinstance(source, str) and source in plugins():
        source = load_source(source)
    if isinstance(source, Source):
        card, to_fetch = source.card, 0
        if isinstance(source.network, Foreign):
            candidates_of(source, layers)  # raises where the layers have no names
            return card, to_fetch, source
    elif bridge := bridge_of_name(os.fspath(source)):
        runnable, to_fetch = bridge.describe(os.fspath(source))
        candidates_of(runnable, layers)
        return runnable.card, to_fetch, runnable
    else:
        card, to_fetch = describe(source)
    card = msgspec.structs.replace(deepest_of(card, layers), name=card.name)
    network = architectures.abstract(card.model, card.num_classes)
    network.eval()
    graphdef, shapes = nnx.split(network)
    zeros = jax.jit(lambda: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes))()
    return card, to_fetch, Source(card, UserFunction(Merged(graphdef), zeros))


def _seconds_per_image(source: Source) -> float:
    if ready(source):
        return 0.0
    inputs = source.preparation.blank(BATCH)
    jax.block_until_ready(source(inputs))
    started = time.perf_counter()
    jax.block_until_ready(source(inputs))
    return (time.perf_counter() - started) / BATCH
