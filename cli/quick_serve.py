"""A plain `ottla serve` command line, understood without Typer: a broker that starts in a blink cannot wait for it.

Importing Typer costs more time and memory than the rest of the command line together (measured: 130 ms and 11 MB). So the
flags of this one command are understood here when they are plain: `--name value`, `--name=value`, `-p value`. Everything
else (help, a flag nobody knows, a value that cannot be) is None: then Typer reads the same words and answers. That both
know the same flags is held by a test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..broker.logs import LogFormat, LogLevel
from .serve import LARGEST_PORT, ServeOptions


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > LARGEST_PORT:
        raise ValueError(text)
    return int(text)


FLAGS: dict[str, tuple[str, Callable[[str], object]]] = {
    "--port": ("port", _port),
    "-p": ("port", _port),
    "--host": ("host", str),
    "--data": ("data", str),
    "-d": ("data", str),
    "--config": ("config", Path),
    "-c": ("config", Path),
    "--set": ("settings", str),
    "--log-format": ("log_format", LogFormat),
    "--log-level": ("log_level", LogLevel),
}
"""Each flag's option, and how its value is read (ValueError: not by us)."""


def plain_options(words: Sequence[str]) -> ServeOptions | None:
    """The options that the words behind `serve` say; None when they are not plain."""
    options = ServeOptions()
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if name not in FLAGS:
            return None
        text = value if equals else next(rest, None)
        if text is None or not _take(options, name, text):
            return None
    return options


def _take(options: ServeOptions, name: str, text: str) -> bool:
    attribute, read = FLAGS[name]
    try:
        value = read(text)
    except ValueError:
        return False
    if attribute == "settings":
        options.settings.append(text)
    else:
        setattr(options, attribute, value)
    return True
