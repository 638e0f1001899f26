"""The command line: `ottla serve`, `ottla topics …`, `ottla log …`.

This module and those of the commands hold only what `--help` needs; what a command works with (the broker, the client,
rich) is imported when it runs, so that `ottla serve` starts quickly and `ottla --help` at once.

Whatever goes wrong is one line on standard error and an exit code (`errors`).  A traceback means a bug of ours, and
even then it is shown only with OTTLA_TRACEBACK set.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from .. import __version__
from .errors import FAILED, INTERRUPTED, CommandError
from .log import log_app
from .serve import serve
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
app.command("serve")(serve)
app.add_typer(topics_app, name="topics")
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


def run() -> None:
    """Run the command line of this process, and exit."""
    try:
        app(prog_name="ottla")
    except CommandError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has enough (`| head`); the interpreter must not fail on flushing it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except Exception as error:
        if os.environ.get("OTTLA_TRACEBACK"):
            raise
        _fail(
            f"a bug: {type(error).__name__}: {error} (set OTTLA_TRACEBACK=1 to see where, and please report it)", FAILED
        )


def _fail(message: str, exit_code: int) -> None:
    print(f"ottla: {message}", file=sys.stderr)
    sys.exit(exit_code)
