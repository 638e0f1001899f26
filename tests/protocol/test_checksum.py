import crc32c as package
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.protocol import checksum


def test_the_check_value_of_the_standard() -> None:
    assert checksum.crc32c(b"123456789") == 0xE3069283


@given(st.binary(max_size=2000))
def test_it_is_the_packages_own_whatever_holds_the_bytes(data: bytes) -> None:
    assert checksum.crc32c(data) == package.crc32c(data)
    assert checksum.crc32c(memoryview(bytearray(data))) == package.crc32c(data)


def test_where_the_extension_is_not_found_the_package_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksum, "_extension_path", lambda: None)
    assert checksum._load()(b"123456789") == 0xE3069283


def test_where_the_extension_cannot_be_loaded_the_package_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksum, "_extension_path", lambda: "/nowhere/_crc32c.so")
    assert checksum._load()(b"123456789") == 0xE3069283
