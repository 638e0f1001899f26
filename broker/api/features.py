"""UpdateFeatures: the cluster agrees on other levels of its features. What they are now, ApiVersions tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..catalog_records import CatalogRecord
from ..features import FeatureUpdate, UpgradeType, decide_update_features
from .context import Handler, RequestContext
from .deciding import decide, validated

if TYPE_CHECKING:
    from ..app import Broker

UPGRADE_TYPE_FROM = 1
"""Before, a field said only whether a downgrade is allowed."""


async def update_features(broker: Broker, context: RequestContext, request: Message) -> Message:
    """All updates or none. The request's own timeout, even 0, bounds nothing, as in Kafka."""
    updates = [FeatureUpdate(each.feature, each.max_version_level, _type(context, each)) for each in
               request.feature_updates]  # fmt: skip

    def decision() -> tuple[list[CatalogRecord], None]:
        return decide_update_features(broker.catalog, updates, node_id=broker.node_id)

    try:
        await decide(
            broker,
            validated(decision) if request.validate_only else decision,
            timeout_ms=broker.config.whole("request.timeout.ms"),
        )
    except KafkaError as refusal:
        return Message(error_code=refusal.code, error_message=refusal.message, results=[])
    results = [Message(feature=each.name, error_code=ErrorCode.NONE, error_message="NONE") for each in updates]
    return Message(error_code=ErrorCode.NONE, error_message=None, results=results)


def _type(context: RequestContext, update: Message) -> int:
    if context.api_version >= UPGRADE_TYPE_FROM:
        return int(update.upgrade_type)
    return UpgradeType.SAFE_DOWNGRADE if update.allow_downgrade else UpgradeType.UPGRADE


HANDLERS: dict[ApiKey, Handler] = {ApiKey.UPDATE_FEATURES: update_features}
