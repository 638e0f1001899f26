"""`ottla consume`: read records of Ottla or of Apache Kafka, and print them."""

from __future__ import annotations

from typing import Annotated

import typer

from .topics import LOCAL, BootstrapServer

_FORMS = "text, json, msgpack, hex or base64"


def consume(
    topics: Annotated[list[str], typer.Argument(metavar="TOPIC", help="The topics.", show_default=False)],
    start: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="WHERE",
            help="Where to begin: beginning, end, an offset, -N for the last N of each partition, a time"
            " (2026-01-31T12:00, or how long ago: 15m, 2h, 3d). With --group only where nothing is committed.",
        ),
    ] = "beginning",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as records come, until Ctrl-C; else stop at the end.")
    ] = False,
    count: Annotated[
        int | None, typer.Option("--count", "-n", metavar="N", min=1, help="Stop after so many records.")
    ] = None,
    partition: Annotated[
        list[int] | None, typer.Option("--partition", "-p", metavar="N", min=0, help="Only these; may be repeated.")
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", "-g", metavar="NAME", help="Read as a member of a group, and commit.")
    ] = None,
    keys: Annotated[bool, typer.Option("--keys", "-k", help="Print the key, too, before a tab.")] = False,
    headers: Annotated[bool, typer.Option("--headers", help="Print the headers, too, before a tab.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print each record as one line of JSON.")] = False,
    template: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="TEXT",
            help="Print each record like this: {topic} {partition} {offset} {timestamp} {time} {key} {value} {headers};"
            " json is --json.",
        ),
    ] = None,
    key_format: Annotated[
        str, typer.Option("--key-format", metavar="FORM", help=f"How keys are shown: {_FORMS}.")
    ] = "text",
    value_format: Annotated[
        str, typer.Option("--value-format", metavar="FORM", help=f"How values are shown: {_FORMS}.")
    ] = "text",
    committed_only: Annotated[
        bool, typer.Option("--committed", help="Leave out records of open and aborted transactions.")
    ] = False,
    bootstrap_server: BootstrapServer = LOCAL,
) -> None:
    """Print the records of topics: from the beginning to the end, or on and on.

    \b
    Examples:
      ottla consume orders --from 15m --keys
      ottla consume orders --follow --json | jq .value
      ottla consume orders --json | ottla produce orders-again --json
      ottla consume orders --group billing --count 100
    """
    from . import consume_command

    consume_command.consume(
        bootstrap_server,
        topics,
        consume_command.Wish(
            start=start,
            follow=follow,
            count=count,
            partitions=tuple(partition or ()),
            group=group,
            committed_only=committed_only,
        ),
        consume_command.record_format(
            keys=keys,
            headers=headers,
            as_json=as_json,
            template=template,
            key_format=key_format,
            value_format=value_format,
        ),
    )
