"""Client quotas: what users, clients and addresses may use up (KIP-546, KIP-612); here as they are kept and found.

A quota belongs to an *entity*: a user, a client id, both, or an address; a name of None is the default of its type.
Its keys are rates (bytes per second, mutations and connections per second) and a percentage of the request threads.
They are kept in the catalog; nothing is held against them yet.

Pure: `decide_alter_quotas` gives records and an answer for each entity, `find_quotas` those that a filter matches.
Checks and words are those of Kafka's `ClientQuotaControlManager` and `ClientQuotasImage`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from ipaddress import ip_address

from ..protocol.errors import ErrorCode, KafkaError
from ..protocol.values import dataclass
from .catalog import Catalog
from .catalog_records import CatalogRecord, ClientQuotasChanged, QuotaEntity

USER, CLIENT_ID, IP = "user", "client-id", "ip"
_ORDER = (CLIENT_ID, USER, IP)

_LONG, _INT = 2**63 - 1, 2**31 - 1
_FOR_CLIENTS: Mapping[str, int | None] = {
    "producer_byte_rate": _LONG,
    "consumer_byte_rate": _LONG,
    "request_percentage": None,
    "controller_mutation_rate": None,
}
_FOR_ADDRESSES: Mapping[str, int | None] = {"connection_creation_rate": _INT}
"""Keys, each with the largest whole number it takes, or None where it may have a fraction."""

_NEARLY = 1e-6
"""How far from a whole number a whole number may be: it has gone through a double."""


@dataclass(frozen=True, slots=True)
class QuotaChange:
    """The changes asked for one entity, in order; None takes a key away."""

    entity: QuotaEntity
    changes: Sequence[tuple[str, float | None]]


@dataclass(frozen=True, slots=True)
class QuotaResult:
    entity: QuotaEntity
    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None


def entity_of(parts: Mapping[str, str | None]) -> QuotaEntity:
    """The entity of these types and names, in one order however they were sent."""
    return tuple(sorted(parts.items(), key=lambda part: (_ORDER.index(part[0]) if part[0] in _ORDER else -1, part[0])))


# -- changing


def addresses_to_resolve(requested: Sequence[QuotaChange]) -> set[str]:
    """Names given for addresses which are none themselves: a resolver has to say whether they are a host's."""
    named = {name for change in requested for kind, name in change.entity if kind == IP and name}
    return {name for name in named if not _is_address(name)}


def decide_alter_quotas(
    catalog: Catalog, requested: Sequence[QuotaChange], *, hosts: set[str]
) -> tuple[list[CatalogRecord], list[QuotaResult]]:
    """Records for what can be changed, and an answer for each entity. `hosts` are names that resolve.

    Of an entity named twice the first change is made, and the answer is a refusal, as in Kafka.
    """
    records: list[CatalogRecord] = []
    results: dict[QuotaEntity, QuotaResult] = {}
    for asked in requested:
        entity = asked.entity
        try:
            if entity in results or _names_a_key_twice(asked):
                raise KafkaError(ErrorCode.INVALID_REQUEST, f"Ignoring duplicate entity {_words(entity)}")
            changes = _changes(catalog, asked, hosts)
        except KafkaError as refusal:
            results[entity] = QuotaResult(entity, refusal.code, refusal.message)
            continue
        results[entity] = QuotaResult(entity)
        if changes:
            records.append(ClientQuotasChanged(dict(entity), changes))
    return records, list(results.values())


def _changes(catalog: Catalog, asked: QuotaChange, hosts: set[str]) -> dict[str, float | None]:
    keys = _keys_of(asked.entity, hosts)
    for key, value in asked.changes:
        if value is not None:
            _check_value(keys, key, value)
    before = catalog.client_quotas.get(asked.entity, {})
    return {key: value for key, value in asked.changes if before.get(key) != value}


def _names_a_key_twice(asked: QuotaChange) -> bool:
    return any(count > 1 for count in Counter(key for key, _ in asked.changes).values())


def _keys_of(entity: QuotaEntity, hosts: set[str]) -> Mapping[str, int | None]:
    """The keys that the entity may have; KafkaError for what is no entity."""
    if not entity:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Invalid empty client quota entity")
    for kind, name in entity:
        if kind not in _ORDER:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unhandled client quota entity type: {kind}")
        if name == "":
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Empty {kind} not supported")
    parts = dict(entity)
    if IP not in parts:
        return _FOR_CLIENTS
    if len(parts) > 1:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId",
        )
    name = parts[IP]
    if name is not None and name not in hosts and not _is_address(name):
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"{name} is not a valid IP or resolvable host.")
    return _FOR_ADDRESSES


def _check_value(keys: Mapping[str, int | None], key: str, value: float) -> None:
    if key not in keys:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Invalid configuration key {key}")
    if not value > 0:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Quota {key} must be greater than 0")
    most = keys[key]
    if most is None:
        return
    whole = min(value + _NEARLY, float(most)) // 1
    if abs(whole - value) > _NEARLY:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"{key} cannot be a fractional value.")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _words(entity: QuotaEntity) -> str:
    parts = ", ".join(f"{kind}={'null' if name is None else name}" for kind, name in entity)
    return f"ClientQuotaEntity(entries={{{parts}}})"


# -- finding


class MatchType(IntEnum):
    EXACT = 0
    DEFAULT = 1
    ANY = 2


@dataclass(frozen=True, slots=True)
class QuotaComponent:
    """One part of a filter; `match_type` is as it came, and may be none of MatchType."""

    entity_type: str
    match_type: int
    match: str | None


def find_quotas(
    catalog: Catalog, components: Sequence[QuotaComponent], *, strict: bool
) -> Iterator[tuple[QuotaEntity, Mapping[str, float]]]:
    """Entities that have all the components, with `strict` nothing else. KafkaError for what is no filter."""
    _check_filter(components)
    for entity, quotas in catalog.client_quotas.items():
        if strict and len(entity) != len(components):
            continue
        parts = dict(entity)
        if all(_matches(component, parts) for component in components):
            yield entity, quotas


def _matches(component: QuotaComponent, parts: Mapping[str, str | None]) -> bool:
    if component.entity_type not in parts:
        return False
    return component.match_type == MatchType.ANY or parts[component.entity_type] == component.match


def _check_filter(components: Sequence[QuotaComponent]) -> None:
    seen: set[str] = set()
    for each in components:
        if not each.entity_type:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Invalid empty entity type.")
        if each.entity_type in seen:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST,
                f"Entity type {each.entity_type} cannot appear more than once in the filter.",
            )
        if each.entity_type not in _ORDER:
            raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, f"Unsupported entity type {each.entity_type}")
        _check_match(each)
        seen.add(each.entity_type)
    if IP in seen and len(seen) > 1:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            "Invalid entity filter component combination. IP filter component should not be used with user or "
            "clientId filter component.",
        )


def _check_match(component: QuotaComponent) -> None:
    match component.match_type:
        case MatchType.EXACT if component.match is None:
            why = "Request specified MATCH_TYPE_EXACT, but set match string to null."
        case MatchType.DEFAULT if component.match is not None:
            why = "Request specified MATCH_TYPE_DEFAULT, but also specified a match string."
        case MatchType.ANY if component.match is not None:
            why = "Request specified MATCH_TYPE_SPECIFIED, but also specified a match string."
        case MatchType.EXACT | MatchType.DEFAULT | MatchType.ANY:
            return
        case _:
            why = f"Unknown match type {component.match_type}"
    raise KafkaError(ErrorCode.INVALID_REQUEST, why)
