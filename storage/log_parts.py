"""What a log is put together from, for those that look after one side of it (`compaction.owner`)."""

from __future__ import annotations

from ..protocol.values import dataclass
from .deletion import DeletedSegments
from .durability import Durability
from .files import Files
from .segments import Segments
from .snapshots import Snapshots


@dataclass(frozen=True, slots=True)
class LogParts:
    """Shared with the log, and used by its owner's thread alone."""

    files: Files
    segments: Segments
    snapshots: Snapshots
    durability: Durability
    deleted: DeletedSegments
