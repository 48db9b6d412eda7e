"""Callbacks by which long work reports how far it is."""

from collections.abc import Callable

OnProgress = Callable[[str, int, int], None]
"""``(what, done, total)``: what is under way, as "group: stage", and how many examples, steps or sources are done."""
OVERALL = "sources"
"""The group whose total is a command's whole work; other groups are parts of it."""


def counted(what: str, total: int, on_progress: OnProgress) -> Callable[[int], None]:
    """A function of the size of each batch that reports how many examples are done."""
    done = 0

    def on_batch(examples: int) -> None:
        nonlocal done
        done += examples
        on_progress(what, done, total)

    return on_batch
