"""The engine that runs one unit after the other in this process."""

from collections.abc import Generator, Sequence

from leepjax.callbacks import OVERALL, OnProgress
from leepjax.engines.units import Function, Outcome, Unit


def serial(function: Function, units: Sequence[Unit], on_progress: OnProgress) -> Generator[Outcome]:
    """Run the units here; each result is yielded as soon as it is there."""
    for number, unit in enumerate(units, start=1):
        try:
            for result in function(*unit.shared, *unit.arguments(), on_progress):
                yield Outcome(unit, [result])
        except Exception as error:
            yield Outcome(unit, error=error)
        on_progress(f"{OVERALL}: {unit.name}", number, len(units))
