"""Reads the options of `ottla groups reset-offsets`: which groups, which partitions, and the one wish about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import WRONGLY_ASKED, CommandError
from .group_reset import Reset
from .offset_reset import Target, Wish, parse_duration, parse_time
from .offset_scope import parse_scopes

Given = bool | int | str | Path | None

_PLAIN = {"--to-earliest": Target.EARLIEST, "--to-latest": Target.LATEST, "--to-current": Target.CURRENT}
_NUMBERED = {"--to-offset": Target.OFFSET, "--shift-by": Target.SHIFT}
FROM_FILE = "--from-file"


def asked_for(
    *,
    groups: Sequence[str],
    all_groups: bool,
    topics: Sequence[str],
    all_topics: bool,
    wishes: Mapping[str, Given],
    now_ms: int,
) -> Reset:
    """CommandError when the options contradict one another, or something is missing."""
    if all_groups == bool(groups):
        raise _wrong("name the groups, or give --all-groups")
    given = {option: value for option, value in wishes.items() if value is not None}
    if len(given) != 1:
        said = f"you gave {' and '.join(given)}" if given else f"one of {', '.join(wishes)}"
        raise _wrong(f"say once where to reset to: {said}")
    ((option, value),) = given.items()
    if isinstance(value, Path):
        return _of_file(value, groups, has_scope=bool(topics) or all_topics)
    if all_topics == bool(topics):
        raise _wrong("say which partitions: --topic TOPIC, --topic TOPIC:0,1 or --all-topics")
    return Reset(tuple(dict.fromkeys(groups)), tuple(parse_scopes(topics)), _wish(option, value, now_ms))


def _of_file(file: Path, groups: Sequence[str], *, has_scope: bool) -> Reset:
    if has_scope:
        raise _wrong("the file says which partitions: leave out --topic and --all-topics")
    if not file.is_file():
        raise _wrong(f"{FROM_FILE} {file}: there is no such file")
    return Reset(tuple(dict.fromkeys(groups)), (), file=file)


def _wish(option: str, value: Given, now_ms: int) -> Wish:
    if option in _PLAIN:
        return Wish(_PLAIN[option])
    if option in _NUMBERED and isinstance(value, int):
        return Wish(_NUMBERED[option], value)
    text = str(value)
    at_ms = parse_time(text) if option == "--to-datetime" else now_ms - parse_duration(text)
    return Wish(Target.TIME, max(at_ms, 0))  # negative times mean other things to a broker


def _wrong(why: str) -> CommandError:
    return CommandError(why, exit_code=WRONGLY_ASKED)
