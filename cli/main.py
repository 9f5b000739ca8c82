"""`weft`: commands made from the contracts, and those that run, show and check a cloud."""

import importlib
import os
import sys

import click

from cli import failures
from cli.session import Session

# Commands that the contracts do not make: module and attribute, and what the list of commands says of each.
_OWN = {
    "up": ("cli.cloud.up:up", "Start a cloud on this machine."),
    "down": ("cli.cloud.down:down", "Stop the cloud that `weft up` started."),
    "status": ("cli.cloud.status:status", "Show what runs of the cloud on this machine."),
    "serve": ("cli.serve:serve", "Run one part of a cloud in the foreground."),
    "node": ("cli.node:node", "Make this machine a host of a cloud."),
    "demo": ("cli.demo.command:demo", "Boot a real server and prove that all of it works."),
    "doctor": ("cli.doctor.command:doctor", "Say what is missing on this machine, and what mends it."),
    "login": ("cli.login:login", "Log in, and keep the token."),
    "logout": ("cli.identity:logout", "Make the kept token worthless, and forget it."),
    "whoami": ("cli.identity:whoami", "Show who the token says that you are."),
    "operation": ("cli.operations:operation", "Commands on long-running work."),
    "trace": ("cli.traces:trace", "See what a request did, span by span."),
    "policy": ("cli.policy:policy", "See why a call is allowed or not."),
    "openrc": ("cli.openstack:openrc", "Print what OpenStack's clients need, for a shell."),
    "clouds.yaml": ("cli.openstack:clouds_yaml", "Print what OpenStack's clients need, as a file."),
    "completion": ("cli.completion:completion", "Print what makes a shell complete weft's commands."),
}
# Verbs beside those of the contract; None takes one away that a better one stands in for.
_BESIDE: dict[str, dict[str, str | None]] = {
    "image": {"upload": "cli.images:upload", "download": "cli.images:download"},
    "server": {"console": "cli.console:console", "show-console-output": None, "follow-console": None},
}


def _load(place: str) -> click.Command:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


class Root(click.Group):
    """Finds a command when it is asked for: no other's imports are paid."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Own commands and resources."""
        from cli.contract import contracts

        return sorted({*_OWN, *contracts().verbs} - {"token", "console-output", "join"})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """An own command, or a resource's."""
        if cmd_name in _OWN:
            return _load(_OWN[cmd_name][0])
        from cli.contract import contracts

        if cmd_name not in contracts().verbs:
            return None
        from cli.commands import group

        beside = _BESIDE.get(cmd_name, {})
        made = group(cmd_name, {name: _load(place) for name, place in beside.items() if place})
        for name, place in beside.items():
            if place is None:
                made.commands.pop(name, None)
        return made

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Two lists, without loading a command."""
        own = [(name, help) for name, (_, help) in _OWN.items()]
        with formatter.section("Running and looking"):
            formatter.write_dl(own)
        resources = [name for name in self.list_commands(ctx) if name not in _OWN]
        with formatter.section("Resources (weft RESOURCE --help lists the verbs of each)"):
            formatter.write_text(", ".join(resources))


@click.command(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--cloud", envvar="WEFT_CLOUD", help="Which of the clouds you logged in to.")
@click.option("--endpoint", envvar="WEFT_ENDPOINT", metavar="HOST:PORT", help="The cloud's gateway.")
@click.option("--ca", envvar="WEFT_CA", metavar="FILE", help="The cloud's CA certificate.")
@click.option("--token", envvar="WEFT_TOKEN", help="A token, instead of the one that login kept.")
@click.option("--project", envvar="WEFT_PROJECT", help="Act in this project of yours, by name or id.")
@click.version_option(package_name="weft", message="weft %(version)s")
@click.pass_context
def root(
    ctx: click.Context, cloud: str | None, endpoint: str | None, ca: str | None, token: str | None,
    project: str | None,
) -> None:  # fmt: skip
    """weft, a cloud in one install.

    Exit status: 0 done, 1 failed, 2 wrong use, 3 not found, 4 not logged in or not allowed, 5 timed out,
    78 wrong settings.
    """
    ctx.obj = Session(cloud or "", endpoint or "", ca or "", token or "", project or "")


def main() -> None:
    """The console script. Never shows a traceback for what a person can mend."""
    try:
        root(prog_name="weft", standalone_mode=True)
    except Exception as error:  # noqa: BLE001 - told in a sentence, or raised again
        sys.exit(_said(error))


def _said(error: Exception) -> int:
    """The exit status of an error that was told. What is no answer of a cloud is a defect, and said to be."""
    from mesh.errors import CloudError
    from mesh.settings import SettingsError

    if isinstance(error, CloudError):
        failures.tell(error)
        return failures.status(error)
    if isinstance(error, SettingsError):
        failures.fail(str(error), failures.SETTINGS)
    if os.environ.get("WEFT_TRACEBACK"):
        raise error
    failures.fail(f"a defect of weft: {type(error).__name__}: {error} (WEFT_TRACEBACK=1 shows where)")
    return failures.FAILED
