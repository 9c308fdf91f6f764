import pytest

from mail import NotAnAddress, canonical_address


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        (" Rosa@Example.COM ", "rosa@example.com"),
        ("rosa+tips@example.co.uk", "rosa+tips@example.co.uk"),
        ("rosa@bücher.example", "rosa@xn--bcher-kva.example"),
        ("o'neill@example.ie", "o'neill@example.ie"),
    ],
)
def test_it_spells_a_mailbox_one_way(typed: str, canonical: str) -> None:
    assert canonical_address(typed) == canonical


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "rosa",
        "@example.com",
        "rosa@",
        "rosa@localhost",
        "rosa@127.0.0.1",
        "rosa@[127.0.0.1]",
        "rosa@example.com\r\nBcc: all@example.com",
        "ro sa@example.com",
        ".rosa@example.com",
        "r" * 65 + "@example.com",
        "rosa@" + "a" * 64 + ".com",
        "rosa@" + "a." * 130 + "com",
        "rosa@exa\u2028mple.com",
        "k\u0131rk@example.com",
        "rosa@-example.com",
    ],
)
def test_it_refuses_what_no_receiver_accepts(typed: str) -> None:
    with pytest.raises(NotAnAddress):
        canonical_address(typed)


def test_it_never_folds_two_mailboxes_into_one() -> None:
    """U+212A KELVIN SIGN lower-cases to k; a domain with it must not become k's."""
    with pytest.raises(NotAnAddress):
        canonical_address("rosa@\u212aelvin.example")
