"""The stages of a choice, one after the other: the race, heads for those that are left, fine-tuning, the network."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from leepjax.adapting.finetune import finetune as adapt
from leepjax.adapting.parts import Parts
from leepjax.callbacks import OVERALL, OnProgress
from leepjax.choosing.budget import Budget
from leepjax.choosing.choice import Choice
from leepjax.choosing.judge import Judge, JudgedHeads, best_first
from leepjax.choosing.passes import Passes
from leepjax.choosing.race import Race, full_cost
from leepjax.choosing.rules import Rules
from leepjax.choosing.steps import Judged, Steps, Tuned
from leepjax.choosing.tune import halve
from leepjax.choosing.write_chosen import CHOSEN, write_head
from leepjax.data.target import Target
from leepjax.opening.sources import Opened, reason_of
from leepjax.storage.records import Failure
from leepjax.transfer.recipe import FineTuning
from leepjax.types import InputError


@dataclass
class Stages:
    """A choice under way: what is known so far."""

    passes: Passes
    opened: Opened
    budget: Budget
    rules: Rules
    steps: Steps
    finalists: int
    seed: int
    name: str
    heads: dict[str, JudgedHeads] = field(default_factory=dict)
    tuned: list[Tuned] = field(default_factory=list)
    race: Race | None = None
    num_seen: int = 0

    def run(self, finetune: int, on_progress: OnProgress) -> None:
        """Race, then train heads, then fine-tune."""
        self.race = Race(self.passes, self.rules, self.budget, self.finalists)
        num_looks = 0
        for look in self.race.looks():
            self.num_seen, num_looks = look.num_examples, look.number
            self.steps.add(look)
            left = f"{len(look.survivors)} of {len(look.standings)} sources left"
            on_progress(f"{OVERALL}: look {look.number} at {look.num_examples:,} images, {left}", num_looks, num_looks)
        if not num_looks:
            failed = [(self.passes.names[source], reason) for source, reason in self.passes.failures.items()]
            reasons = "; ".join(f"{name}: {reason}" for name, reason in failed)
            raise InputError(
                f"choose: expected at least one source that can be looked at, got {len(failed)} that failed "
                f"({reasons}); choose other sources."
            )
        self._train_heads(on_progress)
        if finetune:
            self._tune(finetune, on_progress)

    def choice(self, *, finished: bool = True, path: Path | None = None) -> Choice | None:
        """The choice by what is known so far; None before the first look."""
        if self.race is None or not self.num_seen:
            return None
        target = self.passes.target
        failures = [Failure(name, self.name, reason_of(error)) for name, error in self.opened.failed]
        failures += [Failure(self.passes.names[at], self.name, reason) for at, reason in self.passes.failures.items()]
        return Choice(
            target=self.name,
            num_examples=len(target),
            num_classes=len(target.classes),
            metric=self.passes.metric,
            confidence=self.rules.confidence,
            race=self.race.answer(),
            judged=tuple(each.judged for each in self.heads.values()),
            tuned=tuple(self.tuned),
            failures=tuple(failures),
            spent=self._spent(),
            passed=self.passes.passed,
            budget=self.budget,
            finished=finished,
            path=path,
        )

    def write(self, path: Path | None, command: str, on_progress: OnProgress) -> Choice:
        """Write the answer and the trained network."""
        choice = self.choice()
        assert choice is not None
        self.steps.add(choice.chosen())
        if path is None:
            return choice
        source = next(each for each in self.passes.sources if each.name == choice.source)
        try:
            if choice.trained == "finetune":
                self._write_tuned(path, source, command, on_progress)
            else:
                heads = self.heads[choice.source]
                accuracy = float((heads.logits.argmax(axis=2) == self._seen().labels).mean())
                write_head(path, source, heads.head, self._seen(), accuracy, self.seed, command)
        except InputError as error:  # a user's function, whose weights can't be written
            logging.getLogger("leepjax").warning("The network isn't written: %s", error)
            return choice
        written = self.choice(path=path)
        assert written is not None
        return written

    def _spent(self) -> float:
        heads = sum(each.judged.seconds for each in self.heads.values())
        return self.passes.spent + heads + sum(each.seconds for each in self.tuned)

    def _remaining(self) -> float:
        """Of the budget: a share of the passes is spent by passes alone."""
        if self.budget.fraction is not None:
            return self.budget.fraction * full_cost(self.passes) - self.passes.passed
        return self.budget.of(lambda: full_cost(self.passes)) - self._spent()

    def _train_heads(self, on_progress: OnProgress) -> None:
        """Train heads for the survivors, on all images if the budget pays for them; at least for the leader."""
        assert self.race is not None
        names = self.race.answer().survivors
        finalists = [self.passes.names.index(name) for name in names]
        missing = sum(self.passes.cost(source, self.num_seen, len(self.passes.target)) for source in finalists)
        if missing <= self._remaining():
            finalists = [source for source, _ in self.passes.passes(finalists, len(self.passes.target))]
            finalists.sort(key=lambda source: names.index(self.passes.names[source]))
            self.num_seen = len(self.passes.target)
        seen = self._seen()
        metric, confidence = self.passes.metric, self.rules.confidence
        judge = Judge(seen.labels, len(seen.classes), metric, confidence, self.seed)
        for number, source in enumerate(finalists, start=1):
            expected = max((each.judged.seconds for each in self.heads.values()), default=0.0)
            if self.heads and self.budget.fraction is None and expected > self._remaining():
                break
            name = self.passes.names[source]
            heads = judge.judge(name, self.passes.features(source))
            known = [step for step in self.steps.known(Judged) if step.source == name]
            if known and known[-1].draws == heads.judged.draws:
                heads = heads._replace(judged=known[-1])  # with the seconds of the first time
            self.heads[name] = heads
            self.steps.add(heads.judged)
            on_progress(f"heads: {name}", number, len(finalists))

    def _tune(self, finetune: int, on_progress: OnProgress) -> None:
        """Fine-tune the best by heads on all folds of the first repeat but one."""
        judged = best_first([each.judged for each in self.heads.values()])[:finetune]
        sources = {source.name: source for source in self.passes.sources}
        train_set, test_set, held = self._parts()
        for tuned in halve(
            [sources[each.source] for each in judged],
            {name: each.logits[0][held] for name, each in self.heads.items()},
            train_set,
            test_set,
            FineTuning(seed=self.seed),
            self.passes.metric,
            remaining=self._remaining if self.budget.fraction is None else lambda: np.inf,
            known=self.steps.known(Tuned),
            on_progress=on_progress,
        ):
            self.tuned.append(tuned)
            self.steps.add(tuned)

    def _parts(self) -> tuple[Target, Target, np.ndarray]:
        """What fine-tuning is trained and measured on: the first fold of the judge is held out."""
        seen = self._seen()
        folds = Judge(seen.labels, len(seen.classes), self.passes.metric, self.rules.confidence, self.seed).folds[0]
        held = folds == folds.min()
        return seen.subset(np.flatnonzero(~held)), seen.subset(np.flatnonzero(held)), held

    def _write_tuned(self, path: Path, source, command: str, on_progress: OnProgress) -> None:
        train_set, test_set, _ = self._parts()

        def on_step(at):
            on_progress(f"{source.name}: fine-tuning the network to keep", at.step + 1, at.num_steps)

        epochs = max(each.epochs for each in self.tuned)
        recipe = FineTuning(seed=self.seed, epochs=epochs)
        path.with_suffix(".json").unlink(missing_ok=True)  # `check_out` found that it may be replaced
        parts = Parts(train_set, test_set)
        adapt(source, parts, recipe=recipe, out=path.parent, name=CHOSEN[:-12], command=command, on_step=on_step)

    def _seen(self) -> Target:
        return self.passes.target.subset(np.arange(self.num_seen))
