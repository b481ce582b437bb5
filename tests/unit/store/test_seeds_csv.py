"""CSV is read so that nothing of its text is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdg_prefect.errors import InputError
from sdg_prefect.store.seeds import read_seeds
from tests.unit.store.seed_files import rows_of, write


def rows(source: str) -> list[dict[str, object]]:
    """Read seeds as mappings, without their ids."""
    return rows_of(read_seeds(source))


def test_a_csv_value_becomes_a_number_only_where_nothing_of_its_text_is_lost(tmp_path: Path) -> None:
    source = write(
        tmp_path,
        "a.csv",
        "whole,zip,version,level,big,flag,day,word,none\n"
        "1,01234,1.10,0.25,9223372036854775807,True,2024-01-31,NA,\n"
        "-2,90210,1.9,3,2,False,2024-02-01,null,\n",
    )
    first, second = rows(source)
    assert first == {
        "whole": 1,
        "zip": "01234",
        "version": "1.10",
        "level": 0.25,
        "big": 2**63 - 1,
        "flag": True,
        "day": "2024-01-31",
        "word": "NA",
        "none": None,
    }
    assert (second["whole"], second["zip"], second["level"]) == (-2, "90210", 3.0)


def test_csv_numbers_that_no_number_holds_stay_text(tmp_path: Path) -> None:
    source = write(tmp_path, "a.csv", "long,mixed\n123456789012345678901234567890,9007199254740993\n1,0.5\n")
    assert rows(source)[0] == {"long": "123456789012345678901234567890", "mixed": "9007199254740993"}


def test_csv_keeps_quotes_delimiters_and_line_breaks_in_text(tmp_path: Path) -> None:
    source = write(tmp_path, "a.csv", 'text,n\n"a, ""b""\nc",1\n\n')
    assert rows(source) == [{"text": 'a, "b"\nc', "n": 1}]


def test_a_long_csv_value_is_read_whole(tmp_path: Path) -> None:
    source = write(tmp_path, "a.csv", "text\n" + "x" * 300_000 + "\n")
    assert len(str(rows(source)[0]["text"])) == 300_000


def test_csv_lines_of_another_length_are_told(tmp_path: Path) -> None:
    source = write(tmp_path, "a.csv", "a,b\n1,2,3\n1,2\n1\n")
    with pytest.raises(InputError) as error:
        read_seeds(source)
    assert [problem.line for problem in error.value.problems] == [2, 4]
    assert "has 3 values, but the first line names 2 columns." in str(error.value)


def test_an_open_quote_in_csv_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not valid CSV: unexpected end of data"):
        read_seeds(write(tmp_path, "a.csv", 'a,b\n1,"2\n3,4\n'))


def test_columns_of_several_csv_files_get_one_type(tmp_path: Path) -> None:
    write(tmp_path, "many/a.csv", "zip\n90210\n")
    write(tmp_path, "many/b.csv", "zip\n01234\n")
    assert rows(str(tmp_path / "many")) == [{"zip": "90210"}, {"zip": "01234"}]
