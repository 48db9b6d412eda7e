"""Report progress on stderr: bars with rate and time left on a terminal, otherwise one line per source."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from leepjax.callbacks import OVERALL
from leepjax.printable import printable

_SECONDS_BETWEEN_LINES = 15.0


@contextmanager
def progress(*, each_stage: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a callback ``(what, done, total)``: `what` is "group: stage", and each group has a bar.

    Without a terminal, the group `OVERALL` prints one line per call, and the other groups one every 15 seconds or, with
    `each_stage`, whenever `what` changes, which in training is once per epoch.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _PlainLines(console, each_stage)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        tasks = {}

        def report(what: str, done: int, total: int) -> None:
            what = printable(what)
            source = what.partition(":")[0]
            if source not in tasks:
                tasks[source] = bars.add_task(what, total=total)
            elif bars.tasks[tasks[source]].total != total:
                bars.reset(tasks[source], total=total)
            bars.update(tasks[source], description=what, completed=done)

        yield report


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "")


class _PlainLines:
    """One line per finished source, and one every 15 seconds in between, so that a log stays short."""

    def __init__(self, console: Console, each_stage: bool):
        self._console, self._each_stage = console, each_stage
        self._stage = ""
        self._began: dict[tuple[str, int], tuple[float, int]] = {}
        self._last = self._last_overall = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        overall = what.startswith(OVERALL)
        group = what.partition(":")[0], total
        began, first = self._began.setdefault(group, (self._last_overall, 0) if overall else (now, done))
        news = overall or (self._each_stage and what != self._stage)
        if not news and now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last, self._stage = now, what
        self._last_overall = now if overall else self._last_overall
        elapsed, newly = now - began, done - first
        left = f", about {_duration(elapsed * (total - done) / newly)} left" if newly and done < total else ""
        self._console.print(Text(f"{printable(what)} {done}/{total} ({_duration(elapsed)}{left})"), soft_wrap=True)


def _duration(seconds: float) -> str:
    """Format a duration in seconds.

    >>> _duration(8.4), _duration(130), _duration(7300)
    ('8 s', '2 min', '2.0 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
