"""The cost of a ranking before it starts: bytes to download, and seconds to pass the images through each source."""

import time
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.models import architectures
from leepjax.models.card import Card
from leepjax.models.opening import describe, load_source, plugins
from leepjax.models.source import Merged, Source, UserFunction, forward
from leepjax.opening.sources import AnySource, chosen_sources
from leepjax.tables import Row

BATCH = 8
"""How many images the estimate times."""


def estimate(num_examples: int, sources: Sequence[AnySource] | AnySource | None) -> list[Row]:
    """A row per source: its parameters, the bytes still to be downloaded, and the seconds for the images here.

    Weights aren't downloaded: the architecture is timed with zeros in their place. Where no hub answers, the bytes are
    guessed from the number of parameters. The seconds don't include decoding, which happens while the network
    computes, nor compiling, scoring and training heads.

    Args:
        num_examples: the number of images.
        sources: as in `rank`.

    Raises:
        InputError: for a source that doesn't exist.
    """
    return [_row(each, num_examples) for each in chosen_sources("estimate", sources)]


def _row(source: AnySource, num_examples: int) -> Row:
    if isinstance(source, str) and source in plugins():
        source = load_source(source)
    card, to_fetch = (source.card, 0) if isinstance(source, Source) else describe(source)
    if to_fetch is None:  # no hub answers: assume float32, in which most weights are published
        to_fetch = 4 * card.num_parameters
    seconds = _seconds_per_image(card, source) * num_examples
    return {
        "source": card.name,
        "model": card.model,
        "parameters": card.num_parameters,
        "licence": card.licence or "–",
        "megabytes to fetch": round(to_fetch / 1e6),
        "seconds for the images": round(seconds) if seconds >= 10 else round(seconds, 1),
    }


def _seconds_per_image(card: Card, source: AnySource) -> float:
    if isinstance(source, Source) and isinstance(source.network, UserFunction):
        apply, params = source.opened
    else:
        network = architectures.abstract(card.model, card.num_classes)
        network.eval()
        graphdef, shapes = nnx.split(network)
        apply, params = Merged(graphdef), jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    size = card.preprocessing.image_size
    images = np.zeros((BATCH, size, size, 3), np.uint8)
    jax.block_until_ready(forward(apply, params, images, card.preprocessing))
    started = time.perf_counter()
    jax.block_until_ready(forward(apply, params, images, card.preprocessing))
    return (time.perf_counter() - started) / BATCH
