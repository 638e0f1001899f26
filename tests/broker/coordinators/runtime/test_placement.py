import pytest
from ottla.broker.coordinators.runtime.placement import java_hash, partition_for


@pytest.mark.parametrize(
    ("text", "code"),
    [
        # Reckoned by Java (jshell): "...".hashCode()
        ("", 0),
        ("a", 97),
        ("console-consumer-12345", 158455506),
        ("polygenelubricants", -2147483648),
        ("größe", 98762257),
        ("\N{GRINNING FACE}", 1772899),
    ],
)
def test_a_hash_is_java_s_in_signed_32_bits_over_utf_16(text: str, code: int) -> None:
    assert java_hash(text) == code


def test_the_partition_is_the_absolute_hash_modulo_the_count() -> None:
    assert partition_for("a", 50) == 47
    assert partition_for("largest-group-of-them-all", 50) == abs(java_hash("largest-group-of-them-all")) % 50


def test_the_one_number_without_an_absolute_value_counts_as_0() -> None:
    assert partition_for("polygenelubricants", 50) == 0
