"""What `ottla serve` does once it knows its options: settings, logging, the broker, an exit.

    SIGTERM, SIGINT    stop cleanly: answer what is being served, write down what is known, exit 0
    a second one       exit at once; nothing acknowledged is lost, the next start has more to check
    SIGHUP             as the first (the terminal was closed), unless it is ignored (`nohup`)

A wrong flag, setting or file is one line and exit code 2; data or an address that cannot be had one line and 1.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..broker.logs import LogFormat, LogLevel, configure_logging
from ..protocol.values import dataclass, field
from .errors import FAILED, WRONGLY_ASKED, CommandError

if TYPE_CHECKING:
    from ..broker.config_loading import Given, LoadedConfig

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 9092
LARGEST_PORT = 65535

_IMPORTED_AT = time.perf_counter()
"""As near to the start of the process as we can see; the start line counts from here."""


@dataclass(slots=True)
class ServeOptions:
    """The flags of `ottla serve`; None is a flag that was not given."""

    port: int | None = None
    host: str | None = None
    data: str | None = None
    config: Path | None = None
    settings: list[str] = field(default_factory=list)
    log_format: LogFormat = LogFormat.TEXT
    log_level: LogLevel = LogLevel.INFO


def serve(options: ServeOptions) -> None:
    """Run a broker until a signal ends it. CommandError where it cannot start, or did not stop cleanly."""
    loaded = _load(options)
    configure_logging(options.log_format, options.log_level)

    # Only now: a wrong flag is answered without importing the broker.
    from .serving import run_broker

    shows_progress = options.log_format is LogFormat.TEXT
    problems = run_broker(loaded, started_at=_IMPORTED_AT, shows_progress=shows_progress)
    if problems:
        raise CommandError(f"stopped, but not cleanly: {'; '.join(problems)}", exit_code=FAILED)


def _flags(options: ServeOptions) -> dict[str, Given]:
    """The flags as the settings they stand for."""
    from ..broker.config_loading import Given
    from ..broker.listeners import Listener

    host, port = options.host, options.port
    if host is not None and host.startswith("[") and host.endswith("]"):
        host = host[1:-1]  # an IPv6 address as listeners have it
    given = []
    if host is not None or port is not None:
        listener = Listener("PLAINTEXT", host or DEFAULT_HOST, DEFAULT_PORT if port is None else port)
        given.append(Given("listeners", str(listener), "--port" if host is None else "--host"))
    if options.data is not None:
        given.append(Given("log.dirs", options.data, "--data"))
    return {each.name: each for each in given}


def _load(options: ServeOptions) -> LoadedConfig:
    import os

    from ..broker.config_loading import ConfigError, load_config

    try:
        return load_config(file=options.config, environ=os.environ, sets=options.settings, flags=_flags(options))
    except ConfigError as error:
        raise CommandError(str(error), exit_code=WRONGLY_ASKED) from error
