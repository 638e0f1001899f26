"""Client quotas: describe and alter (KIP-546)."""

from __future__ import annotations

from collections.abc import Mapping

from ...protocol.apis import ApiKey
from ...protocol.errors import KafkaError
from ...protocol.messages import Message
from .asking import AdminPart
from .quota_values import QuotaEntity, QuotaFilter
from .values import raise_if_refused, refusal

_EXACT, _DEFAULT, _ANY = 0, 1, 2


class QuotasAdmin(AdminPart):
    """What an administrator does with quotas."""

    async def describe_client_quotas(self, wanted: QuotaFilter | None = None) -> dict[QuotaEntity, Mapping[str, float]]:
        """The quotas by entity and key; KafkaError if refused."""
        asked = wanted or QuotaFilter()
        request = Message(components=_components(asked), strict=asked.strict)
        answer = await self._asking.any(ApiKey.DESCRIBE_CLIENT_QUOTAS, request)
        raise_if_refused(answer.error_code, answer.error_message)
        return {_entity(entry.entity): {each.key: each.value for each in entry.values} for entry in answer.entries}

    async def alter_client_quotas(
        self, changes: Mapping[QuotaEntity, Mapping[str, float | None]], *, validate_only: bool = False
    ) -> dict[QuotaEntity, KafkaError | None]:
        """Set quotas, or with None take them away; None says that it is done."""
        entries = [
            Message(
                entity=[Message(entity_type=kind, entity_name=name) for kind, name in entity.parts],
                ops=[Message(key=key, value=value or 0.0, remove=value is None) for key, value in keys.items()],
            )
            for entity, keys in changes.items()
        ]
        answer = await self._asking.change(
            ApiKey.ALTER_CLIENT_QUOTAS, Message(entries=entries, validate_only=validate_only)
        )
        outcomes = {_entity(each.entity): refusal(each.error_code, each.error_message) for each in answer.entries}
        return {entity: outcomes.get(_sorted(entity)) for entity in changes}


def _components(wanted: QuotaFilter) -> list[Message]:
    exactly = [
        Message(entity_type=kind, match_type=_DEFAULT if name is None else _EXACT, match=name)
        for kind, name in wanted.exactly
    ]
    return exactly + [Message(entity_type=kind, match_type=_ANY, match=None) for kind in wanted.any_of]


def _entity(parts: list[Message]) -> QuotaEntity:
    return _sorted(QuotaEntity(tuple((each.entity_type, each.entity_name) for each in parts)))


def _sorted(entity: QuotaEntity) -> QuotaEntity:
    """Brokers tell the parts in any order; user comes before client id."""
    return QuotaEntity(tuple(sorted(entity.parts, key=lambda part: part[0], reverse=True)))
