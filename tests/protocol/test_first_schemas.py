"""What is declared of the first messages is what kio has, version by version."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from ottla.protocol.api_keys import ApiKey
from ottla.protocol.errors import MalformedMessage
from ottla.protocol.first_schemas import declared
from ottla.protocol.schemas import Direction, Field, Struct, load, versions_of

APIS = (ApiKey.API_VERSIONS, ApiKey.METADATA)


def in_one_order(schema: Struct) -> Struct:
    """Fields of other versions lie nowhere, so their order does not matter; nor is there a name but the message's."""
    absent = sorted((_inner(each) for each in schema.absent), key=lambda each: each.name)
    return Struct("", schema.is_flexible, tuple(_inner(each) for each in schema.fields), tuple(absent))


def _inner(field: Field) -> Field:
    """In an absent field it says nothing whether it would be flexible or nullable."""
    return field if field.struct is None else replace(field, struct=in_one_order(field.struct))


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(("api", "version"), [(api, version) for api in APIS for version in versions_of(api)])
def test_what_is_declared_is_what_kio_has(api: ApiKey, version: int, direction: Direction) -> None:
    ours, theirs = declared(api, version, direction), load(api, version, direction)

    assert ours is not None
    assert ours.name == theirs.name
    assert in_one_order(ours).fields == in_one_order(theirs).fields
    assert _defaults(ours.absent) == _defaults(theirs.absent)


def _defaults(absent: tuple[Field, ...]) -> dict[str, object]:
    return {each.name: each.default for each in absent}


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("api", APIS)
def test_versions_that_kio_does_not_have_are_not_declared(api: ApiKey, direction: Direction) -> None:
    versions = versions_of(api)

    for version in (versions[0] - 1, versions[-1] + 1):
        with pytest.raises(MalformedMessage, match="no version"):
            declared(api, version, direction)


def test_the_first_messages_do_not_import_kio() -> None:
    script = """
import sys
from ottla.protocol.messages import prepare
for version in range(5): prepare(18, version)
for version in range(14): prepare(3, version)
print(*sys.modules)
"""
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()

    assert [name for name in loaded if name.split(".")[0] == "kio"] == []
