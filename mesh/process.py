"""A process as a whole: settings, log and event loop, and what is said when it cannot run.

It imports no more than that: the gateway has no database, and pays for none.
"""

import ctypes
import gc
import sys
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

import uvloop

from mesh import logging as weft_logging
from mesh import prefork, settings
from mesh.access import RuleMissing
from mesh.errors import CloudError
from mesh.settings import Settings, SettingsError

Work = Callable[[Settings], Coroutine[Any, Any, None]]
# New objects, then rounds of the young, then of the middle generation, after which the collector looks.
_COLLECTED_AFTER = (20_000, 20, 50)
# Of mallopt(3). Threads share so many arenas, in each of which so many bytes that are free stay.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_ARENAS, _KEPT = 2, 32 << 20


class PortInUse(OSError):
    """Nothing can listen there."""


def run(work: Work) -> None:
    """Load the settings and run `work` as the whole process; what is wrong is said in one sentence.

    Exit status: 78 for settings, 1 for a port in use, a database that does not answer or a contract without
    access rules.
    """
    run_several(lambda _: {"": work})


def run_several(works: Callable[[Settings], Mapping[str, Work]]) -> None:
    """The same with each work, by its name, as a process of its own, of which this one is the parent; where
    there is but one, it is this process.
    """
    _have_memory_used_again()
    try:
        loaded = settings.load()
        weft_logging.setup(loaded)
        bodies = {name: partial(_run, work, loaded) for name, work in works(loaded).items()}
        if len(bodies) == 1:
            (body,) = bodies.values()
            body()
        else:
            spare_the_collector()  # it writes into what it looks at, which is shared no more then
            prefork.run(bodies)
    except SettingsError as error:
        sys.exit(_say(str(error), settings.EXIT_STATUS))
    except (PortInUse, CloudError, RuleMissing) as error:
        sys.exit(_say(str(error), 1))


def _run(work: Work, loaded: Settings) -> None:
    uvloop.run(work(loaded))


def spare_the_collector() -> None:
    """What the process has imported and begun lives as long as it does: the collector of cyclic garbage need
    not go through it again and again, nor look after each seven hundred objects, which are a few rows.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTED_AFTER)


def _have_memory_used_again() -> None:
    """Pieces of contents are a MiB, and a password's hash works on 19. By default glibc gives each back to
    the kernel when it is freed, or not, as it happens; to have the next one's pages made anew costs as much
    as all else that is done with it. And it has eight arenas for each processor, of which what is free in one
    is of no use to another.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other libraries of C have none
        for parameter in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            mallopt(parameter, _KEPT)
        mallopt(_ARENA_MAX, _ARENAS)


def _say(sentence: str, status: int) -> int:
    print(f"weft: {sentence}", file=sys.stderr)
    return status
