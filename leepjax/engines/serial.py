"""The engine that runs one unit after the other in this process."""

from collections.abc import Generator, Sequence

from leepjax.callbacks import OVERALL, OnProgress
from leepjax.engines.units import Engine, Function, Outcome, Unit, no_progress


def serial(function: Function, units: Sequence[Unit], on_progress: OnProgress) -> Generator[Outcome]:
    """Run the units in this process, and yield each result as soon as it is computed."""
    for number, unit in enumerate(units, start=1):
        try:
            for result in function(*unit.shared, *unit.arguments(), on_progress):
                yield Outcome(unit, [result])
        except Exception as error:
            yield Outcome(unit, error=error)
        on_progress(f"{OVERALL}: {unit.name}", number, len(units))


def known_here(
    elsewhere: Engine, function: Function, units: Sequence[Unit], on_progress: OnProgress
) -> Generator[Outcome]:
    """Run the units whose results are known in this process, and the others elsewhere, if there are any."""
    yield from serial(function, [unit for unit in units if unit.is_known], no_progress)
    if unknown := [unit for unit in units if not unit.is_known]:
        yield from elsewhere(function, unknown, on_progress)
