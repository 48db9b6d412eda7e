"""Rank two sources for two targets, in this process, in several (``--engine processes``) or by Ray's workers."""

import argparse
from dataclasses import replace
from functools import partial

import numpy as np
from PIL import Image

import leepjax as lj
from leepjax.data.readers import digits
from leepjax.data.target import Target


def read_turned(target: Target, i: int) -> Image.Image:
    """An image of a target, turned by 90°: a function that can be sent to other processes."""
    return target.read(i).rotate(90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=("serial", "processes", "ray"), default="serial")
    engine = parser.parse_args().engine

    upright = digits()
    turned = replace(
        upright,
        name="turned",
        fingerprint=f"{upright.fingerprint} turned",  # not that of the upright images
        read=partial(read_turned, upright),
    )
    rankings = lj.sweep([upright, turned], ["cifar10", "random"], ["leep", "h_score"], engine=engine, limit=300)
    for target, ranking in rankings.items():
        accuracy = ranking.accuracies[ranking.best]
        print(f"{target:8} best: {ranking.best}, whose head reaches a test accuracy of {accuracy:.3f}")
    means = {source: np.mean([r.accuracies[source] for r in rankings.values()]) for source in ("cifar10", "random")}
    print("mean accuracy over targets:", {source: round(float(mean), 3) for source, mean in means.items()})


if __name__ == "__main__":
    main()
