import pytest

from newsletter import urls
from twitchsite.logs import blot


@pytest.mark.parametrize(
    "line",
    [
        '{"event": "refused rosa@example.com"}',
        "RCPT TO:<rosa+tips@example.com>",
        "ValueError: Rosa@Example.com, not mailable",
        "Rosa'o'hara@example.com came back",
        "to rosa/s=1@example.com",
        "GET /search/?q=rosa%40example.com",
    ],
)
def test_w14_no_address_gets_into_a_line(line: str) -> None:
    assert "rosa" not in blot(line).lower()
    assert "[address]" in blot(line)


@pytest.mark.parametrize(
    "route",
    [str(one.pattern) for one in urls.urlpatterns if "token" in str(one.pattern)],
)
def test_w14_no_link_token_gets_into_a_line(route: str) -> None:
    line = f"Not Found: /newsletter/{route}?page=2"

    blotted = blot(line.replace("<str:token>", "AbC-123_x"))

    assert blotted == line.replace("<str:token>", "[token]")
