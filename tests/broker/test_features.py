"""Features are finalized once, moved within what is supported, and remembered when they are switched off."""

from __future__ import annotations

import pytest
from ottla.broker.catalog import Catalog
from ottla.broker.features import (
    FEATURES,
    FeatureUpdate,
    UpgradeType,
    decide_update_features,
    finalized,
    finalized_level,
    first_levels,
)
from ottla.protocol.errors import ErrorCode, KafkaError


@pytest.fixture
def catalog() -> Catalog:
    formed = Catalog()
    for record in first_levels(formed):
        formed.apply(record)
    return formed


def update(catalog: Catalog, *updates: FeatureUpdate) -> None:
    records, _ = decide_update_features(catalog, updates, node_id=1)
    for record in records:
        catalog.apply(record)


def test_a_new_cluster_has_every_feature_at_its_default_and_the_next_start_records_nothing(catalog: Catalog) -> None:
    assert [(feature.name, level) for feature, level in finalized(catalog)] == [
        (each.name, each.default) for each in FEATURES
    ]
    assert first_levels(catalog) == []


def test_a_feature_switched_off_is_not_finalized_and_stays_off_over_a_restart(catalog: Catalog) -> None:
    update(catalog, FeatureUpdate("group.version", 0, UpgradeType.SAFE_DOWNGRADE))

    again = Catalog()
    for record in catalog.snapshot():
        again.apply(record)

    assert finalized_level(again, "group.version") == 0
    assert "group.version" not in [feature.name for feature, _ in finalized(again)]
    assert first_levels(again) == []


def test_one_update_that_cannot_be_leaves_the_others_undone(catalog: Catalog) -> None:
    down = FeatureUpdate("group.version", 0, UpgradeType.SAFE_DOWNGRADE)

    with pytest.raises(KafkaError) as refused:
        update(catalog, down, FeatureUpdate("metadata.version", 31, UpgradeType.UPGRADE))

    assert refused.value.code is ErrorCode.INVALID_UPDATE_VERSION
    assert finalized_level(catalog, "group.version") == 1


def test_an_update_to_the_level_that_is_in_force_writes_nothing(catalog: Catalog) -> None:
    same = FeatureUpdate("group.version", 1, UpgradeType.UPGRADE)

    assert decide_update_features(catalog, [same, same], node_id=1) == ([], None)
