"""Files that a crash left half-way between two states, brought to one of them.

`.deleted` files go, at the very end (`recovery` says why). Index files without a log go at once. What
Apache Kafka's cleaner left is brought to an end the way Kafka does it
(`LogLoader.removeTempFilesAndCollectSwapFiles`): compaction writes `.cleaned` files, renames them to
`.swap`, the newest segment first, puts the old segments away, and takes the `.swap` off. So

- a `.cleaned` file means the renaming was not done: it goes, and so do the `.swap` files from its offset on,
- a `.swap` file without one is whole: the old segments in its range go, and it takes their place.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from .batches import iter_headers
from .files import Files
from .names import FileName, Kind, Mark, file_name, parse_file_name


def clear_leftovers(files: Files, directory: str) -> tuple[set[str], list[str]]:
    """Returns the names that are in the folder afterwards, and those that were removed."""
    names = set(files.list_files(directory))
    parsed = _parse(names)
    doomed = [name for name, each in parsed.items() if each.mark is Mark.CLEANED]
    swaps = [each for each in parsed.values() if each.mark is Mark.SWAP]
    if swaps:
        _finish_swaps(files, directory, swaps, parsed, doomed)
        names = set(files.list_files(directory))
        parsed = _parse(names)
    doomed += [name for name, each in parsed.items() if _is_orphan(each, names)]
    removed = sorted(set(doomed))
    for name in removed:
        files.remove(os.path.join(directory, name))
    return names.difference(removed), removed


def _parse(names: set[str]) -> dict[str, FileName]:
    return {name: each for name in names if (each := parse_file_name(name)) is not None}


def _is_orphan(name: FileName, names: set[str]) -> bool:
    if name.mark is not Mark.LIVE or name.kind in (Kind.LOG, Kind.SNAPSHOT):
        return False
    return file_name(name.base_offset, Kind.LOG) not in names


def _finish_swaps(
    files: Files, directory: str, swaps: list[FileName], parsed: dict[str, FileName], doomed: list[str]
) -> None:
    first_cleaned = min((each.base_offset for each in parsed.values() if each.mark is Mark.CLEANED), default=None)
    if first_cleaned is not None:
        doomed += [file_name(*each) for each in swaps if each.base_offset >= first_cleaned]
        swaps = [each for each in swaps if each.base_offset < first_cleaned]
    first, end = _range_of(files, directory, swaps)
    for name, each in parsed.items():
        if each.mark is Mark.LIVE and first <= each.base_offset < end:
            files.remove(os.path.join(directory, name))
    files.sync_directory(directory)  # else a second crash could leave both, the new one and what it replaces
    for each in swaps:
        live = file_name(each.base_offset, each.kind)
        files.rename(os.path.join(directory, file_name(*each)), os.path.join(directory, live))


def _range_of(files: Files, directory: str, swaps: Iterable[FileName]) -> tuple[int, int]:
    """The offsets that the segments being put in place cover; nothing if there is no log among them."""
    first, end = 2**63, -1
    for each in swaps:
        if each.kind is not Kind.LOG:
            continue
        path = os.path.join(directory, file_name(*each))
        file = files.open(path)
        first, end = min(first, each.base_offset), max(end, each.base_offset + 1)
        for _, header in iter_headers(file.read, 0, files.size(path)):
            end = max(end, header.next_offset)
        file.close()
    return first, end
