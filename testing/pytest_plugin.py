"""pytest's fixture `ottla_broker`; pytest finds it by itself where Ottla is installed.

Its settings may stand in pytest's configuration:

    [tool.pytest.ini_options]
    ottla_settings = ["num.partitions=3"]
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .broker_process import BrokerProcess

INI = "ottla_settings"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(INI, "Settings of the fixture ottla_broker, each as NAME=VALUE.", type="linelist", default=[])


@pytest.fixture(scope="session")
def ottla_broker(request: pytest.FixtureRequest) -> Iterator[BrokerProcess]:
    """A real broker on a port of its own, one for all tests of a run (with pytest-xdist: of a worker); empty at first."""
    settings = {}
    for line in request.config.getini(INI):
        name, equals, value = line.partition("=")
        if not equals:
            raise pytest.UsageError(f"{INI}: {line!r} is not NAME=VALUE")
        settings[name.strip()] = value.strip()
    with BrokerProcess(settings=settings) as broker:
        yield broker
