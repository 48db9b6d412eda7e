"""A study of your own: does LEEP order tasks with few images of three digits each as re-trained heads do?

``leepjax study`` does the same for the paper's experiments, and fine-tunes as well.
"""

import tempfile
from pathlib import Path

import numpy as np

from leepjax.agreement.statistics import pearson
from leepjax.studies.config import Config
from leepjax.studies.outcome import Outcome
from leepjax.studies.run import run_study
from leepjax.studies.tasks import Between, Profile

MEASURES = ("leep", "logme", "knn")
STUDY = Config(
    study="few-digits",
    sources=("random",),
    targets=(("digits", "digits"),),  # one set twice: its halves
    profiles=(Profile(num_classes=(3, 3), sizes=Between(5, 15)),),
    num_tasks=6,
    methods=("head",),
    measures=MEASURES,
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:  # with a permanent folder, an interrupted study resumes
        outcomes: list[Outcome] = run_study(STUDY, scale="smoke", out=Path(folder))
    accuracies = np.array([outcome.accuracy for outcome in outcomes])
    print(f"{len(outcomes)} tasks, test accuracies from {accuracies.min():.3f} to {accuracies.max():.3f}")
    for measure in MEASURES:
        scores = np.array([outcome.scores[measure] for outcome in outcomes])
        print(f"{measure}: r = {pearson(scores, accuracies):.2f} with them")


if __name__ == "__main__":
    main()
