"""Making and removing the topics that tests use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from confluent_kafka.admin import AdminClient, NewTopic
from interop.waiting import eventually

DEADLINE_S = 60


def create_topic(bootstrap: str, name: str, *, partitions: int = 1, config: Mapping[str, str] | None = None) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})  # held in a name: without it the client closes at once
    admin.create_topics([NewTopic(name, partitions, 1, config=dict(config or {}))])[name].result(DEADLINE_S)
    eventually(lambda: name in admin.list_topics(timeout=DEADLINE_S).topics, True)


def delete_topics(bootstrap: str, names: Sequence[str]) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.delete_topics(list(names)).values():
        future.result(DEADLINE_S)
