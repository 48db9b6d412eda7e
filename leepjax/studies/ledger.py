"""A study's outcomes: those that are known, those that are missing, and the file in which they are stored."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from leepjax.callbacks import OnProgress
from leepjax.storage.locks import locked
from leepjax.studies.config import Config
from leepjax.studies.outcome import OUTCOMES, Method, Outcome, read_outcomes, write_outcomes
from leepjax.studies.scoring import score_names
from leepjax.studies.transfers import Transfer, Transferred

Scores = Mapping[str, float | None]


class Ledger:
    """Every transfer of a study, in order, with its outcome once it is known; each outcome is written at once."""

    def __init__(self, folder: Path, config: Config, transfers: list[Transfer], on_progress: OnProgress):
        self._path, self._config, self._on_progress = folder / OUTCOMES, config, on_progress
        self._transfers = [(transfer.key(config), transfer) for transfer in transfers]
        # Studies share transfers, so outcomes in the folders of other studies needn't be computed again.
        paths = sorted({*folder.parent.glob(f"*/{OUTCOMES}")} | {self._path})
        known = {outcome.key: outcome for path in paths for outcome in read_outcomes(path)}
        self._outcomes = {key: known[key] for key, _ in self._transfers if key in known}
        read_outcomes(self._path, mend=True)
        self._unwritten = set(self._outcomes)
        self.expect(0)

    @property
    def outcomes(self) -> list[Outcome]:
        """The known outcomes, in the order of the transfers."""
        return [
            # Outcomes are identified by content, so several transfers may share one, but each has its own names.
            msgspec.structs.replace(self._outcomes[key], **self._names(transfer))
            for key, transfer in self._transfers
            if key in self._outcomes
        ]

    def missing(self, *methods: Method) -> list[Transfer]:
        """The transfers of these methods without an outcome; only one of several with the same content."""
        missing = {key: each for key, each in self._transfers if key not in self._outcomes and each.method in methods}
        return list(missing.values())

    def unscored(self) -> list[Transfer]:
        """The transfers that lack a score by one of the study's measures, for example by a new one."""
        wanted = {*score_names(self._config.measures)}
        return [
            each
            for key, each in self._transfers
            if each.method != "scratch" and not (key in self._outcomes and wanted <= self._outcomes[key].scores.keys())
        ]

    def rescore(self, scores: Mapping[Transfer, Scores]) -> None:
        """Add scores to the outcomes of transfers, beside those by other measures."""
        for transfer, values in scores.items():
            if (outcome := self._outcomes.get(key := transfer.key(self._config))) is not None:
                self._outcomes[key] = msgspec.structs.replace(outcome, scores=outcome.scores | _shortened(values))
                self._unwritten.add(key)
        self.write()

    def expect(self, count: int) -> None:
        """Begin with `count` transfers of one kind; each kind has its own progress: a head is 100 times faster."""
        self._at_start, self._expected = len(self._outcomes), count

    def add(self, transfer: Transfer, transferred: Transferred, scores: Scores) -> None:
        """Add an outcome; `write` stores it."""
        key, task = transfer.key(self._config), transfer.task
        self._outcomes[key] = Outcome(
            key=key,
            method=transfer.method,
            image_size=max(transfer.source.card.pixels.size),
            num_classes=len(task.classes),
            num_train=len(task.train_rows),
            num_test=len(task.test_rows),
            **{name: _short(value) for name, value in transferred.metrics._asdict().items()},
            curve=transferred.curve,
            scores=_shortened(scores),
            seed=task.seed,
            seconds=round(transferred.seconds, 2),
            **self._names(transfer),
        )
        self._unwritten.add(key)
        what = f"{self._config.study}, {transfer.method}: {transfer.source.name}, {task.name}"
        self._on_progress(what, len(self._outcomes) - self._at_start, self._expected)

    def write(self) -> None:
        """Add the new outcomes to those that the file holds by now, since other processes also write to it.

        A run with fewer tasks, sources or methods doesn't remove the outcomes of other runs.
        """
        with locked(self._path):
            kept = {_place(outcome): outcome for outcome in read_outcomes(self._path)}
            mine = {_place(outcome): outcome for outcome in self.outcomes}
            new = {place: each for place, each in mine.items() if each.key in self._unwritten or place not in kept}
            merged = kept | new
            # In the order of the transfers, also those of other processes.
            write_outcomes(self._path, [merged.pop(place) for place in mine] + list(merged.values()))
        self._unwritten.clear()

    def _names(self, transfer: Transfer) -> dict[str, Any]:
        """The name of a transfer in this study; its outcome is identified by content."""
        task = transfer.task
        return {
            "study": self._config.study,
            "profile": task.profile,
            "task": task.name,
            "source": transfer.source.name,
            "weights_hash": transfer.source.card.weights_hash,
            "target": task.target,
        }


def _place(outcome: Outcome) -> tuple[str, ...]:
    """The source, task and method of an outcome; a later outcome under other choices replaces an earlier one."""
    return outcome.profile, outcome.source, outcome.target, outcome.task, outcome.method


def _shortened(scores: Scores) -> dict[str, float | None]:
    return {name: None if value is None else _short(value) for name, value in scores.items()}


def _short(value: float) -> float:
    """Round to seven digits, the precision of float32, before a line is stored."""
    return float(f"{value:.7g}")
