"""Errors of the contract in the words that Placement's clients look for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from gateway.openstack.faults import Refusal
from mesh.errors import CloudError

# By reason: the status, what is said before the error's own message, and the name of the fault.
Cases = Mapping[str, tuple[int, str, str]]


@contextmanager
def refusing(cases: Cases) -> Iterator[None]:
    """Within the block, errors of these reasons are refusals."""
    try:
        yield
    except CloudError as error:
        if error.reason not in cases:
            raise
        status, words, code = cases[error.reason]
        fields = (f"{name}: {text}" for name, text in error.fields.items())
        raise Refusal(status, "; ".join([f"{words}: {error.message}", *fields]), code) from error


def provider_missing(id: str, end: str = "") -> Cases:
    """For what is asked of a provider that is not there, or whose id is none."""
    words = f"No resource provider with uuid {id} found{end}"
    return {"NOT_FOUND": (404, words, ""), "INVALID_ARGUMENT": (404, words, "")}


GENERATION = (409, "resource provider generation conflict", "concurrent_update")
