"""Existing embeddings, ranked and chosen from: matched by id or order, alone and beside sources of images."""

import json
import logging
import os
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import safetensors.numpy
from cheap_heads import least_squares, use_heads

import leepjax as lj
from leepjax.choosing.read_choice import read_choice
from leepjax.cli.options import RankingOptions
from leepjax.cli.tables import TableOptions, inputs_of
from leepjax.data.embeddings.rows import HeldRows
from leepjax.data.text.in_memory import from_texts
from leepjax.models.ready import ready
from leepjax.opening.tables import LabelsFile
from leepjax.types import InputError, Reading

RNG = np.random.default_rng(0)
Y = np.repeat([0, 1, 2], 12)
GOOD = (3 * np.eye(3)[Y] + RNG.normal(size=(36, 3))).astype(np.float32)
POOR = (0.7 * np.eye(3)[Y] + RNG.normal(size=(36, 3))).astype(np.float32)
IDS = [f"e{i}" for i in range(36)]
# The measure that compiles soonest of those that read features.
FAST = {"measures": ["lfc"], "verify": "ridge", "resamples": 0}


def tables(**further):
    return [lj.as_table(GOOD, name="good"), lj.as_table(POOR, name="poor")] + [
        lj.as_table(array, name=name) for name, array in further.items()
    ]


def test_tables_are_ranked_as_their_features_are():
    ranking = lj.rank(Y, tables(), **FAST)
    assert ranking.sources == ("good", "poor")
    assert ranking.scores("lfc")["good"] == pytest.approx(float(lj.lfc(GOOD, Y)), abs=1e-5)
    assert ranking.records[0].num_parameters is None
    assert ranking.records[0].cost is None


def test_rows_are_found_by_id_in_any_order_and_by_order_without_ids(tmp_path, caplog):
    order = RNG.permutation(36)
    (tmp_path / "y.csv").write_text("id,label\n" + "\n".join(f"{i},{y}" for i, y in zip(IDS, Y, strict=True)))
    by_id = lj.as_table(GOOD[order], name="by id", ids=[IDS[i] for i in order])
    with caplog.at_level(logging.WARNING, "leepjax"):
        ranking = lj.rank(LabelsFile(tmp_path / "y.csv"), [by_id, lj.as_table(GOOD, name="by order")], **FAST)
    scores = ranking.scores("lfc")
    assert scores["by id"] == pytest.approx(scores["by order"], abs=1e-6)
    assert "Rows of tables belong to the examples of y by id: by id; by order: by order." in caplog.text


def test_ids_that_occur_in_both_parts_of_a_target_are_refused():
    """Rows of a part would otherwise be taken for those of the other."""
    texts = [f"text {i}" for i in range(36)]
    part = from_texts(texts, Y)
    target = replace(part, test=from_texts(texts[::-1], Y))
    with pytest.raises(InputError, match=r"expected ids that occur once in texts, got '0' twice, .*--split all"):
        lj.rank(target, lj.as_table(GOOD, name="good", ids=list(range(36))), **FAST)


def test_logits_give_leep_and_features_alone_do_not():
    logits = lj.as_table(POOR, 4 * np.eye(3)[Y], name="with logits")
    odds = np.exp(4 * np.eye(3)[Y])
    probs = lj.as_table(POOR, probs=odds / odds.sum(axis=1, keepdims=True), name="with probs")
    ranking = lj.rank(Y, [logits, probs, *tables()], measures=["leep"], verify="none", resamples=0)
    scores = ranking.scores("leep")
    assert scores["with probs"] == pytest.approx(scores["with logits"], abs=1e-5)
    assert scores["with logits"] > -0.1
    assert np.isnan(scores["good"])


WRONG = {
    "short": (GOOD[:30], {}, "expected 36 rows, one for each example of labels in its order, got 30"),
    "nan": (np.where(np.arange(36)[:, None] == 3, np.nan, GOOD), {}, "got NaN or infinity for 1 of 36 examples"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_table_that_does_not_fit_fails_and_the_others_are_ranked(name):
    features, options, reason = WRONG[name]
    ranking = lj.rank(Y, [*tables(), lj.as_table(features, name=name, **options)], **FAST)
    assert ranking.sources == ("good", "poor")
    [failure] = ranking.failures
    assert failure.source == name
    assert reason in failure.reason


@pytest.mark.parametrize("copy", [Y, 7 - Y], ids=["equal", "in other numbers"])
def test_a_table_with_a_copy_of_the_labels_fails(tmp_path, copy):
    rows = np.column_stack([GOOD, copy])
    (tmp_path / "leak.csv").write_text("a,b,c,mood\n" + "\n".join(",".join(map(str, row)) for row in rows))
    ranking = lj.rank(Y, tables(), tables=[tmp_path / "leak.csv"], **FAST)
    assert ranking.sources == ("good", "poor")
    assert "expected features, got a copy of the labels in the column 'mood'; take" in ranking.failures[0].reason


def test_a_header_0_of_labels_is_recognised_by_the_number_of_rows_of_the_tables(tmp_path):
    np.save(tmp_path / "good.npy", GOOD)
    (tmp_path / "y.csv").write_text("0\n" + "\n".join(map(str, Y)))
    ranking = lj.rank(tables=[tmp_path / "good.npy"], labels=tmp_path / "y.csv", **FAST)
    assert ranking.scores("lfc")["good"] == pytest.approx(float(lj.lfc(GOOD, Y)), abs=1e-5)
    [failure] = lj.rank(Y, [lj.as_table(GOOD[1:], name="few"), *tables()], **FAST).failures
    assert "got 35; check that no header was read as a row" in failure.reason


def test_an_example_without_a_row_and_rows_without_an_example(tmp_path, caplog):
    (tmp_path / "y.csv").write_text("id,label\n" + "\n".join(f"{i},{y}" for i, y in zip(IDS, Y, strict=True)))
    few = lj.as_table(GOOD[:35], name="few", ids=IDS[:35])
    many = lj.as_table(np.vstack([GOOD, GOOD[:2]]), name="many", ids=[*IDS, "x", "y"])
    ranking = lj.rank(LabelsFile(tmp_path / "y.csv"), [few, many], **FAST)
    assert ranking.sources == ("many",)
    assert "got none for 1, the first with the id 'e35'" in ranking.failures[0].reason
    assert "2 rows of 38 aren't used" in caplog.text


def test_a_limit_draws_the_rows_of_the_examples_that_are_left():
    ranking = lj.rank(Y, tables(), limit=24, **(FAST | {"verify": "none"}))
    assert ranking.records[0].num_examples == 24
    assert ranking.scores("lfc")["good"] > ranking.scores("lfc")["poor"]


def test_splits_of_the_labels_and_a_test_set_without_ids(tmp_path):
    (tmp_path / "y.csv").write_text(
        "label,split\n" + "\n".join(f"{y},{'train' if i % 3 else 'test'}" for i, y in enumerate(Y))
    )
    ranking = lj.rank(LabelsFile(tmp_path / "y.csv"), tables(), **FAST)
    assert {record.num_examples for record in ranking.records} == {24, 12}
    (tmp_path / "t.csv").write_text("label\n" + "\n".join(map(str, Y)))
    with pytest.raises(InputError, match="add a column of ids to both"):
        lj.rank(Y, tables(), test=LabelsFile(tmp_path / "t.csv"), **FAST)


def test_equal_rows_of_a_table_are_counted(tmp_path, caplog):
    """Labels alone don't tell copies from other examples of their class."""
    twice, labels = np.tile(GOOD[::2], (2, 1)), np.tile(Y[::2], 2)
    lj.rank(Y, tables(), **FAST)
    assert "more than once" not in caplog.text
    lj.rank(labels, lj.as_table(twice, name="twice"), **FAST)
    assert "twice: 36 of 36 examples occur more than once, the first: 0; copies" in caplog.text
    rows = (f"{y},{'test' if i >= 18 and i % 3 else 'train'}" for i, y in enumerate(labels))
    (tmp_path / "y.csv").write_text("label,split\n" + "\n".join(rows))
    lj.rank(LabelsFile(tmp_path / "y.csv"), lj.as_table(twice, name="twice"), **FAST)
    assert "twice: 12 of 12 test examples are in the training part, too, the first: 19;" in caplog.text


def test_tables_and_sources_of_images_are_ranked_together():
    images = RNG.integers(0, 255, (36, 8, 8), np.uint8)
    ranking = lj.rank((images, Y), ["random", *tables()], **(FAST | {"verify": "none"}))
    assert set(ranking.sources) == {"random", "good", "poor"}
    with pytest.raises(InputError, match="source random"):
        lj.rank(Y, ["random"], **FAST)


def test_records_resume_by_the_content_of_the_table(tmp_path):
    first = lj.rank(Y, tables(), out=tmp_path, **FAST)
    again = lj.rank(Y, tables(other=GOOD + 1), out=tmp_path, **FAST)
    keys = {record.key for record in first.records}
    assert keys < {record.key for record in again.records}
    assert [record.seconds for record in again.records if record.key in keys] == [r.seconds for r in first.records]


def test_a_column_of_images_or_texts_is_refused():
    for column in ("image_column", "text_column"):
        with pytest.raises(InputError, match="rank: expected tables of embeddings to have no column of"):
            lj.rank(tables=["good.npy"], labels="labels.csv", **{column: "x"})


def test_fine_tuning_and_layers_of_embeddings_are_refused():
    [failure] = lj.rank(Y, tables()[:1], ["lfc"], verify="finetune", resamples=0).failures
    assert "expected a network that can be trained, got embeddings" in failure.reason
    with pytest.raises(InputError, match="leave features and pooling out"):
        lj.rank(Y, tables()[:1], features="all-blocks", **FAST)


def test_choose_reads_the_rows_of_a_look_and_writes_the_head(tmp_path, monkeypatch):
    use_heads(monkeypatch, least_squares)
    read = []
    monkeypatch.setattr(
        HeldRows, "read", lambda rows, places, old=HeldRows.read: read.append(len(places)) or old(rows, places)
    )
    labels, rows = np.tile(Y, 6), RNG.normal(size=(216, 3)).astype(np.float32)
    good = lj.as_table(rows + 4 * np.eye(3)[labels].astype(np.float32), name="good")
    choice = lj.choose(labels, [good, lj.as_table(rows, name="noise")], out=tmp_path)
    assert (choice.source, choice.race.looks[0].num_examples < 216) == ("good", True)
    read_of_noise = next(row["examples"] for row in choice.to_records() if row["source"] == "noise")
    assert f"; {216 + read_of_noise} of the 432 rows of all tables were read." in str(choice)
    assert read_choice(tmp_path / "race.jsonl").rows_read == choice.rows_read
    assert min(read) == choice.race.looks[0].num_examples
    head = safetensors.numpy.load_file(choice.path)
    features = good.network.embeddings.read(np.arange(216))[0]
    logits = features @ head["weight"].T + head["bias"]
    assert (logits.argmax(axis=1) == labels).mean() > 0.95
    card = json.loads(choice.path.with_suffix(".json").read_text())
    assert (card["reads"], card["num_classes"], card["num_parameters"]) == ("embeddings", 3, 12)
    _check_predictions(tmp_path, choice.path, features[:5], logits[:5])


def _check_predictions(folder, path, rows, logits):
    """The written head opens as a source, and predicts the classes of files and arrays of embeddings."""
    head = lj.load_source(path)
    assert (head.reads, head.card.num_classes) == ("embeddings", 3)
    np.testing.assert_allclose(head(rows).logits, logits, atol=1e-5)
    np.savez(folder / "new.npz", features=rows, ids=IDS[:5])
    predictions = lj.predict(folder / "new.npz", folder, batch_size=2)
    np.testing.assert_array_equal(predictions.probabilities.argmax(axis=1), logits.argmax(axis=1))
    np.testing.assert_allclose(lj.predict(rows, path).probabilities, predictions.probabilities, atol=1e-6)
    assert predictions.rows()[0] == {
        "example": "e0",
        "class": str(logits[0].argmax()),
        "probability": round(float(predictions.probabilities[0].max()), 6),
    }
    with pytest.raises(InputError, match=r"expected embeddings of width 3, got shape \[2\]; pass those that the head"):
        lj.predict(rows[:, :2], path)
    with pytest.raises(InputError, match="expected a source that computes, got the embeddings good; train a head"):
        lj.predict(rows, tables()[0])
    with pytest.raises(InputError, match="expected one table of embeddings, got 2; name one file"):
        lj.predict([folder / "new.npz"] * 2, path)
    with pytest.raises(InputError, match="expected no column of texts for chosen, which reads examples, got 'review'"):
        lj.predict(rows, path, text_column="review")


def test_a_command_names_a_target_or_tables_with_labels():
    def of(target=None, labels=None, *names):
        return inputs_of("rank", target, TableOptions(names, labels), RankingOptions(sources="random"), Reading())

    assert of("digits").sources == ["random"]
    sources = of("digits", None, "a.npy,b.npy", "c.npy").sources
    assert list(map(os.fspath, sources)) == ["random", "a.npy", "b.npy", "c.npy"]
    with pytest.raises(InputError, match="got both"):
        of("digits", "y.csv", "a.npy")
    with pytest.raises(InputError, match="got --labels alone"):
        of(None, "y.csv")
    with pytest.raises(InputError, match="expected a target, or --tables"):
        of()


def test_paths_of_tables_and_labels_are_ranked_from_python(tmp_path):
    np.save(tmp_path / "good.npy", GOOD)
    np.save(tmp_path / "poor.npy", POOR)
    (tmp_path / "y.csv").write_text("label\n" + "\n".join(map(str, Y)))
    paths = [tmp_path / "good.npy", str(tmp_path / "poor.npy")]
    expected = lj.rank(Y, tables(), **FAST)
    for options in ({"labels": tmp_path / "y.csv"}, {"labels": Y}, {"target": Y}):
        ranking = lj.rank(tables=paths, **options, **FAST)
        assert ranking.sources == expected.sources
        assert ranking.scores("lfc") == pytest.approx(expected.scores("lfc"), abs=1e-6)
    with pytest.raises(InputError, match=r"rank: expected a target or labels, got both, ndarray and '.*y\.csv'; leave"):
        lj.rank(Y, tables=paths, labels=tmp_path / "y.csv")
    with pytest.raises(InputError, match="choose: expected a target, or tables and their labels, got none; name one"):
        lj.choose()


def test_columns_of_pyarrow_are_features_and_ids():
    table = lj.as_table(pa.array(GOOD.tolist()), name="good", ids=pa.array(IDS))
    assert np.array_equal(ready(table).embeddings.read(np.arange(36))[0], GOOD)
    assert ready(table).embeddings.ids() == tuple(IDS)
    with pytest.raises(InputError, match="as_table: good: expected an id for every row, got none in row 0"):
        lj.as_table(GOOD, name="good", ids=pa.array([None, *IDS[1:]]))


def test_arrays_need_a_name_and_files_no_arrays(tmp_path):
    with pytest.raises(InputError, match="expected a name for arrays"):
        lj.as_table(GOOD)
    np.save(tmp_path / "good.npy", GOOD)
    assert lj.as_table(tmp_path / "good.npy").name == "good"
    for outputs in ({"logits": GOOD}, {"probs": GOOD}):
        with pytest.raises(InputError, match="got arrays"):
            lj.as_table(tmp_path / "good.npy", **outputs)
