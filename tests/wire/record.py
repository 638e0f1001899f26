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
from functools import partial
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from support.apache_kafka import KAFKA_VERSION, ApacheKafka
from support.scenarios import Exchange, Family, Known, Runner, now_ms
from wire.families import families, golden_file
from wire.normal import Normal
from wire.recording import Golden
from wire.replaying import differences
from wire.settling import let_kafka_take_notice


def ask_apache_kafka(family: Family) -> tuple[Known, Normal, list[list[Exchange]]]:
    with (
        tempfile.TemporaryDirectory() as directory,
        ApacheKafka(Path(directory) / "kafka", family.settings) as kafka,
    ):
        known = Known(now_ms())
        runner = Runner(kafka.port, known, partial(let_kafka_take_notice, kafka.port))
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
