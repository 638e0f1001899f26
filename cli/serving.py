"""Runs the broker of `ottla serve`: start, say so, wait for a signal, stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from .. import __version__
from ..broker.app import Broker
from ..broker.config_loading import LoadedConfig
from ..broker.garbage import settle
from ..broker.journal import JournalDamaged
from ..broker.listeners import as_reached
from ..storage.checkpoint import CorruptCheckpoint
from ..storage.directory import LockedError
from ..storage.files import is_disk_full
from ..storage.meta_properties import ForeignDirectory
from .errors import FAILED, CommandError
from .loading_display import LoadingDisplay

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_HANGUP = getattr(signal, "SIGHUP", None)  # Windows has none
_MOST_OPEN_FILES_ON_MACOS = 10_240  # OPEN_MAX: more may be refused, though the hard limit says that there is none
_NAMES = ("ottla", "ottla.exe")

log = logging.getLogger(__name__)


def run_broker(loaded: LoadedConfig, *, started_at: float, shows_progress: bool) -> list[str]:
    """Run until a signal asks to stop; returns what went wrong while stopping.

    `started_at` is the reading of `time.perf_counter` that the start line counts from.
    """
    _raise_limit_of_open_files()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(loaded, started_at, shows_progress))


def _raise_limit_of_open_files() -> None:
    """To the hard limit, as Java does for Kafka.

    The soft one is 1024 almost everywhere, for programs that use `select`. Beyond it libuv closes connections as they come,
    and nobody is told.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, _MOST_OPEN_FILES_ON_MACOS) if sys.platform == "darwin" else hard
    with contextlib.suppress(ValueError, OSError):  # refused: it stays as it is
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it exists: a fifth of what a request costs that comes alone is asyncio's own loop."""
    try:
        from uvloop import new_event_loop
    except ImportError:  # Windows, PyPy
        return None
    return new_event_loop


async def _run(loaded: LoadedConfig, started_at: float, shows_progress: bool) -> list[str]:
    stop = asyncio.Event()
    _stop_on_signals(stop)
    if loaded.without_effect:
        log.info("ignored: %s (Kafka's settings, without meaning here)", ", ".join(loaded.without_effect))
    broker = await _start(loaded, LoadingDisplay(sys.stderr if shows_progress else None))
    log.info("%s", _start_line(broker, time.perf_counter() - started_at))
    settle()
    log.info("in another terminal, type:  %s", _what_to_type(broker))
    await stop.wait()
    log.info("stopping; a second signal ends at once")
    problems = await broker.stop()
    log.info("stopped")
    return problems


async def _start(loaded: LoadedConfig, display: LoadingDisplay) -> Broker:
    try:
        return await Broker.start(loaded.config, on_progress=display.show)
    except (LockedError, ForeignDirectory, CorruptCheckpoint, JournalDamaged) as error:
        raise CommandError(str(error), exit_code=FAILED) from error
    except OSError as error:
        raise CommandError(_why_not_started(error, loaded.config.data_directory), exit_code=FAILED) from error
    finally:
        display.close()


def _why_not_started(error: OSError, directory: Path) -> str:
    if is_disk_full(error) and error.filename is None:  # of a write, which names no file
        return f"cannot start: {error.strerror}: {directory}"
    if error.errno == errno.EADDRINUSE:
        return f"cannot listen: {error.strerror}; --port takes another port, 0 any free one"
    return f"cannot start: {error}"


def _stop_on_signals(stop: asyncio.Event) -> None:
    """The first signal asks for a clean stop, the second one ends the process.

    A terminal that is closed asks, too, and never ends it: the system and the shell both send SIGHUP. Under `nohup` it
    stays ignored.
    """
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(FAILED)
        stop.set()

    for each in _SIGNALS:
        try:
            loop.add_signal_handler(each, on_signal)
        except NotImplementedError:  # Windows: its loops have no signals, the interpreter has.
            signal.signal(each, lambda *_: loop.call_soon_threadsafe(on_signal))
    if _HANGUP is not None and signal.getsignal(_HANGUP) != signal.SIG_IGN:
        loop.add_signal_handler(_HANGUP, stop.set)


def _start_line(broker: Broker, seconds: float) -> str:
    listeners = ", ".join(map(str, broker.bound.values()))
    count = broker.partitions.count
    return (
        f"Ottla {__version__} listens on {listeners}; data in {os.path.abspath(broker.directory.path)},"
        f" {count} partition{'' if count == 1 else 's'}; ready in {seconds:.2f} s"
    )


def _what_to_type(broker: Broker) -> str:
    """A first command for a person who sees a broker for the first time."""
    (first, *_) = broker.config.advertised_listeners
    reached_at = "127.0.0.1" if first.host == "" else None
    address = as_reached(first, bound_port=broker.bound[first.name].port, reached_at=reached_at).address
    server = "" if address in ("127.0.0.1:9092", "localhost:9092") else f" --bootstrap-server {address}"
    return f"{_program()} topics create hello{server}"


def _program() -> str:
    """How this program is called from a shell."""
    if any(os.access(os.path.join(folder, name), os.X_OK) for folder in os.get_exec_path() for name in _NAMES):
        return "ottla"
    path = os.path.relpath(sys.argv[0])
    return "python -m ottla" if path.endswith("__main__.py") else path
