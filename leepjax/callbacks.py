"""Progress callbacks of long computations."""

from collections.abc import Callable

OnProgress = Callable[[str, int, int], None]
"""``(what, done, total)``: the current work, as "group: stage", and how many examples, steps or sources are done."""
OVERALL = "sources"
"""The group that counts all work of a command; the other groups are parts of it."""


def counted(what: str, total: int, on_progress: OnProgress) -> Callable[[int], None]:
    """A callback that takes the size of each finished batch and reports how many examples are done."""
    done = 0

    def on_batch(examples: int) -> None:
        nonlocal done
        done += examples
        on_progress(what, done, total)

    return on_batch
