"""Choose the pair of shipped sources whose ensemble suits handwritten digits, and evaluate it on held-out digits."""

import tempfile

import numpy as np

import leepjax as lj

SOURCES = ("cifar10", "cifar10-animals", "cifar10-vehicles", "fashion-mnist", "random")


def accuracy_of_average(tables: list, train: np.ndarray) -> float:
    """Accuracy of the averaged Expected Empirical Predictors of the sources, fitted to some digits, on the others."""
    labels = tables[0].labels
    predictions = [lj.eep(t.probs[train], labels[train]).predict(t.probs[~train]) for t in tables]
    return float(np.mean(np.argmax(np.mean(predictions, axis=0), axis=1) == labels[~train]))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        extracted = lj.extract("digits", list(SOURCES), out=folder, limit=300)
        tables = [extracted[name].table for name in SOURCES]
    labels, train = tables[0].labels, np.arange(300) % 2 == 0
    probs = [table.probs for table in tables]

    for name, table in zip(SOURCES, tables, strict=True):
        alone = accuracy_of_average([table], train)
        print(f"{name:16} LEEP {lj.leep(table.probs, labels, where=train):.3f}, held-out accuracy {alone:.3f}")
    for score in ("e_leep", "ms_leep"):
        chosen = lj.greedy_ensemble(probs, labels, 2, score=score, where=train)
        names = [SOURCES[i] for i in chosen.indices]
        together = accuracy_of_average([tables[i] for i in chosen.indices], train)
        print(f"{score} chooses {' + '.join(names)}: {chosen.scores[-1]:.3f}, held-out accuracy {together:.3f}")


if __name__ == "__main__":
    main()
