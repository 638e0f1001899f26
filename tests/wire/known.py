"""Differences from Apache Kafka that are known, each with its reason: (family, scenario, step, path)."""

KNOWN: dict[tuple[str, str, str, str], str] = {}
