"""The command line as Typer knows it: `ottla serve`, `ottla produce`, `ottla consume`, `ottla topics …` and so on.

This module and those of the commands hold only what `--help` needs; what a command works with (the broker, the client,
rich) is imported when it runs, so that `ottla --help` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from .. import __version__
from .consume import consume
from .groups import groups_app
from .log import log_app
from .produce import produce_command
from .serve_command import serve_command
from .topics import topics_app

app = typer.Typer(
    name="ottla",
    help="Ottla, Kafka's little sister: a Kafka-compatible broker in Python.",
    epilog="Each command has its own --help.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("serve")(serve_command)
app.command("produce")(produce_command)
app.command("consume")(consume)
app.add_typer(topics_app, name="topics")
app.add_typer(groups_app, name="groups")
app.add_typer(log_app, name="log")


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"ottla {__version__}")
        raise typer.Exit


@app.callback()
def _ottla(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options of `ottla` itself; Typer shows the help of the app above."""
