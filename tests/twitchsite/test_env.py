from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from twitchsite.env import Environment, broker, database, paces, smtp

NO_FILE = Path("there is none")


def test_a_missing_variable_is_named_with_its_remedy() -> None:
    with pytest.raises(ImproperlyConfigured, match="NOT_THERE is not set. Make one."):
        Environment(NO_FILE).text("NOT_THERE", remedy="Make one.")


def test_nonsense_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTION", "many")
    with pytest.raises(ImproperlyConfigured, match="PORTION is 'many'"):
        Environment(NO_FILE).number("PORTION", 1)

    monkeypatch.setenv("SWITCH", "maybe")
    with pytest.raises(ImproperlyConfigured, match="SWITCH is 'maybe'"):
        Environment(NO_FILE).flag("SWITCH")

    monkeypatch.setenv("WHERE", "mysql://localhost/x")
    with pytest.raises(ImproperlyConfigured, match="WHERE can't be understood"):
        Environment(NO_FILE).parsed("WHERE", database, remedy="Write another.")


def test_a_database_may_live_behind_a_socket_folder() -> None:
    assert database("postgresql://role:pw@%2Ftmp%2Fa/name")["HOST"] == "/tmp/a"  # noqa: S108


def test_celery_gets_its_own_spelling_of_a_socket() -> None:
    assert (
        broker("unix:///run/v.sock?db=3") == "redis+socket:///run/v.sock?virtual_host=3"
    )
    assert broker("redis://h:6379/1") == "redis://h:6379/1"


def test_a_mail_server_says_what_tls_it_promises() -> None:
    assert smtp("smtp+tls://u:p%40@mail.example")["port"] == 587
    assert smtp("smtp+tls://u:p%40@mail.example")["password"] == "p@"
    assert smtp("smtp://127.0.0.1:2525")["tls"] == "none"


@pytest.mark.parametrize(
    "host", ["mail.example", "192.0.2.1", "localhost.mail.example", "10.0.0.1"]
)
def test_r10_mail_reaches_another_machine_over_tls_alone(host: str) -> None:
    with pytest.raises(ValueError, match="in the clear"):
        smtp(f"smtp://{host}")

    assert smtp(f"smtp+tls://{host}")["tls"] == "starttls"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.1.7", "[::1]"])
def test_r10_a_server_on_this_machine_may_speak_in_the_clear(host: str) -> None:
    assert smtp(f"smtp://{host}")["tls"] == "none"


def test_paces_are_messages_a_minute_by_domain() -> None:
    assert paces("Gmail.com=600, example.org=60") == {
        "gmail.com": 600,
        "example.org": 60,
    }


@pytest.mark.parametrize("text", ["gmail.com", "gmail.com=0", "600", "a.b=fast"])
def test_a_pace_without_a_domain_or_a_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        paces(text)
