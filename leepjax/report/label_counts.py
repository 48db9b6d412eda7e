"""Drawings of a target's labels: how its numbers are distributed, or how many examples have each label."""

from collections.abc import Sequence

from leepjax.ranking.examples import Histogram, Thumbnails
from leepjax.report.page import Figure
from leepjax.report.svg import ACCENT, FAINT, INK, SOFT, Scale, drawing, line, shortened, text

_WIDTH, _LEFT, _RIGHT, _TOP, _HEIGHT, _ROW = 440, 56, 424, 16, 150, 22
_MOST_HISTOGRAMS = 4


def histograms(examples: Thumbnails) -> list[Figure]:
    """A histogram of each of the first numbers."""
    return [_histogram(each) for each in examples.histograms[:_MOST_HISTOGRAMS]]


def label_bars(examples: Thumbnails) -> Figure:
    """A bar for each label: how many examples have it."""
    counts = [each.num_examples for each in examples.classes]
    names = shortened([each.name for each in examples.classes], 18)
    scale = Scale(0, max(1, *counts), 150, _RIGHT - 40)
    parts = []
    for place, (name, count) in enumerate(zip(names, counts, strict=True)):
        y = _TOP + _ROW * (place + 0.5)
        parts += [text(140, y + 4, name, INK, 12.5, "end"), line(scale(0), y, scale(count), y, ACCENT, 12)]
        parts.append(text(scale(count) + 8, y + 4, f"{count:,}", INK, 12))
    listed = ", ".join(f"{name} {count:,}" for name, count in zip(names[:10], counts, strict=False))
    alt = f"Bars of how many examples have each label: {listed}."
    caption = "How many examples have each label. An example may have several, or none."
    return Figure(drawing(_WIDTH, _TOP + _ROW * len(counts) + 12, alt, parts), caption)


def _histogram(it: Histogram) -> Figure:
    high = it.high if it.high > it.low else it.low + 1
    x, y = Scale(it.low, high, _LEFT, _RIGHT), Scale(0, max(it.counts), _TOP + _HEIGHT, _TOP)
    bottom = y(0)  # a scale has a margin below its lowest value, in which an empty interval would have a bar
    parts = [part for value, label in y.ticks for part in _tick(y(value), label)]
    edges = [it.low + (high - it.low) * at / len(it.counts) for at in range(len(it.counts) + 1)]
    parts += [_bar(x(a), x(b), y(count), bottom) for a, b, count in zip(edges, edges[1:], it.counts, strict=False)]
    parts.append(line(_LEFT, bottom, _RIGHT, bottom, SOFT, 1))
    parts += [text(x(value), bottom + 16, label, SOFT, 12, "middle") for value, label in x.ticks]
    parts.append(text((_LEFT + _RIGHT) / 2, bottom + 34, it.name, INK, 12.5, "middle"))
    alt = f"Histogram of {it.name}, from {it.low:g} to {it.high:g}, {_peak(it.counts)}."
    return Figure(drawing(_WIDTH, bottom + 42, alt, parts), f"How many examples have which {it.name}.")


def _tick(y: float, label: str) -> Sequence[str]:
    return line(_LEFT, y, _RIGHT, y, FAINT, 1), text(_LEFT - 8, y + 4, label, SOFT, 12, "end")


def _bar(left: float, right: float, top: float, bottom: float) -> str:
    middle, width = (left + right) / 2, max(right - left - 1, 1)
    return line(middle, bottom, middle, top, ACCENT, width)


def _peak(counts: Sequence[int]) -> str:
    return f"{sum(counts):,} examples, at most {max(counts):,} in one of {len(counts)} intervals"
