"""Does reading a damaged file ever end in anything but an error of one sentence?

Each kind of file is written once, damaged 300 times by a seeded generator, and read each time by leepjax's reader. A
reading may succeed, or end in an `InputError` or an `OSError`, which the command line prints as one sentence.
It mustn't end in another exception, take longer than 10 seconds, or allocate more than 64 MiB beside 20 times the file.

    python benchmarks fuzz [--size small] [--formats npy,parquet]
"""

import argparse
import faulthandler
import json
import logging
import resource
import signal
import tempfile
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from fuzz_cases import FORMATS

from leepjax.types import InputError

SECONDS = 10
SPARE = 64 * 2**20
LENGTHS = [b"\xff" * 8, b"\0" * 8, b"\xff\xff\xff\x7f", b"\x7f", (1 << 62).to_bytes(8, "little")]
TEXTS = [b"9", b"[", b'"', b"-1", b"nan"]


class Hang(BaseException):
    """A reading took too long. It isn't an `Exception`, so that readers don't catch it."""


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Damage the content by one to four changes, mostly near an end, where headers and lists of members are."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        if not changed:
            break
        near = int(rng.integers(min(len(changed), rng.choice([128, 4000, len(changed)]))))
        at = len(changed) - 1 - near if rng.random() < 0.3 else near
        length = int(rng.integers(1, 41))
        match rng.integers(7):
            case 0:
                changed[at] ^= 1 << int(rng.integers(8))
            case 1:
                changed[at : at + length] = rng.bytes(length)
            case 2:
                changed[at:at] = rng.bytes(length)
            case 3:
                del changed[at:]
            case 4:
                del changed[at : at + length]
            case 5:
                changed[at:at] = changed[at : at + 64 * length]
            case 6:
                value = (LENGTHS + TEXTS)[rng.integers(len(LENGTHS + TEXTS))]
                changed[at : at + len(value)] = value
    return bytes(changed)


def outcome(read: Callable[[Path], object], path: Path) -> tuple[str, str]:
    """The outcome of a reading, and the last lines of its traceback, or a message that isn't one sentence."""
    try:
        with _limited():
            read(path)
    except (InputError, OSError) as error:
        sentence = str(error)
        return ("refused", "") if sentence.isprintable() and len(sentence) <= 1000 else ("unreadable", sentence[:1000])
    except Hang:
        return "hangs", ""
    except Exception as error:
        return "tracebacks", "".join(traceback.format_exception(error)[-2:])
    return "read", ""


@contextmanager
def _limited() -> Iterator[None]:
    """Raise `Hang` after `SECONDS` of processor time or 6 times as long of waiting, and `MemoryError` beyond 4 GiB.

    A hang in native code ends the process.
    """

    def hangs(*_: object) -> None:
        raise Hang

    limits = resource.getrlimit(resource.RLIMIT_AS)
    handlers = {number: signal.signal(number, hangs) for number in (signal.SIGPROF, signal.SIGALRM)}
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 4 * 2**30, limits[1]))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # on a busy machine, a correct reading may wait for long
    signal.alarm(6 * SECONDS)
    faulthandler.dump_traceback_later(12 * SECONDS, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _peak() -> int:
    """The largest number of bytes that the process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _forget_peak() -> None:
    with suppress(OSError):  # if this fails, only growth beyond the former peak is measured
        Path("/proc/self/clear_refs").write_text("5")


def fuzz(name: str, mutations: int) -> tuple[Counter[str], Counter[str], int]:
    """The outcomes of one format, its faults with their numbers, and the largest growth of memory in bytes."""
    outcomes: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    largest = 0
    with tempfile.TemporaryDirectory() as temporary:
        path = FORMATS[name].write(Path(temporary))
        FORMATS[name].read(path)  # read the undamaged file first, so that imports and compilation aren't measured
        sound = path.read_bytes()
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        for _ in range(mutations):
            content = damaged(sound, rng)
            path.write_bytes(content)
            _forget_peak()
            before = _peak()
            ended, message = outcome(FORMATS[name].read, path)
            grown = _peak() - before
            largest = max(largest, grown)
            outcomes[ended] += 1
            if ended not in ("read", "refused"):
                faults[f"{ended}: {message.strip()}"] += 1
            if grown > SPARE + 20 * len(content):
                faults[f"{grown >> 20} MiB for a file of {len(content)} bytes"] += 1
    return outcomes, faults, largest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("small", "full"), default="full")
    parser.add_argument("--formats", default=",".join(FORMATS))
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    mutations, wrong = 300 if arguments.size == "full" else 3, 0
    for name in arguments.formats.split(","):
        outcomes, faults, largest = fuzz(name, mutations)
        wrong += faults.total()
        counts = {kind: outcomes[kind] for kind in ("refused", "read", "tracebacks", "hangs", "unreadable")}
        print(
            json.dumps({"benchmark": "fuzz", "format": name, "mutations": mutations} | counts | {"MiB": largest >> 20}),
            flush=True,
        )
        for found, times in faults.items():
            print(f"  {times} times {found}", flush=True)
    assert not wrong, f"{wrong} damaged files ended in something else than a sentence"


if __name__ == "__main__":
    main()
