"""ApiVersions: what this broker speaks. The one API that must answer even a version it does not know (KIP-511)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...protocol.apis import SUPPORTED, ApiKey
from ...protocol.errors import ErrorCode
from ...protocol.messages import Message
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker

CLIENT_SOFTWARE_FROM = 3
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
    )


HANDLERS: dict[ApiKey, Handler] = {ApiKey.API_VERSIONS: handle}
