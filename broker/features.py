"""Features: what this release can do in levels, and the level the cluster has agreed on (KIP-584).

A feature is *supported* in a range of levels by the release, and *finalized* at one by the cluster: the level is a record
of the catalog, made when the cluster is formed or first started with a release that knows the feature, changed by
UpdateFeatures. Level 0 is recorded, too, and means that the feature is switched off.

Clients read both from ApiVersions. `metadata.version` moves nothing here (the catalog's records have a versioning of
their own), it tells tools how new a Kafka they talk to. Refusals are those of Kafka's `FeatureControlManager`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum

from ..protocol.errors import ErrorCode, KafkaError
from ..protocol.values import dataclass
from .catalog import Catalog
from .catalog_records import CatalogRecord, FeatureLevelSet

METADATA_VERSION = "metadata.version"
GROUP_VERSION = "group.version"
TRANSACTION_VERSION = "transaction.version"


@dataclass(frozen=True, slots=True)
class Feature:
    """Levels inclusive; `default` is the one at which a new cluster finalizes it, as in Kafka 4.3.1."""

    name: str
    min_level: int
    max_level: int
    default: int


FEATURES: tuple[Feature, ...] = (
    Feature(GROUP_VERSION, 0, 1, 1),
    Feature(METADATA_VERSION, 7, 30, 30),
    Feature(TRANSACTION_VERSION, 0, 2, 2),
)

_BY_NAME = {each.name: each for each in FEATURES}


class UpgradeType(IntEnum):
    """What a change of level may be."""

    UPGRADE = 1
    SAFE_DOWNGRADE = 2
    UNSAFE_DOWNGRADE = 3


@dataclass(frozen=True, slots=True)
class FeatureUpdate:
    """One change asked for; `upgrade_type` is as it came, and may be none of UpgradeType."""

    name: str
    level: int
    upgrade_type: int


def first_levels(catalog: Catalog) -> list[CatalogRecord]:
    """What a start has to record: the level of each feature that the catalog does not know yet."""
    return [FeatureLevelSet(each.name, each.default) for each in FEATURES if each.name not in catalog.feature_levels]


def finalized_level(catalog: Catalog, name: str) -> int:
    """The level in force; 0 when the feature is switched off."""
    return catalog.feature_levels.get(name, 0)


def finalized(catalog: Catalog) -> Iterator[tuple[Feature, int]]:
    """The features that are on, with their levels."""
    for feature in FEATURES:
        level = finalized_level(catalog, feature.name)
        if level:
            yield feature, level


def decide_update_features(
    catalog: Catalog, updates: Sequence[FeatureUpdate], *, node_id: int
) -> tuple[list[CatalogRecord], None]:
    """Records for all the updates; KafkaError(INVALID_UPDATE_VERSION) and nothing when one of them cannot be."""
    for update in updates:
        why = _why_not(catalog, update, node_id)
        if why is not None:
            raise KafkaError(
                ErrorCode.INVALID_UPDATE_VERSION,
                f"The update failed for all features since the following feature had an error: {why}",
            )
    levels = {each.name: each.level for each in updates}
    return [
        FeatureLevelSet(name, level) for name, level in levels.items() if level != finalized_level(catalog, name)
    ], None


def _why_not(catalog: Catalog, update: FeatureUpdate, node_id: int) -> str | None:
    why = _why_not_level(catalog, update, node_id)
    if why is not None:
        return f"Invalid update version {update.level} for feature {update.name}. {why}"
    current = finalized_level(catalog, update.name)
    if update.name == METADATA_VERSION and update.level < current:
        return f"Unsupported metadata.version downgrade from {current} to {update.level}. {_no_way_back(update)}"
    return None


def _why_not_level(catalog: Catalog, update: FeatureUpdate, node_id: int) -> str | None:
    level, feature = update.level, _BY_NAME.get(update.name)
    if update.upgrade_type not in tuple(UpgradeType):
        return "The controller does not support the given upgrade type."
    if level < 0:
        return "A feature version cannot be less than 0."
    if feature is None:
        return f"Local controller {node_id} does not support this feature."
    if not feature.min_level <= level <= feature.max_level:
        return f"Local controller {node_id} only supports versions {feature.min_level}-{feature.max_level}"
    current = finalized_level(catalog, feature.name)
    if level < current and update.upgrade_type == UpgradeType.UPGRADE:
        return (
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or "
            "unsafe downgrade."
        )
    if level > current and update.upgrade_type != UpgradeType.UPGRADE:
        return "Can't downgrade to a newer version."
    return None


def _no_way_back(update: FeatureUpdate) -> str:
    """Kafka's words: it changes the form of its metadata with nearly every level."""
    if update.upgrade_type == UpgradeType.UNSAFE_DOWNGRADE:
        return "Unsafe metadata downgrade is not supported in this version."
    return "Refusing to perform the requested downgrade because it might delete metadata information."
