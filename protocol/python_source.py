"""A function's Python source while it is written: lines, indentation, and the values its names are bound to.

The compilers of messages write one such function per API and version.  What they interpolate are names of the
schema and names made here; a value is bound to a name rather than spelled out, and nothing a peer sent comes near.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class FunctionSource:
    """The source of one function, from its first line to the function itself."""

    def __init__(self, name: str, parameters: str) -> None:
        self._name = name
        self._lines = [f"def {name}({parameters}):"]
        self._indent = "    "
        self._bound: dict[str, Any] = {}
        self._count = 0

    def line(self, text: str) -> None:
        """Add a line at the present depth."""
        self._lines.append(self._indent + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Add `head` and, deeper, what is added until the block ends."""
        self.line(head)
        outer = self._indent
        self._indent += "    "
        yield
        self._indent = outer

    def name(self, prefix: str) -> str:
        """A name that nothing else has."""
        self._count += 1
        return f"{prefix}{self._count}"

    def bind(self, prefix: str, value: Any) -> str:
        """A name of its own for `value`."""
        name = self.name(prefix)
        self._bound[name] = value
        return name

    def compile(self, origin: str) -> Any:
        """The function; `origin` stands for its file in a traceback."""
        exec(compile("\n".join(self._lines), f"<{origin}>", "exec"), self._bound)
        return self._bound[self._name]

    def __str__(self) -> str:
        return "\n".join(self._lines)
