"""The tables say what Apache Kafka 4.3.1 says: recorded from its own definitions, setting by setting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.broker.broker_settings import KAFKA_DEFAULTS
from ottla.broker.setting import Setting, SettingType, Value, format_value
from ottla.broker.settings import BROKER_SETTINGS, TOPIC_SETTINGS, InvalidSetting

HERE = Path(__file__).parent
TABLES = {"topic": TOPIC_SETTINGS, "broker": BROKER_SETTINGS}


def recorded(file: str) -> Iterator[list[str]]:
    # The values hold odd white space: only a line feed ends a row.
    for line in (HERE / file).read_text(encoding="utf-8").split("\n"):
        if line and not line.startswith("#"):
            yield line.split("\t")


def answer(setting: Setting, text: str) -> str:
    try:
        return f"= {setting.format(setting.parse(text))}"
    except InvalidSetting as refusal:
        shown, between, reason = str(refusal).partition(f" for configuration {setting.name}: ")
        shown = shown.removeprefix("Invalid value ")
        return f"! {shown} ! {reason}" if between else f"!! {refusal}"


@pytest.mark.parametrize("table", TABLES)
def test_every_value_is_taken_or_refused_as_kafka_does_word_for_word(table: str) -> None:
    rows = [row[1:] for row in recorded("values_recorded_from_kafka.tsv") if row[0] == table]

    ours = [[name, text, answer(TABLES[table][name], text)] for name, text, _ in rows]

    assert ours == rows


@pytest.mark.parametrize("table", TABLES)
def test_every_setting_of_kafka_is_known_with_its_type_and_default(table: str) -> None:
    rows = [row[1:] for row in recorded("settings_recorded_from_kafka.tsv") if row[0] == table]

    assert [kafkas_definition(setting) for _, setting in sorted(TABLES[table].items())] == sorted(rows)


def kafkas_definition(setting: Setting) -> list[str]:
    default = format_value(KAFKA_DEFAULTS.get(setting.name, setting.default))
    return [setting.name, setting.type.name, setting.update.value, "(none)" if default is None else default]


def test_a_number_that_is_no_number_passes_no_range() -> None:
    with pytest.raises(InvalidSetting, match="Value must be at least 0"):
        TOPIC_SETTINGS["min.cleanable.dirty.ratio"].parse("NaN")


def test_a_very_long_number_is_refused_at_once() -> None:
    with pytest.raises(InvalidSetting, match="Not a number of type LONG"):
        TOPIC_SETTINGS["retention.ms"].parse("9" * 1_000_000)


def test_the_settings_of_a_topic_have_a_broker_setting_behind_them_that_exists() -> None:
    behind = {name for topic in TOPIC_SETTINGS.values() for name in topic.synonyms}

    assert behind <= set(BROKER_SETTINGS)


def test_what_acts_is_documented() -> None:
    silent = [
        setting.name
        for table in TABLES.values()
        for setting in table.values()
        if setting.acts and not setting.doc.endswith(".")
    ]

    assert silent == []


def test_passwords_are_sensitive_and_nothing_else_is() -> None:
    sensitive = {name for name, setting in BROKER_SETTINGS.items() if setting.is_sensitive}

    assert sensitive == {n for n, setting in BROKER_SETTINGS.items() if setting.type == SettingType.PASSWORD}
    assert "ssl.key.password" in sensitive


@given(st.sampled_from([*TOPIC_SETTINGS.values(), *BROKER_SETTINGS.values()]), st.text())
def test_any_text_is_either_taken_or_refused_with_a_reason(setting: Setting, text: str) -> None:
    assert answer(setting, text)[0] in "=!"


@given(st.sampled_from([*TOPIC_SETTINGS.values(), *BROKER_SETTINGS.values()]), st.data())
def test_a_value_written_as_text_is_read_back_the_same(setting: Setting, data: st.DataObject) -> None:
    text = data.draw(st.from_regex(r"-?[0-9]{1,12}|true|false|[a-z]{1,8}(,[a-z]{1,8})?", fullmatch=True))
    try:
        value = setting.parse(text)
    except InvalidSetting:
        return

    assert reread(setting, value) == value


def reread(setting: Setting, value: Value) -> Value:
    written = setting.format(value)
    assert written is not None
    return setting.parse(written)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_is_written_so_that_it_is_read_back_exactly(number: float) -> None:
    written = format_value(number)
    assert written is not None
    assert float(written) == number


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0.5, "0.5"),
        (1.0, "1.0"),
        (1e7, "1.0E7"),
        (1e-4, "1.0E-4"),
        (1.7976931348623157e308, "1.7976931348623157E308"),
    ],
)
def test_a_double_is_written_as_java_writes_it(number: float, written: str) -> None:
    assert format_value(number) == written
