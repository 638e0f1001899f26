"""What a process costs, from /proc: processor time and memory. Linux only; elsewhere the figures are absent."""

from __future__ import annotations

import os
import re
from pathlib import Path

from .model import NotMeasured

MIB = 1 << 20


def processor_s(pid: int | None) -> float:
    """User and system time of the process so far, all threads, ended ones too."""
    after_name = _read(pid, "stat").rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int | None) -> float:
    """What the kernel calls resident."""
    found = re.search(r"^VmRSS:\s+(\d+) kB$", _read(pid, "status"), re.MULTILINE)
    if found is None:
        raise NotMeasured("the process has ended")
    return int(found[1]) * 1024 / MIB


def _read(pid: int | None, name: str) -> str:
    if pid is None:
        raise NotMeasured("the broker's process is not ours to look at")
    path = Path(f"/proc/{pid}/{name}")
    if not path.exists():
        raise NotMeasured("there is no /proc for it here")
    return path.read_text()
