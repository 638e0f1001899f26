"""The three checkpoints of a log directory, written by whichever thread has the time.

The owner takes note of the offsets (`begin`, quick), a thread writes them (`Checkpoint.run`, three syncs). Two may be
under way at once, the periodic one and that of a deletion: then the one begun later wins, for the earlier may still
name logs that are gone. A file whose content has not changed is not written.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from ..protocol.values import dataclass, field
from .checkpoint import encode_offsets
from .directory_names import TopicPartition
from .files import Files


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The files as of one moment, by name. Made by the owner, written in any thread."""

    number: int
    contents: dict[str, bytes]
    writer: CheckpointWriter

    def run(self) -> None:
        """Durable on return, these or newer ones. OSError; the old ones are then still good."""
        self.writer.write(self)


@dataclass(slots=True)
class CheckpointWriter:
    """Keeps checkpoints in the order in which they were begun."""

    path: str
    files: Files
    _begun: int = 0
    _newest: int = 0
    _written: dict[str, bytes] = field(default_factory=dict)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, offsets: Mapping[str, Mapping[TopicPartition, int]]) -> Checkpoint:
        """Take note of offsets by file name."""
        self._begun += 1
        return Checkpoint(self._begun, {name: encode_offsets(each) for name, each in offsets.items()}, self)

    def write(self, checkpoint: Checkpoint) -> None:
        """Called by `Checkpoint.run`."""
        with self._turn:
            if checkpoint.number < self._newest:
                return
            self._newest = checkpoint.number
            for name, content in checkpoint.contents.items():
                if self._written.get(name) != content:
                    self._written.pop(name, None)  # if writing fails, it is not known which of the two is there
                    self.files.replace_bytes(os.path.join(self.path, name), content)
                    self._written[name] = content
