"""DescribeClientQuotas and AlterClientQuotas."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..catalog_records import CatalogRecord, QuotaEntity
from ..client_quotas import (
    QuotaChange,
    QuotaComponent,
    QuotaResult,
    addresses_to_resolve,
    decide_alter_quotas,
    entity_of,
    find_quotas,
)
from .context import Handler, RequestContext
from .deciding import decide, validated

if TYPE_CHECKING:
    from ..app import Broker

MAX_NAMES_RESOLVED = 100
RESOLVE_TIMEOUT_S = 5.0
"""Names of hosts in one request that are looked up, and for how long in all: the others count as not resolvable."""


def describe_client_quotas(broker: Broker, context: RequestContext, request: Message) -> Message:
    components = [QuotaComponent(each.entity_type, each.match_type, each.match) for each in request.components]
    try:
        found = list(find_quotas(broker.catalog, components, strict=request.strict))
    except KafkaError as refusal:
        return Message(error_code=refusal.code, error_message=refusal.message, entries=None)
    entries = [
        Message(entity=_parts(entity), values=[Message(key=key, value=value) for key, value in quotas.items()])
        for entity, quotas in found
    ]
    return Message(error_code=ErrorCode.NONE, error_message="", entries=entries)


async def alter_client_quotas(broker: Broker, context: RequestContext, request: Message) -> Message:
    """Each entity gets all that is asked for it or a refusal of its own."""
    requested = [_change(entry) for entry in request.entries]
    hosts = await _resolvable(addresses_to_resolve(requested))

    def decision() -> tuple[list[CatalogRecord], list[QuotaResult]]:
        return decide_alter_quotas(broker.catalog, requested, hosts=hosts)

    try:
        results = await decide(
            broker,
            validated(decision) if request.validate_only else decision,
            timeout_ms=broker.config.whole("request.timeout.ms"),
        )
    except KafkaError as refusal:
        results = [QuotaResult(each.entity, refusal.code, refusal.message) for each in requested]
    return Message(
        entries=[
            Message(error_code=each.error_code, error_message=each.error_message, entity=_parts(each.entity))
            for each in results
        ]
    )


def _change(entry: Message) -> QuotaChange:
    entity = entity_of({part.entity_type: part.entity_name for part in entry.entity})
    return QuotaChange(entity, [(op.key, None if op.remove else op.value) for op in entry.ops])


def _parts(entity: QuotaEntity) -> Sequence[Message]:
    return [Message(entity_type=kind, entity_name=name) for kind, name in entity]


async def _resolvable(names: set[str]) -> set[str]:
    loop = asyncio.get_running_loop()

    async def look_up(name: str) -> str | None:
        try:
            await loop.getaddrinfo(name, None)
        except (socket.gaierror, UnicodeError):
            return None
        return name

    tasks = [asyncio.ensure_future(look_up(name)) for name in sorted(names)[:MAX_NAMES_RESOLVED]]
    if not tasks:
        return set()
    done, late = await asyncio.wait(tasks, timeout=RESOLVE_TIMEOUT_S)
    for task in late:
        task.cancel()
    return {name for task in done if (name := task.result()) is not None}


HANDLERS: dict[ApiKey, Handler] = {
    ApiKey.DESCRIBE_CLIENT_QUOTAS: describe_client_quotas,
    ApiKey.ALTER_CLIENT_QUOTAS: alter_client_quotas,
}
