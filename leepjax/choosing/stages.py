"""The stages of a choice in order: the race, heads for the sources that are left, fine-tuning, writing the network."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from leepjax.adapting.parts import Parts
from leepjax.callbacks import OVERALL, OnProgress
from leepjax.choosing.affordable import fitting
from leepjax.choosing.best import best_first
from leepjax.choosing.budget import Budget
from leepjax.choosing.choice import Choice, last_standings
from leepjax.choosing.judge import Judge, JudgedHeads
from leepjax.choosing.passes import Passes
from leepjax.choosing.race import Race, full_cost
from leepjax.choosing.rules import Rules
from leepjax.choosing.steps import Judged, Steps, Tuned
from leepjax.choosing.tune import halve, trained_network
from leepjax.choosing.write_chosen import write_head, write_tuned
from leepjax.data.target import Target
from leepjax.models.ready import ready
from leepjax.models.source import Source
from leepjax.opening.sources import Opened, reason_of
from leepjax.ranking.examples import keep_examples, mostly_right
from leepjax.storage.files import remove_folder
from leepjax.storage.records import Failure
from leepjax.transfer.recipe import FineTuning
from leepjax.types import NOUNS, InputError, JudgingSettings

_TUNING = "finetuning"
"""Folder of the fine-tuned networks until one of them is chosen and written."""


@dataclass
class Stages:
    """A choice in progress, and everything that is known so far."""

    passes: Passes
    tests: Passes | None
    """Evidence for the images of the test set, if there is one."""
    opened: Opened
    settings: JudgingSettings
    budget: Budget
    rules: Rules
    steps: Steps
    finalists: int
    name: str
    path: Path | None = None
    """Path of the network to write."""
    judge: Judge | None = None
    heads: dict[str, JudgedHeads] = field(default_factory=dict)
    tuned: list[Tuned] = field(default_factory=list)
    race: Race | None = None
    num_seen: int = 0

    def run(self, finetune: int, on_progress: OnProgress) -> None:
        """Race, then train heads, then fine-tune."""
        # The budget is divided between training and test images in proportion to their numbers.
        self.race = Race(self.passes, self.rules, self.budget.share(1 / self._all_per_training), self.finalists)
        num_looks = 0
        for look in self.race.looks():
            self.num_seen, num_looks = look.num_examples, look.number
            self.steps.add(look)
            left = f"{len(look.survivors)} of {len(look.standings)} sources left"
            seen = f"{look.num_examples:,} {NOUNS[self.passes.target.kind].many}"
            on_progress(f"{OVERALL}: look {look.number} at {seen}, {left}", num_looks, num_looks)
        if not num_looks:
            raise self._all_failed()
        self._train_heads(on_progress)
        if finetune:
            self._tune(finetune, on_progress)

    def choice(self, *, finished: bool = True, path: Path | None = None) -> Choice | None:
        """The choice based on what is known so far; None before the first look."""
        if self.race is None or not self.num_seen:
            return None
        target = self.passes.target
        failures = [Failure(name, self.name, reason_of(error)) for name, error in self.opened.failed]
        failures += [Failure(self.passes.names[at], self.name, reason) for at, reason in self._failures().items()]
        return Choice(
            target=self.name,
            num_examples=len(target),
            examples=target.kind,
            num_test=0 if self.tests is None else len(self.tests.target),
            num_classes=len(target.classes),
            task=target.task,
            metric=self.passes.metric,
            confidence=self.rules.confidence,
            race=self.race.answer(),
            judged=tuple(each.judged for each in self.heads.values()),
            tuned=tuple(self.tuned),
            failures=tuple(failures),
            # Rounded as in the folder, so that a choice read from there shows the same numbers.
            spent=round(self._spent(), 6),
            passed=round(self._passed(), 6),
            rows_read=self._rows_read(),
            budget=self.budget,
            finished=finished,
            path=path,
        )

    def write(self, command: str, on_progress: OnProgress) -> Choice:
        """Write the answer and the trained network."""
        choice = self.choice()
        assert choice is not None
        self.steps.add(choice.chosen())
        if (path := self.path) is None:
            return choice
        self._keep_examples(path.parent, choice)
        source = next(each for each in self.passes.sources if each.name == choice.source)
        try:
            if choice.trained == "finetune":
                self._write_tuned(path, source, command, on_progress)
            else:
                heads, judge = self.heads[choice.source], self.judge
                assert judge is not None
                accuracy = None
                if self.passes.target.task == "classes":
                    accuracy = float((heads.logits.argmax(axis=2) == judge.judged.labels).mean())
                parts = Parts(self._seen(), judge.judged)
                write_head(path, source, heads.head, parts, accuracy, self.settings.seed, command)
        except InputError as error:  # a user's function, whose weights can't be written
            logging.getLogger("leepjax").warning("The network isn't written: %s", error)
            return choice
        remove_folder(path.with_name(_TUNING))
        written = self.choice(path=path)
        assert written is not None
        return written

    def _keep_examples(self, folder: Path, choice: Choice) -> None:
        """Store thumbnails for the page: of the classes, and of the images that the judged sources disagree on."""
        if self.judge is None:
            return
        judged = self.judge.judged
        right = {}
        if judged.task == "classes":
            right = {each.source: mostly_right(self.heads[each.source].logits, judged.labels) for each in choice.judged}
        keep_examples(folder, choice.key, self.passes.target, judged, right, choice.leaders)

    @property
    def _all_per_training(self) -> float:
        """The number of all images divided by that of the training images."""
        return 1 + (0 if self.tests is None else len(self.tests.target)) / len(self.passes.target)

    def _failures(self) -> dict[int, str]:
        return self.passes.failures | (self.tests.failures if self.tests else {})

    def _all_failed(self) -> InputError:
        failed = [f"{self.passes.names[source]}: {reason}" for source, reason in self._failures().items()]
        return InputError(
            f"choose: expected at least one source that can be looked at, got {len(failed)} that failed "
            f"({'; '.join(failed)}); choose other sources."
        )

    def _passed(self) -> float:
        return self.passes.passed + (self.tests.passed if self.tests else 0)

    def _rows_read(self) -> int | None:
        if not all(map(ready, self.passes.sources)):
            return None
        parts = [self.passes] if self.tests is None else [self.passes, self.tests]
        return sum(part.seen(source) for part in parts for source in range(len(part.names)))

    def _spent(self) -> float:
        passes = self.passes.spent + (self.tests.spent if self.tests else 0)
        heads = sum(each.judged.seconds for each in self.heads.values())
        return passes + heads + sum(each.seconds for each in self.tuned)

    def _remaining(self) -> float:
        """The seconds that remain of the budget; passes alone count if it is a share of the cost of passes."""
        everything = self._all_per_training * full_cost(self.passes)
        spent = self._passed() if self.budget.fraction is not None else self._spent()
        return self.budget.of(lambda: everything) - spent

    def _train_heads(self, on_progress: OnProgress) -> None:
        """Train heads for the survivors, on all images if the budget allows; at least train one for the leader."""
        finalists = self._pass_rest()
        seen = self._seen()
        test = self.tests.target if self.tests else None
        self.judge = judge = Judge(seen, test, self.settings)
        for number, source in enumerate(finalists, start=1):
            expected = max((each.judged.seconds for each in self.heads.values()), default=0.0)
            if self.heads and self.budget.fraction is None and expected > self._remaining():
                break
            name = self.passes.names[source]
            heads = judge.judge(name, self.passes.features(source), self.tests and self.tests.features(source))
            known = [step for step in self.steps.known(Judged) if step.source == name]
            if known and known[-1].draws == heads.judged.draws:
                heads = heads._replace(judged=known[-1])  # with the seconds of the first run
            self.heads[name] = heads
            self.steps.add(heads.judged)
            on_progress(f"heads: {name}", number, len(finalists))

    def _pass_rest(self) -> list[int]:
        """Pass the images that the finalists haven't seen (of the training images, as many as the budget pays for), and
        return the finalists, the best first.
        """
        for finalists in self._finalists():
            k = self.tests.num_examples if self.tests else 0
            testing = self.passes.costs(finalists, 0, k)
            remaining = self._remaining()
            paid = self._paid_for(finalists, remaining - sum(testing))
            done = [source for source, _ in self.passes.passes(finalists, paid)]
            self.num_seen = paid if done else self.num_seen
            if self.tests:
                tested = [source for source in finalists if source in done][: max(fitting(testing, remaining), 1)]
                done = [source for source, _ in self.tests.passes(tested, k)]
            if done:
                return sorted(done, key=finalists.index)
        raise self._all_failed()

    def _paid_for(self, finalists: list[int], seconds: float) -> int:
        """How many images the budget pays for.

        A budget that is a share of the passes is spent on as many images as possible. If a budget in seconds doesn't
        pay for all images, the rest is kept for training.
        """
        everything = len(self.passes.target)
        missing = sum(self.passes.costs(finalists, self.num_seen, everything))
        if missing <= seconds:
            return everything
        if self.budget.fraction is None:
            return self.num_seen
        more = (everything - self.num_seen) * max(seconds, 0) / missing
        # Use whole batches, so that a resumed run passes the same images even if its sums are rounded differently.
        return self.num_seen + int(more) // self.passes.batch_size * self.passes.batch_size

    def _finalists(self) -> Iterator[list[int]]:
        """Yield the survivors of the race and, in case all of them fail, each other source, the best first."""
        assert self.race is not None
        answer = self.race.answer()
        looked_at = [self.passes.names.index(each.source) for each in last_standings(answer) if each.num_examples]
        survivors = [source for source in looked_at if self.passes.names[source] in answer.survivors]
        yield [source for source in survivors if source not in self._failures()]
        yield from ([source] for source in looked_at if source not in self._failures())

    def _tune(self, finetune: int, on_progress: OnProgress) -> None:
        """Fine-tune the sources with the best heads."""
        judged = best_first([each.judged for each in self.heads.values()])[:finetune]
        sources = {source.name: source for source in self.passes.sources}
        train_set, test_set, held = self._parts()
        for tuned in halve(
            [sources[each.source] for each in judged],
            {name: each.logits[0][held] for name, each in self.heads.items()},
            train_set,
            test_set,
            FineTuning(seed=self.settings.seed),
            self.passes.metric,
            remaining=self._remaining if self.budget.fraction is None else lambda: np.inf,
            known=self.steps.known(Tuned),
            folder=self._tuning,
            on_progress=on_progress,
        ):
            self.tuned.append(tuned)
            self.steps.add(tuned)

    def _parts(self) -> tuple[Target, Target, np.ndarray]:
        """The training and test sets of fine-tuning, and the positions of the latter among the examples of the heads.

        Without a test set, the first fold of the judge is held out.
        """
        assert self.judge is not None
        if self.judge.folds is None:
            return self._seen(), self.judge.judged, np.arange(len(self.judge.judged))
        folds = self.judge.folds[0]
        held = folds == folds.min()
        return self._seen().subset(np.flatnonzero(~held)), self._seen().subset(np.flatnonzero(held)), held

    @property
    def _tuning(self) -> Path | None:
        return self.path and self.path.with_name(_TUNING)

    def _write_tuned(self, path: Path, source: Source, command: str, on_progress: OnProgress) -> None:
        train_set, test_set, _ = self._parts()
        recipe = FineTuning(seed=self.settings.seed, epochs=max(each.epochs for each in self.tuned))
        train = partial(trained_network, source, train_set, test_set, recipe, self._tuning, on_progress)
        write_tuned(path, source, Parts(train_set, test_set), recipe, train, command)

    def _seen(self) -> Target:
        return self.passes.target.subset(np.arange(self.num_seen))
