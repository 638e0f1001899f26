"""Where the slices end that readers of a segment were given, so that who comes back is led on without searching.

A reader that is behind takes a run of whole batches and comes back for the one behind it.  Where that begins, which offset
it has and which slot of the offset index names it was just found; to find it again costs two searches and a walk.

Bounded (`KEPT_STOPS`), and for the log's owner only: a reader in another thread could note what is being cut off.
"""

from __future__ import annotations

from typing import NamedTuple

from .batches import Place

KEPT_STOPS = 16


class Stop(NamedTuple):
    """A batch, and the slot of the offset index that names it."""

    place: Place
    slot: int


class ReaderStops:
    """Those of one segment, by their batches' base offsets; the oldest goes first."""

    __slots__ = ("_stops",)

    def __init__(self) -> None:
        self._stops: dict[int, Stop] = {}

    def note(self, stop: Stop) -> None:
        """A reader was given all in front of that batch."""
        stops = self._stops
        offset = stop.place.base_offset
        if offset not in stops:
            if len(stops) >= KEPT_STOPS:
                del stops[next(iter(stops))]
            stops[offset] = stop

    def find(self, offset: int) -> Stop | None:
        """The one that begins with `offset`."""
        return self._stops.get(offset)
