"""The administrator's client: topics, configs, groups, offsets, the cluster.

    async with Admin("localhost:9092") as admin:
        await admin.create_topics([NewTopic("orders", partitions=4)])
        for group in await admin.list_groups():
            print(group.id, group.state)

A request for several things has an outcome for each: a value, or the KafkaError with which the broker refused that
one; the others are done all the same.  A failure to get any answer is a ClientError, and then it is unknown which of
them were done.

Each family of requests has a file of its own; whom to ask, and when again, is `asking`'s.  Works with Ottla and with
Apache Kafka alike; Kafka's counterpart is `KafkaAdminClient`.
"""

from __future__ import annotations

from random import Random
from types import TracebackType

from ..cluster import BootstrapServers
from ..connection import DEFAULT_TIMEOUT_S, SOFTWARE_NAME
from ..network import Network
from .asking import Asking
from .cluster import ClusterAdmin
from .configs import ConfigsAdmin
from .group_offsets import GroupOffsetsAdmin
from .groups import GroupsAdmin
from .quotas import QuotasAdmin
from .records import RecordsAdmin
from .replicas import ReplicasAdmin
from .topics import TopicsAdmin


class Admin(
    TopicsAdmin, RecordsAdmin, ConfigsAdmin, QuotasAdmin, GroupsAdmin, GroupOffsetsAdmin, ReplicasAdmin, ClusterAdmin
):
    """Asks a cluster, or changes it.  Use it as a context, or `close` it; owned by the loop it is first used on."""

    def __init__(
        self,
        bootstrap_servers: BootstrapServers,
        *,
        client_id: str = SOFTWARE_NAME,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        network: Network | None = None,
        random: Random | None = None,
    ) -> None:
        """`timeout_s` bounds each call, tries and waits together.  Nothing is connected before the first one.

        ValueError if `bootstrap_servers` (host:port, several with commas or in a list) cannot be read.  Each call raises
        TypeError or ValueError for an argument that no request can say, naming it, before anything is sent.
        """
        super().__init__(
            Asking(
                bootstrap_servers,
                client_id=client_id,
                timeout_s=timeout_s,
                network=network,
                random=random or Random(),
            )
        )

    async def start(self) -> None:
        """Connect; CannotConnect, at once, when nobody is at any of the addresses."""
        await self._asking.connect()

    async def close(self) -> None:
        """Close the connections."""
        await self._asking.close()

    stop = close

    async def __aenter__(self) -> Admin:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
