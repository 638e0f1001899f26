"""Every way to say what Spark is to read from Kafka, tried once: prints one line of JSON that says what was found.

    topics by name, by pattern, by partition; offsets earliest, latest, by number, by time; batch and stream; headers;
    the batch sink; a stream that begins at the end

`demo.py` knows what must come out and compares.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

from events import LATECOMERS
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery
from session import new_session

Options = dict[str, str]


class Reads:
    """The questions, by name; each gives a number."""

    def __init__(self, spark: SparkSession, arguments: argparse.Namespace) -> None:
        self._spark = spark
        self._bootstrap = arguments.bootstrap
        self._topic = arguments.events
        self._partitions = arguments.partitions
        self._time_ms = arguments.time_ms

    def questions(self) -> dict[str, Callable[[], int]]:
        by_name = {"subscribe": self._topic}
        begin = {str(each): 100 * each if each else -2 for each in range(self._partitions)}
        end = {str(each): 5000 + each if each else -1 for each in range(self._partitions)}
        time = json.dumps({self._topic: {str(each): self._time_ms for each in range(self._partitions)}})
        return {
            "batch, by name": lambda: self._batch(by_name).count(),
            "batch, by pattern": lambda: self._batch({"subscribePattern": self._topic[:-1] + "."}).count(),
            "batch, two partitions": lambda: self._batch({"assign": json.dumps({self._topic: [0, 1]})}).count(),
            "batch, a range of offsets": lambda: self._batch(
                {
                    **by_name,
                    "startingOffsets": json.dumps({self._topic: begin}),
                    "endingOffsets": json.dumps({self._topic: end}),
                }
            ).count(),
            "batch, from a time": lambda: self._batch({**by_name, "startingTimestamp": str(self._time_ms)}).count(),
            "batch, to a time": lambda: self._batch({**by_name, "endingOffsetsByTimestamp": time}).count(),
            "batch, many small tasks": lambda: self._batch({**by_name, "minPartitions": "11"}).count(),
            "batch, with a header": lambda: (
                self._batch({**by_name, "includeHeaders": "true"})
                .where("exists(headers, h -> h.key = 'source' AND h.value = cast('shop' AS BINARY))")
                .count()
            ),
            "stream, from offsets": lambda: self._stream(
                {**by_name, "startingOffsets": json.dumps({self._topic: begin})}
            ),
            "stream, from a time": lambda: self._stream(
                {"assign": json.dumps({self._topic: [0]}), "startingTimestamp": str(self._time_ms)}
            ),
            "batch sink, read again": self._write_and_read,
            "stream, from the end": self._stream_from_the_end,
        }

    def _batch(self, options: Options) -> DataFrame:
        return self._spark.read.format("kafka").options(**options, **self._server).load()

    @property
    def _server(self) -> Options:
        return {"kafka.bootstrap.servers": self._bootstrap}

    def _stream(self, options: Options) -> int:
        """All that is there, in several batches."""
        query = self._started({**options, "maxOffsetsPerTrigger": "200000"}, "counted", available_now=True)
        query.awaitTermination()
        return self._spark.table("counted").count()

    def _started(self, options: Options, table: str, *, available_now: bool) -> StreamingQuery:
        stream = self._spark.readStream.format("kafka").options(**options, **self._server).load().select("offset")
        writer = stream.writeStream.format("memory").queryName(table)
        return (writer.trigger(availableNow=True) if available_now else writer).start()

    def _write_and_read(self) -> int:
        kinds = self._batch({"subscribe": self._topic}).selectExpr("get_json_object(string(value), '$.kind') AS key")
        counted = kinds.groupBy("key").count().selectExpr("key", "string(count) AS value")
        counted.write.format("kafka").options(**self._server).option("topic", f"{self._topic}-kinds").save()
        written = self._batch({"subscribe": f"{self._topic}-kinds"}).selectExpr("sum(bigint(string(value))) AS total")
        return int(written.first()["total"])

    def _stream_from_the_end(self) -> int:
        topic = {"subscribe": f"{self._topic}-kinds", "startingOffsets": "latest"}
        query = self._started(topic, "latecomers", available_now=False)
        query.processAllAvailable()
        numbers = self._spark.range(LATECOMERS).selectExpr("string(id) AS key", "string(id) AS value")
        numbers.write.format("kafka").options(**self._server).option("topic", topic["subscribe"]).save()
        query.processAllAvailable()
        query.stop()
        return self._spark.table("latecomers").count()


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--bootstrap", required=True)
    words.add_argument("--events", required=True, help="the topic")
    words.add_argument("--partitions", type=int, required=True, help="how many it has")
    words.add_argument("--time-ms", type=int, required=True, help="a time in the middle of it")
    spark = new_session("ottla-reads")
    questions = Reads(spark, words.parse_args()).questions()
    print(json.dumps({name: question() for name, question in questions.items()}), flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
