from uuid import uuid4

import pytest
from pytest_django import Settings

from mail import is_signed, read_token, token
from mail.links import TOKEN_LENGTH


def test_a_token_gives_its_key_back_for_its_own_purpose() -> None:
    key = uuid4()

    assert read_token("unsubscribe", token("unsubscribe", key)) == key


def test_a_token_is_useless_for_another_purpose() -> None:
    assert read_token("preferences", token("unsubscribe", uuid4())) is None


def test_a_token_dies_with_the_state_it_is_bound_to() -> None:
    key = uuid4()
    text = token("confirm", key, bound_to="unconfirmed")

    assert is_signed("confirm", text, key, bound_to="unconfirmed")
    assert not is_signed("confirm", text, key, bound_to="confirmed")


def test_tokens_are_ascii_of_one_length() -> None:
    assert {len(token("unsubscribe", uuid4())) for _ in range(50)} == {TOKEN_LENGTH}


@pytest.mark.parametrize("text", ["", "x", "é" * TOKEN_LENGTH, "=" * TOKEN_LENGTH])
def test_rubbish_is_no_token(text: str) -> None:
    assert read_token("unsubscribe", text) is None


def test_a_link_survives_a_change_of_the_key(settings: Settings) -> None:
    key = uuid4()
    old = token("unsubscribe", key)

    settings.CONSENT_KEY_FALLBACKS = [settings.CONSENT_KEY]
    settings.CONSENT_KEY = "another key"

    assert read_token("unsubscribe", old) == key
    assert read_token("unsubscribe", token("unsubscribe", key)) == key
