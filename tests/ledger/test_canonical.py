import pytest

from ledger import canonical_json
from ledger.canonical import Json


def test_it_orders_keys_by_utf16_as_rfc_8785_wants() -> None:
    value: dict[str, Json] = {
        "\u20ac": 1,
        "\r": 2,
        "1": 3,
        "\U0001f600": 4,
        "\uff21": 5,
        "\u00f6": 6,
    }

    written = canonical_json(value).decode()

    # UTF-16 puts a surrogate pair before U+FF21, code points would not.
    assert [pair[-1] for pair in written.strip("{}").split(",")] == list("236145")


def test_it_writes_one_form_for_texts_that_look_the_same() -> None:
    assert canonical_json("Ame\u0301lie") == canonical_json("Am\u00e9lie")


@pytest.mark.parametrize("value", [1.5, {1, 2}, b"bytes"])
def test_it_refuses_what_json_spells_in_several_ways(value: object) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [2**53, "\ud800", {"e\u0301": 1, "\u00e9": 2}])
def test_it_refuses_what_would_not_come_back_the_same(value: object) -> None:
    with pytest.raises(ValueError, match="exactly|surrogates|same text"):
        canonical_json(value)  # type: ignore[arg-type]
