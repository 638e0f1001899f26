"""What `ottla log …` does: reads a directory through the storage's own inspectors, shows what they find."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..storage.check import Finding, bytes_to_check, check_directory, check_partition, is_partition_folder
from ..storage.dump import Dumped, NotDumpable, Unreadable, dump_file
from ..storage.system_files import SystemFiles
from .dumped import json_of, lines_of
from .errors import FAILED, WRONGLY_ASKED, CommandError

# -- dump


def dump(path: Path, *, deep: bool, as_json: bool) -> None:
    show = _print_json if as_json else _print_lines
    unreadable_count = 0
    with _naming_what_the_system_refuses():
        for file, dumped in _dumps(path, deep):
            if not as_json:
                print(f"{file}:")
            for each in dumped:
                unreadable_count += isinstance(each, Unreadable)
                show(file, each)
    if unreadable_count:
        places = "place" if unreadable_count == 1 else "places"
        raise CommandError(f"{unreadable_count} {places} could not be read; `ottla log check` says what that means")


def _dumps(path: Path, deep: bool) -> Iterator[tuple[str, Iterator[Dumped]]]:
    """The file itself, or every file below a directory that has something to show, by name."""
    _must_exist(path)
    files = SystemFiles(access=os.O_RDONLY)
    if path.is_file():
        try:
            yield str(path), dump_file(str(path), files, deep=deep)
        except NotDumpable as error:
            raise CommandError(str(error), exit_code=WRONGLY_ASKED) from error
        return
    for file in _files_below(path):
        try:
            dumped = dump_file(file, files, deep=deep)
        except NotDumpable:  # Lock files and the like have nothing to show.
            continue
        yield file, dumped


def _files_below(directory: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(directory):
        folders.sort()
        for name in sorted(names):
            yield os.path.join(folder, name)


def _print_json(file: str, dumped: Dumped) -> None:
    print(json.dumps({"file": file, **json_of(dumped)}, ensure_ascii=False))


def _print_lines(_file: str, dumped: Dumped) -> None:
    for line in lines_of(dumped):
        print(f"  {line}")


# -- check


def check(path: Path, *, deep: bool, as_json: bool) -> None:
    _must_exist(path)
    if not path.is_dir():
        raise CommandError(f"{path} is not a directory", exit_code=WRONGLY_ASKED)
    files = SystemFiles(access=os.O_RDONLY)
    with _naming_what_the_system_refuses():
        total_bytes = bytes_to_check(str(path), files)
        check_this = check_partition if is_partition_folder(str(path), files) else check_directory
        with _progress_bar(total_bytes) as on_bytes:
            findings = list(check_this(str(path), files, deep=deep, on_bytes=on_bytes))
    for finding in findings:
        print(json.dumps(_finding_json(finding)) if as_json else _finding_line(finding))
    checked = f"{total_bytes / 1e6:,.1f} MB of log"
    if findings:
        counts = f"{len(findings)} finding{'' if len(findings) == 1 else 's'}"
        raise CommandError(f"{counts} in {path}, {checked} checked", exit_code=FAILED)
    if not as_json:
        print(f"{path} is sound, {checked} checked")


def _finding_line(finding: Finding) -> str:
    at = "" if finding.position is None else f" at byte {finding.position}"
    return f"{finding.severity.value}: {finding.path}{at}: {finding.what}"


def _finding_json(finding: Finding) -> dict[str, object]:
    return {
        "severity": finding.severity.value,
        "file": finding.path,
        "position": finding.position,
        "what": finding.what,
    }


@contextmanager
def _progress_bar(total_bytes: int) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal while bytes are read; nothing where there is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _count_bytes: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("checking", total=total_bytes)
        yield lambda count_bytes: progress.advance(task, count_bytes)


# -- both


def _must_exist(path: Path) -> None:
    if not path.exists():
        raise CommandError(f"{path} does not exist", exit_code=WRONGLY_ASKED)


@contextmanager
def _naming_what_the_system_refuses() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise CommandError(f"{place}{error.strerror or error}") from error
