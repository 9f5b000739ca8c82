"""Processes of this machine, as the kernel tells of them (proc(5))."""

from pathlib import Path


def alive(pid: int) -> bool:
    """Whether it runs; one that has ended and that nobody has asked about does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def children(pid: int) -> dict[int, str]:
    """The names of the processes that `pid` has begun, by whichever of its threads."""
    files = Path(f"/proc/{pid}/task").glob("*/children")
    begun = [child for file in files for child in _read(file).split()]
    names = {int(child): _read(Path(f"/proc/{child}/comm")).strip() for child in begun}
    return {child: name for child, name in names.items() if name}


def _read(file: Path) -> str:
    """What it says; nothing where its process has ended."""
    try:
        return file.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
