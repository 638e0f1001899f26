"""Writing a function line by line."""

from ottla.protocol.python_source import FunctionSource


def test_a_function_is_written_and_runs():
    source = FunctionSource("total", "numbers")
    start = source.bind("start", 100)
    source.line(f"result = {start}")
    with source.block("for number in numbers:"):
        with source.block("if number > 0:"):
            source.line("result += number")
        source.line("last = number")
    source.line("return result, last")
    assert source.compile("a test")([1, -5, 2]) == (103, 2)
    assert "        if number > 0:\n            result += number" in str(source)


def test_names_are_never_given_twice():
    source = FunctionSource("f", "")
    names = [source.name("v"), source.name("v"), source.bind("v", None)]
    assert len(set(names)) == 3
