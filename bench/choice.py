"""The scenarios, in the order of the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from .core.model import Scenario
from .scenarios import (
    bulk_read,
    clients,
    end_to_end,
    fan_out,
    groups,
    latency,
    load_directory,
    many_partitions,
    offsets,
    one_record,
    produce_consume,
    start,
)

ALL = cast(
    Sequence[Scenario],
    (
        produce_consume,
        bulk_read,
        one_record,
        latency,
        end_to_end,
        fan_out,
        groups,
        clients,
        start,
        many_partitions,
        offsets,
        load_directory,
    ),
)


def chosen(names: Sequence[str]) -> list[Scenario]:
    """The scenarios of these names, all when there are none. KeyError for a name that is none."""
    by_name = {each.NAME: each for each in ALL}
    return [by_name[name] for name in names] if names else list(ALL)
