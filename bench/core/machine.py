"""Which machine this is, without its name, and whether it is quiet enough to measure on."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path

SAMPLED_S = 2.0
BUSY_PERCENT = 15.0
BUSY_LOAD_PER_CORE = 0.75


@dataclass(frozen=True, slots=True)
class Machine:
    """What a reader needs to know to place the figures."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    file_system: str
    python: str

    @classmethod
    def here(cls, directory: Path) -> Machine:
        return cls(
            _processor(),
            os.cpu_count() or 1,
            round(_meminfo_kib("MemTotal") / (1 << 20), 1),
            f"{platform.system()} {platform.release().partition('-')[0]}",
            _file_system(directory),
            platform.python_version(),
        )

    def values(self) -> dict[str, str | int | float]:
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.cores} cores ({self.processor}), {self.memory_gib:g} GiB, {self.system}, {self.file_system}, "
            f"Python {self.python}"
        )


def why_busy() -> str | None:
    """None when the machine is quiet, else what it does: the processor's use, sampled, and the load average."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return busy(_used_percent(SAMPLED_S), load, os.cpu_count() or 1)


def busy(used_percent: float, load: float, cores: int) -> str | None:
    """The verdict on what was seen, None for a quiet machine."""
    if used_percent > BUSY_PERCENT:
        return f"the processors are in use for {used_percent:.0f} % (load average {load:.2f})"
    if load > BUSY_LOAD_PER_CORE * cores:
        return f"the load average is {load:.2f} on {cores} cores"
    return None


def _used_percent(seconds: float) -> float:
    before = _processor_ticks()
    time.sleep(seconds)
    after = _processor_ticks()
    if before is None or after is None or after[0] == before[0]:
        return 0.0
    return 100 * (1 - (after[1] - before[1]) / (after[0] - before[0]))


def _processor_ticks() -> tuple[int, int] | None:
    """All ticks of all processors so far, and those of them that were idle."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    ticks = [int(each) for each in stat.read_text().splitlines()[0].split()[1:9]]
    return sum(ticks), ticks[3] + ticks[4]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _meminfo_kib(name: str) -> int:
    info = Path("/proc/meminfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
    return 0


def _file_system(directory: Path) -> str:
    """The kind of the mount that holds `directory`."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "unknown file system"
    inside = [line.split()[1:3] for line in mounts.read_text().splitlines()]
    path = str(directory.resolve())
    _, kind = max((each for each in inside if path.startswith(each[0])), key=lambda each: len(each[0]))
    return kind
