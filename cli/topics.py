"""`ottla topics`: create, list, describe, alter and delete topics, of Ottla or of Apache Kafka."""

from __future__ import annotations

from typing import Annotated

import typer

topics_app = typer.Typer(
    name="topics",
    help="Create, list, describe, alter and delete topics.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

BootstrapServer = Annotated[
    str, typer.Option("--bootstrap-server", "-b", metavar="HOST:PORT", help="A broker of the cluster, or several.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
Configs = Annotated[
    list[str] | None,
    typer.Option("--config", metavar="KEY=VALUE", help="Set a config of the topic; may be repeated."),
]
Names = Annotated[list[str], typer.Argument(metavar="TOPIC", help="The topics.", show_default=False)]

LOCAL = "localhost:9092"


@topics_app.command()
def create(
    names: Names,
    partitions: Annotated[
        int | None,
        typer.Option(
            "--partitions", metavar="COUNT", min=1, help="How many partitions; else the broker's num.partitions."
        ),
    ] = None,
    replication_factor: Annotated[
        int | None,
        typer.Option(
            "--replication-factor", metavar="COUNT", min=1, help="How many replicas; else the broker's default."
        ),
    ] = None,
    config: Configs = None,
    if_not_exists: Annotated[
        bool, typer.Option("--if-not-exists", help="Say nothing of a topic that exists already.")
    ] = False,
    bootstrap_server: BootstrapServer = LOCAL,
    as_json: AsJson = False,
) -> None:
    """Create topics.

    \b
    Example:
      ottla topics create orders --partitions 4 --config retention.ms=3600000
    """
    from . import topic_commands

    topic_commands.create(
        bootstrap_server,
        names,
        partitions=partitions,
        replication_factor=replication_factor,
        configs=topic_commands.parse_configs(config or []),
        if_not_exists=if_not_exists,
        as_json=as_json,
    )


@topics_app.command("list")
def list_(
    include_internal: Annotated[bool, typer.Option("--internal", help="Internal topics, too.")] = False,
    bootstrap_server: BootstrapServer = LOCAL,
    as_json: AsJson = False,
) -> None:
    """List topics: name, partitions, replicas, separated by tabs when piped."""
    from . import topic_commands

    topic_commands.list_(bootstrap_server, include_internal=include_internal, as_json=as_json)


@topics_app.command()
def describe(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="TOPIC", help="The topics; all if none is named.")
    ] = None,
    bootstrap_server: BootstrapServer = LOCAL,
    as_json: AsJson = False,
) -> None:
    """Describe topics: their configs, their partitions and offsets.

    When piped, a line is a partition: topic, partition, leader, replicas, in-sync replicas, first offset, end offset.
    """
    from . import topic_commands

    topic_commands.describe(bootstrap_server, names or [], as_json=as_json)


@topics_app.command()
def alter(
    name: Annotated[str, typer.Argument(metavar="TOPIC", help="The topic.", show_default=False)],
    partitions: Annotated[
        int | None,
        typer.Option("--partitions", metavar="COUNT", min=1, help="How many partitions it shall have; never fewer."),
    ] = None,
    config: Configs = None,
    delete_config: Annotated[
        list[str] | None,
        typer.Option("--delete-config", metavar="KEY", help="Set a config back to its default; may be repeated."),
    ] = None,
    bootstrap_server: BootstrapServer = LOCAL,
) -> None:
    """Change a topic's configs, or give it more partitions.

    \b
    Examples:
      ottla topics alter orders --config retention.ms=60000
      ottla topics alter orders --partitions 8 --delete-config segment.bytes
    """
    from . import topic_commands

    changes = {**topic_commands.parse_configs(config or []), **dict.fromkeys(delete_config or [])}
    topic_commands.alter(bootstrap_server, name, partitions=partitions, changes=changes)


@topics_app.command()
def delete(
    names: Names,
    if_exists: Annotated[bool, typer.Option("--if-exists", help="Say nothing of a topic that does not exist.")] = False,
    bootstrap_server: BootstrapServer = LOCAL,
) -> None:
    """Delete topics, and all that is in them."""
    from . import topic_commands

    topic_commands.delete(bootstrap_server, names, if_exists=if_exists)
