"""`leepjax verify`: scores joined with the user's accuracies, and bad files reported in one sentence."""

import csv
import io
import json
import math
import sys

import msgspec
import numpy as np
import pytest
import scipy.stats

import leepjax as lj
from leepjax import cli
from leepjax.agreement.score_files import read_scores, read_truth
from leepjax.agreement.truth import Accuracy, Score, verify
from leepjax.storage.records import Record, write_records
from leepjax.studies.outcome import Outcome, write_outcomes
from leepjax.types import InputError

SOURCES = "abcdef"
LEEP = [-1.0, -1.5, -1.2, -2.0, -2.5, -2.2]
NCE = [-0.5, -0.7, -0.9, -0.7, -1.5, -1.1]
ACCURACY = [0.9, 0.85, 0.8, 0.6, 0.65, 0.5]


def table(*rows):
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


SCORES = table(("source", "leep", "nce"), *zip(SOURCES, LEEP, NCE, strict=True))
TRUTH = table(("source", "accuracy"), *zip(SOURCES, ACCURACY, strict=True))


def record(source, measure, value, target="pets", kind="score"):
    numbers = {"low": None, "high": None, "confidence": 0.95, "seed": 0, "seconds": 0.1, "versions": {}}
    counts = {"num_examples": 9, "num_classes": 3, "weights_hash": "w", "target_hash": "t", "key": f"{source}{measure}"}
    return Record(kind=kind, target=target, source=source, measure=measure, value=value, **numbers, **counts)


def records(target="pets"):
    found = [record(s, "leep", x, target) for s, x in zip(SOURCES, LEEP, strict=True)]
    found += [record(s, "nce", x, target) for s, x in zip(SOURCES, NCE, strict=True)]
    return [*found, record("a", "head", 0.1, target, "verify")]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Write files, and return what the command prints, or the message with which it fails."""
    monkeypatch.delenv("PYTEST_VERSION", raising=False)  # or Cyclopts warns of reading pytest's arguments
    monkeypatch.chdir(tmp_path)

    def run(arguments="scores.csv --truth truth.csv", scores=SCORES, truth=TRUTH, code=0):
        for name, text in {"scores.csv": scores, "truth.csv": truth}.items():
            (tmp_path / name).write_text(text, "utf-8")
        monkeypatch.setattr(sys, "argv", ["leepjax", "verify", *arguments.split()])
        try:
            cli.main()
            exited = 0
        except SystemExit as error:
            exited = error.code
        out, err = capsys.readouterr()
        assert exited == code, err
        assert not (code and out)
        return err.removeprefix("leepjax: ").strip() if code else out

    return run


def rows_of(run, *arguments, **files):
    return {
        row["measure"]: row for row in json.loads(run(" ".join(["scores.csv --truth truth.csv", *arguments]), **files))
    }


def test_every_statistic_of_every_measure(run):
    rows = rows_of(run, "--format json")
    assert list(rows) == ["leep", "nce"]
    for name, x in (("leep", LEEP), ("nce", NCE)):
        row = rows[name]
        r = scipy.stats.pearsonr(x, ACCURACY)
        assert (row["pearson"], row["p_value"]) == pytest.approx((r.statistic, r.pvalue))
        assert row["spearman"] == pytest.approx(scipy.stats.spearmanr(x, ACCURACY).statistic)
        assert row["kendall"] == pytest.approx(scipy.stats.kendalltau(x, ACCURACY).statistic)
        assert row["weighted_tau"] == pytest.approx(scipy.stats.weightedtau(x, ACCURACY).statistic)
        assert (row["rel_at_1"], row["recall_at_1"], row["regret"]) == (1, 1, 0)
        assert row["pearson_low"] < row["pearson"] < row["pearson_high"]
        assert row["n"] == 6
    assert (rows["leep"]["ties"], rows["nce"]["ties"]) == (0, 1)
    # The three best are a, b, c; nce prefers d to c.
    assert (rows["leep"]["recall_at_3"], rows["nce"]["recall_at_3"]) == (1, pytest.approx(2 / 3))


@pytest.mark.parametrize(("format", "sign"), [("table", "─"), ("md", "| --- |")])
def test_tables_for_people_end_in_remarks(run, format, sign):
    shown = run(f"scores.csv --truth truth.csv --format {format}", truth=TRUTH.replace("f,", "g,"))
    r = scipy.stats.pearsonr(LEEP[:5], ACCURACY[:5]).statistic
    assert f"{r:.2f} [" in shown
    assert sign in shown
    assert "Rel@3" in shown
    assert "With 5 sources |r| must exceed 0.88 for p < 0.05. That is too few to tell measures apart." in shown
    assert shown.endswith("Left out for lack of an accuracy: f.\n\nLeft out for lack of a score: g.\n")


def test_json_and_csv_are_alone_on_stdout(run):
    shown = run("scores.csv --truth truth.csv --format csv", truth=TRUTH.replace("f,", "g,"))
    rows = list(csv.DictReader(io.StringIO(shown)))
    assert [row["measure"] for row in rows] == ["leep", "nce"]
    assert float(rows[0]["pearson"]) == pytest.approx(scipy.stats.pearsonr(LEEP[:5], ACCURACY[:5]).statistic)


def test_seed_moves_intervals_of_many_sources_and_no_values(run):
    x, noise = np.random.default_rng(0).normal(size=(2, 30))
    many = table(("source", "nce", "accuracy"), *((f"s{i}", x[i], x[i] + noise[i]) for i in range(30)))
    options = "--accuracy accuracy --measures nce --format json"
    first, same, other = (rows_of(run, f"--seed {s} {options}", scores=many, truth=many)["nce"] for s in (0, 0, 1))
    assert first == same
    assert first["pearson"] == other["pearson"]
    assert first["pearson_low"] != other["pearson_low"]


def test_seed_moves_nothing_of_few_sources(run):
    first, other = (rows_of(run, f"--seed {seed} --format json") for seed in (0, 1))
    assert first == other


def test_measures_and_the_accuracy_column_are_chosen(run):
    both = table(
        ("model", "comment", "top1", "leep"),
        *[(s, "fine", y, x) for s, x, y in zip(SOURCES, LEEP, ACCURACY, strict=True)],
    )
    rows = rows_of(run, "--measures leep --accuracy top1 --format json", scores=both, truth=both)
    assert list(rows) == ["leep"]
    numbers = both.replace("fine", "1")
    assert set(rows_of(run, "--accuracy top1 --format json", scores=numbers, truth=both)) == {"comment", "leep"}


LOSS = [0.3, 0.4, 0.6, 1.5, 1.1, 2.0]
BY_LOSS = table(("source", "log_loss"), *zip(SOURCES, LOSS, strict=True))


@pytest.mark.parametrize("arguments", ["--metric log_loss", "--accuracy log_loss"])
def test_of_log_loss_lower_is_better(run, arguments):
    rows = rows_of(run, arguments, "--format json", truth=BY_LOSS)
    for name, x in (("leep", LEEP), ("nce", NCE)):
        assert rows[name]["metric"] == "log_loss"
        assert rows[name]["kendall"] == pytest.approx(-scipy.stats.kendalltau(x, LOSS).statistic)
        assert rows[name]["pearson"] == pytest.approx(-scipy.stats.pearsonr(x, LOSS).statistic)
        # Both measures put the source of the lowest loss first.
        assert (rows[name]["regret"], rows[name]["recall_at_1"], rows[name]["rel_at_1"]) == (0, 1, None)
    swapped = BY_LOSS.replace("a,0.3", "a,0.5").replace("b,0.4", "b,0.1")
    assert rows_of(run, arguments, "--format json", truth=swapped)["leep"]["regret"] == pytest.approx(0.4)


def test_a_metric_is_printed_under_its_name(run):
    shown = run("scores.csv --truth truth.csv --metric log_loss", truth=BY_LOSS.replace("f,", "g,"))
    assert "agreement with log-loss" in shown
    assert "Lower log-loss is better: correlations are with its negative" in shown
    assert "Left out for lack of a log-loss: f." in shown
    assert "accuracy" not in shown
    plain = run("scores.csv --truth truth.csv")
    assert "agreement with accuracy" in plain
    assert "is better" not in plain


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1", "auroc"])
def test_of_other_metrics_higher_is_better(run, metric):
    by_accuracy = rows_of(run, "--format json")
    found = rows_of(run, "--metric", metric, "--format json", truth=TRUTH.replace("accuracy", metric))
    assert {name: row | {"metric": "accuracy"} for name, row in found.items()} == by_accuracy
    column = rows_of(run, "--metric", metric, "--accuracy mine --format json", truth=TRUTH.replace("accuracy", "mine"))
    assert column == found


def test_metrics_beside_scores_are_no_measures_unless_asked_for(run):
    columns = zip(SOURCES, LEEP, ACCURACY, LOSS, strict=True)
    both = table(("source", "leep", "accuracy", "log_loss"), *columns)
    assert list(rows_of(run, "--metric log_loss --format json", scores=both, truth=both)) == ["leep"]
    asked = rows_of(run, "--metric log_loss --measures accuracy --format json", scores=both, truth=both)
    assert list(asked) == ["accuracy"]


def test_records_verified_by_another_metric_are_named(tmp_path, caplog):
    verified = msgspec.structs.replace(records()[-1], metric="log_loss")
    write_records(tmp_path / "results.jsonl", [*records()[:-1], verified])
    (tmp_path / "truth.csv").write_text(TRUTH)
    lj.verify(tmp_path, tmp_path / "truth.csv")
    (warning,) = caplog.messages
    assert "results.jsonl was verified by log-loss; only its scores are read, and compared with accuracy of" in warning
    caplog.clear()
    (tmp_path / "loss.csv").write_text(BY_LOSS)
    found = lj.verify(tmp_path, tmp_path / "loss.csv", metric="log_loss", measures=["leep"])
    assert not caplog.messages
    assert [row["measure"] for row in found.to_records()] == ["leep"]
    with pytest.raises(InputError, match="verify: metric: expected one of 9 known names, got 'loss'; did you mean"):
        lj.verify(tmp_path, tmp_path / "loss.csv", metric="loss")


def test_a_constant_measure_is_undefined_and_chooses_by_chance(run):
    row = rows_of(run, "--format json", scores=table(("source", "one"), *((s, 1) for s in SOURCES)))["one"]
    assert [row[name] for name in ("pearson", "spearman", "kendall", "weighted_tau", "p_value")] == [None] * 5
    assert row["regret"] == pytest.approx(0.9 - np.mean(ACCURACY))
    assert row["ties"] == 15


def test_scores_of_others_are_not_rounded(run):
    far = [100_000 + 3 * y + 0.01 * i for i, y in enumerate(ACCURACY)]
    row = rows_of(run, "--format json", scores=table(("source", "far"), *zip(SOURCES, far, strict=True)))["far"]
    assert row["ties"] == 0
    assert row["pearson"] == pytest.approx(scipy.stats.pearsonr(far, ACCURACY).statistic, rel=1e-9)
    longer = table(("source", "measure", "value"), *((s, "far", x) for s, x in zip(SOURCES, far, strict=True)))
    assert rows_of(run, "--format json", scores=longer)["far"]["pearson"] == row["pearson"]


def test_rounding_of_float32_ranks_nothing(run):
    noise = table(("source", "full"), *((s, 1 + 1e-8 * y) for s, y in zip(SOURCES, ACCURACY, strict=True)))
    assert rows_of(run, "--format json", scores=noise)["full"]["kendall"] is None
    # In what leepjax recorded, also where other scores differ.
    recorded = table(
        ("source", "kind", "measure", "value"),
        *(
            (s, "score", "full", 1 + 1e-6 * y if i else 0.5)
            for i, (s, y) in enumerate(zip(SOURCES, ACCURACY, strict=True))
        ),
    )
    assert rows_of(run, "--format json", scores=recorded)["full"]["ties"] == 10


def test_an_empty_score_is_left_out(run):
    assert rows_of(run, "--format json", scores=SCORES.replace("a,-1.0", "a,"))["leep"]["n"] == 5


def test_records_of_rank_are_read_from_a_file_a_folder_and_a_csv(run, tmp_path):
    write_records(tmp_path / "out/results.jsonl", records())
    with (tmp_path / "out/results.jsonl").open("ab") as file:
        file.write(b'{"torn')
    by_hand = rows_of(run, "--format json")
    header = ("source", "target", "kind", "measure", "value")
    long = table(header, *[(r.source, r.target, r.kind, r.measure, r.value) for r in records()])
    for records_, scores in (("out", SCORES), ("out/results.jsonl", SCORES), ("scores.csv", long)):
        rows = json.loads(run(f"{records_} --truth truth.csv --format json", scores=scores))
        assert {row["measure"]: row | {"target": ""} for row in rows} == by_hand
        assert {row["target"] for row in rows} == {"pets"}


def outcome(task, source, leep, accuracy, method="head"):
    metrics = dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "ece"), accuracy)
    counts = dict.fromkeys(("image_size", "num_classes", "num_train", "num_test", "seed", "seconds"), 2)
    names = {
        "key": f"{task}{source}{method}",
        "study": "large",
        "weights_hash": "",
        "target": "cifar",
        "method": method,
    }
    return Outcome(task=task, source=source, scores={"leep": leep, "nce": None}, **names, **metrics, **counts)


def test_a_study_is_read_and_verified_over_its_tasks(run, tmp_path):
    outcomes = [
        # A source that is fine-tuned at another image size has other scores.
        outcome(f"task-{i}", "resnet", x if method == "head" else -x, 0.5, method)
        for i, x in enumerate(LEEP)
        for method in (("head", "finetune") if i % 2 else ("finetune", "head"))
    ]
    write_outcomes(tmp_path / "outcomes.jsonl", outcomes)
    truth = table(("model", "dataset", "accuracy"), *[("resnet", f"task-{i}", y) for i, y in enumerate(ACCURACY)])
    (row, nce) = json.loads(run(". --truth truth.csv --over targets --format json", truth=truth))
    assert (row["source"], row["n"], nce["n"]) == ("resnet", 6, 0)
    assert row["pearson"] == pytest.approx(scipy.stats.pearsonr(LEEP, ACCURACY).statistic)


def test_targets_are_kept_apart():
    scores = [
        Score(s, t, "leep", x)
        for t, sign in (("up", 1), ("down", -1))
        for s, x in zip("abc", [sign, 2 * sign, 4 * sign], strict=True)
    ]
    truth = [Accuracy(s, t, y) for t in ("down", "up", "aside") for s, y in zip("abc", (0.1, 0.2, 0.4), strict=True)]
    found = verify(scores, truth)
    assert [(c.group, c.statistics["pearson"].value) for c in found.comparisons] == [
        ("up", pytest.approx(1)),
        ("down", pytest.approx(-1)),
    ]
    assert found.without_score == ("a on aside", "b on aside", "c on aside")
    assert found.without_accuracy == ()
    with pytest.raises(InputError, match=r"at least 3 targets with score and accuracy, got at most 2 \(leep, a\)"):
        verify(scores, truth, over="targets")


def test_a_score_may_be_given_twice_but_not_with_two_values():
    scores = [Score(s, "", "leep", x) for s, x in zip("abcd", (1, 2, 3, math.nan), strict=True)]
    truth = [Accuracy(s, "", y) for s, y in zip("abcd", (0.1, 0.2, 0.4, 0.5), strict=True)]
    assert verify(scores * 2, truth).comparisons[0].n == 3
    with pytest.raises(InputError, match=r"expected one leep of a, got 1 and 1\.5; keep one of them"):
        verify([*scores, Score("a", "", "leep", 1.5)], truth)


def test_accuracies_without_targets_do_not_fit_several():
    scores = [Score(s, t, "leep", 1.0) for t in "xyzw" for s in "abc"]
    truth = [Accuracy(s, "", 0.5) for s in "abc"]
    with pytest.raises(
        InputError, match=r"a target for each row of the truth, got none beside the 4 targets w, x, y …;"
    ):
        verify(scores, truth)
    several = [Accuracy(s, t, 0.5) for s in "abc" for t in "xy"]
    with pytest.raises(
        InputError, match="a target for each row of the scores, got none beside the 2 targets x, y; add"
    ):
        verify([Score(s, "", "leep", 1.0) for s in "abc"], several)


TWICE = TRUTH + "a,0.3\n"
BAD = {
    "no scores": (
        "nowhere.csv --truth truth.csv",
        {},
        "expected a CSV or JSON lines at nowhere.csv, got no file",
    ),
    "no records": ("nowhere.jsonl --truth truth.csv", {}, "expected scores at nowhere.jsonl, got no file; check"),
    "no truth": (
        "scores.csv --truth nowhere.csv",
        {},
        "expected a CSV or JSON lines at nowhere.csv, got no file",
    ),
    "empty folder": (". --truth truth.csv", {}, "expected results.jsonl or outcomes.jsonl in ., got neither; pass"),
    "folder as truth": ("scores.csv --truth .", {}, "expected a CSV or JSON lines at ., got no file"),
    "no accuracy": (
        "",
        {"truth": SCORES},
        "expected a column accuracy in truth.csv, got source, leep, nce; name it wi",
    ),
    "empty truth": ("", {"truth": ""}, "expected a column accuracy in truth.csv, got none; name it"),
    "header alone": (
        "",
        {"truth": "source,accuracy\n"},
        "expected a row for each source in truth.csv, got none; add some.",
    ),
    "no source": (
        "",
        {"scores": SCORES.replace("source", "net")},
        "a column source or model in scores.csv, got net, l",
    ),
    "no measure": ("", {"scores": "source\na\n"}, "expected scores in scores.csv, got none; pass a CSV, or what rank"),
    "unknown measure": (
        "scores.csv --truth truth.csv --measures lep",
        {},
        "measures: expected one of 2 known names, got 'lep'; did you mean leep?",
    ),
    "words": (
        "",
        {"scores": SCORES.replace("-1.0", "good")},
        "a number for leep in row 2 of scores.csv, got 'good'; write",
    ),
    "accuracy in words": ("", {"truth": TRUTH.replace("0.85", "85%")}, "for accuracy in row 3 of truth.csv, got '85%'"),
    "no number": (
        "",
        {"truth": TRUTH.replace("0.9", "")},
        "for accuracy in row 2 of truth.csv, got ''; write a number there",
    ),
    "not finite": (
        "",
        {"truth": TRUTH.replace("0.9", "nan")},
        "for accuracy in row 2 of truth.csv, got 'nan'; write a number there",
    ),
    "twice": ("", {"truth": TWICE}, "expected each source once in truth.csv, got a again in row 8; drop one."),
    "two scores": ("", {"scores": SCORES + "a,-3,-3\n"}, "expected one leep of a, got -1 and -3; keep one of them."),
    "two columns": (
        "",
        {"scores": SCORES.replace("nce", "leep")},
        "distinct columns in scores.csv, got source, leep, leep",
    ),
    "long row": ("", {"scores": SCORES + "g,-3,-3,1\n"}, "expected 3 cells in row 8 of scores.csv, got 4; quote"),
    "none common": (
        "",
        {"truth": "source,accuracy\nA,0.5\nB,0.6\nC,0.7\n"},
        "got no common ones, such as a among the scores and A in the truth; name them alike.",
    ),
    "a metric of another name": (
        "",
        {"truth": TRUTH.replace("accuracy", "log_loss")},
        "expected a column accuracy in truth.csv, got source, log_loss; choose --metric log_loss.",
    ),
    "a negative loss": (
        "scores.csv --truth truth.csv --metric log_loss --accuracy accuracy",
        {"truth": TRUTH.replace("0.85", "-0.85")},
        "expected log-loss >= 0 in row 3 of truth.csv, got -0.85; lower is better: write the loss itself",
    ),
    "two common": (
        "",
        {"truth": TRUTH.partition("c,")[0]},
        "at least 3 sources with score and accuracy, got at most 2",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_ends_in_one_sentence(run, case):
    arguments, files, sentence = BAD[case]
    message = run(arguments or "scores.csv --truth truth.csv", code=2, **files)
    assert sentence in message
    assert message.startswith(("verify: ", "measures: "))
    assert len(message.splitlines()) == 1


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "truth.csv").write_bytes(b"source,accuracy\n\xff,1\n")
    with pytest.raises(InputError, match=r"expected text in UTF-8 at .*truth.csv, got .*; save it as UTF-8"):
        read_truth(tmp_path / "truth.csv")
    (tmp_path / "results.jsonl").write_bytes(b"\xff\n")
    with pytest.raises(InputError, match=r"expected scores in .*results.jsonl, got none"):
        read_scores(tmp_path)


def test_what_spreadsheets_write_is_read(tmp_path):
    (tmp_path / "truth.csv").write_bytes('﻿source,accuracy\r\n"a, b",0.5\r\n\r\n'.encode())
    assert read_truth(tmp_path / "truth.csv") == [Accuracy("a, b", "", 0.5)]


@pytest.mark.parametrize("form", ["csv", "semicolons", "tabs", "jsonl"])
def test_every_form_of_text_gives_the_same_scores_and_accuracies(form, tmp_path):
    rows = [("a", 1.5, 0.5), ("b", 2.5, 0.25)]
    separator = {"csv": ",", "semicolons": ";", "tabs": "\t"}.get(form)
    if separator:
        lines = ["\ufeff" + separator.join(("source", "leep", "accuracy")), ""]
        lines += [separator.join(map(str, row)) for row in rows]
    else:
        lines = [json.dumps(dict(zip(("source", "leep", "accuracy"), row, strict=True))) for row in rows]
    path = tmp_path / ("s.jsonl" if form == "jsonl" else "s.csv")
    path.write_text("\n".join(lines))
    assert [(s.source, s.measure, s.value) for s in read_scores(path)] == [("a", "leep", 1.5), ("b", "leep", 2.5)]
    assert [(a.source, a.value) for a in read_truth(path)] == [("a", 0.5), ("b", 0.25)]


def test_a_cell_that_is_no_number_is_named_by_its_line(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("source,accuracy\n\na,0.5\n\nb,many\n")
    with pytest.raises(InputError, match="in row 5"):
        read_truth(path)


def test_lines_that_are_no_records_are_left_out_with_a_warning(tmp_path, caplog):
    path = tmp_path / "results.jsonl"
    sound = record("a", "leep", 0.5)
    write_records(path, [sound])
    huge = msgspec.json.encode(sound).replace(b'"value":0.5', b'"value":1e400')
    path.write_bytes(path.read_bytes() + huge + b"\n" + b'{"key": 3}\n')
    assert [score.value for score in read_scores(path)] == [0.5]
    assert "line 2 isn't a record" in caplog.text
    assert "line 3 isn't a record" in caplog.text


def test_of_very_many_comparisons_tables_show_the_first_and_json_holds_all():
    targets = [f"t{i}" for i in range(150)]
    scores = [Score(s, t, m, x) for t in targets for m in ("leep", "nce") for s, x in zip(SOURCES, LEEP, strict=True)]
    truth = [Accuracy(s, t, y) for t in targets for s, y in zip(SOURCES, ACCURACY, strict=True)]
    truth += [Accuracy("unknown", t, 0.5) for t in targets]
    verification = verify(scores, truth)
    shown = str(verification)
    assert "t99: result of choosing by each measure" in shown
    assert "t100" not in shown
    assert "100 more comparisons aren't shown; JSON and CSV hold all of them." in shown
    assert "Left out for lack of a score: unknown on t0" in shown
    assert "and 140 more." in shown
    assert len(json.loads(verification.render("json"))) == 300


def test_very_many_comparisons_have_fewer_resamples(monkeypatch):
    y = np.random.default_rng(0).normal(size=40)
    scores = [Score(str(i), "t", m, x + k) for k, m in enumerate(("leep", "nce")) for i, x in enumerate(y[::-1])]
    truth = [Accuracy(str(i), "t", a) for i, a in enumerate(y)]
    assert verify(scores, truth).resamples == 1000
    monkeypatch.setattr("leepjax.agreement.truth._MOST_RESAMPLED", 300 * 80)
    fewer = verify(scores, truth)
    assert fewer.resamples == 300
    assert "Each interval is of 300 resamples, as there are many comparisons." in str(fewer)


def test_notes_of_many_sizes_are_those_of_the_least_and_the_most():
    sizes = range(4, 10)
    scores = [Score(f"s{i}", f"t{n}", "leep", i * i) for n in sizes for i in range(n)]
    truth = [Accuracy(f"s{i}", f"t{n}", -i) for n in sizes for i in range(n)]
    notes = [note for note in verify(scores, truth).remarks() if note.startswith("With")]
    assert [note.split()[1] for note in notes] == ["4", "9"]
