"""Start the processes of a program, and report a missing or dead one in a sentence.

A missing or lost peer doesn't raise a Python exception: the JAX runtime aborts the processes that wait for it, with
pages of native stack traces. So a parent process has to notice, stop the others and report what happened.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, NamedTuple

from leepjax.distributed import guardian
from leepjax.distributed.peers import CONNECTED, COORDINATOR, DEFAULT_TIMEOUT, NUM_PROCESSES, PROCESS_ID, TIMEOUT
from leepjax.interrupts import interruptible
from leepjax.types import InputError

# A process announces its group before it becomes the program, so that no moment is left in which the launcher could be
# killed and the guardian not know of it. Its stdin is the guardian's pipe until then.
_ANNOUNCED = ("/bin/sh", "-c", 'echo "+$$" >&0; exec "$@" </dev/null', "sh")
GRACE = 5.0
"""Seconds between a signal to the launcher and SIGKILL of its processes, in which they can save their work."""
# The JAX runtime is aborting: from this line on it prints stack traces, which aren't passed on.
_ABORTING = re.compile(r"[EF]\d{4} \S+ +\d+ (coordination_service\w*\.cc|client\.h):\d+\]")
# Gloo announces its connections from several threads at once, so that its lines are interleaved.
_CHATTER = re.compile(r"(\[Gloo\] Rank |\d+| is connected to | peer ranks\. |Expected number of .+ ranks is : |\n)+")


class _Guardian:
    """The process that ends the children of a killed launcher."""

    def __init__(self, folder: str):
        command = [sys.executable, "-I", "-S", guardian.__file__, folder]
        # In a session of its own, so that it survives a kill of the launcher's process group.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)

    @property
    def pipe(self) -> int:
        """File descriptor to which processes announce themselves."""
        assert self._process.stdin is not None
        return self._process.stdin.fileno()

    def dismiss(self) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(".\n")
            self._process.stdin.flush()
        self._process.communicate()


class _Role(NamedTuple):
    """Name and environment of one of the program's processes."""

    name: str
    environment: dict[str, str]


class _Child:
    """A running process of the program, and the threads that pass on its output."""

    def __init__(self, command: Sequence[str], role: _Role, tag: str, quiet: bool, connected: Path, pipe: int):
        self.name, self.aborting, self._muted, self._connected = role.name, False, False, connected
        self.process = subprocess.Popen(
            [*_ANNOUNCED, *command],
            env=os.environ | {"PYTHONUNBUFFERED": "1", CONNECTED: str(connected)} | role.environment,
            stdin=pipe,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=0,  # so that Ctrl-C reaches only the parent, and a child is stopped with its own children
        )
        streams = ((self.process.stdout, sys.stderr if quiet else sys.stdout), (self.process.stderr, sys.stderr))
        self._threads = [
            threading.Thread(target=self._pass_on, args=(source, sink, "" if sink is sys.stdout else tag), daemon=True)
            for source, sink in streams
        ]
        for thread in self._threads:
            thread.start()

    @property
    def connected(self) -> bool:
        return self._connected.exists()

    def drain(self) -> None:
        """Wait until its output is passed on, but not for a grandchild that keeps the stream open."""
        for thread in self._threads:
            thread.join(timeout=2)

    def mute(self) -> None:
        """Stop passing on its output: while its peers are being stopped, it only reports that they are lost."""
        self._muted = True

    def terminate(self) -> None:
        """Send SIGTERM to the process only: it may need its own children for saving, and ends them itself."""
        with suppress(ProcessLookupError):
            self.process.terminate()

    def kill(self) -> None:
        """Kill it and its children. JAX catches SIGTERM, so a process in a collective reacts only to SIGKILL."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.drain()

    def _pass_on(self, source: IO[str], sink: IO[str], tag: str) -> None:
        chatter = False
        for line in source:
            self.aborting |= bool(_ABORTING.match(line))
            chatter = bool(_CHATTER.fullmatch(line)) and (chatter or "Gloo" in line or "peer ranks" in line)
            if not (chatter or self.aborting or self._muted):
                sink.write(tag + line.removesuffix("\n") + "\n")
                sink.flush()


def launch(
    command: Sequence[str],
    *,
    processes: int | None = None,
    devices_per_process: int | None = None,
    coordinator: str | None = None,
    process_id: int | None = None,
    timeout: int = DEFAULT_TIMEOUT,
) -> None:
    """Run a program whose processes call `leepjax.distributed.initialize()`, until those started here have ended.

    With only `processes`, all of them start on this machine. With `coordinator` and `process_id` as well, only that
    process starts here, and launchers on other machines start the others. With none of the three, one process starts
    and JAX detects its peers: this is for ``srun`` and TPU pods, which call the launcher once per process.

    If several processes start here, process 0's stdout is passed through; the output of the others and of subprocesses
    goes to stderr, each line prefixed with the number of the process. When a process fails, all others are killed, with
    their children. All are killed when the launcher is killed. When the launcher gets Ctrl-C, SIGTERM or SIGHUP, each
    process gets SIGTERM, and is killed if it still runs `GRACE` seconds later.

    Args:
        command: the command that each process executes.
        processes: total number of processes.
        devices_per_process: CPU devices or GPUs per process; 1 by default where all processes share this machine.
        coordinator: HOST:PORT, an address of process 0 and a free port there.
        process_id: number of this process, from 0.
        timeout: seconds to wait for peers at the start; the JAX runtime needs about five more to give up.

    Raises:
        InputError: for arguments that contradict each other.
        ChildProcessError: when a process failed, was killed or lost its peers; the message says which and how.
    """
    roles = _roles(processes, devices_per_process, coordinator, process_id, timeout)
    children: list[_Child] = []
    with interruptible(), TemporaryDirectory(prefix="leepjax-") as folder:
        watching = _Guardian(folder)
        try:
            for i, role in enumerate(roles):
                tag = f"[{i}] " if len(roles) > 1 else ""
                connected = Path(folder, str(i))
                children.append(_Child(command, role, tag, quiet=i > 0, connected=connected, pipe=watching.pipe))
            failed = _wait(children)
            if failed:
                raise ChildProcessError(_explain(failed, processes, timeout))
        except BaseException as error:
            for child in children:
                child.mute()
            if isinstance(error, KeyboardInterrupt):
                _end_gently(children)
            for child in children:
                child.kill()
            raise
        finally:
            watching.dismiss()


def _roles(processes, devices_per_process, coordinator, process_id, timeout):
    for name, value in (("processes", processes), ("devices-per-process", devices_per_process), ("timeout", timeout)):
        if value is not None and value < 1:
            raise InputError(f"launch: expected --{name} of at least 1, got {value}; pass a positive number.")
    if (coordinator is None) != (process_id is None) or (coordinator and not processes):
        raise InputError(
            "launch: expected --processes, --coordinator and --process-id together, got only some of them; pass all "
            "three, or --processes alone to start them all on this machine."
        )
    common = {TIMEOUT: str(timeout)}
    if devices_per_process:
        common["JAX_NUM_CPU_DEVICES"] = str(devices_per_process)
    if processes is None:
        slurm = os.environ.get("SLURM_PROCID")
        return [_Role(f"process {slurm}" if slurm else "the process started here", common)]
    if coordinator is not None:
        return [_one_of_many(processes, coordinator, process_id, common)]
    coordinator = f"127.0.0.1:{_free_port()}"
    return [
        _one_of_many(processes, coordinator, i, common | _own_devices(i, devices_per_process or 1))
        for i in range(processes)
    ]


def _own_devices(i, k):
    """Environment that gives process i its own k devices: processes on one machine can't share a GPU."""
    return {"JAX_NUM_CPU_DEVICES": str(k), "JAX_LOCAL_DEVICE_IDS": ",".join(map(str, range(i * k, (i + 1) * k)))}


def _one_of_many(processes, coordinator, process_id, environment):
    if not re.fullmatch(r".+:\d+", coordinator):
        raise InputError(f"launch: expected --coordinator HOST:PORT, got {coordinator!r}; name a host and a free port.")
    if not 0 <= process_id < processes:
        raise InputError(
            f"launch: expected --process-id in [0, {processes}), got {process_id}; number the processes from 0."
        )
    peers = {COORDINATOR: coordinator, NUM_PROCESSES: str(processes), PROCESS_ID: str(process_id)}
    return _Role(f"process {process_id}", environment | peers)


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _wait(children):
    """Wait until every child has succeeded (None) or one has failed; returns the one that most likely failed first."""
    while not (failed := [child for child in children if child.process.poll()]):
        if all(child.process.returncode == 0 for child in children):
            break
        time.sleep(0.05)
    if failed:
        # A death ends the peers within milliseconds: look again, and choose the process that failed by itself.
        time.sleep(0.1)
        failed += [child for child in children if child.process.poll() and child not in failed]
    for child in failed or children:
        child.drain()
    return min(failed, key=lambda child: (child.aborting, child.process.returncode > 0), default=None)


def _end_gently(children):
    """Send SIGTERM to all, and wait at most `GRACE` seconds until they have ended."""
    for child in children:
        child.terminate()
    deadline = time.monotonic() + GRACE
    while any(child.process.poll() is None for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)


def _explain(child, processes, timeout):
    every = "all processes" if processes is None else f"{processes} processes" if processes > 1 else "1 process"
    code = child.process.returncode
    if child.aborting and not child.connected:
        return (
            f"launch: expected {every} to meet within {timeout} s, got no answer from the peers of {child.name}; start "
            "every process at the same time, or pass a longer --timeout."
        )
    if child.aborting:
        got, advice = f"{child.name} cut off from a peer that died or stopped responding", "look for its message, then "
    elif code < 0:
        got, advice = f"{child.name} killed by {signal.Signals(-code).name}", ""
    else:
        got, advice = f"exit code {code} from {child.name}", "fix the error in its message above, then "
    return f"launch: expected {every} to finish, got {got}; {advice}run the same command again."
