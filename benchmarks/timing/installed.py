"""How do `logme` and `shrunk_h_score` compare with transformer-ranker's, the rival that installs by pip?

python benchmarks --size full installed

It needs the extra `rival`. transformer-ranker computes in float64 on PyTorch, ours in float32 with anchored moments.
"""

import jax.numpy as jnp
import numpy as np
from measuring import all_quartiles, compiled, quartiles, report, size, timings
from problems import features_of, reference

import leepjax as lj

SHAPES = {
    "small": [(1_000, 32, 5)],
    "full": [(10_000, 512, 10), (10_000, 512, 100), (50_000, 512, 100), (10_000, 2048, 10)],
}
REPEATS = {"small": 3, "full": 7}


def main() -> None:
    chosen = size()
    try:
        import torch
        from transformer_ranker.estimators import HScore, LogME
    except ImportError as error:
        print(f"installed.py: skipped, {error}; pip install '.[rival]'")
        return
    theirs = {"shrunk_h_score": HScore, "logme": LogME}

    features, labels = features_of(600, 24, 4)
    for name in theirs:
        truth = getattr(reference, name)(features, labels)
        np.testing.assert_allclose(getattr(lj, name)(features, labels), truth, rtol=1e-4)

    for n, d, c in SHAPES[chosen]:
        features, labels = features_of(n, d, c)
        arrays = jnp.asarray(features), jnp.asarray(labels)
        tensors = torch.from_numpy(features), torch.from_numpy(labels)
        for name, estimator in theirs.items():
            measure = getattr(lj, name)
            run = compiled(lambda f, y, measure=measure, c=c: measure(f, y, num_classes=c), *arrays)
            seconds = timings(
                {
                    "ours": lambda run=run, arrays=arrays: run(*arrays),
                    "ours_with_checks": lambda measure=measure, arrays=arrays, c=c: measure(*arrays, num_classes=c),
                    "theirs": lambda estimator=estimator, tensors=tensors: estimator().fit(*tensors),
                },
                REPEATS[chosen],
            )
            report(
                benchmark="installed",
                measure=name,
                n=n,
                d=d,
                c=c,
                seconds=all_quartiles(seconds),
                speedup=quartiles(seconds["theirs"] / seconds["ours"]),
                speedup_with_checks=quartiles(seconds["theirs"] / seconds["ours_with_checks"]),
                score=float(run(*arrays)),
                their_score=estimator().fit(*tensors),
                torch=torch.__version__,
            )


if __name__ == "__main__":
    main()
