"""How the assignors of consumer groups are called, for the setting `group.consumer.assignors`; see `assignors`."""

from __future__ import annotations

ASSIGNOR_NAMES = ("range", "uniform")

JAVA_CLASSES = {
    "org.apache.kafka.coordinator.group.assignor.RangeAssignor": "range",
    "org.apache.kafka.coordinator.group.assignor.UniformAssignor": "uniform",
}
"""A configuration that comes from Kafka may name its classes."""


def is_assignor(name: str) -> bool:
    """Whether the setting may have this word."""
    return name in ASSIGNOR_NAMES or name in JAVA_CLASSES
