"""How far a command is, on stderr: a bar with rate and time left on a terminal, a line for each step elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from leepjax.printable import printable


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A function ``(what, done, total)`` to report with; a new `what` starts a new bar."""
    console = _Console(stderr=True)
    if not console.is_terminal:
        yield _PlainLines(console)
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


class _Console(Console):
    """Where progress is printed; a command whose stderr can't be written any more goes on without."""

    def on_broken_pipe(self) -> None:
        self.quiet = True

    def print(self, *objects: Any, **options: Any) -> None:
        try:
            super().print(*objects, **options)
        except OSError:  # a full disk
            self.quiet = True


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "")


class _PlainLines:
    """One line when something starts and one when it is complete: a log stays short."""

    def __init__(self, console: Console):
        self._console = console
        self._last = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        stage = what.partition(":")[0] + what.rpartition(" ")[2]
        if stage != self._last or done == total:
            self._console.print(Text(f"{printable(what)} {done}/{total}"), soft_wrap=True)
        self._last = stage
