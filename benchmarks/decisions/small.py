"""A folder of the benchmark in small: few tasks of digits and the sources that leepjax ships."""

from pathlib import Path

import numpy as np

from decisions import gather, image_sets, outcomes, shipped_tables, source_cards
from decisions.decision import Decision
from decisions.tasks import draw

TASKS = 4
IMAGES_PER_CLASS = 12
MEASURES = ("leep", "nce", "linear_probe")


def small_folder(folder: Path, tasks: int = TASKS) -> list[Decision]:
    """The decisions of a few tasks of digits, from a folder made for them."""
    (folder / "images").mkdir()
    np.savez(folder / "images" / "digits.npz", **image_sets.drawn(*image_sets.digits(), IMAGES_PER_CLASS))
    shipped_tables.main(folder)
    source_cards.main(folder)
    labels = outcomes.labels_of(folder)
    drawn = [draw(number, "digits", labels["digits"], seed=0) for number in range(tasks)]
    for table in outcomes.tables(folder, "digits"):
        outcomes.compute(folder, "digits", table, labels["digits"], drawn, MEASURES)
    return list(gather.of_tasks(folder, drawn))
