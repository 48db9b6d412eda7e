"""What goes wrong at the command line ends in one sentence on stderr and an exit code, never in a traceback."""

import gc
import logging
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from profiles import only_long

from leepjax import cli
from leepjax.cli import commands
from leepjax.cli.progress import progress
from leepjax.storage.records import read_records
from leepjax.types import InputError


@pytest.fixture
def fails(monkeypatch, capsys, tmp_path):
    """Run the command line in this process, which must exit with 2 and print nothing to stdout; return stderr."""
    monkeypatch.delenv("PYTEST_VERSION", raising=False)  # or Cyclopts warns of reading pytest's arguments
    monkeypatch.chdir(tmp_path)

    def fails(arguments):
        monkeypatch.setattr(sys, "argv", ["leepjax", *arguments.split()])
        with pytest.raises(SystemExit) as exited:
            cli.main()
        out, err = capsys.readouterr()
        assert (exited.value.code, out) == (2, "")
        return err

    return fails


@pytest.fixture
def files(tmp_path):
    """The targets and arrays that the command lines below name."""
    noise = np.random.default_rng(0)
    images, labels = noise.integers(0, 256, (4, 8, 8, 3), np.uint8), np.array([0, 1, 0, 1])
    for folder in ("empty", "one/cat", "corrupt/cat", "corrupt/dog"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("one/cat/1", "one/cat/2", "corrupt/cat/1", "corrupt/dog/1"):
        Image.fromarray(images[0]).save(tmp_path / f"{name}.png")
    (tmp_path / "corrupt/dog/2.png").write_bytes(b"not an image")
    np.savez(tmp_path / "tiny.npz", images=images, labels=labels)
    np.savez(tmp_path / "other.npz", images=images, labels=labels, classes=["cat", "dog"])
    (tmp_path / "text.npz").write_text("not an npz")
    probs = noise.dirichlet(np.ones(3), 4)
    arrays = {"probs": probs, "labels": labels, "logits": noise.normal(size=(4, 3)), "short": labels[:3]}
    arrays |= {"floats": labels / 2, "negative": labels - 1, "nan": probs * np.nan, "words": np.array(["a"] * 4)}
    arrays |= {"empty": probs[:0], "objects": np.array([None] * 4)}
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)


ONE_SENTENCE = {
    "rank nowhere": "target: expected a folder, an .npz or one of digits, got 'nowhere', which isn't there",
    "rank empty": "empty: expected images at <class>/<image>",
    "rank one --no-cache": "rank: expected at least two classes in one, got only 'cat'",
    "rank text.npz": "target: expected an .npz of arrays in text.npz",
    "rank probs.npy": "target: expected a folder or an .npz, got the file probs.npy",
    "rank digits --sources randon": "got 'randon'; did you mean random?",
    "rank digits --sources ,": "rank: expected at least one source, got none",
    "rank digits --sources mine.safetensors": "source: expected a model card at mine.json, got none",
    "rank digits --measures leep,hscore": "measures: expected one of 32 known names, got 'hscore'; did you mean h_sc",
    "rank digits --measures leep,leep": "rank: expected distinct measures",
    "rank digits --limit 1": "rank: limit must be at least 2, got 1",
    "rank digits --limit -5": "rank: limit must be at least 2, got -5",
    "rank digits --resamples -1": "rank: resamples must be at least 0, got -1; pass 0 or more.",
    "rank digits --resamples 9": "rank: expected 0 or at least 10 resamples, got 9; pass 0 for no intervals.",
    "choose digits --seed -1": "choose: seed must be at least 0, got -1; pass 0 or more.",
    "sweep digits,nowhere": "target: expected a folder, an .npz or one of digits, got 'nowhere', which isn't there",
    "sweep ,": "sweep: expected at least one target, got none; name one.",
    "sweep tiny.npz,tiny.npz": "sweep: expected targets of different names, got 'tiny' twice; drop or rename one.",
    "sweep digits --sources ,": "sweep: expected at least one source, got none",
    "sweep digits --limit 1": "sweep: limit must be at least 2, got 1",
    "score nowhere.npy labels.npy": "score: expected an .npy array at nowhere.npy, got no file",
    "score probs.npy nowhere.npy": "score: expected an .npy array at nowhere.npy, got no file",
    "score logits.npy labels.npy": "score: each row of probs must be non-negative and sum to one",
    "score nan.npy labels.npy": "score: each row of probs must be non-negative and sum to one, got NaN or infinity at",
    "score nan.npy labels.npy --kind logits": "score: logits must be finite, got NaN or infinity at row 0",
    "score probs.npy short.npy": "score: expected 4 labels, one per example, got 3",
    "score probs.npy floats.npy": "score: labels must be integers, got float",
    "score probs.npy negative.npy": "score: labels must lie in [0, 1), got -1 at index 0",
    "score probs.npy labels.npy --num-classes 1": "score: labels must lie in [0, 1), got 1 at index 1; pass num_",
    "score labels.npy labels.npy": "score: probs must have 2 axes, got shape (4,)",
    "score empty.npy short.npy": "score: expected at least one example and column",
    "score words.npy labels.npy": "score: probs must be an array",
    "score objects.npy labels.npy": "score: expected an .npy array in objects.npy, got an array of Python objects",
    "score text.npz labels.npy": "score: expected an .npy array in text.npz",
    "score probs.npy labels.npy --measures leap": "got 'leap'; did you mean leep?",
    "score probs.npy labels.npy --measures h_score": "score: h_score reads features, got probs; pass --kind",
    "score probs.npy labels.npy --measures ,": "score: expected",
    "score probs.npy labels.npy --resamples -1": "score: resamples must be at least 0, got -1",
    "score probs.npy labels.npy --resamples 1": "score: expected 0 or at least 10 resamples, got 1; pass 0",
    "pretrain tiny.npz --name x": (
        "pretrain: expected a test set, got none; pass one, or a folder with train and test splits."
    ),
    "pretrain tiny.npz --test nowhere --name x": "target: expected a folder, an .npz or one of digits, got 'nowhere'",
    "pretrain tiny.npz --test other.npz --name x": "pretrain: expected the same classes in both sets",
    "pretrain tiny.npz --test tiny.npz --name x --classes 0,2": "classes: expected one of 2 known names, got '2'",
    "pretrain tiny.npz --test tiny.npz --name x --epochs 0 --classes 0,0": "classes: ",
    "pretrain tiny.npz --test tiny.npz --name x --epochs 0 --classes ,": "classes: ",
    "pretrain tiny.npz --test tiny.npz --name x --epochs -1": "epochs",
    "pretrain tiny.npz --test tiny.npz --name x --batch-size 0": "batch_size",
    "report nowhere": "report: expected a folder that leepjax study, rank, sweep or choose wrote, got nowhere;",
    "report empty": "report: expected records of studies or rankings in empty, got none; run leepjax study",
    "report empty --formats gif": "report: expected formats among png, svg, pdf, got 'gif'; name some of them.",
    "retrain nowhere --source random": "target: expected a folder, an .npz or one of digits, got 'nowhere'",
    "retrain tiny.npz --source randon": "source: expected one of",
    "finetune tiny.npz --source randon": "did you mean random?",
    "finetune tiny.npz --source random --test-fraction 2": "finetune: test_fraction must lie between 0 and 1, got 2.0",
    "finetune tiny.npz --source random --test other.npz": "finetune: expected the same classes in both sets",
    "finetune tiny.npz --source random --learning-rate 0": "recipe: expected learning_rate > 0, got 0.0; pass a posi",
    "finetune tiny.npz --source random --scratch --batch-norm frozen": "finetune: expected batch_norm 'train' for",
    "pretrain tiny.npz --test tiny.npz --name x --batch-norm frozen": "pretrain: expected batch_norm 'train' for fresh",
    "finetune tiny.npz --source random --test tiny.npz --test-fraction 0.3": "finetune: expected a test set or a test_",
    "rank tiny.npz --test tiny.npz --test-fraction 0.3": "rank: expected a test set or a test_fraction, got both",
    "metatest x.safetensors tiny.npz --max-shots 3": "episodes: expected max_shots where shots vary, got 3",
    "finetune tiny.npz --source random --accumulate 3": "recipe: expected a batch_size that is a multiple of accum",
}


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("arguments", ONE_SENTENCE)
def test_bad_input_is_one_sentence(fails, arguments):
    err = fails(arguments)
    assert err.startswith("leepjax: ")
    assert err.count("\n") == 1
    assert ONE_SENTENCE[arguments] in err


def test_control_characters_reach_stderr_escaped(monkeypatch, capsys):
    """In an error, a warning and a line of progress."""

    def app():
        logging.getLogger("leepjax").warning("read %s", "a\x1b[2Jb")
        with progress() as on_progress:
            on_progress("sources: [/b]\x1b[2J:cat", 1, 2)
        raise InputError("expected c, got d\x1b[2J\ne")

    monkeypatch.setattr(commands, "app", app)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with pytest.raises(SystemExit):
        cli.main()
    err = capsys.readouterr().err
    assert err.splitlines() == [
        "read a\\x1b[2Jb",
        "sources: [/b]\\x1b[2J:cat 1/2 (0 s, about 0 s left)",
        "leepjax: expected c, got d\\x1b[2J\\ne",
    ]


@pytest.mark.usefixtures("files")
def test_a_corrupt_image_is_an_error_where_strictness_is_asked_for(fails):
    error = fails("rank corrupt --strict --no-cache --sources random --verify none")
    assert error.startswith("leepjax: corrupt/dog/2.png: expected an image, got cannot identify")
    assert error.count("\n") == 1


@pytest.mark.usefixtures("files")
def test_an_npz_where_an_array_is_asked_for_is_closed_again(fails):
    assert "score: expected an .npy array in tiny.npz, got an .npz of several arrays" in fails(
        "score tiny.npz labels.npy"
    )
    gc.collect()


USAGE = {
    "rank": "expected a target, or --tables",
    "rank digits --verify heads": '"heads"',
    "rank digits --limit many": '"many"',
    "rank digits --format xml": '"xml"',
    "rank digits --bogus": "--bogus",
    "sweep": "TARGETS",
    "sweep digits --engine rays": '"rays"',
    "score probs.npy": "LABELS",
    "ls": "WHAT",
    "ls models": '"models"',
    "pretrain tiny.npz": "--name",
    "retrain tiny.npz": "--source",
    "finetune tiny.npz --source random --optimizer lion": '"lion"',
    "frobnicate": '"frobnicate"',
}


@pytest.mark.parametrize("arguments", USAGE)
def test_a_command_line_that_cannot_be_parsed_names_what_is_wrong(fails, arguments):
    err = fails(arguments)
    assert USAGE[arguments] in err
    assert err.startswith("leepjax: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LEEPJAX_RANK_SEED", "many"),
        ("LEEPJAX_RANK_SEED", ""),
        ("LEEPJAX_RANK_VERIFY", "heads"),
        ("LEEPJAX_RANK_CACHE", "maybe"),
        ("LEEPJAX_RANK_FORMAT", "a\x1b[31mb\nc"),
    ],
)
def test_a_wrong_value_in_the_environment_is_one_sentence_that_names_the_variable(fails, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    err = fails("rank digits --dry-run")
    assert err.startswith("leepjax: ")
    assert variable in err
    assert err.count("\n") == 1
    assert "\x1b" not in err


COMMAND = [sys.executable, "-m", "leepjax"]


# The command line, with a Ctrl-C as soon as the first result is in its file.
INTERRUPTED = """
import signal
from leepjax import cli
from leepjax.ranking import carry_out
append = carry_out.append_records
def append_and_interrupt(*arguments):
    append(*arguments)
    signal.raise_signal(signal.SIGINT)
carry_out.append_records = append_and_interrupt
cli.main()
"""


def test_ctrl_c_ends_in_one_sentence_and_whole_results(tmp_path):
    """Before the head is trained; of a table, because a network takes longer to compile."""
    labels = np.repeat([0, 1], 10)
    np.save(tmp_path / "small.npy", np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32))
    np.save(tmp_path / "labels.npy", labels)
    arguments = "rank --tables small.npy --labels labels.npy --measures h_score --no-cache --out out"
    command = [sys.executable, "-c", INTERRUPTED, *arguments.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stdout.startswith("small is the only source; ")
    assert "Sources for labels, best h_score first" in done.stdout
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("leepjax: interrupted; ")
    assert len(read_records(tmp_path / "out" / "results.jsonl")) == 1
    assert os.listdir(tmp_path / "out") == ["results.jsonl"]


@pytest.mark.parametrize("arguments", [["ls", "measures"], *only_long((["--help"],), (["rank", "--help"],))])
def test_a_reader_that_closes_the_pipe_is_no_error(arguments):
    # test_cli.py tests the same for the help.
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as closed:
        done = subprocess.run([*COMMAND, *arguments], stdout=closed, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_pipe_changes_neither_the_folder_nor_the_exit_code(tmp_path):
    labels = np.repeat([0, 1], 10)
    features = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    for name, array in {"good": features, "bad": np.full_like(features, np.nan), "labels": labels}.items():
        np.save(tmp_path / f"{name}.npy", array)
    read_end, write_end = os.pipe()
    os.close(read_end)
    options = "--labels labels.npy --measures h_score --verify none --resamples 0 --no-cache --out out"
    command = [*COMMAND, "rank", "--tables", "good.npy", "bad.npy", *options.split()]
    with os.fdopen(write_end, "wb") as closed:
        done = subprocess.run(command, cwd=tmp_path, stdout=closed, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "leepjax: rank: 1 source failed. bad: " in done.stderr
    assert {"report.html", "results.jsonl", "runs.jsonl"} <= set(os.listdir(tmp_path / "out"))


def test_a_terminal_without_greek_letters_is_no_error():
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([*COMMAND, "ls", "measures"], capture_output=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"loo_leep" in done.stdout


@pytest.mark.parametrize(
    "command", ["rank set.npz", "sweep set.npz", "extract set.npz", "study small-balanced --train a.npz --test b.npz"]
)
@pytest.mark.parametrize("out", ["file", "file/below"])
def test_a_folder_that_cannot_be_written_ends_a_command_before_it_opens_a_target(
    command, out, monkeypatch, capsys, tmp_path
):
    monkeypatch.delenv("PYTEST_VERSION", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("kept")
    for reader in ("leepjax.opening.target.list_target", "leepjax.data.readers.list_target"):
        monkeypatch.setattr(reader, lambda *_, **__: pytest.fail("a target was opened"))
    monkeypatch.setattr(sys, "argv", ["leepjax", *command.split(), "--out", out])
    with pytest.raises(SystemExit) as exited:
        cli.main()
    written, err = capsys.readouterr()
    assert (exited.value.code, written) == (1, "")
    assert re.fullmatch(r"leepjax: write: expected to write file\S*, got Not a directory; choose [\w ]+\.\n", err)
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize("arguments", [["--help"], *only_long((["ls", "measures"],))])
def test_a_full_stdout_ends_in_one_sentence(arguments):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    sentence = "leepjax: write: expected to write the standard output, got No space left on device; "
    assert done.returncode == 1
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("descriptor", "arguments"),
    [(1, ["ls", "measures"]), (2, ["--help"]), *only_long((1, ["--help"]), (2, ["ls", "measures"]))],
)
def test_a_stream_that_is_closed_gets_nothing(descriptor, arguments):
    closing = ["sh", "-c", f'exec "$@" {descriptor}>&-', "sh"]
    done = subprocess.run([*closing, *COMMAND, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert ("leep" in done.stdout) == (descriptor == 2)


_TALKATIVE = """
import sys
from leepjax import cli
from leepjax.callbacks import OVERALL
from leepjax.cli import commands
from leepjax.cli.progress import progress

def command():
    with progress() as on_progress:
        for done in range(3):
            on_progress(f"{OVERALL}: random", done, 3)
    print("message" * 9000, file=sys.stderr)
    print("result")
    sys.exit(3)

commands.app = command
cli.main()
"""


@pytest.mark.parametrize(
    "stderr",
    [
        pytest.param("full disk", marks=pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device")),
        "closed pipe",
    ],
)
def test_messages_that_cannot_be_written_change_neither_the_result_nor_the_exit_code(stderr):
    if stderr == "full disk":
        descriptor = os.open("/dev/full", os.O_WRONLY)
    else:
        read_end, descriptor = os.pipe()
        os.close(read_end)
    with os.fdopen(descriptor, "wb") as lost:
        command = [sys.executable, "-c", _TALKATIVE]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=lost, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "result\n")
