"""Read a choice from its steps, for its page; the run may have been killed."""

from collections.abc import Sequence
from pathlib import Path

from leepjax.choosing.choice import Choice
from leepjax.choosing.looks import Answer, Look
from leepjax.choosing.steps import Begun, Chosen, Judged, Passed, StepLine, Tuned
from leepjax.storage.records import Failure, read_lines


def read_choice(path: Path) -> Choice | None:
    """The choice of the latest run in a file of steps; None if it had no look, or its beginning isn't in the file.

    A run that was killed wrote no answer; its leaders are the sources that its last look left.
    """
    lines = read_lines(path, StepLine, "a step of a race")
    begun = next((line for line in reversed(lines) if isinstance(line.step, Begun)), None)
    steps = [line.step for line in lines if begun and line.run == begun.run]
    looks = _looks([step for step in steps if isinstance(step, Look)])
    if begun is None or not looks:
        return None
    assert isinstance(begun.step, Begun)
    answers = [step for step in steps if isinstance(step, Chosen) and step.ended]
    passes = [step for step in steps if isinstance(step, Passed)]
    chosen = answers[-1] if answers else None
    tuned = {(step.source, step.epochs): step for step in steps if isinstance(step, Tuned)}
    judged = {step.source: step for step in steps if isinstance(step, Judged)}
    trainings = [*judged.values(), *tuned.values()]
    failures = chosen.failures if chosen else ()
    return Choice(
        target=begun.step.target,
        num_examples=begun.step.num_examples,
        examples=begun.step.examples,
        num_test=begun.step.num_test,
        num_classes=begun.step.num_classes,
        task=begun.step.task,
        metric=begun.step.metric,
        confidence=begun.step.confidence,
        race=_race(looks, chosen, passes, begun.step.num_examples),
        judged=tuple(judged.values()),
        tuned=tuple(tuned.values()),
        failures=tuple(Failure(name, begun.step.target, reason) for name, reason in failures),
        spent=chosen.spent if chosen else sum(step.seconds for step in (*passes, *trainings)),
        passed=chosen.passed if chosen else sum(step.per_image * (step.stop - step.start) for step in passes),
        rows_read=chosen.rows_read if chosen else _rows_read(passes),
        finished=chosen is not None and chosen.finished,
    )


def _rows_read(passes: Sequence[Passed]) -> int | None:
    """How many rows were read of tables, whose passes take no time; None if one took some."""
    if not passes or any(step.seconds for step in passes):
        return None
    return sum(step.stop - step.start for step in passes)


def _looks(written: Sequence[Look]) -> tuple[Look, ...]:
    """The looks of the latest race: a look that was repeated replaces the old one and all later ones."""
    looks: list[Look] = []
    for look in written:
        looks = [*(earlier for earlier in looks if earlier.number < look.number), look]
    return tuple(looks)


def _race(looks: tuple[Look, ...], chosen: Chosen | None, passes: Sequence[Passed], num_examples: int) -> Answer:
    if chosen and chosen.ended:
        return Answer(looks=looks, leaders=chosen.race_leaders, ended=chosen.ended, full_cost=chosen.race_cost)
    unseen = [each.source for each in looks[0].standings if each.loss is None and each.dropped == "budget"]
    per_image = {step.source: step.per_image for step in passes}
    cost = num_examples * sum(per_image.values())
    return Answer(looks=looks, leaders=(*looks[-1].survivors, *unseen), ended="stopped", full_cost=cost)
