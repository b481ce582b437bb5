"""Seeds are read as they are, from any kind of file, with the same ids."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetDict

from sdg_prefect.errors import InputError
from sdg_prefect.fingerprints import fingerprint
from sdg_prefect.rows import ROW_ID
from sdg_prefect.store.output import write_output
from sdg_prefect.store.seeds import peek_columns, read_seeds, seeds_of
from tests.unit.store.seed_files import ROWS, lines, rows_of, write


def every_kind(folder: Path) -> list[str]:
    table = pa.Table.from_pylist(ROWS)
    csv_text = "question,score,level\nWhy?,1,0.5\nOù ça ?,2,\n"
    pq.write_table(table, folder / "p.parquet")
    Dataset(table).save_to_disk(folder / "saved")
    DatasetDict({"train": Dataset(table)}).save_to_disk(folder / "dict")
    DatasetDict({"only": Dataset(table)}).save_to_disk(folder / "one")
    with pa.OSFile(str(folder / "bare.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return [
        write(folder, "a.jsonl", lines(*ROWS)),
        write(folder, "a.ndjson", lines(*ROWS)),
        write(folder, "a.jsonl.gz", gzip.compress(lines(*ROWS).encode())),
        write(folder, "a.json", json.dumps(ROWS, indent=2)),
        write(folder, "lines.json", lines(*ROWS)),
        write(folder, "a.csv", csv_text),
        write(folder, "a.csv.gz", gzip.compress(csv_text.encode(), mtime=0)),
        write(folder, "a.tsv", csv_text.replace(",", "\t")),
        str(folder / "p.parquet"),
        str(folder / "saved"),
        str(folder / "saved") + "/",
        str(folder / "dict"),
        str(folder / "one"),
        str(folder / "bare.arrow"),
        f"hf:{folder / 'saved'}",
        f"hf:{folder / 'dict'}@train",
    ]


def test_every_kind_of_file_gives_the_same_rows_and_ids(tmp_path: Path) -> None:
    expected = seeds_of(ROWS)
    for source in every_kind(tmp_path):
        table = read_seeds(source)
        assert table.column_names[0] == ROW_ID
        assert table.to_pylist() == expected.to_pylist(), source
        assert peek_columns(source) == ("question", "score", "level"), source


def test_every_kind_of_memory_gives_the_same_rows_and_ids() -> None:
    table = pa.Table.from_pylist(ROWS)
    expected = seeds_of(ROWS).to_pylist()
    assert seeds_of(table).to_pylist() == expected
    assert seeds_of(Dataset(table)).to_pylist() == expected
    assert seeds_of(pd.DataFrame(ROWS)).to_pylist() == expected
    assert seeds_of(pd.DataFrame(ROWS, dtype=object)).to_pylist() == expected
    assert seeds_of(row for row in ROWS).to_pylist() == expected


def test_a_selection_of_a_dataset_gives_the_selected_rows() -> None:
    assert rows_of(seeds_of(Dataset.from_list(ROWS).select([1]))) == [ROWS[1]]


def test_a_limit_stops_the_reading_early(tmp_path: Path) -> None:
    for source in every_kind(tmp_path):
        assert read_seeds(source, limit=1).num_rows == 1, source
    assert seeds_of(ROWS, limit=1).num_rows == 1
    broken_later = write(tmp_path, "later.jsonl", lines(*ROWS) + "{\n")
    assert read_seeds(broken_later, limit=2).num_rows == 2


def test_text_that_looks_like_a_date_or_number_stays_text(tmp_path: Path) -> None:
    row = {"day": "2024-01-31", "time": "2024-01-31T10:00:00Z", "number": "001", "float": "1.50", "null": "NA", "bool": "true"}
    source = write(tmp_path, "a.jsonl", lines(row))
    assert rows_of(read_seeds(source)) == [row]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_byte_order_marks_and_windows_line_ends_do_not_matter(tmp_path: Path, name: str) -> None:
    content = '{"text": "é"}\r\n\r\n' if name == "a.jsonl" else "text\r\né\r\n"
    source = write(tmp_path, name, b"\xef\xbb\xbf" + content.encode())
    assert rows_of(read_seeds(source)) == [{"text": "é"}]
    assert peek_columns(source) == ("text",)


def test_a_line_separator_inside_json_text_is_no_line_end(tmp_path: Path) -> None:
    source = write(tmp_path, "a.jsonl", '{"text": "a\u2028b\x85c"}\n')
    assert rows_of(read_seeds(source)) == [{"text": "a\u2028b\x85c"}]


def test_nested_values_and_nulls_are_kept(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None}]
    source = write(tmp_path, "a.jsonl", lines({"messages": messages, "tags": [], "x": None}, {"messages": None, "tags": ["a"]}))
    assert rows_of(read_seeds(source)) == [
        {"messages": messages, "tags": [], "x": None},
        {"messages": None, "tags": ["a"], "x": None},
    ]


def test_rows_without_any_value_are_rows_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sdg_prefect.store.readers.PART_ROWS", 2)
    source = write(tmp_path, "a.jsonl", lines({"n": 1}, {"n": 2}, {}, {}, {"n": 3}))
    assert rows_of(read_seeds(source)) == [{"n": 1}, {"n": 2}, {"n": None}, {"n": None}, {"n": 3}]


def test_rows_without_any_column_are_no_seeds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no columns"):
        read_seeds(write(tmp_path, "a.jsonl", lines({}, {})))


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "arrow"])
def test_many_seeds_are_read_into_a_file_as_few_are_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    rows = [{"text": f"t{place % 50}" if place % 7 else None, "n": place % 3 + place // 90 / 2} for place in range(99)]
    table = pa.Table.from_pylist(rows)
    source = str(tmp_path / ("seeds" if kind == "arrow" else f"seeds.{kind}"))
    write_output(source, [table], table.schema)
    few = read_seeds(source)
    monkeypatch.setattr("sdg_prefect.spill._HELD_BYTES", 0)
    for module in ("readers", "delimited", "gathering", "seeds"):
        monkeypatch.setattr(f"sdg_prefect.store.{module}.PART_ROWS", 10)
    before = pa.total_allocated_bytes()
    many = read_seeds(source, folder=str(tmp_path / "tmp"))
    assert pa.total_allocated_bytes() - before < few.nbytes // 4
    assert many.equals(few)
    assert fingerprint(many) == fingerprint(few)


def test_whole_numbers_beside_decimals_become_decimals(tmp_path: Path) -> None:
    source = write(tmp_path, "a.jsonl", lines({"n": 1}, {"n": 2.5}))
    assert rows_of(read_seeds(source)) == [{"n": 1.0}, {"n": 2.5}]


def test_large_whole_numbers_stay_exact(tmp_path: Path) -> None:
    source = write(tmp_path, "a.jsonl", lines({"n": 2**53 + 1}))
    assert rows_of(read_seeds(source)) == [{"n": 2**53 + 1}]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"n": 1}, {"n": None}, {"n": "x"}], ":3  column 'n' holds text here but a number before. Give the column one type."),
        ([{"n": "x"}, {"n": 1}], ":2  column 'n' holds a number here but text before. Give the column one type."),
        ([{"n": 1.5}, {"n": True}], ":2  column 'n' holds true or false here but a number before. Give the column one type."),
        ([{"n": True}, {"n": 1}], ":2  column 'n' holds a number here but true or false before. Give the column one type."),
        ([{"n": "x"}, {"n": ["x"]}], ":2  column 'n' holds a list here but text before. Give the column one type."),
        (
            [{"m": [{"c": "x"}]}, {"m": [{"c": [1]}]}],
            ":2  column 'm[].c' holds a list here but text before. Give the column one type.",
        ),
        ([{"n": 1}, {"n": 2**70}], ":2  column 'n' holds a whole number beyond 64 bits. Write it as text."),
        ([{"n": "\ud800"}], ":1  column 'n' holds half a character (an unpaired surrogate). Remove it."),
        (
            [{"n": 0.5}, {"n": 2**60}],
            "  column 'n' holds decimals beside whole numbers that are too large for them. Write them as text.",
        ),
        ([{"": 1}], ":1  column '' has no name."),
    ],
)
def test_a_column_of_several_types_is_told_with_its_line(tmp_path: Path, rows: list[object], message: str) -> None:
    source = write(tmp_path, "a.jsonl", lines(*rows))
    with pytest.raises(InputError) as error:
        read_seeds(source)
    assert str(error.value) == source + message


def test_a_column_that_changes_its_type_after_many_rows_is_told_with_its_line(tmp_path: Path) -> None:
    source = write(tmp_path, "a.jsonl", lines(*({"n": number} for number in range(10_000))) + '{"n": "x"}\n')
    with pytest.raises(InputError) as error:
        read_seeds(source)
    assert error.value.problems[0].line == 10_001


def test_types_widen_over_many_rows(tmp_path: Path) -> None:
    first = lines(*({"n": number, "later": None, "list": []} for number in range(10_000)))
    source = write(tmp_path, "a.jsonl", first + lines({"n": 0.5, "later": {"a": 1}, "list": ["x"], "new": "y"}))
    table = read_seeds(source)
    assert rows_of(table.slice(10_000)) == [{"n": 0.5, "later": {"a": 1}, "list": ["x"], "new": "y"}]
    assert rows_of(table.slice(7, 1)) == [{"n": 7.0, "later": None, "list": [], "new": None}]


def test_rows_in_memory_are_told_by_their_number() -> None:
    with pytest.raises(InputError, match=r"^row 2: column 'n' holds text here but a number before"):
        seeds_of([{"n": 1}, {"n": "x"}])
    with pytest.raises(InputError, match=r"^row 2: column 'n' holds text here but a number before"):
        seeds_of(pd.DataFrame({"n": [1, "x"]}))
    with pytest.raises(InputError, match=r"^row 1: not an object but str"):
        seeds_of(["x"])
    with pytest.raises(InputError, match=r"^seeds must be a Dataset, a DataFrame"):
        seeds_of(DatasetDict())
    with pytest.raises(InputError, match=r"^column 0 is not text"):
        seeds_of(pd.DataFrame([["x"]]))
    with pytest.raises(InputError, match=r"^the seeds have no rows"):
        seeds_of([])


def test_what_pandas_says_is_missing_is_null() -> None:
    frame = pd.DataFrame({"text": ["x", float("nan")], "when": [pd.Timestamp("2024-01-31"), pd.NaT]})
    assert rows_of(seeds_of(frame))[1] == {"text": None, "when": None}
    assert rows_of(seeds_of([{"text": "x"}, {"text": float("nan")}]))[1] == {"text": None}


def test_broken_lines_are_all_told_the_first_five_one_by_one(tmp_path: Path) -> None:
    source = write(tmp_path, "a.jsonl", '{"a": 1}\n{"a": \n\n[1]\n' + "no\n" * 7)
    with pytest.raises(InputError) as error:
        read_seeds(source)
    told = str(error.value).split("\n")
    assert len(told) == 6
    assert told[0].startswith(f"{source}:2  not valid JSON: expecting value (column 6). Write one JSON object on each line")
    assert told[1].startswith(f"{source}:4  not an object but a list.")
    assert told[5] == f"{source}  and 4 more."


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", "[{}]", "  starts a JSON list, not JSON lines. Name the file .json, or write one object a line."),
        ("a.jsonl", b'{"a": "\xe9"}', ":1  not UTF-8 text. Save the file as UTF-8."),
        ("a.jsonl", b'{"a": ' + b"9" * 5000 + b"}", ":1  not valid JSON"),
        ("a.jsonl", "", "  has no rows."),
        ("a.jsonl", "\n\n", "  has no rows."),
        ("a.json", "", "  has no rows."),
        ("a.json", "[]", "  has no rows."),
        ("a.json", '{"a": 1}', "  holds an object, not a list of objects."),
        ("a.json", '[{"a": 1},\n {"a": }]', ":2  not valid JSON: expecting value (column 8)."),
        ("a.json", "[1]", "  row 1: not an object but a number."),
        ("a.csv", "", "  has no rows."),
        ("a.csv", "a,b\n", "  has no rows."),
        ("a.csv", "a,b,a\n1,2,3\n", ":1  column 'a' is there twice."),
        ("a.csv", 'a;b\n"x";1\n', ":1  the first line names one column, 'a;b', and its values seem to be parted by semicolons."),
        (
            "a.csv",
            "a\tb\n1\t2\n",
            ":1  the first line names one column, 'a b', and its values seem to be parted by tabs. Save it",
        ),
        ("a.csv", ",a\n0,1\n", ":1  column 1 has no name. Name every column in the first line; pandas leaves its index out"),
        ("a.csv", b"a\n\xe9\n", ":2  not UTF-8 text."),
        ("a.parquet", "no", "  cannot be read: "),
        ("a.csv.gz", "no", "  cannot be read: it is not a whole gzip file."),
        (
            "a.jsonl.gz",
            gzip.compress(b'{"a": "' + bytes(range(65, 91)) * 9 + b'"}', mtime=0)[:-9],
            "  cannot be read: it is not a whole",
        ),
        ("a.rtf", "x", "  '.rtf' is not a known kind of file. Seeds are read from .jsonl, "),
        ("a.parquet.gz", "x", "  '.parquet.gz' is not a known kind of file."),
        ("seeds", "x", "  has no known extension."),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line_when_peeked_and_when_read(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    source = write(tmp_path, name, content)
    for read in (read_seeds, peek_columns):
        with pytest.raises(InputError) as error:
            read(source)
        assert str(error.value).startswith(source + message)
        assert "\n" not in str(error.value)


def test_parquet_and_arrow_without_rows_are_told(tmp_path: Path) -> None:
    empty = pa.table({"a": pa.array([], pa.string())})
    pq.write_table(empty, tmp_path / "a.parquet")
    Dataset(empty).save_to_disk(tmp_path / "saved")
    for name in ("a.parquet", "saved"):
        for read in (read_seeds, peek_columns):
            with pytest.raises(InputError, match=r"has no rows\."):
                read(str(tmp_path / name))


def test_a_missing_file_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    write(tmp_path, "seeds.jsonl", lines(*ROWS))
    write(tmp_path, "notes.txt", "x")
    for read in (read_seeds, peek_columns):
        with pytest.raises(InputError, match=r"there is no such file\. Did you mean 'seeds\.jsonl'\?"):
            read(str(tmp_path / "seds.jsonl"))
        with pytest.raises(InputError, match=r"There is no folder '.*/data' either\."):
            read(str(tmp_path / "data" / "seeds.jsonl"))


def test_addresses_of_unknown_kinds_are_told() -> None:
    with pytest.raises(InputError, match=r"gs://b/a\.jsonl  is not a known kind of address"):
        read_seeds("gs://b/a.jsonl")


def test_ids_do_not_depend_on_order_types_or_absent_keys() -> None:
    one, other = {"a": 1, "m": {"x": "y"}}, {"a": 2, "m": {"x": "z"}}
    alone = seeds_of([one]).column(ROW_ID).to_pylist()
    wider = seeds_of([{"b": None, "a": 0.5, "m": {"new": 1}}, other, one]).column(ROW_ID).to_pylist()
    assert wider[2:] == alone
    assert len(set(wider)) == 3


def test_equal_rows_have_different_ids() -> None:
    ids = seeds_of([{"a": 1}, {"a": 1}]).column(ROW_ID).to_pylist()
    assert ids[0] != ids[1]


def test_ids_of_an_earlier_output_are_not_a_column(tmp_path: Path) -> None:
    source = write(tmp_path, "a.jsonl", lines({ROW_ID: "kept", "a": 1}))
    assert peek_columns(source) == ("a",)
    assert read_seeds(source).equals(seeds_of([{"a": 1}]))
    assert seeds_of(pa.table({"a": [1], ROW_ID: ["kept"]})).equals(seeds_of([{"a": 1}]))


def test_encodings_of_text_do_not_matter() -> None:
    text = pa.array(["x", "y"])
    for column in (text.dictionary_encode(), text.cast(pa.large_string())):
        assert seeds_of(pa.table({"a": column})).equals(seeds_of([{"a": "x"}, {"a": "y"}]))


def test_peeking_at_text_files_imports_nothing_heavy(tmp_path: Path) -> None:
    sources = [
        write(tmp_path, "a.jsonl", lines(*ROWS)),
        write(tmp_path, "a.json", "[{}, {}]"),
        write(tmp_path, "a.csv", "a\n1\n"),
    ]
    code = (
        "import sys\nfrom sdg_prefect.errors import InputError\nfrom sdg_prefect.store.seeds import peek_columns\n"
        f"for source in {sources!r}:\n"
        "    try:\n        peek_columns(source)\n    except InputError as error:\n        print(error)\n"
        "print(sorted({'pyarrow', 'datasets', 'pandas', 'fsspec'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout


@pytest.mark.skipif("sys.platform == 'win32' or __import__('os').geteuid() == 0", reason="root reads everything")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    source = write(tmp_path, "a.jsonl", lines(*ROWS))
    Path(source).chmod(0)
    with pytest.raises(InputError, match=r"cannot be read: access is denied"):
        read_seeds(source)
