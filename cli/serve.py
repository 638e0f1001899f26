"""`ottla serve`: a broker in the foreground, until it is told to stop.

    SIGTERM, SIGINT    stop cleanly: answer what is being served, write down what is known, exit 0
    a second one       exit at once; nothing acknowledged is lost, the next start has more to check

A wrong flag, setting or file is one line and exit code 2; data or an address that cannot be had one line and 1.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..broker.logs import LogFormat, LogLevel, configure_logging
from .errors import FAILED, WRONGLY_ASKED, CommandError

if TYPE_CHECKING:
    from ..broker.config_loading import Given, LoadedConfig

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 9092

_IMPORTED_AT = time.perf_counter()
"""As near to the start of the process as we can see; the start line counts from here."""


def serve(
    port: Annotated[
        int | None,
        typer.Option(
            "--port", "-p", metavar="PORT", min=0, max=65535, help="Listen on this port; 0 takes a free one. [9092]"
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="HOST", help="Listen on this address; 0.0.0.0 is every interface. [127.0.0.1]"),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", "-d", metavar="DIR", help="Keep the data in this directory. [./ottla-data]")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", metavar="FILE", help="Read settings from this file, a Kafka server.properties."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set one of Kafka's settings by its name; may be repeated."),
    ] = None,
    log_format: Annotated[LogFormat, typer.Option(help="The form of the log.")] = LogFormat.TEXT,
    log_level: Annotated[LogLevel, typer.Option(help="The least that is logged.")] = LogLevel.INFO,
) -> None:
    """Run a broker in the foreground.

    A setting comes from a flag, else from --set, else from the environment (OTTLA_NUM_PARTITIONS=4 is
    num.partitions=4), else from the file, else it has its default.

    \b
    Examples:
      ottla serve --port 19092 --data /var/lib/ottla
      ottla serve --set num.partitions=4 --set log.retention.hours=24
      ottla serve --config server.properties
    """
    loaded = _load(config, settings or [], _flags(host=host, port=port, data=data))
    configure_logging(log_format, log_level)

    # Only now: a wrong flag is answered without importing the broker.
    from .serving import run_broker

    problems = run_broker(loaded, started_at=_IMPORTED_AT, shows_progress=log_format is LogFormat.TEXT)
    if problems:
        raise CommandError(f"stopped, but not cleanly: {'; '.join(problems)}", exit_code=FAILED)


def _flags(*, host: str | None, port: int | None, data: Path | None) -> dict[str, Given]:
    """The flags as the settings they stand for."""
    from ..broker.config_loading import Given
    from ..broker.listeners import Listener

    given = []
    if host is not None or port is not None:
        listener = Listener("PLAINTEXT", host or DEFAULT_HOST, DEFAULT_PORT if port is None else port)
        given.append(Given("listeners", str(listener), "--port" if host is None else "--host"))
    if data is not None:
        given.append(Given("log.dirs", str(data), "--data"))
    return {each.name: each for each in given}


def _load(file: Path | None, sets: list[str], flags: dict[str, Given]) -> LoadedConfig:
    import os

    from ..broker.config_loading import ConfigError, load_config

    try:
        return load_config(file=file, environ=os.environ, sets=sets, flags=flags)
    except ConfigError as error:
        raise CommandError(str(error), exit_code=WRONGLY_ASKED) from error
