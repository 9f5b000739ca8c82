"""`weft completion`: what a shell needs to complete weft's commands."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion of a shell.

    bash: weft completion bash > /etc/bash_completion.d/weft. zsh: weft completion zsh > a directory of
    $fpath. fish: weft completion fish > ~/.config/fish/completions/weft.fish.
    """
    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(ctx.find_root().command, {}, "weft", "_WEFT_COMPLETE").source())
