"""`ottla groups`: list, describe, delete groups and reset their offsets, of Ottla or of Apache Kafka."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

groups_app = typer.Typer(
    name="groups",
    help="List, describe and delete consumer groups, reset and delete their offsets.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

BootstrapServer = Annotated[
    str, typer.Option("--bootstrap-server", "-b", metavar="HOST:PORT", help="A broker of the cluster, or several.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
Groups = Annotated[list[str], typer.Argument(metavar="GROUP", help="The groups.", show_default=False)]
Topics = Annotated[
    list[str] | None,
    typer.Option("--topic", metavar="TOPIC[:0,1]", help="A topic, or some of its partitions; may be repeated."),
]

_LOCAL = "localhost:9092"


@groups_app.command("list")
def list_(
    state: Annotated[
        list[str] | None,
        typer.Option("--state", metavar="STATE", help="Only groups in this state, e.g. Stable; may be repeated."),
    ] = None,
    type_: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help="Only groups of this type: classic, consumer; may be repeated."),
    ] = None,
    bootstrap_server: BootstrapServer = _LOCAL,
    as_json: AsJson = False,
) -> None:
    """List groups: name, type, protocol, state, separated by tabs when piped."""
    from . import group_commands

    group_commands.list_(bootstrap_server, states=_words(state), types=_words(type_), as_json=as_json)


@groups_app.command()
def describe(
    groups: Annotated[
        list[str] | None, typer.Argument(metavar="GROUP", help="The groups; all if none is named.")
    ] = None,
    members: Annotated[bool, typer.Option("--members", help="Their members instead of their offsets.")] = False,
    state: Annotated[bool, typer.Option("--state", help="A line for each group instead of its offsets.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Members with their partitions, offsets with the ids of members.")
    ] = False,
    bootstrap_server: BootstrapServer = _LOCAL,
    as_json: AsJson = False,
) -> None:
    """Describe groups: how far they are in each partition, and which member has it.

    When piped, a line is a partition: group, topic, partition, committed offset, end offset, lag, client, host, member.
    """
    from . import group_commands

    group_commands.describe(
        bootstrap_server, groups or [], members=members, state=state, verbose=verbose, as_json=as_json
    )


@groups_app.command()
def delete(groups: Groups, bootstrap_server: BootstrapServer = _LOCAL) -> None:
    """Delete groups that have no members, and all that they committed."""
    from . import group_commands

    group_commands.delete(bootstrap_server, groups)


@groups_app.command("delete-offsets")
def delete_offsets(
    group: Annotated[str, typer.Argument(metavar="GROUP", help="The group.", show_default=False)],
    topic: Topics = None,
    bootstrap_server: BootstrapServer = _LOCAL,
) -> None:
    """Delete what a group committed in a topic, or in some of its partitions.

    \b
    Example:
      ottla groups delete-offsets billing --topic orders --topic payments:0,1
    """
    from . import group_commands
    from .errors import WRONGLY_ASKED, CommandError
    from .offset_scope import parse_scopes

    if not topic:
        raise CommandError("say where: --topic TOPIC or --topic TOPIC:0,1", exit_code=WRONGLY_ASKED)
    group_commands.delete_offsets(bootstrap_server, group, parse_scopes(topic))


@groups_app.command("reset-offsets")
def reset_offsets(
    groups: Annotated[list[str] | None, typer.Argument(metavar="GROUP", help="The groups.", show_default=False)] = None,
    all_groups: Annotated[bool, typer.Option("--all-groups", help="All groups there are.")] = False,
    topic: Topics = None,
    all_topics: Annotated[
        bool, typer.Option("--all-topics", help="All partitions in which the group has committed.")
    ] = False,
    to_earliest: Annotated[bool, typer.Option("--to-earliest", help="To the first record.")] = False,
    to_latest: Annotated[bool, typer.Option("--to-latest", help="Behind the last record.")] = False,
    to_current: Annotated[bool, typer.Option("--to-current", help="To where it is, or the end.")] = False,
    to_offset: Annotated[int | None, typer.Option("--to-offset", metavar="OFFSET", min=0, help="To an offset.")] = None,
    shift_by: Annotated[
        int | None, typer.Option("--shift-by", metavar="COUNT", help="By so many records, back if negative.")
    ] = None,
    to_datetime: Annotated[
        str | None,
        typer.Option("--to-datetime", metavar="TIME", help="To the first record since 2026-11-25T12:00:00 (UTC)."),
    ] = None,
    by_duration: Annotated[
        str | None,
        typer.Option("--by-duration", metavar="DURATION", help="To the first record of the last PT1H30M, 15m, 2d."),
    ] = None,
    from_file: Annotated[
        Path | None,
        typer.Option("--from-file", metavar="FILE", help="To what a file of TOPIC,PARTITION,OFFSET lines says."),
    ] = None,
    execute: Annotated[
        bool, typer.Option("--execute", help="Do it; else it is only shown what would be done.")
    ] = False,
    export: Annotated[bool, typer.Option("--export", help="Answer with lines for --from-file.")] = False,
    bootstrap_server: BootstrapServer = _LOCAL,
    as_json: AsJson = False,
) -> None:
    """Reset where groups without members go on to read. Only shows what it would do, unless told to --execute.

    \b
    Examples:
      ottla groups reset-offsets billing --topic orders --to-earliest
      ottla groups reset-offsets billing --all-topics --by-duration 2h --execute
      ottla groups reset-offsets billing --topic orders:0,3 --shift-by -100 --execute
    """
    import time

    from . import group_reset
    from .group_wishes import asked_for

    asked = asked_for(
        groups=groups or [],
        all_groups=all_groups,
        topics=topic or [],
        all_topics=all_topics,
        wishes={
            "--to-earliest": to_earliest or None,
            "--to-latest": to_latest or None,
            "--to-current": to_current or None,
            "--to-offset": to_offset,
            "--shift-by": shift_by,
            "--to-datetime": to_datetime,
            "--by-duration": by_duration,
            "--from-file": from_file,
        },
        now_ms=time.time_ns() // 1_000_000,
    )
    group_reset.reset_offsets(bootstrap_server, asked, execute=execute, export=export, as_json=as_json)


def _words(given: list[str] | None) -> list[str]:
    """Given one by one or with commas."""
    return [word.strip() for each in given or [] for word in each.split(",") if word.strip()]
