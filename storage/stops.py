"""Where readers of a segment stopped, so that who comes back is led on without searching.

A reader comes back for exactly the offset behind what it was given.  At the tail that is where the log ended (`recent`),
however many batches were appended since; for one that is behind it is the batch that did not fit any more, of which the
place and the slot of the offset index were just found: to find them again costs two searches and a walk.

Bounded: the oldest goes first.  All of it is the log's owner's, who reads without waiting: a reader in another thread could
note what is just being cut off, or forget what the owner forgets.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from .batches import Place

KEPT_STOPS = 16

Where = TypeVar("Where")


class Stop(NamedTuple):
    """A batch, and the slot of the offset index that names it."""

    place: Place
    slot: int


class ReaderStops(Generic[Where]):
    """What is known of the offsets that readers will be back for."""

    __slots__ = ("_stops",)

    def __init__(self) -> None:
        self._stops: dict[int, Where] = {}

    def note(self, offset: int, where: Where) -> None:
        """A reader was given all in front of `offset`."""
        stops = self._stops
        if offset not in stops:
            if len(stops) >= KEPT_STOPS:
                del stops[next(iter(stops))]
            stops[offset] = where

    def find(self, offset: int) -> Where | None:
        """What was noted of it, unless it was forgotten."""
        return self._stops.get(offset)
