"""The parent of processes that do the work: it passes on what it is told, and has all end when one does.

A program of its own, `parent.py PID=NAME...`, which the process that forked them becomes: it has nothing
imported then, and a few megabytes instead of what they all share.
"""

import os
import signal
import sys
from contextlib import suppress

PASSED_ON = (signal.SIGTERM, signal.SIGINT)


class Parent:
    """Of children by their process ids."""

    def __init__(self, children: dict[int, str]) -> None:
        self._children, self._told = children, False

    def run(self) -> int:
        """Until no child is left; the status of the first that failed (128 and its number for a signal)."""
        for number in PASSED_ON:
            signal.signal(number, lambda number, _: self._tell(number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        failure = 0
        while self._children:
            pid, status = os.wait()
            name, code = self._children.pop(pid), os.waitstatus_to_exitcode(status)
            if code and not failure:
                failure = code if code > 0 else 128 - code
                print(f"weft: {name} ended with status {failure}, and so all do", file=sys.stderr, flush=True)
            if not self._told:  # once: a second time would kill one that is just about to end
                self._tell(signal.SIGTERM)
        return failure

    def _tell(self, number: int) -> None:
        self._told = True
        for pid in list(self._children):
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, number)


if __name__ == "__main__":
    pairs = (word.split("=", 1) for word in sys.argv[1:])
    sys.exit(Parent({int(pid): name for pid, name in pairs}).run())
