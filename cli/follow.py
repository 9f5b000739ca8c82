"""Follows long-running work step by step until it ends."""

import asyncio
import sys
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

import click

from mesh.channel import Client
from mesh.errors import CloudError
from weft.operation.v1 import operation_pb2 as pb

# Packages whose work can be followed.
PACKAGES = ("compute", "block", "identity", "image", "network")
# How a package answers that has not the operation, or nothing for a token of this scope.
ELSEWHERE = ("NOT_FOUND", "PERMISSION_DENIED")
_ENDED = {
    pb.OPERATION_STATE_SUCCEEDED: "done",
    pb.OPERATION_STATE_FAILED: "failed",
    pb.OPERATION_STATE_CANCELLED: "cancelled",
}
_MARKS = {
    pb.STEP_STATE_STARTED: ("…", "cyan"),
    pb.STEP_STATE_DONE: ("✓", "green"),
    pb.STEP_STATE_FAILED: ("✗", "red"),
    pb.STEP_STATE_UNDOING: ("↶", "yellow"),
    pb.STEP_STATE_UNDONE: ("↶", "yellow"),
}


def stub(client: Client, package: str) -> Any:
    """The operations of a package."""
    return client.stub(import_module(f"weft.{package}.v1.operation_service_pb2_grpc").OperationServiceStub)


async def find(client: Client, operation_id: str) -> tuple[str, pb.Operation]:
    """The package that has an operation, and the operation. Raises NOT_FOUND."""
    for package in PACKAGES:
        try:
            request = pb.GetOperationRequest(id=operation_id)
            return package, await stub(client, package).GetOperation(request)
        except CloudError as error:
            if error.reason not in ELSEWHERE or package == PACKAGES[-1]:
                raise
    raise AssertionError("the last package's answer is always given")


async def watch(client: Client, package: str, operation_id: str) -> AsyncIterator[pb.Operation]:
    """Each state of an operation, the last one when it has ended; a broken stream is taken up again."""
    while True:
        try:
            async for operation in stub(client, package).WatchOperation(
                pb.WatchOperationRequest(id=operation_id)
            ):
                yield operation
                if operation.state in _ENDED:
                    return
        except CloudError as error:
            if error.reason not in ("UNAVAILABLE", "WATCH_TOO_OLD"):
                raise
            await asyncio.sleep(0.5)


async def to_end(
    client: Client, package: str, operation_id: str, timeout: float | None = None, indent: str = "  "
) -> None:
    """Follow an operation with progress on standard error.

    Raises the error that it failed with, DEADLINE_EXCEEDED when it takes longer than `timeout` seconds.
    """
    progress = Progress(indent)
    try:
        async with asyncio.timeout(timeout):
            async for operation in watch(client, package, operation_id):
                progress.show(operation)
    except TimeoutError as error:
        raise CloudError(
            "DEADLINE_EXCEEDED",
            f"The operation {operation_id} goes on, but it took longer than {timeout:g} s.",
            operation_id=operation_id,
        ) from error
    if operation.state != pb.OPERATION_STATE_SUCCEEDED:
        raise failure(operation)


def failure(operation: pb.Operation) -> CloudError:
    """What an operation failed with."""
    reason = operation.error.reason or ("CANCELLED" if operation.state == 6 else "OPERATION_FAILED")
    message = operation.error.message or f"The operation {operation.id} was cancelled."
    error = CloudError(reason, message)
    error.metadata = {**operation.error.metadata, "operation_id": operation.id}
    error.trace_id = operation.trace_id
    return error


class Progress:
    """Says each step once it changes: a live line on a terminal, a line a step elsewhere."""

    def __init__(self, indent: str) -> None:
        self._said: dict[str, int] = {}
        self._live = sys.stderr.isatty()
        self._clear = f"\r\x1b[K{indent}" if self._live else indent

    def show(self, operation: pb.Operation) -> None:
        """Say what is new."""
        for step in operation.steps:
            if step.state in _MARKS and self._said.get(step.name) != step.state:
                self._said[step.name] = step.state
                self._line(operation, step)
            elif step.state == pb.STEP_STATE_STARTED and step.done_bytes and self._live:
                self._line(operation, step)
        if operation.state in _ENDED:
            self._end(operation)

    def _line(self, operation: pb.Operation, step: pb.Step) -> None:
        mark, colour = _MARKS[step.state]
        again = f" (attempt {step.attempts})" if step.attempts > 1 else ""
        wrong = f": {step.error.message}" if step.error.message and step.state != pb.STEP_STATE_DONE else ""
        line = f"{self._clear}{click.style(mark, fg=colour)} {step.name}{_moved(step)}"
        if step.state == pb.STEP_STATE_STARTED and not (again or wrong):
            if self._live:
                click.echo(line, nl=False, err=True)
            return
        note = f"  {step.note}" if step.note else ""
        click.echo(f"{line}{_took(step)}{again}{wrong}{note}", err=True)

    def _end(self, operation: pb.Operation) -> None:
        took = operation.ended_at.ToMicroseconds() - operation.created_at.ToMicroseconds()
        how = _ENDED[operation.state]
        click.echo(f"{self._clear}{operation.kind}: {how} in {took / 1e6:.2f} s", err=True)


def _moved(step: pb.Step) -> str:
    """How far a step is that moves many bytes."""
    if not step.done_bytes:
        return ""
    of = f" of {step.total_bytes / 2**20:.1f}" if step.total_bytes else ""
    return f"  {step.done_bytes / 2**20:.1f}{of} MiB"


def _took(step: pb.Step) -> str:
    """How long a step took that is done; a step with nothing to do was never begun."""
    if step.state != pb.STEP_STATE_DONE or not step.HasField("started_at"):
        return ""
    return f"  {(step.ended_at.ToMicroseconds() - step.started_at.ToMicroseconds()) / 1e6:.2f} s"
