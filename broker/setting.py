"""What a setting is: a name, a type, a default, what may be said, when it may be changed.

Text goes in (a file, a flag, the environment, AlterConfigs), a checked value comes out, and the value can be
written as text again, the way Kafka writes it:

    Setting.parse("  TRUE ") -> True        Setting.format(True) -> "true"

Parsing follows Kafka's `ConfigDef`, to its error texts, because clients show them to people and tests compare
them: values are trimmed, booleans ignore case, numbers have Java's ranges and Java's syntax (no `1_000`, no
`0x10`, no `1e3` for a whole number), a list is split at commas.  One wilful difference: Kafka lets NaN pass
through every range; we do not.

The tables themselves are in `settings`; nothing here knows a setting by name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from enum import Enum, IntEnum

from ..protocol.values import dataclass

Value = bool | int | float | str | tuple[str, ...] | None
"""A parsed value.  None: not set, and no default."""

Check = Callable[[str, Value], None]
"""Takes a setting's name and a parsed value; raises InvalidSetting."""


class InvalidSetting(ValueError):
    """A value that the setting does not take, or a name that nobody knows; the text is Kafka's."""


class SettingType(IntEnum):
    """Kafka's types, numbered as DescribeConfigs sends them."""

    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


class Update(Enum):
    """When, and for how many brokers at once, a broker setting may change while the broker runs."""

    READ_ONLY = "read-only"
    PER_BROKER = "per-broker"
    CLUSTER_WIDE = "cluster-wide"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One row of a table.

    `acts` says that this broker reads the setting; one that does not act is accepted, checked, kept and
    described, because Kafka knows it.  An `internal` setting is Kafka's own secret: it can be set, and is not
    described.  `synonyms` names, for a topic setting, the broker settings behind its default, the strongest
    first.
    """

    name: str
    type: SettingType
    default: Value
    check: Check | None = None
    update: Update = Update.READ_ONLY
    acts: bool = False
    internal: bool = False
    doc: str = ""
    synonyms: tuple[str, ...] = ()

    @property
    def is_sensitive(self) -> bool:
        """Its value must reach no log, and no client."""
        return self.type is SettingType.PASSWORD

    @property
    def is_read_only(self) -> bool:
        return self.update is Update.READ_ONLY

    def parse(self, text: str) -> Value:
        """The checked value of `text`, or InvalidSetting."""
        value = _PARSERS[self.type](self.name, text)
        if isinstance(self.check, Entries):
            assert isinstance(value, tuple), f"{self.name} is not a list"
            value = tuple(dict.fromkeys(value))
        if self.check is not None:
            self.check(self.name, value)
        return value

    def format(self, value: Value) -> str | None:
        """`value` as Kafka writes it; None stays None."""
        return format_value(value)


def invalid(name: str, value: object, why: str) -> InvalidSetting:
    """The sentence with which Kafka refuses a value."""
    return InvalidSetting(f"Invalid value {value} for configuration {name}: {why}")


def format_value(value: Value) -> str | None:
    """A value as text, the way Java prints it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _java_double(value)
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value)


def _java_double(value: float) -> str:
    """Java's Double.toString: scientific from ten million on and below a thousandth."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value)
    shortest = next(text for n in range(17) if float(text := f"{value:.{n}e}") == value)
    mantissa, exponent = shortest.split("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{int(exponent)}"


# -- text to value

_JAVA_WHITESPACE = "".join(map(chr, range(33)))
_WHOLE_NUMBER = re.compile(r"[+-]?\d+")
_DECIMAL_NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|Infinity)[fFdD]?|NaN")
_BITS = {SettingType.SHORT: 16, SettingType.INT: 32, SettingType.LONG: 64}


def _parse_boolean(name: str, text: str) -> Value:
    word = text.strip(_JAVA_WHITESPACE).lower()
    if word not in ("true", "false"):
        raise invalid(name, text, "Expected value to be either true or false")
    return word == "true"


def _whole_number_parser(type_: SettingType) -> Callable[[str, str], Value]:
    limit = 1 << (_BITS[type_] - 1)

    def parse(name: str, text: str) -> Value:
        word = text.strip(_JAVA_WHITESPACE)
        # A very long run of digits is refused before Python would spend its time (and its limit) on it.
        if len(word) > 64 or not _WHOLE_NUMBER.fullmatch(word) or not -limit <= int(word) < limit:
            raise invalid(name, text, f"Not a number of type {type_.name}")
        return int(word)

    return parse


def _parse_double(name: str, text: str) -> Value:
    word = text.strip(_JAVA_WHITESPACE)
    if not _DECIMAL_NUMBER.fullmatch(word):
        raise invalid(name, text, "Not a number of type DOUBLE")
    return float(word.rstrip("fFdD"))


def _parse_text(_name: str, text: str) -> Value:
    return text.strip(_JAVA_WHITESPACE)


def _parse_list(_name: str, text: str) -> Value:
    words = text.strip(_JAVA_WHITESPACE)
    return tuple(re.split(r"\s*,\s*", words)) if words else ()


_PARSERS: dict[SettingType, Callable[[str, str], Value]] = {
    SettingType.BOOLEAN: _parse_boolean,
    SettingType.STRING: _parse_text,
    SettingType.INT: _whole_number_parser(SettingType.INT),
    SettingType.SHORT: _whole_number_parser(SettingType.SHORT),
    SettingType.LONG: _whole_number_parser(SettingType.LONG),
    SettingType.DOUBLE: _parse_double,
    SettingType.LIST: _parse_list,
    SettingType.CLASS: _parse_text,
    SettingType.PASSWORD: _parse_text,
}


# -- what a value may be


def between(least: float | None, most: float | None = None) -> Check:
    """A number from `least` to `most`, both included; None leaves a side open."""

    def check(name: str, value: Value) -> None:
        assert isinstance(value, (int, float)), f"{name} is not a number"
        if least is not None and not value >= least:
            raise invalid(name, format_value(value), f"Value must be at least {least}")
        if most is not None and not value <= most:
            raise invalid(name, format_value(value), f"Value must be no more than {most}")

    return check


def at_least(least: float) -> Check:
    return between(least)


def one_of(*words: str) -> Check:
    """Exactly one of these words."""

    def check(name: str, value: Value) -> None:
        if value not in words:
            raise invalid(name, value, f"String must be one of: {', '.join(words)}")

    return check


def one_of_ignoring_case(*words: str) -> Check:
    def check(name: str, value: Value) -> None:
        if str(value).upper() not in words:
            raise invalid(name, value, f"String must be one of (case insensitive): {', '.join(words)}")

    return check


def not_empty(name: str, value: Value) -> None:
    """A text of at least one character."""
    if value == "":
        raise invalid(name, value, "String must be non-empty")


class Entries:
    """A list whose entries are there, and among `words` if any are given.

    What is named twice counts once (KIP-1161): `Setting.parse` leaves the repetition out before this looks.
    """

    def __init__(self, words: tuple[str, ...], *, may_be_empty: bool) -> None:
        self._words = words
        self._may_be_empty = may_be_empty
        self._allowed = one_of(*words)

    def __call__(self, name: str, value: Value) -> None:
        assert isinstance(value, tuple), f"{name} is not a list"
        if not value and not self._may_be_empty:
            known = f"[{', '.join(self._words)}]" if self._words else "any non-empty value"
            raise InvalidSetting(f"Configuration '{name}' must not be empty. Valid values include: {known}")
        if "" in value:
            raise InvalidSetting(f"Configuration '{name}' values must not be empty.")
        for word in value if self._words else ():
            self._allowed(name, word)


def entries(*words: str, may_be_empty: bool = True) -> Check:
    return Entries(words, may_be_empty=may_be_empty)
