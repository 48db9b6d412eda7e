"""Signals that ask a command to end: one sentence, 128 + the signal, and a second one ends at once."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from profiles import only_long

from leepjax.interrupts import Interrupted, blocked, interruptible, kept_handlers, postponed

# The command line around a command of our own, which prints what it reaches and needs no JAX.
PROGRAM = """
import signal, sys, time, types
from leepjax import cli, interrupts
def app():
{body}
sys.modules["leepjax.cli.commands"] = types.SimpleNamespace(app=app)
cli.main()
"""
WAIT = "print('ready', flush=True); time.sleep(60)"
IGNORE = f"""
try:
    {WAIT}
except KeyboardInterrupt:
    print("first", flush=True)
    while True:
        time.sleep(1)
"""
DROP = f"""
class Dropping:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)
{IGNORE.replace("time.sleep(60)", "Dropping(); time.sleep(60)", 1)}"""
TRAIN = """
with interrupts.postponed(True) as request:
    print("ready", flush=True)
    while request.number is None:
        time.sleep(0.01)
    time.sleep(float(sys.argv[2]))
    print("saved", flush=True)
    raise interrupts.Interrupted(request.number, "interrupted at step 3 of 9.")
"""


def start(body, *arguments, **options):
    program = PROGRAM.format(body="\n".join("    " + line for line in body.strip().splitlines()))
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process):
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


ADVICE = {
    "rank": "with --out, the same command resumes from what is already measured.",
    "metatrain": "the same command resumes from the last checkpoint.",
    "score": "run the same command again.",
}
# Each command is a process to start, and each signal is handled alike in all of them.
ONCE_EACH = [("rank", signal.SIGINT), ("metatrain", signal.SIGTERM), ("score", signal.SIGHUP)]
CROSSED = [each for each in itertools.product(ADVICE, [sent for _, sent in ONCE_EACH]) if each not in ONCE_EACH]


@pytest.mark.parametrize(("command", "sent"), [*ONCE_EACH, *only_long(*CROSSED)])
def test_a_signal_ends_a_command_in_one_sentence(command, sent):
    before = signal.signal(sent, signal.SIG_DFL)  # under nohup a child would inherit that hang-ups are ignored
    try:
        process = start(WAIT, command)
    finally:
        signal.signal(sent, before)
    process.send_signal(sent)
    assert end(process) == (128 + sent, "", f"leepjax: interrupted; {ADVICE[command]}\n")


def test_a_second_signal_ends_at_once_wherever_the_first_one_got_stuck():
    process = start(IGNORE, "rank")
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "first\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    sent = time.monotonic()
    assert end(process) == (143, "", "leepjax: interrupted a second time, and ended at once.\n")
    assert time.monotonic() - sent < 5


def test_a_signal_whose_exception_python_drops_is_raised_again():
    """Python drops exceptions in a garbage collection, for example."""
    process = start(DROP, "rank")
    assert process.stdout.readline() == "first\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert end(process) == (143, "", "leepjax: interrupted a second time, and ended at once.\n")


def test_a_main_thread_that_does_not_react_ends_as_well():
    process = start("interrupts.GRACE = 0.1\n" + IGNORE.strip(), "rank")
    process.send_signal(signal.SIGTERM)
    code, _, err = end(process)
    assert (code, err.count("\n")) == (143, 1)
    assert err.startswith("leepjax: interrupted, and ended in the middle of a computation; ")


def test_a_training_ends_after_its_checkpoint_however_long_that_takes():
    process = start("interrupts.GRACE = 0.1\n" + TRAIN.strip(), "finetune", "1.5")
    process.send_signal(signal.SIGTERM)
    assert end(process) == (143, "saved\n", "leepjax: interrupted at step 3 of 9.\n")


def test_one_request_that_is_sent_twice_is_one_request():
    """GNU timeout signals its command, and then the command's group."""
    process = start(TRAIN, "finetune", "0.5")
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.02)
    assert end(process) == (143, "saved\n", "leepjax: interrupted at step 3 of 9.\n")


def test_a_second_signal_does_not_wait_for_a_checkpoint():
    process = start(TRAIN, "finetune", "60")
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        time.sleep(1)
    assert end(process) == (143, "", "leepjax: interrupted a second time, and ended at once.\n")


def test_signals_that_are_ignored_stay_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a child inherits it
    try:
        process = start("print('ready', flush=True); time.sleep(1); print('whole')", "rank")
    finally:
        signal.signal(signal.SIGHUP, before)
    process.send_signal(signal.SIGHUP)
    assert end(process) == (0, "whole\n", "")


def test_handlers_are_those_from_before_once_the_command_has_ended():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with pytest.raises(Interrupted) as raised, interruptible():
        signal.raise_signal(signal.SIGTERM)
    assert raised.value.number == signal.SIGTERM
    assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with kept_handlers():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))
    assert signal.getsignal(signal.SIGTERM) == before[1]


def test_what_else_python_drops_is_reported_as_before(monkeypatch):
    class Failing:
        def __del__(self):
            raise ValueError

    reported = []
    monkeypatch.setattr(sys, "unraisablehook", hook := lambda unraisable: reported.append(unraisable.exc_type))
    with interruptible():
        Failing()
    assert reported == [ValueError]
    assert sys.unraisablehook is hook


def test_a_training_in_another_thread_changes_no_handler():
    seen = []

    def train():
        with postponed(True), interruptible():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


def test_a_process_that_is_started_while_signals_are_blocked_never_sees_them():
    with blocked():
        child = subprocess.Popen([sys.executable, "-c", "print('ready', flush=True); input()"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert child.stdout.readline() == "ready\n"
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(child.pid, number)
    child.communicate("\n", timeout=20)
    assert child.returncode == 0


def test_an_interrupt_that_a_library_raises_in_place_of_the_signal_s_keeps_its_number():
    def library():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except KeyboardInterrupt:
            raise KeyboardInterrupt from None

    with pytest.raises(Interrupted) as interrupted, interruptible():
        library()
    assert interrupted.value.number == signal.SIGTERM
