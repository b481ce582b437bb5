"""Personal data is found by patterns and check digits, and nothing that only looks like it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sdg_prefect.blocks.personal import FindPersonalData
from sdg_prefect.blocks.personal_patterns import KINDS, find_personal, is_iban, passes_luhn
from sdg_prefect.testing import BlockResult, run_block


def found(text: str) -> list[tuple[str, str]]:
    return [(one.kind, text[one.start : one.end]) for one in find_personal(text, frozenset(KINDS))]


def looked(rows: list[dict[str, Any]], **config: Any) -> BlockResult:
    return run_block(FindPersonalData.model_validate({"block_name": "p", "columns": ["text"], **config}), rows)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("email", "first.last+tag@mail.example.co.uk"),
        ("phone", "+44 20 7946 0958"),
        ("phone", "(415) 555-2671"),
        ("credit_card", "4111 1111 1111 1111"),
        ("credit_card", "378282246310005"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("iban", "GB29NWBK60161331926819"),
        ("ip_address", "192.168.1.10"),
        ("ip_address", "2001:db8::8a2e:370:7334"),
        ("us_ssn", "078-05-1120"),
        ("secret", "AKIAIOSFODNN7EXAMPLE"),
        ("secret", "ghp_" + "a1B2" * 9),
    ],
)
def test_each_kind_is_found_in_a_sentence(kind: str, text: str) -> None:
    assert found(f"Note: {text}, please.") == [(kind, text)]


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",
        "0000 0000 0000 0000",
        "DE88 3704 0044 0532 0130 00",
        "999.1.1.1",
        "version 1.2.3.4.5",
        "000-12-3456 and 666-12-3456",
        "2024-05-31 12:30:45",
        "a@b and user@localhost",
        "see page 12-34",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert found(text) == []


@given(st.integers(10**11, 10**18))
def test_exactly_one_check_digit_is_right(number: int) -> None:
    assert sum(passes_luhn(f"{number}{digit}") for digit in range(10)) == 1


def test_the_check_digits_of_an_account_are_those_of_the_standard() -> None:
    assert is_iban("FR14 2004 1010 0505 0001 3M02 606")
    assert not is_iban("FR15 2004 1010 0505 0001 3M02 606")


def test_rows_can_be_marked_redacted_or_left_out() -> None:
    rows: list[dict[str, Any]] = [{"text": "ada@example.org, 192.168.1.10"}, {"text": "bees"}, {"text": None}]
    assert [row["personal_data"] for row in looked(rows).rows] == [["email", "ip_address"], [], []]
    assert [row["text"] for row in looked(rows, action="redact").rows] == ["[EMAIL], [IP_ADDRESS]", "bees", None]
    left = looked(rows, action="leave_out", output_col=None)
    assert (left.rows, left.counts.filtered) == (rows[1:], 1)
    assert [row["personal_data"] for row in looked(rows, kinds=["email"]).rows] == [["email"], [], []]


def test_what_cannot_be_looked_for_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"no pattern finds 'emial'\. Did you mean 'email'"):
        looked([], kinds=["emial"])
    with pytest.raises(ValidationError, match="'mark' needs an 'output_col'"):
        looked([], output_col=None)
    with pytest.raises(ValidationError, match="'spacy_model' has to name a model of spaCy for the language 'de'"):
        looked([], library="presidio", language="de")


def test_presidio_is_named_with_its_extra_and_has_kinds_of_its_own() -> None:
    block = FindPersonalData(block_name="p", columns=("text",), library="presidio", kinds=("PERSON",))
    model = {"en_core_web_lg": "python -m spacy download en_core_web_lg"}
    assert block.needed_packages() == {"presidio_analyzer": "presidio", **model}
    assert FindPersonalData(block_name="p", columns=("text",)).needed_packages() == {}


def test_presidio_finds_names_and_places_and_asks_no_network(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("presidio_analyzer")
    import spacy

    models = [name for name in spacy.util.get_installed_models() if name.startswith("en_")]
    if not models:
        pytest.skip("no English model of spaCy is installed")
    text = "Ada Lovelace lives in London, write to ada@example.org."
    made = looked([{"text": text}, {"text": None}], library="presidio", spacy_model=models[0], action="redact")
    assert made.rows[0] == {
        "text": "[PERSON] lives in [LOCATION], write to [EMAIL_ADDRESS].",
        "personal_data": ["PERSON", "LOCATION", "EMAIL_ADDRESS"],
    }
    assert made.rows[1] == {"text": None, "personal_data": []}
    assert "Max retries" not in caplog.text
