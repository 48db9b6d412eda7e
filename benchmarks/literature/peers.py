"""Tables that others published: scores and fine-tuned accuracies of real models, as settings that can be compared.

They are read from `../shared/peers` beside the repository; the README there states where each is from. Several have no
licence, so none is copied here.
"""

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

PEERS = Path(__file__).parents[3] / "shared" / "peers"


class Setting(NamedTuple):
    """The candidates of one target, in one published table."""

    table: str
    target: str
    accuracy: np.ndarray
    scores: dict[str, np.ndarray]
    classes: int | None = None
    """Number of classes, if known; the larger one if data sets are counted with and without their background class."""
    decimals: dict[str, int] | None = None
    """Decimals that are printed, by column, if the table is read from text."""


CLASSES = {"Aircraft": 100, "Caltech101": 102, "CIFAR10": 10, "CIFAR100": 100, "DTD": 47, "OxfordIIITPets": 37}
CLASSES |= {"StanfordCars": 196, "SUN397": 397, "Caltech-101": 102, "Caltech-256": 257}
CLASSES |= {"pets": 37, "dtd": 47, "flowers": 102, "stanfordcars": 196, "caltech101": 102, "cifar100": 100, "svhn": 10}
CLASSES |= {"smallnorb_label_elevation": 9}
# As model-spider calls the data sets and models of tllib.
_SPIDER = {"Cars": "StanfordCars", "Pet": "OxfordIIITPets", "mnasnet1_0": "mnasnet"}


def tllib() -> list[Setting]:
    """Ten ImageNet CNNs on eight data sets (thuml/Transfer-Learning-Library)."""
    return list(_settings("tllib", _rows("tllib_model_selection.csv"), "dataset", "finetune_acc", ("model",)))


def published_correlations() -> dict[tuple[str, str, str], float]:
    """(data set, statistic, measure) → the value that tllib prints below its columns."""
    names = {"Pearson Corr": "pearson", "Weighted Tau": "weighted_tau"}
    rows = json.loads((PEERS / "tllib_published_correlations.json").read_text())
    measures = ("hscore", "leep", "logme", "nce")
    return {(row["dataset"], names[row["model"]], name): float(row[name]) for row in rows for name in measures}


def model_spider() -> list[Setting]:
    """Nine measures of the same models on the same data sets (zhangyikaii/Model-Spider), with tllib's accuracies."""
    accuracy = {(r["dataset"], _plain(r["model"])): r["finetune_acc"] for r in _rows("tllib_model_selection.csv")}
    rows = _rows("modelspider_baseline_results.csv")
    for row in rows:
        row["Dataset"] = _SPIDER.get(row["Dataset"], row["Dataset"])
        row["accuracy"] = accuracy[row["Dataset"], _plain(_SPIDER.get(row["Model"], row["Model"]))]
    return list(_settings("model-spider", rows, "Dataset", "accuracy", ("Model",)))


def transrate() -> Iterator[Setting]:
    """Sources, models and layers (Long-Kai/TransRate)."""
    for script, targets in json.loads((PEERS / "transrate_official_scores.json").read_text()).items():
        for target, columns in targets.items():
            arrays = {name: np.array(values) for name, values in columns.items()}
            name = script.removesuffix(".py").replace("_", " ")
            accuracy = arrays.pop("acc")
            target = "one data set" if target == "null" else target
            yield Setting(f"TransRate, {name}", target, accuracy, arrays, CLASSES.get(target))


def glue() -> list[Setting]:
    """Six language models on eight tasks (Ba1Jun/model-selection-nlp)."""
    return list(_settings("GLUE", _rows("glue_ba1jun.csv"), "task", "tuned", ("model",)))


def medmnist() -> Iterator[Setting]:
    """AUCs of fifteen sources, and of nine architectures (DovileDo/transferability-in-medical-imaging)."""
    for kind in ("dataset", "model"):
        columns = {}
        for file in sorted((PEERS / "medmnist_dovile").glob(f"*_{kind}.csv")):
            rows = {row["source"]: row for row in csv.DictReader(file.open())}
            columns[file.stem.partition("_")[0].lower()] = rows
        truth = columns.pop("aucs")
        for target in list(next(iter(columns["leep"].values())))[2:]:
            scores = {m: np.array([_cell(rows, name, target) for name in truth]) for m, rows in columns.items()}
            accuracy = np.array([_cell(truth, name, target) for name in truth])
            yield Setting(f"MedMNIST, {kind}s", target, accuracy, scores)


def _cell(rows: dict[str, dict[str, str]], source: str, target: str) -> float:
    """A score; NaN where a source lacks it."""
    return float(rows.get(source, {}).get(target) or "nan")


def medmnist_ranks(kind: str) -> dict[str, dict[str, int]]:
    """Target → measure → the authors' rank; their own measure is called `our` here and `fu` in the files of scores."""
    rows = csv.DictReader((PEERS / "medmnist_dovile" / f"ktau_{kind}_rank.csv").open(), delimiter=";")
    ranks = [{name.replace("our", "fu"): cell for name, cell in row.items() if name} for row in rows]
    return {row.pop("target"): {name: int(rank) for name, rank in row.items()} for row in ranks}


def transfergraph() -> list[Setting]:
    """About 140 models of the Hugging Face hub on eight data sets (TransferGraph/transfergraph)."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for row in _rows("transfergraph/image_classification_records.csv"):
        if row["eval_accuracy"]:
            place = {"model": row["model"], "dataset": row["finetuned_dataset"], "accuracy": row["eval_accuracy"]}
            rows[row["model"], row["finetuned_dataset"]] = place
    for row in _rows("transfergraph/image_classification_transferability_score_records.csv"):
        if row["metric"] and (place := rows.get((row["model"], row["target_dataset"]))):
            place[row["metric"].rpartition(".")[2].lower()] = row["score"]
    whole = [row for row in rows.values() if {"log_me", "reg_h_score"} <= row.keys()]
    return list(_settings("TransferGraph", whole, "dataset", "accuracy", ("model",)))


def tmlr() -> list[Setting]:
    """Ten ImageNet models on five data sets (VirtualSpaceman/tmlr-transferability-benchmark)."""
    rows = _rows("tmlr_virtualspaceman_subset.csv")
    return list(_settings("TMLR benchmark", rows, "dataset", "test_acc", ("model",)))


def parc_accuracies() -> dict[str, np.ndarray]:
    """Target → accuracies of networks after transfer, without scores (dbolya/parc)."""
    found: dict[str, list[float]] = {}
    for row in _rows("parc_oracle_all.csv"):
        found.setdefault(row["Target Dataset"], []).append(float(row["Oracle"]))
    return {target: np.array(values) for target, values in found.items()}


def every() -> list[Setting]:
    return [*tllib(), *model_spider(), *transrate(), *glue(), *medmnist(), *transfergraph(), *tmlr()]


def _rows(file: str) -> list[dict[str, Any]]:
    with (PEERS / file).open() as lines:
        return list(csv.DictReader(lines))


def _settings(table: str, rows: Iterable[dict[str, str]], target: str, truth: str, names: tuple[str, ...]):
    groups: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        groups.setdefault(row[target], []).append(row)
    for name, group in groups.items():
        classes = int(group[0]["classes"]) if "classes" in group[0] else CLASSES.get(name)
        measures = [key for key in group[0] if key and key not in (target, truth, "classes", *names)]
        decimals = {key: max(len(row[key].partition(".")[2]) for row in group) for key in (truth, *measures)}
        scores = {key: np.array([float(row[key] or "nan") for row in group]) for key in measures}
        decimals["accuracy"] = decimals.pop(truth)
        yield Setting(table, name, np.array([float(row[truth]) for row in group]), scores, classes, decimals)


def _plain(model: str) -> str:
    return model.lower().replace(" ", "").replace("_", "")
