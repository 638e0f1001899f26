"""Looking at a log directory that no broker is using."""

from __future__ import annotations

from pathlib import Path

from ottla.storage.check import Finding, check_directory
from ottla.storage.directory_names import Mark, parse_name
from ottla.storage.system_files import SystemFiles


def findings(log_directory: Path) -> list[Finding]:
    """All that `ottla log check` would find."""
    return list(check_directory(str(log_directory), SystemFiles()))


def live_folders(log_directory: Path) -> set[str]:
    """The partition folders that are in use, but for the broker's own."""
    folders = (parse_name(path.name) for path in log_directory.iterdir() if path.is_dir())
    live = {str(folder.partition) for folder in folders if folder is not None and folder.mark is Mark.LIVE}
    return {name for name in live if not name.startswith("__")}
