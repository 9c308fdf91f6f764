import pytest

from twitchsite.logs import blot


@pytest.mark.parametrize(
    "line",
    [
        '{"event": "refused rosa@example.com"}',
        "RCPT TO:<rosa+tips@example.com>",
        "ValueError: Rosa@Example.com, not mailable",
    ],
)
def test_w14_no_address_gets_into_a_line(line: str) -> None:
    assert "rosa" not in blot(line).lower()
    assert "[address]" in blot(line)


def test_w14_no_link_token_gets_into_a_line() -> None:
    line = "Not Found: /newsletter/confirm/AbC-123_x/?page=2"

    assert blot(line) == "Not Found: /newsletter/confirm/[token]/?page=2"
