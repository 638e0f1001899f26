"""Ask Apache Kafka 4.3.1 everything in `scenarios/` and keep what it says in `golden/`.

python tests/wire/record.py [FAMILY ...]           record (all families without a name)
python tests/wire/record.py --again [FAMILY ...]   ask again and name what differs from the golden files: what
                                                   the referee itself does not answer twice alike must not be
                                                   demanded of us
python tests/wire/record.py --show FAMILY          print a golden file for reading
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from support.apache_kafka import KAFKA_VERSION, ApacheKafka
from support.scenarios import Exchange, Family, Known, Runner, now_ms
from support.schema import JSON
from support.wire import Api
from wire.families import families, golden_file
from wire.normal import Normal
from wire.recording import Golden
from wire.replaying import differences

# Apache Kafka answers these when its controller has decided; its broker learns of it a moment later.
CHANGES = {
    Api.CREATE_TOPICS,
    Api.DELETE_TOPICS,
    Api.CREATE_PARTITIONS,
    Api.ALTER_CONFIGS,
    Api.INCREMENTAL_ALTER_CONFIGS,
}
SETTLE_S = 0.3


def settle(exchange: Exchange) -> None:
    step = exchange.step
    if (step.api in CHANGES and _something_was_done(exchange.decoded())) or (
        step.api == Api.METADATA and (step.fields or {}).get("allow_auto_topic_creation")
    ):
        time.sleep(SETTLE_S)


def _something_was_done(said: JSON) -> bool:
    lists = [value for value in (said or {}).values() if isinstance(value, list)]
    return any(each.get("error_code") == 0 for listed in lists for each in listed)


def ask_apache_kafka(family: Family) -> tuple[Known, Normal, list[list[Exchange]]]:
    with (
        tempfile.TemporaryDirectory() as directory,
        ApacheKafka(Path(directory) / "kafka", family.settings) as kafka,
    ):
        known = Known(now_ms())
        runner = Runner(kafka.port, known, settle)
        exchanges = [runner.run(scenario) for scenario in family.scenarios]
        normal = Normal(port=kafka.port, log_directory=str(kafka.log_directory), now_ms=known.now_ms, cluster_id=None)
    return known, normal, exchanges


def record(family: Family) -> None:
    known, normal, exchanges = ask_apache_kafka(family)
    golden = Golden.of(family, known, normal, exchanges, kafka_version=KAFKA_VERSION)
    golden.write(golden_file(family.name))
    print(f"{family.name}: {sum(map(len, exchanges))} exchanges, {golden_file(family.name).stat().st_size:,} bytes")


def compare(family: Family) -> int:
    _known, normal, exchanges = ask_apache_kafka(family)
    found = differences(Golden.read(golden_file(family.name)), family, normal, exchanges)
    for difference in found:
        print(difference)
    print(f"{family.name}: {len(found)} differences")
    return len(found)


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("families", nargs="*")
    arguments.add_argument("--again", action="store_true")
    arguments.add_argument("--show", action="store_true")
    given = arguments.parse_args()
    known = families()
    chosen = [known[name] for name in given.families or known]
    if given.show:
        for family in chosen:
            Golden.read(golden_file(family.name)).show()
        return 0
    if given.again:
        return min(sum(compare(family) for family in chosen), 1)
    for family in chosen:
        record(family)
    return 0


if __name__ == "__main__":
    sys.exit(main())
