# Ottla's workshop.  On a fresh machine Python 3.11 is all that is needed; the rest is set up here, in .venv.
#
#   make run       start a broker on 127.0.0.1:9092, its data in ./ottla-data  (make run ARGS="--port 19092")
#   make test      everything that CI runs: style, types, tests                (make test TESTS="tests/storage -x")
#   make demo      a million events, a group of three, the broker killed in the middle     (make demo ARGS="--events 100000")
#   make test-interop   Kafka Streams, Kafka Connect and Spark against the broker, in their short form (Java 17, Maven)
#   make demo-spark     Spark Structured Streaming on a million events, killed in the middle   (ARGS="--events 100000")
#   make demo-streams   Kafka Streams, exactly once, with everything killed   (make demo-connect: Kafka Connect)
#   make bench     measure Ottla beside Apache Kafka, see bench/README.md      (make bench ARGS="--quick")
#   make format    put the code into the house's style
#   make docs      write docs/kafka-parity.md anew from the code's own tables
#   make works-with     write docs/works-with.md anew from a run of all interop tests
#
# What is set up once leaves a stamp in .venv, so that the second `make run` starts at once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
TESTS ?=

SPARK_VENV := .venv-spark
SPARK := 4.2.0

PACKAGES := protocol storage broker client cli testing
SOURCES := $(shell find $(PACKAGES) -name '*.py') __init__.py __main__.py

.DEFAULT_GOAL := help
.PHONY: help run test test-interop demo demo-spark demo-streams demo-connect bench format docs works-with tools java maven

help:
	@sed -n '2,/^$$/s/^#  *//p' Makefile

run: $(VENV)/compiled
	@exec $(BIN)/ottla serve $(ARGS)

test: $(VENV)/ready-for-tests $(VENV)/types tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd $(VENV)/types && ../bin/mypy --config-file ../../pyproject.toml $(PACKAGES:%=-p ottla.%)
	cd $(VENV)/types && MYPYPATH=../../tests:../.. ../bin/mypy --config-file ../../pyproject.toml -p bench
	$(BIN)/pytest -n 2 --dist loadfile -m "not frameworks" $(TESTS)

test-interop: $(VENV)/ready-for-tests frameworks
	$(BIN)/pytest -m frameworks tests/interop $(TESTS)

demo: $(VENV)/compiled
	@$(BIN)/python examples/demo/demo.py $(ARGS)

demo-spark: java $(VENV)/compiled $(SPARK_VENV)/ready
	@$(BIN)/python examples/spark/demo.py --spark-python $(SPARK_VENV)/bin/python $(ARGS)

demo-streams: java maven $(VENV)/compiled examples/streams/target/lib
	@$(BIN)/python examples/streams/demo.py $(ARGS)

demo-connect: java maven $(VENV)/compiled examples/connect/target/lib
	@$(BIN)/python examples/connect/demo.py $(ARGS)

works-with: java maven $(VENV)/ready-for-tests frameworks
	OTTLA_WORKS_WITH=tests/interop/works_with.json $(BIN)/pytest -n 2 --dist loadfile tests/interop
	$(BIN)/python -m docs.write_works_with

bench: $(VENV)/ready-for-bench $(VENV)/compiled
	@$(BIN)/python -m bench $(ARGS)

format: $(VENV)/ready-for-tests
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/ready-for-tests
	$(BIN)/python -m docs.write_kafka_parity

# Tools of the system that some tests drive.  Without one its tests are skipped, and say so; this says what to install.
tools:
	@command -v kcat > /dev/null || command -v kafkacat > /dev/null \
	  || echo "kcat is not here, its tests are skipped: apt-get install kcat"
	@command -v java > /dev/null && command -v mvn > /dev/null \
	  || echo "Java or Maven is not here, tests against Apache Kafka are skipped: apt-get install default-jdk-headless maven"

java:
	@java -version > /dev/null 2>&1 || { echo "Java 17 or newer is needed: apt-get install default-jdk-headless" >&2; exit 1; }

maven:
	@command -v mvn > /dev/null || { echo "Maven is needed: apt-get install maven" >&2; exit 1; }

# -- what is set up

# Who names a Python on the command line gets it, or one line on why not: .venv stays with the one that it was made of.
ITSELF := -c 'import os, sys; print(os.path.realpath(sys._base_executable))'
.PHONY: of-this-python
of-this-python:
ifeq ($(origin PYTHON),command line)
	@its=$$($(BIN)/python $(ITSELF) 2> /dev/null); wanted=$$($(PYTHON) $(ITSELF) 2> /dev/null); \
	test -z "$$its" || test "$$its" = "$$wanted" || { \
	  echo "$(VENV) was made of $$its, not of $(PYTHON): rm -r $(VENV), then again" >&2; exit 1; }
endif

# What the frameworks need, as far as it can be had here; the tests of what is not here say so.
.PHONY: frameworks
frameworks: tools
	@if command -v java > /dev/null; then $(MAKE) --no-print-directory $(SPARK_VENV)/ready; fi
	@if command -v java > /dev/null && command -v mvn > /dev/null; then \
	  $(MAKE) --no-print-directory examples/streams/target/lib examples/connect/target/lib; fi

$(SPARK_VENV)/ready: $(VENV)/made
	@echo "Installing PySpark $(SPARK) in $(SPARK_VENV), once (500 MB)."
	@$(PYTHON) -m venv $(SPARK_VENV)
	@$(SPARK_VENV)/bin/pip install --quiet --disable-pip-version-check pyspark==$(SPARK)
	@touch $@

examples/streams/target/lib: $(shell find examples/streams/src/main -type f)
examples/%/target/lib: examples/%/pom.xml
	@echo "Building examples/$* with Maven, once."
	@mvn -q -B -f examples/$*/pom.xml package -DskipTests
	@touch $@

$(VENV)/made: | of-this-python
	@command -v $(PYTHON) > /dev/null || { \
	  echo "There is no $(PYTHON) here. Ottla needs Python 3.11 or newer; say which: make PYTHON=python3.12 run" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Ottla needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) -V). Say which: make PYTHON=python3.12 run" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { \
	  echo "$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV), once."
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/ready-to-run: pyproject.toml $(VENV)/made
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/ready-for-tests: pyproject.toml $(VENV)/ready-to-run
	@echo "Installing what tests need, once."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,dev]'
	@touch $@

$(VENV)/ready-for-bench: $(VENV)/ready-for-tests
	@echo "Installing what benchmarks need, once."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

# Start-up is quick when the bytecode is there, also where PYTHONDONTWRITEBYTECODE keeps Python from writing it.
$(VENV)/compiled: $(VENV)/ready-to-run $(SOURCES)
	@$(BIN)/python -m compileall -q $(PACKAGES) __init__.py __main__.py
	@touch $@

# The root of the repository is the package `ottla`; mypy wants to see it under that name, whatever the folder is called.
$(VENV)/types: | $(VENV)/made
	@mkdir -p $@
	@ln -sfn ../.. $@/ottla
