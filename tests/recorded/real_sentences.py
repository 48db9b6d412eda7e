"""A thousand real sentences of the shared data: questions of bank customers, and sentences of film reviews."""

import csv

from places import SHARED_DATA

FOLDER = SHARED_DATA / "text"
FEATURES_OF = 8
"""Number of sentences whose features are recorded."""


def sentences() -> list[str]:
    """500 sentences of each set."""
    with (FOLDER / "banking77_train.csv").open(newline="", encoding="utf-8") as file:
        bank = [row["text"] for row in csv.DictReader(file)][::20][:500]
    lines = (FOLDER / "sst2_train.tsv").read_text("utf-8").splitlines()
    return bank + [line.rpartition("\t")[0] for line in lines[::13][:500]]
