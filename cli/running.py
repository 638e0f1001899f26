"""Runs the command line of this process: arguments in, an exit code out.

Whatever goes wrong is one line on standard error and an exit code (`errors`). A traceback means a bug of ours, and even
then it is shown only with OTTLA_TRACEBACK set.
"""

from __future__ import annotations

import errno
import os
import sys

from .errors import FAILED, INTERRUPTED, CommandError

# What a full or broken device says of our output; data that cannot be read or written is a CommandError by then.
_OUTPUT_LOST = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def run() -> None:
    """Run the command line of this process, and exit."""
    _stand_in_for_closed_streams()
    try:
        _dispatch(sys.argv[1:])
    except CommandError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has enough (`| head`); the interpreter must not fail on flushing it.
        _drop_output()
        sys.exit(FAILED)
    except Exception as error:
        if os.environ.get("OTTLA_TRACEBACK"):
            raise
        if isinstance(error, OSError) and error.errno in _OUTPUT_LOST and error.filename is None:
            _drop_output()
            _fail(f"cannot write the output: {error.strerror}", FAILED)
        _fail(
            f"a bug: {type(error).__name__}: {error} (set OTTLA_TRACEBACK=1 to see where, and please report it)", FAILED
        )


def _stand_in_for_closed_streams() -> None:
    """A standard stream that the caller closed (`2>&-`) leads nowhere.

    In this order each gets back its own number. Otherwise a log's file or a socket gets it: what is meant for people is
    written there, and libuv ends the process when it closes such a socket.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def _drop_output() -> None:
    """What is still in the buffer goes nowhere: the interpreter flushes it at the end, and must not fail on that."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
