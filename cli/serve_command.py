"""`ottla serve` as Typer knows it: its flags, and the help that tells of them.

A plain command line never comes here (`quick_serve`); `--help` does, and what cannot be understood, so that it is answered
like any other command's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..broker.logs import LogFormat, LogLevel
from .serve import LARGEST_PORT, ServeOptions, serve


def serve_command(
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            "-p",
            metavar="PORT",
            min=0,
            max=LARGEST_PORT,
            help="Listen on this port; 0 takes a free one. [9092]",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="HOST", help="Listen on this address; 0.0.0.0 is every interface. [127.0.0.1]"),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", "-d", metavar="DIR", help="Keep the data in this directory. [./ottla-data]")
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
    serve(ServeOptions(port, host, data, config, settings or [], log_format, log_level))
