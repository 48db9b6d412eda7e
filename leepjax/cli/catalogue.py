"""Sources, models of the hub, measures and targets as rows for ``leepjax ls``."""

from collections.abc import Sequence
from pathlib import Path

from leepjax.data.readers import EMBEDDED
from leepjax.measures import FURTHER, MEASURES
from leepjax.models.bridges.names import bridge_of_name
from leepjax.models.card import Card
from leepjax.models.hub_listing import hub_models, read_filter
from leepjax.models.opening import describe, load_source, plugins, shipped_sources
from leepjax.models.opening import sets as all_sets
from leepjax.models.published import PUBLISHED
from leepjax.models.sets import hub_sets
from leepjax.models.source import Source, WeightsFile
from leepjax.models.tapped import blocks_of_source
from leepjax.tables import Row
from leepjax.tasks import WORDS
from leepjax.types import InputError


def sources() -> list[Row]:
    """Shipped sources, sources whose weights are downloaded at the first use, and sources of installed packages."""
    cards = [(load_source(name).card, "shipped") for name in shipped_sources()]
    cards += [(row.card(), row.weights) for row in PUBLISHED.values()]
    cards += [(load_source(name).card, point.value) for name, point in plugins().items()]
    return [
        {
            "source": card.name,
            "model": card.model,
            "trained on": card.data,
            "classes": card.num_classes,
            "pixels": _pixels(card),
            "parameters": card.num_parameters,
            "accuracy": card.accuracy,
            "licence": card.licence or "–",
            "weights": weights,
        }
        for card, weights in cards
    ]


def _pixels(card: Card) -> int | str:
    """The side of square images, or height and width; a dash for a source that reads no images."""
    if card.preprocessing is None:
        return "–"
    height, width = card.preprocessing.size
    return height if height == width else f"{height} × {width}"


def hub(conditions: Sequence[str]) -> list[Row]:
    """Models of the hub that meet the conditions; ``name`` and ``author`` are parts of ``source``, and so not shown."""
    rows = hub_models(read_filter(conditions), "ls")
    return [{field: value for field, value in row.items() if field not in ("name", "author")} for row in rows]


def sets() -> list[Row]:
    """The members of each set of sources, and why they are members."""
    reasons = {name: each.reasons for name, each in hub_sets().items()}
    return [
        {"set": name, "source": source, "why": reasons.get(name, {}).get(source, "–")}
        for name, members in all_sets().items()
        for source in members
    ]


def blocks(source: str | None) -> list[Row]:
    """The blocks of a source's network, the first one first, with the size of what they compute for one image.

    Raises:
        InputError: for no source, or one whose layers have no names.
    """
    if source is None:
        raise InputError("ls: expected a source after blocks, got none; name one, as in leepjax ls blocks resnet18.")
    return [
        {"block": name, "kind": "map" if len(x.shape) == 4 else "tokens", "size": " × ".join(map(str, x.shape[1:-1]))}
        | {"features": x.shape[-1]}
        for name, x in blocks_of_source(_described(source)).items()
    ]


def _described(name: str) -> Source:
    """A source whose weights needn't be downloaded."""
    if bridge := bridge_of_name(name):
        return bridge.describe(name)[0]
    if name in plugins():
        return load_source(name)
    card, _ = describe(name)
    return Source(card, WeightsFile(card.model, card.num_classes, Path(), card.weights_hash))


def measures() -> list[Row]:
    """All measures: those that ``rank`` and ``score`` accept by name, and those for Python only."""
    asked_by = {row.name: "rank, score" for row in MEASURES.values()}
    asked_by |= {row.name: f"rank of {WORDS[row.fits]}" if row.fits else "Python" for row in FURTHER.values()}
    return [
        {"measure": m.name, "reads": m.reads, "range": m.range, "what": m.summary, "cost": m.cost, "paper": m.paper}
        | {"used by": asked_by[m.name]}
        for m in (*MEASURES.values(), *FURTHER.values())
    ]


def targets() -> list[Row]:
    """The embedded targets, and the formats of your own."""
    embedded = [{"target": name, "what": " ".join((opener.__doc__ or "").split())} for name, opener in EMBEDDED.items()]
    return [
        *embedded,
        {"target": "FOLDER", "what": "Images, or texts as .txt, at <class>/<file> or <split>/<class>/<file>."},
        {
            "target": "FILE.npz",
            "what": "Arrays images (uint8 [n h w] or [n h w 3]), labels [n] or [n k] and, optionally, classes.",
        },
        {"target": "FILE.parquet", "what": "Columns of images or texts, and of labels; also a folder or a glob."},
        {
            "target": "FILE.csv",
            "what": "Columns of texts, or paths of images, and of labels; also .tsv, .jsonl, .json, a folder, a glob.",
        },
        {
            "target": "tfds:NAME[:SPLIT[:LABEL]]",
            "what": "A set of TensorFlow Datasets; once prepared it is read without TensorFlow ($TFDS_DATA_DIR).",
        },
        {
            "target": "hf:NAME_OR_PATH[:SPLIT[:LABEL]]",
            "what": "A Hugging Face data set, on the hub or saved to disk, or a folder that load_dataset reads.",
        },
    ]
