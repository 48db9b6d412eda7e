"""What there is to choose from, as rows for ``leepjax ls``."""

from leepjax.data.readers import EMBEDDED
from leepjax.measures import MEASURES
from leepjax.models.source import load_source, shipped_sources
from leepjax.tables import Row


def sources() -> list[Row]:
    """The shipped sources, from their model cards."""
    cards = [load_source(name).card for name in shipped_sources()]
    return [
        {
            "source": card.name,
            "model": card.model,
            "trained on": card.data,
            "classes": len(card.classes),
            "epochs": card.epochs,
            "test accuracy": card.test_accuracy,
            "parameters": card.num_parameters,
            "licence of the data": card.licence or "–",
        }
        for card in cards
    ]


def measures() -> list[Row]:
    """The table of measures."""
    return [
        {"measure": m.name, "reads": m.reads, "range": m.range, "what": m.summary, "paper": m.paper}
        for m in MEASURES.values()
    ]


def targets() -> list[Row]:
    """The embedded targets, and the kinds that people bring."""
    embedded = [{"target": name, "what": " ".join((opener.__doc__ or "").split())} for name, opener in EMBEDDED.items()]
    return [
        *embedded,
        {"target": "FOLDER", "what": "Images at FOLDER/<class>/<image>.png, .jpg or .webp."},
        {
            "target": "FILE.npz",
            "what": "Arrays images (uint8 [n h w] or [n h w 3]), labels [n] and, optional, classes.",
        },
    ]
