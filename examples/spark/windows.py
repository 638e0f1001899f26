"""The streaming job: events from one topic, counted by hour and category, to another topic. Plain Spark, nothing else.

    spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0 windows.py \
        --bootstrap 127.0.0.1:9092 --events shop-events --windows shop-windows --checkpoint /tmp/checkpoint

It takes what is there and ends (`availableNow`), in several micro-batches. Killed in the middle and started again with
the same checkpoint it goes on where it was. Spark's Kafka sink writes at least once: the last batch before a kill may
be written twice, with the same keys and the same values.
"""

from __future__ import annotations

import argparse
import json

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col, concat_ws, date_format, from_json, struct, sum, to_json, when, window
from pyspark.sql.functions import count as count_of
from session import new_session

EVENT = "id LONG, at TIMESTAMP, user STRING, kind STRING, category STRING, cents LONG"
LATENESS = "15 minutes"


def main() -> None:
    arguments = parser().parse_args()
    spark = new_session("ottla-windows")
    counted = windows_of(read_events(spark, arguments))
    query = (
        as_records(counted)
        .writeStream.format("kafka")
        .option("kafka.bootstrap.servers", arguments.bootstrap)
        .option("topic", arguments.windows)
        .option("checkpointLocation", arguments.checkpoint)
        .outputMode("append")
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    batches = [progress for progress in query.recentProgress if progress["numInputRows"]]
    rows = [progress["numInputRows"] for progress in batches]
    seconds = [progress["durationMs"]["triggerExecution"] / 1000 for progress in batches]
    print(json.dumps({"batches": len(rows), "rows": rows, "seconds": seconds, "spark": spark.version}), flush=True)
    spark.stop()


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--bootstrap", required=True)
    words.add_argument("--events", required=True, help="the topic to read")
    words.add_argument("--windows", required=True, help="the topic to write")
    words.add_argument("--checkpoint", required=True, help="where Spark keeps how far it is")
    words.add_argument("--rows-per-batch", type=int, default=100_000)
    return words


def read_events(spark: SparkSession, arguments: argparse.Namespace) -> DataFrame:
    """The events as columns; what is not JSON of this form is left out."""
    records = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", arguments.bootstrap)
        .option("subscribe", arguments.events)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", arguments.rows_per_batch)
        .option("minPartitions", 6)
        .option("includeHeaders", "true")
        .load()
    )
    event = from_json(col("value").cast("string"), EVENT)
    return records.select(event.alias("event")).where("event.at IS NOT NULL").select("event.*")


def windows_of(happened: DataFrame) -> DataFrame:
    """Events, buys and revenue by hour and category, each hour once it cannot change any more."""
    return (
        happened.withWatermark("at", LATENESS)
        .groupBy(window("at", "1 hour"), "category")
        .agg(
            count_of("*").alias("events"),
            count_of(when(col("kind") == "buy", 1)).alias("buys"),
            sum("cents").alias("cents"),
        )
    )


def as_records(counted: DataFrame) -> DataFrame:
    """A record for each window: keyed by hour and category, its totals as JSON."""
    hour = date_format(col("window.start"), "yyyy-MM-dd'T'HH:mm:ss")
    return counted.select(
        concat_ws("|", hour, "category").alias("key"), to_json(struct("events", "buys", "cents")).alias("value")
    )


if __name__ == "__main__":
    main()
