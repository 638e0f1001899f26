"""Runs the command line of this process: arguments in, an exit code out.

Whatever goes wrong is one line on standard error and an exit code (`errors`). A traceback means a bug of ours, and even
then it is shown only with OTTLA_TRACEBACK set.
"""

from __future__ import annotations

import os
import sys

from .errors import FAILED, INTERRUPTED, CommandError


def run() -> None:
    """Run the command line of this process, and exit."""
    try:
        _dispatch(sys.argv[1:])
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


def _dispatch(words: list[str]) -> None:
    """A plain `serve` goes straight to the broker, all else through Typer (see `quick_serve` for why)."""
    if words[:1] == ["serve"]:
        from ..broker.garbage import look_seldom

        look_seldom()
        from .quick_serve import plain_options

        options = plain_options(words[1:])
        if options is not None:
            from .serve import serve

            serve(options)
            return
    from .app import app

    app(prog_name="ottla")


def _fail(message: str, exit_code: int) -> None:
    print(f"ottla: {message}", file=sys.stderr)
    sys.exit(exit_code)
