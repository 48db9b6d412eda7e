"""Make the folder that the benchmark of decisions reads: images, tables of features, outcomes. It takes hours.

PYTHONPATH=benchmarks:tests/making TORCH_PYTHON=… python -m decisions.prepare FOLDER

What is there isn't computed again. Without `$TORCH_PYTHON`, an interpreter that has PyTorch, the sources are those that
leepjax ships.
"""

import os
import subprocess
import sys
from pathlib import Path

from decisions import image_sets, outcomes, shipped_tables, source_cards
from decisions.prepare import finetuning
from places import SHARED_DATA


def main(folder: Path) -> None:
    if not (folder / "images").exists():
        image_sets.main(folder)
    if python := os.environ.get("TORCH_PYTHON"):
        subprocess.run([python, Path(__file__).with_name("torch_tables.py"), SHARED_DATA, folder], check=True)
    shipped_tables.main(folder)
    source_cards.main(folder)
    outcomes.main(folder)
    finetuning.main(folder)
    if python:
        subprocess.run([python, Path(__file__).with_name("torch_finetuned.py"), folder], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
