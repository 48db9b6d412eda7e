"""Score data split over processes: LEEP of scikit-learn's digits, for a source trained on the digits 0 to 4 only.

On one machine, in two processes, or (plain `python`) in one:

    leepjax launch --processes 2 examples/score_processes.py --out score.json

On Slurm, in two tasks of one GPU each (`sbatch score.sh`); the launcher finds its peers in Slurm's variables:

    #!/bin/bash
    #SBATCH --nodes=2 --ntasks-per-node=1 --gpus-per-task=1 --time=10
    srun --kill-on-bad-exit=1 leepjax launch --timeout 120 examples/score_processes.py --out score.json

On a TPU pod, where leepjax and the script lie on every host (pods aren't tested):

    gcloud compute tpus tpu-vm ssh POD --zone=ZONE --worker=all \
        --command='leepjax launch --timeout 120 examples/score_processes.py --out score.json'
"""

import argparse
import json
from pathlib import Path

import jax
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import leepjax as lj
from leepjax.distributed import initialize
from leepjax.storage.files import write_atomically

NUM_CLASSES = 10


def own_rows(process: int, processes: int) -> tuple[np.ndarray, np.ndarray]:
    """Source probabilities and labels of this process's part; with real data, only this part would be read here."""
    images, labels = load_digits(return_X_y=True)
    seen = labels[:500] < 5
    source = LogisticRegression(max_iter=1000).fit(images[:500][seen] / 16, labels[:500][seen])
    images, labels = (np.array_split(rows[500:], processes)[process] for rows in (images, labels))
    return source.predict_proba(images / 16).astype(np.float32), labels


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out

    initialize()
    probs, labels, where = lj.shard_rows(*own_rows(jax.process_index(), jax.process_count()))
    score = lj.leep(probs, labels, num_classes=NUM_CLASSES, where=where)
    result = {"leep": float(score), "devices": jax.device_count(), "processes": jax.process_count()}
    if jax.process_index() == 0:
        print(json.dumps(result))
        if out:
            write_atomically(out, json.dumps(result).encode())


if __name__ == "__main__":
    main()
