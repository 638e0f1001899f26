"""A Spark session on this machine with the Kafka connector, as Spark itself gets it."""

from __future__ import annotations

from pyspark import __version__ as spark_version
from pyspark.sql import SparkSession

CONNECTOR = f"org.apache.spark:spark-sql-kafka-0-10_2.13:{spark_version}"


def new_session(name: str) -> SparkSession:
    """All cores of this machine, times in UTC, no web page; the connector is fetched when it is not here yet."""
    spark = (
        SparkSession.builder.master("local[*]")
        .appName(name)
        .config("spark.jars.packages", CONNECTOR)
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    return spark
