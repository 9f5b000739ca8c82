"""Says what is done while it is done, and how long it took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import click


class Failed(Exception):
    """Something is not as it must be; the message says what was expected and what was found."""


class Stage:
    """Prints chapters, steps and proofs on standard output. Counts the proofs."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self.proofs = 0

    def chapter(self, title: str) -> None:
        """A new part of the story."""
        click.echo()
        click.secho(f"[{time.monotonic() - self._begun:6.1f} s] {title}", bold=True)

    def say(self, line: str) -> None:
        """One line."""
        click.echo(f"  {line}")

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """A step: told when it is done, or when it fails."""
        begin = time.monotonic()
        try:
            yield
        except BaseException:
            click.echo(f"  {click.style('✗', fg='red')} {what}")
            raise
        click.echo(f"  {click.style('✓', fg='green')} {what}  {_dim(time.monotonic() - begin)}")

    def proof(self, what: str, found: object, expected: object) -> None:
        """What must be. Raises Failed when it is not."""
        if found != expected:
            raise Failed(f"{what}: expected {expected!r}, found {found!r}")
        self.proofs += 1
        said = "yes" if found is True else found or "none"
        click.echo(f"  {click.style('✓ proved', fg='green')} {what}: {said}")


def _dim(seconds: float) -> str:
    return click.style(f"{seconds:.2f} s", dim=True)
