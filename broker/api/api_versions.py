"""ApiVersions: what this broker speaks. The one API that must answer even a version it does not know (KIP-511)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...protocol.apis import SUPPORTED, ApiKey
from ...protocol.errors import ErrorCode
from ...protocol.messages import Message
from ..features import FEATURES, finalized
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker

CLIENT_SOFTWARE_FROM = 3
LOWEST_LEVEL_0_FROM = 4
"""Clients of the version before stumble over a feature whose lowest level is 0 (KIP-1022): to them it is not shown."""
_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")
UNSUPPORTED_VERSION_ANSWER = Message(
    error_code=ErrorCode.UNSUPPORTED_VERSION,
    api_keys=[
        Message(
            api_key=ApiKey.API_VERSIONS,
            min_version=SUPPORTED[ApiKey.API_VERSIONS].min_version,
            max_version=SUPPORTED[ApiKey.API_VERSIONS].max_version,
        )
    ],
)
"""Sent in the form of version 0 to a client that asks in a version above ours; it then asks again."""


def handle(broker: Broker, context: RequestContext, request: Message) -> Message:
    """All APIs with their versions, and the features; a client's name and version must be speakable (KIP-511)."""
    if context.api_version >= CLIENT_SOFTWARE_FROM:
        named = (request.client_software_name, request.client_software_version)
        if not all(_SOFTWARE.fullmatch(each) for each in named):
            return Message(error_code=ErrorCode.INVALID_REQUEST)
    return Message(
        error_code=ErrorCode.NONE,
        api_keys=[
            Message(api_key=each.key, min_version=each.min_version, max_version=each.max_version)
            for each in SUPPORTED.values()
        ],
        supported_features=[
            Message(name=each.name, min_version=each.min_level, max_version=each.max_level)
            for each in FEATURES
            if each.min_level > 0 or context.api_version >= LOWEST_LEVEL_0_FROM
        ],
        finalized_features_epoch=broker.journal.end_offset,
        finalized_features=[
            Message(name=each.name, max_version_level=level, min_version_level=level)
            for each, level in finalized(broker.catalog)
        ],
    )


HANDLERS: dict[ApiKey, Handler] = {ApiKey.API_VERSIONS: handle}
