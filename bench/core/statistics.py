"""Medians, percentiles and ratios: pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and the smallest and largest of what it was taken of."""

    median: float
    smallest: float
    largest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread | None:
    """Ours over theirs, alternation by alternation, so that what slows the machine for a while slows both.

    None where there is nothing to divide by (a processor time below the clock's resolution).
    """
    pairs = [mine / other for mine, other in zip(ours, theirs, strict=False) if other]
    return Spread.of(pairs) if pairs else None


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that is not below `share` (0 to 1) of all; nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
