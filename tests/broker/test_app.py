"""A broker that cannot start: it says why and leaves nothing behind, so that the next start finds all as it was."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from ottla.broker.app import Broker
from ottla.broker.config import BrokerConfig
from support.asking import Asker, with_broker


class WatchedLoop(asyncio.SelectorEventLoop):
    """Remembers every timer that was set."""

    def __init__(self) -> None:
        super().__init__()
        self.timers: list[asyncio.TimerHandle] = []

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, **how: Any) -> asyncio.TimerHandle:
        timer = super().call_at(when, callback, *args, **how)
        self.timers.append(timer)
        return timer

    @property
    def pending(self) -> list[asyncio.TimerHandle]:
        """Those that are still to come."""
        return [timer for timer in self.timers if not timer.cancelled() and timer.when() > self.time()]


def run_watched(scenario: Callable[[WatchedLoop], Coroutine[Any, Any, None]]) -> None:
    loop = WatchedLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(scenario(loop))


def config_of(directory: Path, *ports: int) -> BrokerConfig:
    listeners = [f"L{place}://127.0.0.1:{port}" for place, port in enumerate(ports)]
    protocols = [f"L{place}:PLAINTEXT" for place in range(len(ports))]
    return BrokerConfig(
        {
            "node.id": "1",
            "log.dirs": str(directory),
            "listeners": ",".join(listeners),
            "listener.security.protocol.map": ",".join(protocols),
            "inter.broker.listener.name": "L0",
        }
    )


def open_files_below(directory: Path) -> list[str]:
    """What this process has open there (Linux)."""
    links = [each for each in Path("/proc/self/fd").iterdir() if each.is_symlink()] if os.path.exists("/proc") else []
    return [target for each in links if (target := os.path.realpath(each)).startswith(str(directory))]


def test_a_start_whose_second_address_is_taken_leaves_no_timer_no_task_no_file_and_no_lock(tmp_path: Path) -> None:
    async def write(ask: Asker) -> None:
        await ask.create("kept")
        ask.append("kept", b"a")

    with_broker(tmp_path, write)

    async def scenario(loop: WatchedLoop) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            with pytest.raises(OSError, match="address already in use"):
                await Broker.start(config_of(tmp_path, 0, taken.getsockname()[1]))
        assert loop.pending == []
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert open_files_below(tmp_path) == []

    run_watched(scenario)

    async def look(ask: Asker) -> None:
        assert "kept" in await ask.names()

    with_broker(tmp_path, look)
