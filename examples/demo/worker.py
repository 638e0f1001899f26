"""A child process and its parent: lines of JSON come up on standard output, closing standard input says that it is over.

The parent may end in any way, even by `kill -9`: its end of the pipe is closed with it, and the child stops.  A child has
a session of its own, so that Ctrl-C reaches the parent alone, which then ends its children one by one.

    parent                                        child
    Worker.start, `told` for each line       <--  say({...})
    Worker.end: no more input, wait          -->  `parent_left` is done: stop in good order
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

END_TIMEOUT_S = 60
_SHOWN_LINES = 15

Told = Callable[[dict[str, Any]], None]


class WorkerFailed(Exception):
    """A child ended when it should not have; the text has the end of what it said on standard error."""


class Worker:
    """The parent's side of one child.  What it says on standard error goes to `folder`/NAME.log."""

    def __init__(self, name: str, folder: Path, told: Told) -> None:
        self.name = name
        self._errors = folder / f"{name}.log"
        self._told = told
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None

    async def start(self, script: Path, *arguments: str) -> None:
        pipe = asyncio.subprocess.PIPE
        with self._errors.open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(script),
                *arguments,
                stdin=pipe,
                stdout=pipe,
                stderr=errors,
                start_new_session=True,
            )
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        assert self._process is not None, "it was started"
        assert self._process.stdout is not None, "a pipe"
        async for line in self._process.stdout:
            self._told(json.loads(line))

    def check(self) -> None:
        """WorkerFailed if it has ended badly."""
        if self._process is not None and self._process.returncode:
            raise WorkerFailed(self._failure())

    async def end(self) -> None:
        """Have it stop in good order.  WorkerFailed if it does not, or not in time."""
        assert self._process is not None, "it was started"
        assert self._process.stdin is not None, "a pipe"
        assert self._listening is not None, "it was started"
        self._process.stdin.close()
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await self._listening
                await self._process.wait()
        except TimeoutError:
            raise WorkerFailed(f"{self.name} did not end within {END_TIMEOUT_S} s\n{tail(self._errors)}") from None
        self.check()

    async def kill(self) -> None:
        """For the way out: at once, and whatever its state."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        if self._listening is not None:
            self._listening.cancel()

    def _failure(self) -> str:
        assert self._process is not None, "it was started"
        return f"{self.name} ended with {self._process.returncode}\n{tail(self._errors)}"


def tail(path: Path) -> str:
    """The last lines of a log."""
    said = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    return "\n".join(f"  | {line}" for line in said.splitlines()[-_SHOWN_LINES:])


# -- the child's side


def say(report: dict[str, Any]) -> None:
    """Tell the parent.  When it is gone nobody listens any more, and `parent_left` is done."""
    try:
        print(json.dumps(report, separators=(",", ":")), flush=True)
    except BrokenPipeError:
        return


async def parent_left() -> None:
    """Return when the parent has closed the pipe, or is no more."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        await reader.read()
    finally:
        transport.close()
