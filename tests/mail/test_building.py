import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage
from uuid import UUID, uuid4

import hypothesis
import hypothesis.strategies as st
import pytest

from mail import TipMail, read_token
from mail.building import UNSUBSCRIBE, BadHeader, Built, build_single, build_tip
from mail.links import token as link_token

HTML = f"""<html lang="en"><head><title>T</title><style>p {{ color: #123456 }}</style>
</head><body><p>“Twitch” – {"long " * 400}</p><a href="{UNSUBSCRIBE}">Leave</a></body>
</html>"""


def tip(subject: str = "Less coffee, fewer twitches?") -> bytes:
    return build_tip(
        TipMail(subject, HTML, f"“Twitch” – text\n.\nLeave: {UNSUBSCRIBE}")
    )


def filled(message: bytes, *, recipient_key: UUID | None = None) -> bytes:
    return Built(message).fill(
        to="rosa@example.com",
        key=UUID(int=7),
        recipient_key=recipient_key or uuid4(),
        dated_at=datetime(2026, 11, 24, 9, 0, tzinfo=UTC),
    )


def parsed(message: bytes) -> EmailMessage:
    return email.message_from_bytes(message, policy=email.policy.SMTP)


def test_e1_a_tip_carries_each_list_header_once() -> None:
    rosa = uuid4()
    message = parsed(filled(tip(), recipient_key=rosa))

    (link,) = message.get_all("List-Unsubscribe", [])
    token = link.removesuffix("/>").rpartition("/")[2]
    assert link.startswith("<https://health.example/newsletter/unsubscribe/")
    assert read_token("unsubscribe", token) == rosa
    assert message.get_all("List-Unsubscribe-Post") == ["List-Unsubscribe=One-Click"]
    assert message["List-Id"] == "twitchsite health tips <tips.health.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert (
        len(message.get_all("Message-ID", [])) == len(message.get_all("Date", [])) == 1
    )
    assert "rosa" not in message["Message-ID"]


def test_e1_both_parts_arrive_as_written_and_no_line_is_too_long() -> None:
    raw = filled(tip())
    plain, html = parsed(raw).iter_parts()

    assert plain.get_content_type() == "text/plain"
    assert "“Twitch” – text" in plain.get_content()
    assert 'style="color: #123456' in html.get_content()
    assert "&#8220;Twitch&#8221;" in html.get_content()
    assert "@@" not in raw.decode()
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_a_message_is_the_same_bytes_at_every_try() -> None:
    rosa = uuid4()

    assert filled(tip(), recipient_key=rosa) == filled(tip(), recipient_key=rosa)


def test_a_subject_outside_ascii_reads_as_written() -> None:
    subject = "Was tun, wenn’s zuckt? " + "ä" * 90

    assert parsed(filled(tip(subject)))["Subject"] == subject


@pytest.mark.parametrize(
    "bad", ["", "  ", "a\r\nBcc: x@y.example", "a\u2028b", "a\x85b"]
)
def test_a_subject_that_would_break_its_header_is_refused(bad: str) -> None:
    with pytest.raises(BadHeader):
        tip(bad)


def test_a_single_mail_has_no_list_headers() -> None:
    message = parsed(filled(build_single("Please confirm", HTML, "text")))

    assert message["List-Unsubscribe"] is None
    assert message["List-Id"] is None


WORD = st.one_of(
    st.sampled_from([UNSUBSCRIBE, " ", "&amp;", "https://x.example/"]),
    st.integers(1, 1200).map("a".__mul__),
    st.integers(1, 500).map("ä".__mul__),
)


@hypothesis.given(st.lists(WORD, max_size=40).map("".join))
@hypothesis.example("a" * 959 + UNSUBSCRIBE)
@hypothesis.example("a" * 240 + UNSUBSCRIBE + "a" * 900)
def test_e1_no_line_is_too_long_once_it_is_filled(words: str) -> None:
    html = f"<html><body><p>{words}</p></body></html>"
    rosa = uuid4()

    raw = filled(build_single("Rest", html, words), recipient_key=rosa)

    assert max(map(len, raw.split(b"\r\n"))) <= 998
    token = link_token("unsubscribe", rosa).encode()
    assert raw.count(token) == 2 * words.count(UNSUBSCRIBE)
    assert b"@@" not in raw
