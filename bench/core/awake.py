"""The machine with its processors kept awake: none of them sleeps while nothing is to be done, however short the pause.

An idle processor halts, and on a virtual machine the host has to be asked to wake it: about 50 µs, several times on the way
of one request that is waited for, which is most of a small latency and says nothing of who answered.  Linux's PM QoS
interface takes a bound on how long waking may take: an int32 of microseconds, native order, written to
`/dev/cpu_dma_latency`, in force as long as the file is open.  With 0 the kernel polls instead of halting (cyclictest
measures so, too).  Where the kernel does not manage the idling of its processors, the file is there and changes nothing.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from .model import Case, NotMeasured

LATENCY_FILE = Path("/dev/cpu_dma_latency")
NO_LATENCY = struct.pack("=i", 0)
NAMED = "processors kept awake"


@contextmanager
def processors_awake(file: Path = LATENCY_FILE) -> Iterator[None]:
    """As long as this is open. NotMeasured where it cannot be had, with what to do about it."""
    try:
        held = os.open(file, os.O_WRONLY)
    except OSError as error:
        raise NotMeasured(
            f"run the bench as root on Linux to keep the processors awake ({file}: {error.strerror})"
        ) from error
    try:
        os.write(held, NO_LATENCY)
        yield
    finally:
        os.close(held)


def and_awake(cases: Sequence[Case]) -> list[Case]:
    """Each of them as the machine is, and once more with its processors kept awake, which its name says."""
    return [*cases, *(replace(each, name=f"{each.name}, {NAMED}", state=processors_awake) for each in cases)]
