"""Kafka's error codes, and what our two exceptions say."""

from kio.schema.errors import ErrorCode as KioErrorCode
from ottla.protocol.errors import ErrorCode, KafkaError, MalformedMessage


def test_codes_and_names_are_kafkas():
    assert {code.value: code.name for code in ErrorCode} == {code.value: code.name.upper() for code in KioErrorCode}


def test_codes_are_retriable_where_kafka_says_so():
    assert {code for code in ErrorCode if code.retriable} == {
        ErrorCode[code.name.upper()] for code in KioErrorCode if code.retriable
    }


def test_a_refusal_reads_with_its_code_and_reason():
    error = KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, "offset 7 is past the end at 5")
    assert (error.code, error.message) == (ErrorCode.OFFSET_OUT_OF_RANGE, "offset 7 is past the end at 5")
    assert str(error) == "OFFSET_OUT_OF_RANGE: offset 7 is past the end at 5"
    assert str(KafkaError(ErrorCode.NOT_CONTROLLER)) == "NOT_CONTROLLER"


def test_a_refusal_is_given_again_as_another_that_says_the_same():
    error = KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, "a bad sector")
    again = error.again()
    assert again is not error
    assert (again.code, str(again)) == (error.code, str(error))


def test_a_malformed_message_is_no_refusal():
    assert not issubclass(MalformedMessage, KafkaError)
