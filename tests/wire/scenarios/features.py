"""UpdateFeatures (KIP-584), and ApiVersions as it tells of features afterwards."""

from typing import Any

from support.scenarios import Family, Scenario, Step, call, every
from support.wire import Api

UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE = 1, 2, 3
TIMEOUT_MS = 30_000
LATEST = 30


def change(feature: str, level: int, kind: int = UPGRADE) -> dict[str, Any]:
    return {"feature": feature, "max_version_level": level, "upgrade_type": kind}


def update(label: str, *changes: dict[str, Any], version: int = 2, validate_only: bool = False) -> Step:
    return call(
        Api.UPDATE_FEATURES,
        version,
        label,
        timeout_ms=TIMEOUT_MS,
        feature_updates=list(changes),
        validate_only=validate_only,
    )


def told(label: str) -> Step:
    return call(Api.API_VERSIONS, 3, label, client_software_name="wire-tests", client_software_version="1.0")


def both(label: str, *changes: dict[str, Any], **more: Any) -> list[Step]:
    """In v1, where each feature has an error of its own, and in v2."""
    return [update(label, *changes, version=version, **more) for version in (1, 2)]


FEATURES = [
    Scenario("at first", [told("features")]),
    Scenario(
        "to where it is, in every version",
        every(
            Api.UPDATE_FEATURES,
            {
                "timeout_ms": TIMEOUT_MS,
                "feature_updates": [{"feature": "metadata.version", "max_version_level": LATEST}],
            },
        ),
    ),
    Scenario(
        "levels",
        [
            *both("unknown feature", change("no.such.feature", 1)),
            *both("empty name", change("", 1)),
            *both("too high", change("metadata.version", LATEST + 1)),
            *both("too high for groups", change("group.version", 2)),
            *both("too low", change("metadata.version", 6, UNSAFE_DOWNGRADE)),
            *both("zero", change("metadata.version", 0, UNSAFE_DOWNGRADE)),
            *both("negative", change("group.version", -1)),
            *both("down as upgrade", change("group.version", 0)),
            *both("up as downgrade", change("group.version", 2, SAFE_DOWNGRADE)),
            *both("metadata down as upgrade", change("metadata.version", LATEST - 1)),
            *both("unknown type", change("group.version", 0, 0)),
            *both("unknown type 4", change("group.version", 0, 4)),
            *both("nothing"),
            *both("twice", change("group.version", 1), change("group.version", 1)),
            *both("good and bad", change("group.version", 1), change("metadata.version", LATEST + 1)),
            *both("raft", change("kraft.version", 1)),
        ],
    ),
    Scenario(
        "only said",
        [
            *both("down", change("group.version", 0, SAFE_DOWNGRADE), validate_only=True),
            *both("metadata down", change("metadata.version", LATEST - 1, SAFE_DOWNGRADE), validate_only=True),
            *both("metadata down unsafe", change("metadata.version", LATEST - 1, UNSAFE_DOWNGRADE), validate_only=True),
            *both("metadata far down", change("metadata.version", 7, SAFE_DOWNGRADE), validate_only=True),
            *both("metadata far down unsafe", change("metadata.version", 7, UNSAFE_DOWNGRADE), validate_only=True),
            told("as before"),
        ],
    ),
    Scenario(
        "down and up",
        [
            update("down", change("group.version", 0, SAFE_DOWNGRADE)),
            told("without groups"),
            update("up", change("group.version", 1)),
            told("with groups"),
        ],
    ),
    Scenario(
        "no time",
        [
            call(Api.UPDATE_FEATURES, 2, "0", timeout_ms=0, feature_updates=[change("group.version", 1)]),
            call(Api.UPDATE_FEATURES, 2, "-1", timeout_ms=-1, feature_updates=[change("group.version", 1)]),
        ],
    ),
]

FAMILIES = [Family("update_features", FEATURES)]
