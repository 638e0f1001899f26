"""`ottla produce`: records from a file or standard input to a topic, of Ottla or of Apache Kafka."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from .topics import LOCAL, BootstrapServer


class Format(StrEnum):
    """How the input is cut into records."""

    lines = "lines"
    json = "json"
    raw = "raw"


class Compression(StrEnum):
    """The codecs of record batches."""

    none = "none"
    gzip = "gzip"
    snappy = "snappy"
    lz4 = "lz4"
    zstd = "zstd"


class AckLevel(StrEnum):
    """Whom to wait for."""

    nobody = "0"
    leader = "1"
    all = "all"


def produce_command(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="Where to.", show_default=False)],
    file: Annotated[
        str, typer.Argument(metavar="[FILE]", help="The input; - is standard input.", show_default=False)
    ] = "-",
    format_: Annotated[
        Format,
        typer.Option("--format", "-f", help="A record a line, a JSON object a line, or the whole input as one record."),
    ] = Format.lines,
    as_json: Annotated[
        bool, typer.Option("--json", help="Short for --format json: what `consume --json` prints.")
    ] = False,
    key_separator: Annotated[
        str | None,
        typer.Option("--key-separator", "-K", metavar="TEXT", help="A line is key, separator, value."),
    ] = None,
    key: Annotated[str | None, typer.Option("--key", "-k", metavar="TEXT", help="The key of every record.")] = None,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", metavar="NAME=VALUE", help="A header of every record; may be repeated."),
    ] = None,
    partition: Annotated[
        int | None, typer.Option("--partition", "-p", metavar="NUMBER", min=0, help="Where to; else by key, or spread.")
    ] = None,
    empty_as_null: Annotated[
        bool, typer.Option("--empty-as-null", help="An empty value is null, a tombstone.")
    ] = False,
    acks: Annotated[AckLevel, typer.Option("--acks", help="Whom to wait for.")] = AckLevel.all,
    compression: Annotated[
        Compression, typer.Option("--compression", "-z", help="How batches are compressed.")
    ] = Compression.none,
    rate: Annotated[
        float | None, typer.Option("--rate", metavar="NUMBER", min=0.001, help="At most so many records a second.")
    ] = None,
    bootstrap_server: BootstrapServer = LOCAL,
) -> None:
    """Send records to a topic, and say how many were written.

    A JSON line has key, value, headers, partition and timestamp (ms), all of which may be left out; bytes
    that are no text are {"base64": "..."}, as `ottla consume` writes them.

    \b
    Examples:
      echo hello | ottla produce greetings
      ottla produce orders orders.txt --key-separator : --compression zstd
      ottla produce orders --format json < orders.jsonl
      ottla consume orders --json | ottla produce orders-again --json
    """
    from . import produce_command as work

    work.produce(
        bootstrap_server,
        work.Wish(
            topic=topic,
            file=file,
            format=work.format_of(format_.value, as_json=as_json),
            key_separator=key_separator,
            key=key,
            headers=tuple(header or ()),
            partition=partition,
            empty_as_null=empty_as_null,
            acks=acks.value,
            compression=compression.value,
            rate=rate,
        ),
    )
