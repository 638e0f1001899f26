"""Run a test once for each client: `@every_client`, or `@every_library` for what kcat's command line cannot say."""

from __future__ import annotations

import pytest
from interop.clients import AioKafka, ConfluentKafka, KafkaPython, Ottla
from interop.kcat import Kcat, without_kcat

Library = ConfluentKafka | AioKafka | KafkaPython | Ottla
Client = Library | Kcat

LIBRARIES = [pytest.param(each, id=each.name) for each in (ConfluentKafka(), AioKafka(), KafkaPython(), Ottla())]
KCAT = pytest.param(Kcat(), id=Kcat.name, marks=without_kcat)

every_library = pytest.mark.parametrize("client", LIBRARIES)
every_client = pytest.mark.parametrize("client", [*LIBRARIES, KCAT])
