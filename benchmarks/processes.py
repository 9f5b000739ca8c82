"""What processes cost, as the kernel counts it (proc(5))."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


def cpu_ms(pid: int) -> float:
    """Processor time of all its threads until now, in user and kernel mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_MS


def pss_mb(pid: int) -> float:
    """Proportional set size in MB (10^6 bytes): its own memory, and its share of what it has with others."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError(f"the kernel does not tell the Pss of {pid}")


@dataclass(frozen=True)
class Cost:
    """Of one operation the milliseconds of processor time, and the memory afterwards, by process."""

    cpu_ms: Mapping[str, float]
    pss_mb: Mapping[str, float] = field(default_factory=dict)

    @property
    def services_ms(self) -> float:
        """Of all processes but the one that measures."""
        return sum(ms for name, ms in self.cpu_ms.items() if name != "client")


class Spent:
    """Processor time by process since this was made."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._before = {name: cpu_ms(pid) for name, pid in pids.items()}
        self.ms: dict[str, float] = {}
        self.pss_mb: dict[str, float] = {}

    def stop(self) -> None:
        """Up to here it counts."""
        self.ms = {name: cpu_ms(pid) - self._before[name] for name, pid in self._pids.items()}

    def each(self, operations: int) -> Cost:
        """What one operation cost, and the memory of the processes as it was at the end."""
        return Cost({name: ms / operations for name, ms in self.ms.items()}, self.pss_mb)


@contextmanager
def spending(pids: Mapping[str, int]) -> Iterator[Spent]:
    """What the processes spend within the block; `client` is this one."""
    spent = Spent({**pids, "client": os.getpid()})
    yield spent
    spent.stop()
    spent.pss_mb = {name: pss_mb(pid) for name, pid in pids.items()}
