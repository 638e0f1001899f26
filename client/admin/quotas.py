"""Client quotas: describe and alter (KIP-546)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...protocol.apis import ApiKey
from ...protocol.errors import KafkaError
from ...protocol.messages import Message
from . import arguments
from .asking import AdminPart
from .quota_values import QuotaEntity, QuotaFilter
from .values import raise_if_refused, refusal

_EXACT, _DEFAULT, _ANY = 0, 1, 2


class QuotasAdmin(AdminPart):
    """What an administrator does with quotas."""

    async def describe_client_quotas(self, wanted: QuotaFilter | None = None) -> dict[QuotaEntity, Mapping[str, float]]:
        """The quotas by entity and key; KafkaError if refused."""
        asked = QuotaFilter() if wanted is None else arguments.instance(wanted, QuotaFilter, "wanted")
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
                entity=[Message(entity_type=kind, entity_name=name) for kind, name in _parts_of(entity)],
                ops=[_change(*each) for each in arguments.by_key(keys, f"changes[{entity!r}]").items()],
            )
            for entity, keys in arguments.by_key(changes, "changes").items()
        ]
        answer = await self._asking.change(
            ApiKey.ALTER_CLIENT_QUOTAS, Message(entries=entries, validate_only=validate_only)
        )
        outcomes = {_entity(each.entity): refusal(each.error_code, each.error_message) for each in answer.entries}
        return {entity: outcomes.get(_sorted(entity)) for entity in changes}


def _parts_of(entity: object) -> list[tuple[str, str | None]]:
    return _pairs(arguments.instance(entity, QuotaEntity, "an entity of changes").parts, "parts of a QuotaEntity")


def _pairs(given: Iterable[tuple[str, str | None]], what: str) -> list[tuple[str, str | None]]:
    pairs = arguments.several(given, what)
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"{what}: pairs of a type and a name are wanted, not {pair!r:.100}")
        arguments.name(pair[0], f"a type in {what}")
        if pair[1] is not None:
            arguments.name(pair[1], f"a name in {what}")
    return pairs


def _change(key: object, value: object) -> Message:
    return Message(
        key=arguments.name(key, "a key of changes"),
        value=0.0 if value is None else arguments.real(value, f"the value of {key!r}"),
        remove=value is None,
    )


def _components(wanted: QuotaFilter) -> list[Message]:
    exactly = [
        Message(entity_type=kind, match_type=_DEFAULT if name is None else _EXACT, match=name)
        for kind, name in _pairs(wanted.exactly, "exactly of a QuotaFilter")
    ]
    any_of = arguments.names(wanted.any_of, "any_of of a QuotaFilter")
    return exactly + [Message(entity_type=kind, match_type=_ANY, match=None) for kind in any_of]


def _entity(parts: list[Message]) -> QuotaEntity:
    return _sorted(QuotaEntity(tuple((each.entity_type, each.entity_name) for each in parts)))


def _sorted(entity: QuotaEntity) -> QuotaEntity:
    """Brokers tell the parts in any order; user comes before client id."""
    return QuotaEntity(tuple(sorted(entity.parts, key=lambda part: part[0], reverse=True)))
