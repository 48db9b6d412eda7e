"""Real processes: they connect, score as one process does, and end soon with a message if one is missing or dies."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import job
import pytest
from places import ROOT
from profiles import is_long, only_long

import leepjax as lj
from leepjax.distributed.launch import GRACE, launch
from leepjax.types import InputError

JOB = Path(job.__file__)
EXAMPLE = ROOT / "examples" / "score_processes.py"
FOREIGN = re.compile("SLURM|XLA_FLAGS|LEEPJAX|JAX(?!_DISABLE_MOST)")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not FOREIGN.match(name)} | {"JAX_PLATFORMS": "cpu"}
ENVIRONMENT["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
LAUNCH = (sys.executable, "-m", "leepjax", "launch")
SECONDS = 30  # within which every failure must end


class Run(subprocess.Popen):
    def __init__(self, *command, **environment):
        super().__init__(
            list(map(str, command)),
            env=ENVIRONMENT | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __exit__(self, *error):
        self.kill()
        super().__exit__(*error)

    def end(self):
        """Exit code, stdout, and stderr without the messages of the job itself."""
        out, err = self.communicate(timeout=SECONDS)
        return self.returncode, out, re.sub(r"(\[\d\] )?process \d is \d+\n", "", err)

    def pids(self):
        """The processes' ids, once both have computed something together."""
        found = [re.search(r"process (\d) is (\d+)", self.stderr.readline()).groups() for _ in range(2)]
        return [int(pid) for _, pid in sorted(found)]


def run(*command, **environment):
    with Run(*command, **environment) as started:
        return started.end()


@pytest.fixture(scope="module")
def alone():
    probs, labels = job.rows()
    return pytest.approx(float(lj.leep(probs, labels)), abs=1e-6)


@pytest.mark.parametrize(("processes", "devices"), [(2, 4), *only_long((2, 1), (4, 1))])
def test_processes_give_the_score_of_one(processes, devices, alone, tmp_path):
    options = ("--processes", processes, "--devices-per-process", devices)
    code, out, err = run(*LAUNCH, *options, JOB, tmp_path / "out")
    assert code == 0, err
    assert float((tmp_path / "out").read_text()) == alone
    told = f"of {processes} on {processes * devices} devices: "
    assert out.startswith(f"process 0 {told}")
    assert len(out.splitlines()) == 1  # Gloo's messages are left out
    assert sorted(line.partition(told)[0] for line in err.splitlines()) == [
        f"[{i}] process {i} " for i in range(1, processes)
    ]


# In one process it runs with the other examples; the test above checks that two processes connect and agree.
@pytest.mark.long
def test_the_example_in_two_processes(tmp_path):
    code, out, err = run(*LAUNCH, "--processes", 2, EXAMPLE, "--out", tmp_path / "out.json")
    assert (code, err) == (0, "")
    assert '"processes": 2' in out
    assert out.strip() == (tmp_path / "out.json").read_text()


@pytest.mark.parametrize("environment", [{"SLURM_NTASKS": "1", "SLURM_JOB_ID": "7"}, *only_long(({},))], ids=str)
def test_without_peers_a_program_runs_alone(environment, alone, tmp_path):
    code, out, _ = run(sys.executable, JOB, tmp_path / "out", **environment)
    assert (code, out.partition(":")[0]) == (0, "process 0 of 1 on 1 devices")
    assert float((tmp_path / "out").read_text()) == alone


@pytest.mark.parametrize("me", [1, *only_long((0,))])
def test_a_missing_peer(me, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    options = ("--processes", 2, "--coordinator", coordinator, "--process-id", me, "--timeout", 2)
    code, out, err = run(*LAUNCH, *options, JOB, tmp_path / "out")
    assert (code, out) == (1, "")
    assert err == (
        f"leepjax: launch: expected 2 processes to meet within 2 s, got no answer from the peers of process {me}; "
        "start every process at the same time, or pass a longer --timeout.\n"
    )
    assert not list(tmp_path.iterdir())


def test_a_peer_killed_in_the_middle_and_a_rerun(alone, tmp_path):
    with Run(*LAUNCH, "--processes", 2, JOB, tmp_path / "out", "go on for ever") as started:
        pids = started.pids()
        os.kill(pids[1], signal.SIGKILL)
        killed = time.monotonic()
        code, out, err = started.end()
    assert time.monotonic() - killed < 5
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == (
        "leepjax: launch: expected 2 processes to finish, got process 1 killed by SIGKILL; run the same command again."
    )
    assert gone(pids)
    assert not list(tmp_path.iterdir())  # so a second run starts like the first
    if is_long():
        assert run(*LAUNCH, "--processes", 2, JOB, tmp_path / "out")[0] == 0
        assert float((tmp_path / "out").read_text()) == alone


def test_an_exception_keeps_its_traceback(tmp_path):
    code, _, err = run(*LAUNCH, "--processes", 2, JOB, tmp_path / "out", "raise")
    assert code == 1
    assert "[1] Traceback (most recent call last):" in err
    assert "[1] leepjax.types.InputError: job: expected good rows, got bad ones; mend them." in err
    assert err.splitlines()[-1] == (
        "leepjax: launch: expected 2 processes to finish, got exit code 1 from process 1; fix the error in its message "
        "above, then run the same command again."
    )


@pytest.mark.parametrize("sent", [signal.SIGTERM, *only_long((signal.SIGINT,))])
def test_an_interrupt_stops_all(sent, tmp_path):
    with Run(*LAUNCH, "--processes", 2, JOB, tmp_path / "out", "go on for ever") as started:
        pids = started.pids()
        started.send_signal(sent)
        code, out, err = started.end()
    assert (code, out) == (128 + sent, "")
    assert err == (
        "leepjax: launch: interrupted, and all processes started here stopped; run the same command again.\n"
    )
    assert gone(pids)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ignored", [False, *only_long((True,))])
def test_processes_have_time_to_save_their_work_after_a_signal(ignored, tmp_path):
    handler = "signal.SIG_IGN" if ignored else "save"
    program = tmp_path / "program.py"
    program.write_text(
        "import os, pathlib, signal, sys, time\n"
        "place = pathlib.Path(__file__).with_name(os.environ['LEEPJAX_PROCESS_ID'])\n"
        "def save(*_):\n"
        "    time.sleep(0.5)\n"
        "    place.with_suffix('.saved').touch()\n"
        "    sys.exit()\n"
        f"signal.signal(signal.SIGTERM, {handler})\n"
        "place.touch()\n"
        "time.sleep(600)\n"
    )
    with Run(*LAUNCH, "--processes", 2, program) as started:
        wait_until(lambda: all((tmp_path / name).exists() for name in "01"))
        started.send_signal(signal.SIGTERM)
        sent = time.monotonic()
        assert started.end()[0] == 128 + signal.SIGTERM
    assert (time.monotonic() - sent > GRACE) == ignored
    assert all((tmp_path / f"{name}.saved").exists() != ignored for name in "01")


@pytest.mark.parametrize("whole_group", [False, True])
def test_processes_end_with_a_launcher_that_is_killed_and_so_do_their_children(whole_group, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)\n"
        "place = os.path.join(os.path.dirname(__file__), os.environ['LEEPJAX_PROCESS_ID'])\n"
        "open(place + '.new', 'w').write(f'{os.getpid()} {child.pid}')\n"
        "os.rename(place + '.new', place)\n"
        "child.wait()\n"
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [*LAUNCH, "--processes", "2", str(program)]
    with subprocess.Popen(command, env=ENVIRONMENT | {"TMPDIR": str(scratch)}, start_new_session=True) as launcher:
        wait_until(lambda: all((tmp_path / name).exists() for name in "01"))
        pids = [int(pid) for name in "01" for pid in (tmp_path / name).read_text().split()]
        assert not any(gone([pid]) for pid in pids)
        (os.killpg if whole_group else os.kill)(launcher.pid, signal.SIGKILL)
    wait_until(lambda: gone(pids) and not any(scratch.iterdir()))


def wait_until(reached):
    deadline = time.monotonic() + SECONDS
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def gone(pids):
    """Whether all have ended; one that its parent hasn't waited for yet has no command line."""
    return not any(command_line(pid) for pid in pids)


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def slurm(*arguments):
    """Two tasks on one node, each with a launcher, in the variables that srun sets; their ends."""
    # JAX derives the port from the number of the job.
    port = next(port for port in range(61440 + os.getpid() % 4000, 65536) if not taken(port))
    job_id = {"SLURM_JOB_ID": str(4096 * 3 + port - 61440), "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2"}
    with (
        Run(*LAUNCH, JOB, *arguments, SLURM_PROCID="0", SLURM_LOCALID="0", **job_id) as first,
        Run(*LAUNCH, JOB, *arguments, SLURM_PROCID="1", SLURM_LOCALID="1", **job_id) as second,
    ):
        return first.end(), second.end()


def taken(port):
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def test_slurm_tasks_find_each_other(alone, tmp_path):
    first, second = slurm(tmp_path / "out")
    assert first[::2] == second[::2] == (0, "")
    assert first[1].startswith("process 0 of 2 on 2 devices")
    assert float((tmp_path / "out").read_text()) == alone


@pytest.mark.long
def test_a_launcher_elsewhere_hears_of_a_death_by_the_heartbeat(tmp_path):
    first, second = slurm(tmp_path / "out", "die")
    assert first[:2] == second[:2] == (1, "")
    assert first[2] == (
        "leepjax: launch: expected all processes to finish, got process 0 cut off from a peer that died or stopped "
        "responding; look for its message, then run the same command again.\n"
    )
    assert second[2] == (
        "leepjax: launch: expected all processes to finish, got process 1 killed by SIGKILL; "
        "run the same command again.\n"
    )
    assert not list(tmp_path.iterdir())


TOGETHER = "launch: expected --processes, --coordinator and --process-id together, got only some of them"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"processes": 0}, "launch: expected --processes of at least 1, got 0; pass a positive number."),
        ({"devices_per_process": 0}, "launch: expected --devices-per-process of at least 1, got 0"),
        ({"timeout": 0}, "launch: expected --timeout of at least 1, got 0"),
        ({"coordinator": "here:1"}, TOGETHER),
        ({"processes": 2, "coordinator": "here:1"}, TOGETHER),
        ({"coordinator": "here:1", "process_id": 0}, TOGETHER),
        ({"processes": 2, "process_id": 0}, TOGETHER),
        (
            {"processes": 2, "coordinator": "here", "process_id": 0},
            "launch: expected --coordinator HOST:PORT, got 'here'; name a host and a free port.",
        ),
        (
            {"processes": 2, "coordinator": "here:1", "process_id": 2},
            r"launch: expected --process-id in \[0, 2\), got 2; number the processes from 0.",
        ),
    ],
    ids=str,
)
def test_options_that_do_not_go_together(options, message):
    with pytest.raises(InputError, match=message):
        launch(["never run"], **options)


def test_a_script_that_is_not_there():
    code, _, err = run(*LAUNCH, "nowhere.py")
    message = "leepjax: launch: expected a Python file, got 'nowhere.py', which isn't a file; correct the path.\n"
    assert (code, err) == (2, message)
