"""Reads Java's `.properties` text, the form of Kafka's `server.properties`.

    key=value     key: value     key value       the first =, : or blank ends the key
    # and !       begin a comment line
    \\             at the end of a line goes on with the next, whose indent is dropped
    \\t \\n \\u00e9  escapes, in keys and values

Corresponds to `java.util.Properties.load`.  A key may come twice; the last one counts, as in Java.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_BLANK = " \t\f"
_KEY = re.compile(r"((?:\\.|[^\\=:\s])*)[ \t\f]*[=:]?[ \t\f]*", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_NAMED_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def read_properties(text: str) -> Iterator[tuple[str, str, int]]:
    """Key, value and the number of the line where it begins, in the order of the text."""
    for line, number in _logical_lines(text):
        key = _KEY.match(line)
        assert key is not None, "every part of the pattern may be empty"
        yield _unescape(key[1]), _unescape(line[key.end() :]), number


def _logical_lines(text: str) -> Iterator[tuple[str, int]]:
    """Lines without comments and blank ones, continued lines put together."""
    lines = enumerate(re.split(r"\r\n|\r|\n", text), start=1)
    for number, raw in lines:
        line = raw.lstrip(_BLANK)
        if not line or line[0] in "#!":
            continue
        while _is_continued(line):
            _, following = next(lines, (0, ""))
            line = line[:-1] + following.lstrip(_BLANK)
        yield line, number


def _is_continued(line: str) -> bool:
    """An odd number of backslashes ends the line: the last one is not itself escaped."""
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _unescape(text: str) -> str:
    return _ESCAPE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    word = match[1]
    return chr(int(word[1:], 16)) if len(word) == 5 else _NAMED_ESCAPES.get(word, word)
