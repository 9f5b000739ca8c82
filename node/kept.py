"""What a simulated host remembers over a restart of its agent, as the machine itself would."""

import json
from pathlib import Path
from typing import Any


class Kept(dict[str, Any]):
    """Plain values (JSON) by name, read from `file`, where there is one, and written to it by `keep`.

    It outlives the agent, not the machine: nothing is flushed to the disk. Without a file nothing is kept.
    """

    def __init__(self, file: Path | None = None) -> None:
        super().__init__(json.loads(file.read_text()) if file and file.exists() else {})
        self._file = file

    def keep(self) -> None:
        """Write it, whole or not at all."""
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._file.with_suffix(".new")
        scratch.write_text(json.dumps(self))
        scratch.replace(self._file)
