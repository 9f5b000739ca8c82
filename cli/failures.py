"""What went wrong, said so that a person knows what to do next; and the exit status that tells a script.

0 done · 1 the call failed · 2 wrong use · 3 not found · 4 not logged in, or not allowed · 5 timed out ·
78 wrong settings.
"""

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mesh.errors import CloudError

FAILED, USAGE, MISSING, DENIED, TIMEOUT, SETTINGS = 1, 2, 3, 4, 5, 78
_NEXT = {
    "UNAUTHENTICATED": "log in: weft login",
    "TOKEN_EXPIRED": "log in again: weft login",
    "TOKEN_REVOKED": "log in again: weft login",
    "PERMISSION_DENIED": "see why: weft policy explain {permission}",
    "TOO_MANY_ATTEMPTS": "wait {retry_after_seconds} s, then try again",
    "UNAVAILABLE": "is the cloud there? weft status, weft doctor",
    "NO_VALID_HOST": "see the hosts: weft host list",
    "QUOTA_EXCEEDED": "see the limits: weft limit list",
    "REVISION_MISMATCH": "somebody changed it: look at it again, then repeat",
    "IN_USE": "free it first: it is used by {used_by_type} {used_by_id}",
    "SECOND_FACTOR_REQUIRED": "weft login asks for the code; WEFT_TOTP_CODE gives it",
    "OPERATION_FAILED": "see its steps: weft operation show {operation_id}",
    "HYPERVISOR_FAILED": "on the host: weft doctor",
}

# Metadata that proves something: for programs, and for nobody's terminal or log.
_SECRET = frozenset({"receipt"})


def status(error: "CloudError") -> int:
    """The exit status of a failed call."""
    by_code = {"NOT_FOUND": MISSING, "UNAUTHENTICATED": DENIED, "PERMISSION_DENIED": DENIED}
    return by_code.get(error.code.name, TIMEOUT if error.code.name == "DEADLINE_EXCEEDED" else FAILED)


def tell(error: "CloudError") -> None:
    """Message, fields at fault, reason, what to do next, and the trace, on standard error."""
    click.echo(f"{click.style('weft:', fg='red', bold=True)} {error.message}", err=True)
    for name, wrong in error.fields.items():
        if wrong not in error.message:
            click.echo(f"  {name}: {wrong}", err=True)
    shown = {key: value for key, value in error.metadata.items() if value and key not in _SECRET}
    facts = " ".join(f"{key}={value}" for key, value in shown.items())
    click.echo(f"  reason: {error.reason}{'  ' + facts if facts else ''}", err=True)
    if hint := _hint(error):
        click.echo(f"  next:   {hint}", err=True)
    if error.trace_id:
        click.echo(f"  trace:  {error.trace_id}", err=True)


def _hint(error: "CloudError") -> str:
    hint = _NEXT.get(error.reason, "")
    if error.reason == "INTERNAL" and error.trace_id:
        return f"see what happened: weft trace show {error.trace_id}"
    try:
        return hint.format(**error.metadata)
    except KeyError:
        return hint.partition(":")[0]


def fail(sentence: str, code: int = FAILED) -> None:
    """End with one sentence on standard error."""
    click.echo(f"{click.style('weft:', fg='red', bold=True)} {sentence}", err=True)
    sys.exit(code)
