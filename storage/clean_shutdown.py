"""`.kafka_cleanshutdown`: the broker that wrote it had everything synced and closed.

    {"version":0,"brokerEpoch":12}

While it is there, no log needs recovery. It is removed, durably, before the first log is opened: a crash
while logs are being loaded must not look like a clean stop. Only its being there counts here;
`brokerEpoch` is for Apache Kafka's controller, which takes a node that cannot show its last epoch for
one that crashed. So a directory of ours carries -1 ("not known") until something else is said. Kafka's
class: `CleanShutdownFileHandler`.
"""

from __future__ import annotations

import json
import os

from .files import Files

FILE_NAME = ".kafka_cleanshutdown"
VERSION = 0
UNKNOWN_BROKER_EPOCH = -1


def encode(broker_epoch: int) -> bytes:
    """The marker's bytes."""
    return json.dumps({"version": VERSION, "brokerEpoch": broker_epoch}, separators=(",", ":")).encode()


def take(files: Files, directory: str) -> bool:
    """Whether the last stop was clean; the marker is durably gone on return."""
    path = os.path.join(directory, FILE_NAME)
    if not files.exists(path):
        return False
    files.remove(path)
    files.sync_directory(directory)
    return True


def put(files: Files, directory: str, *, broker_epoch: int = UNKNOWN_BROKER_EPOCH) -> None:
    """Mark the directory as cleanly closed.  To be called last, after everything else is synced."""
    files.replace_bytes(os.path.join(directory, FILE_NAME), encode(broker_epoch))
