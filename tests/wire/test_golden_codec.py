"""Our reading and writing of messages, held against every byte exchanged with Apache Kafka.

Each recorded request and response is read by `ottla.protocol.messages`, laid beside the tests' own reading of the
same bytes (`support.schema`), and written again: the bytes must come out as they went in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from ottla.protocol import messages
from ottla.protocol.messages import Message
from support import schema
from support.schema import JSON
from support.wire import VERSIONS, Api
from wire.families import families, golden_file
from wire.recording import Golden

FAMILIES = families()


@pytest.mark.parametrize("family", FAMILIES)
def test_requests_read_and_write_as_recorded(family: str) -> None:
    for label, api, version, request, _response in _exchanges(family):
        frame = request[4:]
        header = messages.decode_request_header(frame)
        assert (header.api_key, header.api_version) == (api, version)
        body = frame[header.body_position :]
        read = messages.decode_request(api, version, body)
        theirs = schema.decode(schema.schema(api, version, "request"), body)
        assert _differences(theirs, read) == [], label
        assert messages.encode_request(api, version, read) == body, label
        again = messages.encode_request_header(api, version, header.correlation_id, header.client_id)
        assert again == frame[: header.body_position], label


@pytest.mark.parametrize("family", FAMILIES)
def test_responses_read_and_write_as_recorded(family: str) -> None:
    for label, api, version, _request, response in _exchanges(family):
        if response is None:
            continue
        header = messages.decode_response_header(api, version, response)
        body = response[header.body_position :]
        read = messages.decode_response(api, version, body)
        theirs = schema.decode(schema.schema(api, version, "response"), body)
        assert _differences(theirs, read) == [], label
        assert messages.encode_response(api, version, read) == body, label
        again = messages.encode_response_header(api, version, header.correlation_id)
        assert again == response[: header.body_position], label


def test_every_version_of_every_api_was_asked_and_answered() -> None:
    answered = {
        (api, version)
        for family in FAMILIES
        for _label, api, version, _request, response in _exchanges(family)
        if response is not None
    }
    wanted = {(api, version) for api, versions in VERSIONS.items() for version in versions}
    assert wanted - answered == set()


def _exchanges(family: str) -> Iterator[tuple[str, Api, int, bytes, bytes | None]]:
    """What was sent and answered as it should be: no raw frames, nothing after a body."""
    golden = Golden.read(golden_file(family))
    for scenario in FAMILIES[family].scenarios:
        for step, recorded in zip(scenario.steps, golden.scenarios[scenario.name], strict=True):
            if step.fields is not None and step.api is not None:
                response = None if step.later else recorded.response
                yield f"{scenario.name}: {step.label}", step.api, step.version, recorded.request, response


def _differences(theirs: JSON, ours: Any, path: str = "") -> list[str]:
    """Fields that the tests' reading has and ours reads otherwise (ours also has fields of other versions)."""
    if isinstance(theirs, dict):
        assert isinstance(ours, Message), path
        return [
            found
            for name, value in theirs.items()
            for found in _differences(value, getattr(ours, name, "(absent)"), f"{path}.{name}")
        ]
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        pairs = enumerate(zip(theirs, ours, strict=True))
        return [found for at, (one, other) in pairs for found in _differences(one, other, f"{path}.{at}")]
    if isinstance(ours, UUID):
        ours = ours.hex
    if isinstance(ours, memoryview):
        ours = bytes(ours)
    return [] if theirs == ours else [f"{path}: {theirs!r} read as {ours!r}"]
