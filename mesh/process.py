"""A process as a whole: settings, log and event loop, and what is said when it cannot run.

It imports no more than that: the gateway has no database, and pays for none.
"""

import ctypes
import gc
import sys
from collections.abc import Awaitable, Callable

import uvloop

from mesh import logging as weft_logging
from mesh import settings
from mesh.access import RuleMissing
from mesh.errors import CloudError
from mesh.settings import Settings, SettingsError

# New objects, then rounds of the young, then of the middle generation, after which the collector looks.
_COLLECTED_AFTER = (20_000, 20, 50)
# Of mallopt(3). So many bytes that are free stay with the process, in each of its arenas.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 8 << 20


class PortInUse(OSError):
    """Nothing can listen there."""


def run(work: Callable[[Settings], Awaitable[None]]) -> None:
    """Load the settings and run `work` as the whole process; what is wrong is said in one sentence.

    Exit status: 78 for settings, 1 for a port in use, a database that does not answer or a contract without
    access rules.
    """
    _keep_what_is_freed()
    try:
        loaded = settings.load()
        weft_logging.setup(loaded)
        uvloop.run(work(loaded))
    except SettingsError as error:
        sys.exit(_say(str(error), settings.EXIT_STATUS))
    except (PortInUse, CloudError, RuleMissing) as error:
        sys.exit(_say(str(error), 1))


def spare_the_collector() -> None:
    """What the process has imported and begun lives as long as it does: the collector of cyclic garbage need
    not go through it again and again, nor look after each seven hundred objects, which are a few rows.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTED_AFTER)


def _keep_what_is_freed() -> None:
    """Pieces of contents are a MiB. By default glibc gives each back to the kernel when it is freed, or not,
    as it happens; to have the next one's pages made anew costs as much as all else that is done with it.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other libraries of C have none
        for parameter in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            mallopt(parameter, _KEPT)


def _say(sentence: str, status: int) -> int:
    print(f"weft: {sentence}", file=sys.stderr)
    return status
