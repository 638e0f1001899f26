"""From what the user wrote to a BrokerConfig.

    flag  >  --set KEY=VALUE  >  OTTLA_KEY in the environment  >  the file  >  default

All four speak Kafka's names; the environment writes them in capitals, underscores for dots
(`OTTLA_NUM_PARTITIONS=4`).  Whatever is wrong becomes one ConfigError: one line that says what, and where it
stood.

What Kafka knows and we have no use for is accepted, so that a Kafka `server.properties` starts us: its
settings, the same under a prefix (`listener.name.<name>.`), and those of its plugins; the caller is told which.
A name that Kafka does not know is refused, because it is a mistyped one.  An unknown OTTLA_ variable is not:
Kubernetes gives every container of a namespace OTTLA_PORT and OTTLA_SERVICE_HOST once a service is called
"ottla".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..protocol.values import dataclass
from .config import BrokerConfig
from .properties import read_properties
from .settings import BROKER_SETTINGS, InvalidSetting

ENVIRONMENT_PREFIX = "OTTLA_"

_PREFIXED = re.compile(r"listener\.name\.[^.]+\.(?:[^.]+\.sasl\.)?.+|rlmm\.config\..+|rsm\.config\..+")


class ConfigError(ValueError):
    """The configuration cannot be used; the text is one line for the person who wrote it."""


@dataclass(frozen=True, slots=True)
class Given:
    """A setting as it was written, and where."""

    name: str
    text: str
    place: str


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """The configuration, and the names in it that have no effect."""

    config: BrokerConfig
    without_effect: tuple[str, ...]


def load_config(
    *,
    file: Path | None = None,
    environ: Mapping[str, str],
    sets: Sequence[str] = (),
    flags: Mapping[str, Given],
) -> LoadedConfig:
    """Everything that was written, the strongest last, as one checked configuration."""
    given: dict[str, Given] = {}
    without_effect: set[str] = set()
    for each in (*_from_file(file), *_from_environment(environ), *_from_sets(sets), *flags.values()):
        if each.name in BROKER_SETTINGS:
            given[each.name] = each
            if not BROKER_SETTINGS[each.name].acts:
                without_effect.add(each.name)
        elif _PREFIXED.fullmatch(each.name):
            without_effect.add(each.name)
        else:
            raise ConfigError(f"{each.place}: {_unknown(each.name)}")
    return LoadedConfig(_checked(given), tuple(sorted(without_effect)))


def _checked(given: Mapping[str, Given]) -> BrokerConfig:
    """Single values first, so that the message can name the place; then all of them together."""
    for each in given.values():
        try:
            BROKER_SETTINGS[each.name].parse(each.text)
        except InvalidSetting as error:
            raise ConfigError(f"{each.place}: {error}") from error
    try:
        return BrokerConfig({each.name: each.text for each in given.values()})
    except InvalidSetting as error:
        raise ConfigError(str(error)) from error


def _from_file(file: Path | None) -> Iterator[Given]:
    if file is None:
        return
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read {file}: it is not UTF-8 text") from error
    for name, value, line in read_properties(text):
        yield Given(name, value, f"{file}, line {line}")


def _from_environment(environ: Mapping[str, str]) -> Iterator[Given]:
    for name in BROKER_SETTINGS:
        variable = ENVIRONMENT_PREFIX + name.replace(".", "_").upper()
        if variable in environ:
            yield Given(name, environ[variable], variable)


def _from_sets(sets: Iterable[str]) -> Iterator[Given]:
    for entry in sets:
        name, equals, text = entry.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"--set {entry}: write it as --set KEY=VALUE")
        yield Given(name.strip(), text, "--set")


def _unknown(name: str) -> str:
    # Only for this message; it is not worth its import at every start.
    from difflib import get_close_matches

    similar = get_close_matches(name, BROKER_SETTINGS, n=1, cutoff=0.8)
    hint = f"; did you mean {similar[0]}?" if similar else ""
    return f"{name} is not a setting of Kafka or Ottla{hint}"
