"""A cleaned segment taking the place of those it was made from, in steps of which a crash may separate any two.

    .log.cleaned ...          written, synced, and their names synced       found at a start: removed
    .log.swap ...             renamed, and the names synced                 found at a start: takes the old ones' place
    (readers find the new segment from here on)
    .log.<n>.deleted ...      the old segments' files, renamed, synced      found at a start: removed
    .log ...                  the new one under its own names, synced

The rules for a start are Apache Kafka's (`leftovers`), so a directory that one of the two left half-way is brought to an
end by the other. The last step but one has an order. What a start removes for the sake of a `.swap` file is what lies in
the range of its batches; an old segment behind that (all of it was removed) must not outlive one in front of it, for it
was removed knowing what the one behind says. Therefore the oldest goes first, and those behind the new one's last batch
are synced one by one.

An old segment stays readable until its files are removed, under names that carry a number, for the segment that took its
base offset will be replaced in turn, and perhaps before that. Kafka: `LocalLog.replaceSegments`.
"""

from __future__ import annotations

from ...protocol.values import dataclass, field
from ..files import Files
from ..names import Mark
from ..segment import Segment


class HalfReplaced(OSError):
    """The disk failed between two names: what the next start will find is not known."""


@dataclass(slots=True, eq=False)
class Replacement:
    """`new` is durable under its `.swap` names and takes the place of `old`, which it was made from."""

    files: Files
    directory: str
    old: list[Segment]
    new: Segment
    next_kept_offset: int  # behind the new segment's last batch
    number: int = 0  # what the old files' names will carry; given by the owner
    snapshots: list[str] = field(default_factory=list)  # paths of producer snapshots that have lost their segment

    def settle(self) -> None:
        """Put the old files away and the new names right, durably (any thread). HalfReplaced."""
        try:
            self._put_old_away()
            self.new.files.rename(Mark.LIVE)
            self.files.sync_directory(self.directory)
        except OSError as error:
            raise HalfReplaced(*error.args) from error

    def _put_old_away(self) -> None:
        for segment in self.old:
            segment.files.mark_replaced(self.number)
            if segment.base_offset >= self.next_kept_offset:
                self.files.sync_directory(self.directory)
        for path in self.snapshots:
            self.files.remove(path)
        self.files.sync_directory(self.directory)


def write_names(files: Files, directory: str, new: Segment) -> None:
    """Rename the files of a durable `.cleaned` segment to `.swap`, durably. OSError: they are gone; HalfReplaced."""
    try:
        new.files.rename(Mark.SWAP)
        files.sync_directory(directory)
    except OSError:
        _undo(files, directory, new)
        raise


def _undo(files: Files, directory: str, new: Segment) -> None:
    """A `.swap` file that stayed would one day replace what has long become something else."""
    try:
        new.files.remove(Mark.SWAP)
        new.files.remove(Mark.CLEANED)
        files.sync_directory(directory)
    except OSError as error:
        raise HalfReplaced(*error.args) from error
