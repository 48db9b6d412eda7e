"""The command line: what each command prints, to which stream, in which format, and with which exit code."""

import csv
import errno
import io
import json
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
from cheap_heads import least_squares, use_heads
from PIL import Image
from profiles import only_long
from small_shipped import use_small_sources

from leepjax import DEFAULT_MEASURES, MEASURES, cli
from leepjax.cli.commands import app
from leepjax.extraction.table import read_table
from leepjax.measures import FURTHER
from leepjax.models import hub_weights
from leepjax.models.opening import load_source, sets, shipped_sources
from leepjax.storage.files import WriteError, digest

RNG = np.random.default_rng(0)
SMALL = (
    "digits",
    "--limit",
    "60",
    "--resamples",
    "40",
    "--sources",
    "random,cifar10-animals",
    "--measures",
    "nce,lfc",  # which compile sooner than others
)


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run the command line in this process: exit code, stdout, stderr."""
    monkeypatch.delenv("PYTEST_VERSION", raising=False)  # or Cyclopts warns of reading pytest's arguments
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["leepjax", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exited:
            cli.main()
        return exited.value.code or 0, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def folder_of_small_sources(tmp_path_factory):
    return tmp_path_factory.mktemp("shipped")


@pytest.fixture
def small_sources(monkeypatch, folder_of_small_sources):
    """Where a whole command is tested, and not the networks."""
    use_small_sources(monkeypatch, folder_of_small_sources, ("random", "cifar10", "cifar10-animals"))


def parse(text, format):
    """The rows of JSON or CSV, or the cells of each line of Markdown tables."""
    if format == "json":
        return json.loads(text)
    if format == "csv":
        return list(csv.DictReader(io.StringIO(text)))
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ((), ["rank", "sweep", "verify", "extract", "retrain", "finetune", "report", "pretrain", "--version"]),
        (
            ("rank",),
            ["--sources", "--verify", "ridge", "--limit", "--seed", "--out", "--no-cache", "--dry-run", "--format"],
        ),
        (("sweep",), ["TARGETS", "--sources", "--measures", "--engine", "ray", "ridge", "--out", "--format"]),
        (("extract",), ["--sources", "--out", "--evidence", "--storage", "--batch-size", "--strict"]),
        (("score",), ["--kind", "--measures", "--num-classes", "--format"]),
        (("verify",), ["RECORDS", "--truth", "--accuracy", "--measures", "--over", "--seed", "--format"]),
        (("ls",), ["sources", "measures", "targets", "--format"]),
        (("pretrain",), ["--test", "--name", "--classes", "--epochs", "--learning-rate"]),
        (("retrain",), ["--source", "--test", "--out", "--strict"]),
        (("finetune",), ["--source", "--scratch", "--epochs", "--head-learning-rate", "--batch-norm", "--accumulate"]),
        (("report",), ["FOLDER", "--out", "--formats", "svg", "FOLDER/report"]),
        (("launch",), ["SCRIPT", "--processes", "--devices-per-process", "--coordinator", "--process-id", "--timeout"]),
    ],
)
def test_help(run, command, words):
    code, out, err = run(*command, "--help")
    assert (code, err) == (0, "")
    assert all(word in out for word in words)


@pytest.mark.parametrize(
    "command",
    [[], ["rank"], *only_long(*([[name]] for name in app if not name.startswith("-") and name != "rank"))],
    ids=" ".join,
)
def test_a_reader_of_the_first_line_of_help_is_no_error(command):
    # A reader that closes the pipe before any help is written, earlier than `head` would.
    leepjax = [sys.executable, "-m", "leepjax", *command, "--help"]
    with subprocess.Popen(leepjax, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == ("", 0)


def test_options_come_from_the_environment_of_their_command_and_the_command_line_wins(run, monkeypatch, tmp_path):
    arguments = "score", "probs.npy", "labels.npy"
    np.save(tmp_path / "probs.npy", RNG.dirichlet(np.ones(3), 20))
    np.save(tmp_path / "labels.npy", np.arange(20) % 2)
    monkeypatch.setenv("LEEPJAX_SCORE_MEASURES", "nce")
    monkeypatch.setenv("LEEPJAX_SCORE_FORMAT", "json")
    monkeypatch.setenv("LEEPJAX_RANK_FORMAT", "csv")
    monkeypatch.setenv("LEEPJAX_CACHE", str(tmp_path / "cache"))  # the folder, and no command's --cache
    _, out, _ = run(*arguments)
    assert [row["measure"] for row in json.loads(out)] == ["nce"]
    _, out, _ = run(*arguments, "--measures", "leep")
    assert [row["measure"] for row in json.loads(out)] == ["leep"]


SHELLS = {
    "bash": (".bashrc", ".local/share/bash-completion/completions/leepjax"),
    "zsh": (".zshrc", ".zsh/completions/_cyclopts_leepjax"),
    "fish": (None, ".config/fish/completions/leepjax.fish"),
}
# The completions of `leepjax ls ` in each shell itself.
COMPLETES = {
    "bash": 'source "$1"; COMP_WORDS=(leepjax ls ""); COMP_CWORD=2; _leepjax; echo "${COMPREPLY[@]}"',
    "fish": "source $argv[1]; complete -C 'leepjax ls '",
}


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_is_installed_for_each_shell_and_completes(run, monkeypatch, tmp_path, shell):
    for variable in ("ZSH", "ZSH_CUSTOM", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    code, _, err = run("--install-completion", "--shell", shell)
    assert (code, err) == (0, "")
    startup, script = SHELLS[shell]
    assert (tmp_path / script).is_file()
    assert startup is None or ".zsh" in script or script in (tmp_path / startup).read_text()
    if shell in COMPLETES and shutil.which(shell):
        flags = ["-c", COMPLETES[shell], *(["bash"] if shell == "bash" else [])]
        done = subprocess.run([shell, *flags, tmp_path / script], capture_output=True, text=True, check=True)
        assert set(done.stdout.split()) == {"sources", "sets", "hub", "blocks", "measures", "targets"}


def test_version(run):
    assert run("--version")[:2] == (0, "0.1.0\n")


@pytest.mark.parametrize("format", ["json", "csv", "md"])
@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("sources", shipped_sources()),
        ("sets", sets()),
        ("measures", (*MEASURES, *FURTHER)),
        ("targets", ("digits", "FOLDER")),
    ],
)
def test_ls_in_every_format(run, what, names, format):
    code, out, err = run("ls", what, "--format", format)
    assert (code, err) == (0, "")
    rows = parse(out, format)
    assert len(rows) >= len(names)
    for name in names:
        assert name in out


@pytest.mark.parametrize(("what", "name"), [("sources", "random"), ("measures", "leep"), ("targets", "digits")])
def test_ls_as_a_table(run, what, name):
    code, out, err = run("ls", what)
    assert (code, err) == (0, "")
    assert any(line.split()[:1] == [name] for line in out.splitlines())


def test_ls_lists_the_blocks_of_a_source(run):
    code, out, err = run("ls", "blocks", "random", "--format", "json", "--filter", "features>=32")
    assert (code, err) == (0, "")
    rows = parse(out, "json")
    assert [row["block"] for row in rows] == [f"layer{stage}.{block}" for stage in (2, 3) for block in range(3)]
    assert rows[0] == {"block": "layer2.0", "kind": "map", "size": "16 × 16", "features": 32}
    assert run("ls", "blocks")[::2] == (
        2,
        "leepjax: ls: expected a source after blocks, got none; name one, as in leepjax ls blocks resnet18.\n",
    )
    assert run("ls", "sources", "random")[2] == (
        "leepjax: ls: expected a source for blocks alone, got 'random' for sources; leave it out.\n"
    )


def test_layers_are_named_in_options(run, tmp_path):
    npz = tmp_path / "two.npz"
    np.savez(npz, images=np.random.default_rng(0).integers(0, 256, (8, 8, 8)).astype(np.uint8), labels=np.arange(8) % 2)
    options = ["--sources", "random", "--features", "layer1.0,layer1.[12]", "--pooling", "max", "--out", tmp_path / "t"]
    code, out, _ = run("extract", npz, *options, "--format", "json")
    assert code == 0
    rows = [(row["source"], row["features"], row["classes"]) for row in parse(out, "json")]
    assert rows == [(f"random@layer1.{i}:max", 16, 0) for i in range(3)]


@pytest.fixture
def arrays(tmp_path):
    """labels.npy, and the evidence of each kind in a file of that name."""
    labels = np.arange(30) % 3
    logits = RNG.normal(size=(30, 4)) + np.eye(3, 4)[labels]
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for name, array in {"labels": labels, "logits": logits, "probs": probs, "features": logits}.items():
        np.save(tmp_path / f"{name}.npy", array)
    return tmp_path


@pytest.mark.parametrize("kind", ["probs", "logits", "features"])
def test_score_of_each_kind(run, arrays, kind):
    measures = "h_score" if kind == "features" else "leep,nce"
    options = ("--kind", kind, "--measures", measures, "--resamples", "20", "--format", "json")
    code, out, err = run("score", arrays / f"{kind}.npy", arrays / "labels.npy", *options)
    assert (code, err) == (0, "")
    rows = json.loads(out)
    assert [row["measure"] for row in rows] == measures.split(",")
    for row in rows:
        assert row["low"] < row["score"] < row["high"]
        evidence = np.load(arrays / f"{'features' if kind == 'features' else 'probs'}.npy")
        evidence = evidence.argmax(axis=1) if row["measure"] == "nce" else evidence
        expected = MEASURES[row["measure"]].function(evidence, np.load(arrays / "labels.npy"))
        assert row["score"] == pytest.approx(float(expected), abs=1e-4)


def test_score_without_measures_takes_all_that_read_the_kind(run, arrays):
    code, out, _ = run("score", arrays / "probs.npy", arrays / "labels.npy", "--resamples", "0", "--format", "csv")
    rows = parse(out, "csv")
    assert code == 0
    assert [row["measure"] for row in rows] == [name for name in DEFAULT_MEASURES if MEASURES[name].reads != "features"]
    assert all(row["low"] == row["high"] == "" for row in rows)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("out")


@pytest.mark.usefixtures("small_sources")
@pytest.mark.parametrize("format", ["json", *only_long(("md",), ("csv",), ("table",))])
def test_rank_prints_results_to_stdout_and_progress_to_stderr(run, out, format, monkeypatch):
    use_heads(monkeypatch, least_squares)
    code, text, err = run("rank", *SMALL, "--no-cache", "--out", out, "--format", format)
    assert code == 0
    lines = [line for line in err.splitlines() if line.startswith("sources: ")]
    assert [line.split(" (")[0] for line in lines] == [
        "sources: random on digits 1/2",
        "sources: cifar10-animals on digits 2/2",
    ]
    assert re.fullmatch(r".* \(\d+ s, about \d+ s left\)", lines[0])
    assert "sources: " not in text
    if format == "table":
        assert "Sources for digits, highest test accuracy first" in text
        assert "With 2 sources no correlation" in text
    elif format == "md":
        assert text.startswith("Take cifar10-animals")
        assert "\n\n### Sources for digits, highest test accuracy first\n" in text
        assert [cells[1] for cells in parse(text, format)[:4]] == ["source", "---", "cifar10-animals", "random"]
    else:
        rows = parse(text, format)
        assert [row["measure"] for row in rows] == ["nce", "nce", "lfc", "lfc", "head", "head"]
        assert {row["source"] for row in rows} == {"random", "cifar10-animals"}
    page = (out / "report.html").read_text("utf-8")
    assert f"leepjax: wrote {out / 'report.html'}" in err
    assert f"leepjax rank {' '.join(SMALL)} --no-cache --out {out} --format {format}" in page
    assert "Which source transfers to digits?" in page


@pytest.mark.usefixtures("small_sources")
@pytest.mark.parametrize("format", ["table", *only_long(("csv",), ("json",), ("md",))])
def test_sweep_prints_a_ranking_for_each_target(run, out, format, tmp_path, monkeypatch):
    use_heads(monkeypatch, least_squares)
    images, labels = np.full((20, 8, 8), 40, np.uint8), np.arange(20) % 2
    images[labels == 1] = 80
    np.savez(tmp_path / "grey.npz", images=images, labels=labels)
    code, text, err = run("sweep", "digits,grey.npz", *SMALL[1:], "--no-cache", "--out", out, "--format", format)
    assert code == 0
    assert "sources: random on grey " in err
    if format in ("json", "csv"):
        rows = parse(text, format)
        assert [row["target"] for row in rows] == ["digits"] * 6 + ["grey"] * 6
        assert {int(row["rank"]) for row in rows} == {1, 2}
    else:
        assert text.index("Sources for digits, highest") < text.index("Sources for grey, highest")
    page = (out / "report.html").read_text("utf-8")
    assert "Which source transfers to digits and grey?" in page
    code, text, err = run("report", out)
    assert (code, text.strip(), err) == (0, str(out / "report" / "report.html"), "")
    assert (out / "report" / "report.html").read_text("utf-8") == page


@pytest.mark.usefixtures("small_sources")
@pytest.mark.parametrize("command", ["rank", "sweep"])
def test_verification_by_a_ridge_probe(run, command):
    options = ("--sources", "random", "--measures", "leep", "--no-cache", "--format", "json", "--verify", "ridge")
    code, out, _ = run(command, *SMALL[:3], "--resamples", "0", *options)
    assert code == 0
    score, verification = json.loads(out)
    assert (score["measure"], verification["measure"], verification["kind"]) == ("leep", "ridge", "verify")
    assert 0 < verification["value"] < 1


@pytest.mark.usefixtures("small_sources")
def test_rank_caches_features_where_the_environment_says(run, monkeypatch, tmp_path):
    monkeypatch.setenv("LEEPJAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("leepjax.cli.rank.cache_compilations", lambda folder: None)  # it would outlast this test
    options = ("digits", "--limit", "60", "--resamples", "0", "--sources", "random", "--measures", "leep")
    assert run("rank", *options, "--verify", "none", "--no-cache")[0] == 0
    assert not (tmp_path / "cache").exists()
    code, out, err = run("rank", *options, "--verify", "none")
    assert (code, run("rank", *options, "--verify", "none")[1]) == (0, out)
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".safetensors"]
    assert "sources: random on digits 1/1" in err


def test_pretrain_writes_weights_and_a_card_whose_command_is_what_was_run(run, tmp_path):
    images, labels = RNG.integers(0, 256, (12, 32, 32, 3), np.uint8), np.arange(12) % 3
    np.savez(tmp_path / "tiny.npz", images=images, labels=labels, classes=["cat", "dog", "a cow"])
    command = ["pretrain", "tiny.npz", "--test", "tiny.npz", "--name", "tiny", "--out", "made", "--epochs", "0"]
    command += ["--classes", "dog,a cow", "--seed", "3", "--data", "twelve images of noise", "--licence", "none"]
    code, out, _ = run(*command)
    source = load_source(tmp_path / "made" / "tiny.safetensors")
    card = source.card
    assert code == 0
    assert "made/tiny.safetensors" in out
    assert shlex.split(card.training.command) == ["leepjax", *command]
    assert (card.name, card.classes, card.training.epochs, card.training.seed) == ("tiny", ("dog", "a cow"), 0, 3)
    assert (card.data, card.licence, card.training.examples, card.training.test_examples) == (
        "twelve images of noise",
        "none",
        8,
        8,
    )
    assert card.weights_hash == digest(source.network.path.read_bytes())
    assert 0 <= card.accuracy <= 1
    np.testing.assert_allclose(card.preprocessing.mean, images[labels > 0].mean(axis=(0, 1, 2)) / 255, atol=1e-5)
    np.testing.assert_allclose(card.preprocessing.std, images[labels > 0].std(axis=(0, 1, 2)) / 255, atol=1e-5)
    code, _, err = run(*command, "--model", "resnet32")
    assert code == 2
    assert err.startswith("leepjax: pretrain: expected no other network at made/tiny.safetensors, got one made by ")
    assert load_source(tmp_path / "made" / "tiny.safetensors").card == card


@pytest.mark.usefixtures("small_sources")
def test_extract_writes_a_table_for_each_source_and_says_where(run, tmp_path):
    command = ("extract", "digits", "--limit", 40, "--sources", "random,cifar10", "--out", "tables", "--format", "json")
    code, out, err = run(*command)
    assert code == 0
    assert "sources: cifar10 2/2" in err
    first, second = parse(out, "json")
    assert (first["source"], second["source"]) == ("random", "cifar10")
    table = read_table(tmp_path / first["table"])
    assert (first["examples"], first["features"], first["classes"]) == (40, *table.features.shape[1:], 10)
    assert table.provenance["source"] == "random"
    assert table.classes == tuple(map(str, range(10)))
    assert first["batch size"] == 40
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "tables").iterdir()}
    assert run(*command)[0] == 0
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "tables").iterdir()} == before


def folder_with_a_broken_image(path):
    for i in range(12):
        image = RNG.integers(0, 256, (9, 9, 3), np.uint8)
        place = path / f"class{i % 2}" / f"{i}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place)
    place.write_bytes(place.read_bytes()[:60])
    return path


@pytest.mark.usefixtures("small_sources")
def test_images_that_cannot_be_decoded_are_left_out_and_counted(run, tmp_path, caplog):
    folder = folder_with_a_broken_image(tmp_path / "photos")
    options = ("--sources", "random", "--format", "json")
    code, out, _ = run("extract", folder, *options)
    assert (code, parse(out, "json")[0]["examples"]) == (0, 11)
    assert "1 of 12 images can't be decoded and are left out, the first: class1/11.png" in caplog.text
    code, out, _ = run("rank", folder, "--measures", "leep", "--verify", "none", "--resamples", 0, *options)
    assert parse(out, "json")[0]["num_examples"] == 11
    for command in ("rank", "sweep", "extract"):
        code, out, err = run(command, folder, "--sources", "random", "--strict")
        assert (code, out) == (2, "")
        assert "11.png: expected an image, got" in err


def test_a_dry_run_fetches_and_measures_nothing(run, monkeypatch, tmp_path):
    monkeypatch.setattr(hub_weights, "hub_size", lambda repo, file, revision: 1_000_000)
    monkeypatch.setenv("LEEPJAX_CACHE", str(tmp_path / "cache"))
    code, out, err = run("rank", "digits", "--sources", "random,mobilenetv2", "--dry-run", "--format", "json")
    assert code == 0
    assert [line.partition(" (")[0] for line in err.splitlines()] == ["sources: random 1/2", "sources: mobilenetv2 2/2"]
    shipped, published = parse(out, "json")
    assert (shipped["source"], shipped["megabytes to fetch"], shipped["parameters"]) == ("random", 0, 269_722)
    assert (published["source"], published["megabytes to fetch"]) == ("mobilenetv2", 1.0)
    assert published["seconds for the images"] > shipped["seconds for the images"] > 0
    assert "leep" not in out


def test_a_dry_run_counts_the_test_set(run):
    for test, number in (([], 60), (["--test", "digits"], 60 + 1797)):
        code, out, _ = run("rank", "digits", "--limit", "60", *test, "--sources", "random", "--dry-run")
        assert code == 0
        assert f"for {number} images" in out.splitlines()[0]


def test_ls_filters(run):
    def listed(condition):
        return [
            row["source"] for row in parse(run("ls", "sources", "--filter", condition, "--format", "json")[1], "json")
        ]

    assert listed("mobilenet-,parameters<2e6") == ["mobilenet-0.5", "mobilenet-0.25"]
    assert listed("accuracy>=0.9") == ["fashion-mnist"]
    assert listed("classes=10") == ["cifar10", "fashion-mnist", "random"]
    code, _, err = run("ls", "sources", "--filter", "paramters<3")
    assert code == 2
    assert "did you mean parameters?" in err
    assert run("ls", "sources", "--filter", "parameters<few")[2] == (
        "leepjax: filter: expected a number after parameters<, got 'few'; write one, such as 5e6.\n"
    )


def test_sets_stand_for_their_members_and_licences_for_their_weights(run):
    code, out, _ = run(
        *("rank", *SMALL[:3], "--resamples", "0", "--verify", "none", "--sources", "shipped"),
        *("--measures", "leep,source_accuracy", "--format", "json"),
    )
    rows = parse(out, "json")
    assert code == 0
    assert {row["source"] for row in rows} == set(shipped_sources())
    stated = {row["source"]: row["value"] for row in rows if row["measure"] == "source_accuracy"}
    assert stated == {name: load_source(name).card.accuracy for name in shipped_sources()}
    assert {row["num_parameters"] for row in rows} >= {269_722}


def refuse(path, *content):
    raise WriteError(errno.ENOSPC, "No space left on device", str(path))


@pytest.mark.usefixtures("small_sources")
def test_what_choose_writes_predicts(run, tmp_path, monkeypatch):
    monkeypatch.setenv("LEEPJAX_CACHE", str(tmp_path / "cache"))
    use_heads(monkeypatch, least_squares)
    code, out, err = run("choose", "digits", "--limit", "60", "--sources", "random", "--out", "chosen")
    assert code == 0, err
    assert out.startswith("Take random: it is the only source that could be looked at.")
    assert "sources: look 1 at 50 images, 1 of 1 sources left" in err or "sources: look 1 at 60 images" in err
    assert len([line for line in err.splitlines() if line.startswith("sources:")]) == 1
    page = (tmp_path / "chosen" / "report.html").read_text("utf-8")
    assert "Take random" in page
    for number in range(2):
        Image.fromarray(RNG.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    code, out, err = run("predict", "0.png", "1.png", "--model", "chosen", "--format", "json", "--top", "10")
    assert code == 0, err
    rows = json.loads(out)
    assert [row["image"] for row in rows] == ["0.png", "1.png"]
    assert sum(value for name, value in rows[0].items() if name.startswith("probability")) == pytest.approx(1, abs=1e-5)
    code, out, err = run("predict", "0.png", "--model", "chosen", "--out", "found.csv")
    assert (code, out) == (0, "")
    assert (tmp_path / "found.csv").read_text("utf-8").startswith("image,class,probability\n0.png,")
    # A wrong path is refused before anything is opened; what is known is printed if it can't be written.
    code, out, err = run("predict", "0.png", "--model", "nowhere", "--out", "0.png/found.csv")
    assert (code, "got Not a directory" in err) == (1, True)
    (tmp_path / "folder.csv").mkdir()
    code, out, err = run("predict", "0.png", "--model", "nowhere", "--out", "folder.csv")
    assert (code, "open: expected a regular file at folder.csv, or nothing yet, got a folder; " in err) == (2, True)
    with monkeypatch.context() as patch:
        patch.setattr("leepjax.cli.predict.write_atomically", refuse)
        patch.setattr("leepjax.models.weights.write_atomically", refuse)
        code, out, err = run("predict", "0.png", "--model", "chosen", "--out", "found.csv")
        assert (code, out) == (1, (tmp_path / "found.csv").read_text("utf-8"))
        code, out, err = run("choose", "digits", "--limit", "60", "--sources", "random", "--out", "chosen")
        assert (code, out.startswith("Take random: "), "No space left" in err) == (1, True, True)
    # The same command answers from its records; another command's folder stays as it is.
    assert run("choose", "digits", "--limit", "60", "--sources", "random", "--out", "chosen")[0] == 0
    code, out, err = run("predict", "0.png", "--model", "chosen", "--out", "found.docx")
    assert code == 2
    assert "predict: expected --out with .csv, .json or .md, got 'found.docx'; or pass --format." in err


def test_a_dry_run_of_choose_says_what_the_race_costs(run):
    code, out, err = run("choose", "digits", "--sources", "random", "--budget", "50%", "--dry-run")
    assert code == 0, err
    assert out.startswith("All 1,797 images through all 1 sources of 0.3 million parameters, 0 megabytes to fetch: ")
    assert "The first look, 50 images: " in out
