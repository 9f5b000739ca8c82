"""Processes of this machine, as the kernel tells of them (proc(5))."""

from pathlib import Path


def alive(pid: int) -> bool:
    """Whether it runs; one that has ended and that nobody has asked about does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def children(pid: int) -> dict[int, str]:
    """The names of the processes that `pid` has begun."""
    try:
        begun = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return {int(child): Path(f"/proc/{child}/comm").read_text().strip() for child in begun}
    except (FileNotFoundError, ProcessLookupError):
        return {}
