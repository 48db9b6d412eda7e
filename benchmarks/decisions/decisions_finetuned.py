"""Which strategy takes the best source, where accuracy is that after fine-tuning?

DECISIONS=FOLDER python benchmarks --size full decisions_finetuned

The strategies of `decisions.py` on the drawn tasks of FOLDER/finetuned, which `prepare/__main__.py` makes; what they
read is of frozen features. `small` fine-tunes two of the shipped sources, which one program trains, on one task of
digits for one epoch.
"""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from measuring import size

from decisions import finetuned, gather
from decisions.decision import Decision
from decisions.decisions import tell_strategies, tell_truth
from decisions.outcomes import labels_of
from decisions.small import small_folder
from decisions.tasks import draw, draw_tasks
from leepjax.models.opening import load_source


def small() -> list[Decision]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        small_folder(folder, tasks=1)
        labels = labels_of(folder)["digits"]
        task = draw(0, "digits", labels, seed=0)
        sources = {name: load_source(name) for name in ("random", "cifar10")}
        finetuned.by_leepjax(folder, task, labels, sources, replace(finetuned.RECIPE, epochs=1))
        return list(finetuned.decisions(folder, [task]))


def full(folder: Path) -> list[Decision]:
    return list(finetuned.decisions(folder, draw_tasks(labels_of(folder), finetuned.COUNT)))


def main() -> None:
    if size() != "full":
        found = small()
    elif "DECISIONS" in os.environ:
        found = full(Path(os.environ["DECISIONS"]))
    else:
        return
    found = [gather.by_lot(each) for each in found]
    for each in found:
        tell_truth(each)
    tell_strategies(finetuned.COLLECTION, "all", found)
    for group in dict.fromkeys(each.group for each in found):
        tell_strategies(finetuned.COLLECTION, group, [each for each in found if each.group == group])


if __name__ == "__main__":
    main()
