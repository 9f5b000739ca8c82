"""One process as several, forked from it once all that they need is imported, so that they share that memory.

Python uses one processor at a time within a process, and threads that want it lose time to each other. The
process that forks becomes their parent and no more (mesh/parent.py).
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from mesh import parent

_PR_SET_PDEATHSIG = 1  # linux/prctl.h: the signal that a process gets when the one that began it ends
_LONGEST_NAME = 15  # TASK_COMM_LEN of linux/sched.h, less its end


def run(works: Mapping[str, Callable[[], None]]) -> NoReturn:
    """Run each in a process of its name, which all end when one does or when this one is told to; its exit
    status is that of the first that failed. When this one is killed, they are too.
    """
    # Until there is somebody to pass them on they wait, also while this process becomes another program.
    signal.pthread_sigmask(signal.SIG_BLOCK, parent.PASSED_ON)
    origin, children = os.getpid(), {}
    for name, work in works.items():
        child = os.fork()
        if child == 0:
            _be_one(origin, name)
            work()
            sys.exit()
        children[child] = name
    said = (f"{pid}={name}" for pid, name in children.items())
    os.execv(sys.executable, [sys.executable, "-I", "-S", parent.__file__, *said])


def _be_one(origin: int, name: str) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != origin:  # it was killed before this one could ask to be told
        os._exit(1)
    Path("/proc/self/comm").write_text(name[:_LONGEST_NAME])
    signal.pthread_sigmask(signal.SIG_UNBLOCK, parent.PASSED_ON)
