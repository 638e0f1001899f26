"""`ottla log`: look into a data directory, or check it, without a broker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

log_app = typer.Typer(
    name="log",
    help="Look into log files, or check them, without a broker.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@log_app.command()
def dump(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A data directory, a partition's folder, or one file of it.")
    ],
    records: Annotated[bool, typer.Option("--records", help="The records of each batch, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is in log files: batches, index entries, producers, checkpoints.

    \b
    Example:
      ottla log dump ottla-data/orders-0 --records
    """
    from . import log_commands

    log_commands.dump(path, deep=records, as_json=as_json)


@log_app.command()
def check(
    path: Annotated[Path, typer.Argument(metavar="DIR", help="A data directory, or a partition's folder.")],
    deep: Annotated[bool, typer.Option("--deep", help="Decompress and read every record, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check that everything in a directory is sound; nothing is changed.

    Exit code 0: sound. 1: something was found. While a broker writes, the ends of its logs may look torn.
    """
    from . import log_commands

    log_commands.check(path, deep=deep, as_json=as_json)
