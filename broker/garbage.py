"""How the collector of cycles behaves in a broker's process.

Requests come and go by reference counting; hardly anything here makes a cycle. What is there after the start (modules,
settings, partitions, ten thousand logs) stays, so it is put out of the collector's sight. New objects are counted in tens of
thousands, not hundreds, before they are looked at: the default looks again and again at the pending replies of a busy
connection, which are gone a moment later, and during a start at what is being loaded, which is all there to stay.
"""

from __future__ import annotations

import gc

NEW_OBJECTS = 50_000
"""A few megabytes; what is in a cycle waits so long at most, as ever."""
MIDDLE, OLD = 20, 20


def look_seldom() -> None:
    """Called once, before anything is loaded."""
    gc.set_threshold(NEW_OBJECTS, MIDDLE, OLD)


def settle() -> None:
    """Called once, when the broker has started."""
    gc.freeze()
