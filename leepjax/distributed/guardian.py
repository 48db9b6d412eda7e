"""A process that kills the launcher's processes if the launcher dies. It is run by its path.

Its stdin is a pipe that the launcher and starting processes hold. The line ``+PID`` announces a process group that was
started. When the launcher dies, for whatever reason, the pipe closes, and these groups are killed with all processes in
them. The line ``.`` means that the launcher has ended them itself.
"""

import os
import shutil
import signal
import sys
from contextlib import suppress


def guard(folder: str) -> None:
    """Read stdin to its end; then kill the remaining process groups, and remove the launcher's folder."""
    groups: set[int] = set()
    for line in sys.stdin:
        if line.startswith("."):
            return
        groups.add(int(line[1:]))
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # the launcher decides when to end
    guard(sys.argv[1])
