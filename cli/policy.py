"""`weft policy`: the access rules of the contracts, held against a token."""

import asyncio
import sys
from pathlib import Path

import click

from cli import failures
from cli.contract import Verb, contracts
from cli.session import Session

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def policy() -> None:
    """See why a call is allowed or not."""


@policy.command()
@click.argument("what")
@click.option("--policy", "file", type=_FILE, help="The policy file of the cloud, where it has one.")
@click.pass_obj
def explain(session: Session, what: str, file: Path | None) -> None:
    """Say whether your token allows a call, and why.

    WHAT is a permission (compute.servers.create), an RPC (CreateServer), or `RESOURCE VERB` as one word
    (server.create). Exit status 4 when it is refused. The contracts' rules are held against the token here;
    an operator's policy file, which may override them, is known only where --policy names it.
    """
    import importlib

    from cli.identity import token_info
    from mesh import access, contract
    from mesh.caller import Caller, Kind
    from mesh.policy import Policy, PolicyError

    verb = _find(what)
    if verb is None:
        failures.fail(f"no contract has a permission or RPC {what}", failures.MISSING)
        return
    info = asyncio.run(token_info(session))
    caller = Caller(
        Kind.USER, info.user_id, info.user_name, info.project_id, info.domain_id, info.user_domain_id,
        info.scope, frozenset(info.roles),
    )  # fmt: skip
    importlib.import_module(verb.module)
    try:
        rules = Policy(file)
    except PolicyError as error:
        failures.fail(str(error))
        return
    lines = access.explain(contract.method(verb.path), caller, rules)
    click.echo("\n".join(lines))
    if not lines[-1].startswith("Allowed"):
        sys.exit(failures.DENIED)


def _find(what: str) -> Verb | None:
    every = [verb for verbs in contracts().verbs.values() for verb in verbs.values()]
    for verb in every:
        if what in (verb.permission, verb.rpc, f"{verb.resource}.{verb.name}", verb.path):
            return verb
    return None
