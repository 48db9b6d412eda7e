"""The examples of a target that pages show: a few of each class, and those that the sources disagree on.

Images are shown as thumbnails, texts by their beginning, a word in its sentence.
"""

import base64
import io
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from leepjax.data.text.example import Text
from leepjax.printable import valid_unicode
from leepjax.storage.files import WriteError, digest, write_atomically
from leepjax.storage.locks import locked
from leepjax.storage.outputs import check_regular
from leepjax.types import NOUNS, InputError, Kind, Task

if TYPE_CHECKING:
    from PIL import Image

    from leepjax.data.target import Target

EXAMPLES = "examples.json"
"""The file of shown examples beside the records."""
MOST_CLASSES, MOST_DISPUTED = 40, 24
_SIDE = 64
"""Longer side of a thumbnail, in pixels."""
_MOST_LETTERS = 240
"""How many characters of a text are shown; for a word, how many around it."""
_MOST_PER_CLASS = 3


class ClassImages(msgspec.Struct, frozen=True, kw_only=True):
    """A class, and some of its examples."""

    name: str
    num_examples: int
    images: tuple[str, ...]
    """Base64 of JPEG files; or beginnings of texts."""


class Disputed(msgspec.Struct, frozen=True, kw_only=True):
    """An example that some sources predict right and others wrong."""

    id: str
    label: str
    image: str
    """Base64 of a JPEG file; or the beginning of a text."""
    right: tuple[str, ...]
    wrong: tuple[str, ...]


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """How many values of a number lie in each of several equally wide intervals."""

    name: str
    low: float
    high: float
    counts: tuple[int, ...]


class Thumbnails(msgspec.Struct, frozen=True, kw_only=True):
    """Examples of a target: thumbnails of images, or beginnings of texts."""

    key: str
    """Key of a ranking's target and split, or of a choice's target"""
    made_of: str
    """Digest of the target and the predictions from which they were made."""
    num_classes: int
    classes: tuple[ClassImages, ...]
    """The first `MOST_CLASSES` classes; for several labels, the examples with each; for numbers, tenths of the first"""
    task: Task = "classes"
    histograms: tuple[Histogram, ...] = ()
    """Histograms of the first `MOST_CLASSES` numbers"""
    kind: Kind = "images"
    """What the examples are."""
    num_judged: int = 0
    """How many examples the sources were judged by."""
    num_disputed: int = 0
    """How many of these examples some source predicts right and another wrong."""
    disputed: tuple[Disputed, ...] = ()
    """At most `MOST_DISPUTED` of them: first those on which leaders disagree, then those that split the sources most
    evenly; from different classes in turn."""


def bits_of(right: np.ndarray) -> str:
    """Whether each of n predictions is right [n], as base64 of a bit for each."""
    return base64.b64encode(np.packbits(right).tobytes()).decode()


def right_of(bits: str, num_examples: int) -> np.ndarray | None:
    """The inverse of `bits_of`; None for text of another length."""
    try:
        found = np.frombuffer(base64.b64decode(bits, validate=True), np.uint8)
    except ValueError:
        return None
    if not bits or len(found) != -(-num_examples // 8):
        return None
    return np.unpackbits(found, count=num_examples).astype(bool)


def mostly_right(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """[n] whether most of r predictions of an example, given by logits [r n c], are its label."""
    return 2 * (logits.argmax(axis=2) == labels).sum(axis=0) > len(logits)


def right_bits(logits: np.ndarray, labels: np.ndarray) -> str:
    """`mostly_right` as text; empty unless labels are classes, since other predictions aren't just right or wrong."""
    return bits_of(mostly_right(logits, labels)) if labels.ndim == 1 else ""


def keep_examples(
    folder: Path, key: str, target: "Target", judged: "Target", right: Mapping[str, np.ndarray], leaders: Sequence[str]
) -> None:
    """Write the shown examples of a target beside its records, unless the folder holds them already.

    If they can't be written, that is only a warning, because the answer matters more than its page.

    Args:
        folder: folder of the records.
        key: key by which the page finds them.
        target: the examples whose classes are shown.
        judged: the examples by which sources were judged.
        right: source → [len(judged)] whether its prediction of each example is right.
        leaders: the sources that may be the best.
    """
    path = folder / EXAMPLES
    masks = [name.encode() + bits_of(mask).encode() for name, mask in sorted(right.items())]
    made_of = digest(target.fingerprint.encode(), judged.fingerprint.encode(), *masks, repr(leaders).encode())
    with locked(path):
        known = {each.key: each for each in read_examples(folder)}
        if key in known and known[key].made_of == made_of:
            return
        order = _most_disputed(right, [name for name in leaders if name in right], judged.labels)
        votes = np.array(list(right.values()), bool).reshape(len(right), len(judged))
        known[key] = Thumbnails(
            key=key,
            made_of=made_of,
            kind=target.kind,
            num_classes=len(target.classes),
            classes=_classes(target),
            task=target.task,
            histograms=_histograms(target),
            num_judged=len(judged) if right else 0,
            num_disputed=int(np.count_nonzero(votes.any(axis=0) & ~votes.all(axis=0))),
            disputed=_disputed(judged, right, order),
        )
        try:
            write_atomically(path, msgspec.json.encode(list(known.values())))
        except WriteError as error:
            logging.getLogger("leepjax").warning("The page shows no %s: %s", NOUNS[target.kind].many, error)


def read_examples(folder: Path) -> list[Thumbnails]:
    """The shown examples in a folder; none if their file is missing or damaged."""
    try:
        check_regular(folder / EXAMPLES)
        return msgspec.json.decode((folder / EXAMPLES).read_bytes(), type=list[Thumbnails])
    except (InputError, OSError, msgspec.DecodeError):
        return []


def _most_disputed(right: Mapping[str, np.ndarray], leaders: Sequence[str], labels: np.ndarray) -> list[int]:
    """The disputed examples, the most telling first."""
    if len(right) < 2:
        return []
    votes = np.array(list(right.values()))
    share = votes.mean(axis=0)
    leading = np.array([right[name] for name in leaders]) if len(leaders) > 1 else votes[:0]
    split = leading.any(axis=0) & ~leading.all(axis=0) if len(leading) else np.zeros(len(labels), bool)
    evenness = np.round(share * (1 - share), 9)
    disputed = np.flatnonzero(evenness > 0)
    turns: dict[tuple[bool, float, int], int] = {}
    keys = []
    for at in disputed.tolist():
        kind = bool(split[at]), float(evenness[at]), int(labels[at])
        turns[kind] = turns.get(kind, -1) + 1
        keys.append((not kind[0], -kind[1], turns[kind], at))
    return [at for *_, at in sorted(keys)]


def _disputed(judged: "Target", right: Mapping[str, np.ndarray], order: Sequence[int]) -> tuple[Disputed, ...]:
    found: list[Disputed] = []
    for at in order:
        if len(found) == MOST_DISPUTED:
            break
        if image := _thumbnail(judged, at):
            found.append(
                Disputed(
                    id=valid_unicode(judged.id(at)),
                    label=valid_unicode(judged.classes[judged.labels[at]]),
                    image=image,
                    right=tuple(valid_unicode(name) for name, mask in right.items() if mask[at]),
                    wrong=tuple(valid_unicode(name) for name, mask in right.items() if not mask[at]),
                )
            )
    return tuple(found)


def _classes(target: "Target") -> tuple[ClassImages, ...]:
    parts = _parts(target)
    most = min(_MOST_PER_CLASS, math.ceil(MOST_CLASSES / len(parts)))
    found = []
    for name, members in parts[:MOST_CLASSES]:
        # Take examples from all over the class, because neighbours in a folder are often similar.
        places = members[np.linspace(0, len(members) - 1, most + 2).astype(int)[1:-1]] if len(members) else members
        images = [_thumbnail(target, at) for at in dict.fromkeys(places.tolist())]
        shown = tuple(image for image in images if image)
        found.append(ClassImages(name=valid_unicode(name), num_examples=len(members), images=shown))
    return tuple(found)


def _parts(target: "Target") -> list[tuple[str, np.ndarray]]:
    """Names and members of the classes, of the labels, or of tenths of the first number."""
    if target.task == "regression":
        numbers, strata = target.labels[:, 0], target.strata
        parts = [np.flatnonzero(strata == each) for each in np.unique(strata)]
        ends = [f"{numbers[part].min():.4g} to {numbers[part].max():.4g}" for part in parts]
        return list(zip(ends, parts, strict=True))
    columns = target.labels.T if target.task == "multilabel" else None
    return [
        (name, np.flatnonzero(target.labels == label if columns is None else columns[label]))
        for label, name in enumerate(target.classes)
    ]


def _histograms(target: "Target") -> tuple[Histogram, ...]:
    if target.task != "regression":
        return ()
    found = []
    for name, column in zip(target.classes[:MOST_CLASSES], target.labels.T.astype(float), strict=False):
        counts, _ = np.histogram(column, min(20, max(5, len(column) // 5)))
        found.append(
            Histogram(
                name=valid_unicode(name),
                low=float(column.min()),
                high=float(column.max()),
                counts=tuple(map(int, counts)),
            )
        )
    return tuple(found)


def _thumbnail(target: "Target", at: int) -> str:
    """An image as base64 of a small JPEG file, or the beginning of a text; empty if it can't be read."""
    if target.kind == "embeddings":
        return ""
    try:
        example = target.read(int(at))
    except InputError:
        return ""
    return valid_unicode(beginning(example)) if target.kind == "text" else _small(example)


def _small(image: "Image.Image") -> str:
    image = image.convert("RGB")
    image.thumbnail((_SIDE, _SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return base64.b64encode(file.getvalue()).decode()


def beginning(example: Text) -> str:
    """The part of a text that is shown: its beginning; for a word, its sentence with the word in brackets; for a pair,
    the beginnings of both texts.
    """
    if isinstance(example.text, str):
        return " ⟷ ".join(_shortened(text) for text in (example.text, example.pair) if text is not None)
    place = example.word or 0
    before, after = " ".join(example.text[:place]), " ".join(example.text[place + 1 :])
    half = _MOST_LETTERS // 2
    before = before if len(before) <= half else f"…{before[-half:]}"
    return f"{before} [{example.text[place]}] {_shortened(after, half)}".strip()


def _shortened(text: str, most: int = _MOST_LETTERS) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[:most].rstrip()}…"
