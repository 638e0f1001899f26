"""Where to listen, and what to tell clients."""

from __future__ import annotations

import pytest
from ottla.broker.config import BrokerConfig
from ottla.broker.listeners import Listener, as_reached, parse_listener
from ottla.broker.setting import InvalidSetting


def configured(**settings: str) -> BrokerConfig:
    return BrokerConfig({name.replace("_", "."): text for name, text in settings.items()})


@pytest.mark.parametrize(
    ("text", "listener"),
    [
        ("PLAINTEXT://127.0.0.1:9092", Listener("PLAINTEXT", "127.0.0.1", 9092)),
        ("plaintext://localhost:0", Listener("PLAINTEXT", "localhost", 0)),
        ("PLAINTEXT://:9092", Listener("PLAINTEXT", "", 9092)),
        ("PLAINTEXT://[::1]:9092", Listener("PLAINTEXT", "::1", 9092)),
        ("IN_SIDE://my-host.example.org:65535", Listener("IN_SIDE", "my-host.example.org", 65535)),
    ],
)
def test_a_listener_is_a_name_a_host_and_a_port(text: str, listener: Listener) -> None:
    assert parse_listener(text) == listener


@pytest.mark.parametrize(
    "text", ["localhost:9092", "PLAINTEXT://localhost", "PLAINTEXT://localhost:x", "PLAINTEXT://localhost:65536", ""]
)
def test_what_is_no_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidSetting, match="to a broker endpoint"):
        parse_listener(text)


def test_an_ipv6_host_is_shown_in_brackets() -> None:
    assert str(Listener("PLAINTEXT", "::1", 9092)) == "PLAINTEXT://[::1]:9092"


@pytest.mark.parametrize(
    ("listeners", "reason"),
    [
        ("PLAINTEXT://a:1,PLAINTEXT://b:2", "must have a different name"),
        ("PLAINTEXT://a:1,INTERNAL://b:1", "must have a different port"),
        ("EXTERNAL://a:1", "No security protocol defined for listener EXTERNAL"),
        ("SSL://a:1", "listener SSL is to speak SSL: only PLAINTEXT is spoken yet"),
        ("CONTROLLER://a:1", "names none for a broker"),
    ],
)
def test_listeners_that_cannot_be_opened_are_refused(listeners: str, reason: str) -> None:
    with pytest.raises(InvalidSetting, match=reason):
        configured(
            listeners=listeners,
            listener_security_protocol_map="PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,SSL:SSL",
            controller_listener_names="CONTROLLER",
        )


def test_the_listener_of_a_kafka_controller_is_not_opened() -> None:
    config = configured(listeners="PLAINTEXT://:9092,CONTROLLER://:9093", controller_listener_names="CONTROLLER")

    assert [listener.name for listener in config.listeners] == ["PLAINTEXT"]


def test_two_listeners_may_both_ask_for_any_port() -> None:
    config = configured(
        listeners="PLAINTEXT://a:0,INTERNAL://a:0",
        listener_security_protocol_map="PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT",
    )

    assert len(config.listeners) == 2


def advertised(*, bound_port: int = 9092, reached_at: str | None = None, **settings: str) -> str:
    (listener,) = configured(**settings).advertised_listeners
    return as_reached(listener, bound_port=bound_port, reached_at=reached_at).address


def test_by_default_clients_are_told_the_loopback_address() -> None:
    assert advertised() == "127.0.0.1:9092"


def test_clients_are_told_the_host_that_was_given() -> None:
    assert advertised(listeners="PLAINTEXT://broker.example.org:9092") == "broker.example.org:9092"


def test_clients_are_told_the_port_that_the_system_gave() -> None:
    assert advertised(listeners="PLAINTEXT://127.0.0.1:0", bound_port=40123) == "127.0.0.1:40123"


@pytest.mark.parametrize("host", ["", "0.0.0.0", "[::]"])
def test_on_every_interface_clients_are_told_the_address_at_which_they_reached_us(host: str) -> None:
    listeners = f"PLAINTEXT://{host}:9092"

    assert advertised(listeners=listeners, reached_at="192.168.1.7") == "192.168.1.7:9092"
    assert advertised(listeners=listeners, reached_at="::ffff:10.0.0.1") == "10.0.0.1:9092"
    assert advertised(listeners=listeners, reached_at="fd00::1") == "[fd00::1]:9092"
    assert not advertised(listeners=listeners).startswith((":", "0.0.0.0"))


def test_what_is_advertised_goes_before_all_else() -> None:
    address = advertised(
        listeners="PLAINTEXT://0.0.0.0:9092",
        advertised_listeners="PLAINTEXT://kafka.example.org:443",
        reached_at="192.168.1.7",
    )

    assert address == "kafka.example.org:443"


@pytest.mark.parametrize(
    ("advertised_listeners", "reason"),
    [
        ("PLAINTEXT://0.0.0.0:9092", "cannot use the nonroutable meta-address 0.0.0.0"),
        ("OTHER://a:9092", "must be equal to or a subset"),
        ("PLAINTEXT://a:1,PLAINTEXT://b:2", "must have a different name"),
        ("nonsense", "Unable to parse nonsense to a broker endpoint"),
        ("", "must not be empty"),
    ],
)
def test_an_address_that_no_client_could_use_is_not_advertised(advertised_listeners: str, reason: str) -> None:
    with pytest.raises(InvalidSetting, match=reason):
        configured(advertised_listeners=advertised_listeners)
