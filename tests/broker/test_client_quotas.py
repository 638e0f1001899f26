"""Quotas are kept for exactly the entities they were set on, and found by filters as Kafka finds them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.broker.catalog import Catalog
from ottla.broker.catalog_records import QuotaEntity
from ottla.broker.client_quotas import (
    MatchType,
    QuotaChange,
    QuotaComponent,
    addresses_to_resolve,
    decide_alter_quotas,
    entity_of,
    find_quotas,
)
from ottla.protocol.errors import ErrorCode, KafkaError

NAMES = st.sampled_from([None, "a", "b"])
ENTITIES = st.dictionaries(st.sampled_from(["user", "client-id"]), NAMES, min_size=1).map(entity_of)


def change(catalog: Catalog, parts: Mapping[str, str | None], **values: float | None) -> tuple[ErrorCode, str | None]:
    """Make one change and say how it was answered."""
    asked = QuotaChange(entity_of(parts), list(values.items()))
    records, (result,) = decide_alter_quotas(catalog, [asked], hosts={"known.host"})
    for record in records:
        catalog.apply(record)
    return result.error_code, result.error_message


def test_an_entity_is_the_same_in_whatever_order_it_is_named() -> None:
    catalog = Catalog()
    change(catalog, {"user": "u", "client-id": "c"}, producer_byte_rate=1.0)
    change(catalog, {"client-id": "c", "user": "u"}, producer_byte_rate=2.0)

    assert list(catalog.client_quotas.values()) == [{"producer_byte_rate": 2.0}]


def test_taking_away_the_last_quota_forgets_the_entity_and_repeating_it_writes_nothing() -> None:
    catalog = Catalog()
    change(catalog, {"user": "u"}, request_percentage=12.5)
    change(catalog, {"user": "u"}, request_percentage=None)

    gone = QuotaChange(entity_of({"user": "u"}), [("request_percentage", None)])

    assert catalog.client_quotas == {}
    assert decide_alter_quotas(catalog, [gone], hosts=set())[0] == []


@pytest.mark.parametrize(
    ("parts", "values", "words"),
    [
        ({}, {"producer_byte_rate": 1.0}, "Invalid empty client quota entity"),
        ({"user": "u"}, {"producer_byte_rate": 1.5}, "producer_byte_rate cannot be a fractional value."),
        ({"user": "u"}, {"producer_byte_rate": 1e30}, "producer_byte_rate cannot be a fractional value."),
        ({"user": "u"}, {"producer_byte_rate": float("inf")}, "producer_byte_rate cannot be a fractional value."),
        ({"user": "u"}, {"request_percentage": float("nan")}, "Quota request_percentage must be greater than 0"),
        ({"ip": "no.such.host"}, {"connection_creation_rate": 1.0}, "no.such.host is not a valid IP"),
        ({"ip": "::1"}, {"connection_creation_rate": 2.0**31}, "connection_creation_rate cannot be a fractional"),
    ],
)
def test_what_no_quota_can_be_is_refused_in_kafkas_words(
    parts: dict[str, str | None], values: dict[str, float], words: str
) -> None:
    catalog = Catalog()

    code, message = change(catalog, parts, **values)

    assert code is ErrorCode.INVALID_REQUEST
    assert message is not None
    assert message.startswith(words)
    assert catalog.client_quotas == {}


@pytest.mark.parametrize("name", ["10.0.0.1", "::1", "known.host", None])
def test_addresses_and_hosts_that_resolve_may_have_a_rate_of_connections(name: str | None) -> None:
    assert change(Catalog(), {"ip": name}, connection_creation_rate=5.0)[0] is ErrorCode.NONE


def test_only_names_that_are_no_addresses_are_looked_up() -> None:
    asked = [QuotaChange(entity_of({"ip": name}), []) for name in ("10.0.0.1", "::1", "some.host", None, "")]

    assert addresses_to_resolve(asked) == {"some.host"}


@given(
    st.lists(ENTITIES, max_size=6),
    st.dictionaries(st.sampled_from(["user", "client-id"]), st.sampled_from(["any", None, "a", "b"])),
    st.booleans(),
)
def test_a_filter_finds_what_a_look_at_every_entity_finds(
    entities: list[QuotaEntity], wanted: dict[str, str | None], strict: bool
) -> None:
    catalog = Catalog()
    for entity in entities:
        change(catalog, dict(entity), producer_byte_rate=1.0)
    components = [
        QuotaComponent(kind, MatchType.ANY, None)
        if name == "any"
        else QuotaComponent(kind, MatchType.DEFAULT if name is None else MatchType.EXACT, name)
        for kind, name in wanted.items()
    ]

    found = {entity for entity, _ in find_quotas(catalog, components, strict=strict)}

    expected = set()
    for entity in set(entities):
        parts = dict(entity)
        has_all = all(kind in parts and name in ("any", parts[kind]) for kind, name in wanted.items())
        if has_all and (not strict or parts.keys() == wanted.keys()):
            expected.add(entity)
    assert found == expected


def test_a_filter_that_contradicts_itself_is_refused() -> None:
    user, address = QuotaComponent("user", MatchType.ANY, None), QuotaComponent("ip", MatchType.ANY, None)

    with pytest.raises(KafkaError, match="IP filter component"):
        list(find_quotas(Catalog(), [user, address], strict=False))
