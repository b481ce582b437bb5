"""Outputs are whole or not there, and equal rows are equal bytes."""

import csv
import datetime
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_from_disk

from sdg_prefect.errors import FlowError, StoreError
from sdg_prefect.rows import ROW_ID
from sdg_prefect.store.output import check_output, unified_schema, write_output
from sdg_prefect.store.seeds import read_seeds

KINDS = ["a.jsonl", "a.ndjson", "a.jsonl.gz", "a.json", "a.csv", "a.csv.gz", "a.tsv", "a.parquet", "folder", "slash/", "a.arrow"]
ROWS = [
    {"text": 'Où ça ?\nHere, "there"\r.', "n": 1, "level": 0.5, "tags": ["a", "é"], "m": {"x": 1, "y": None}, "none": None},
    {"text": "=1\t2", "n": 2**53 + 1, "level": None, "tags": [], "m": None, "none": None},
]


def table(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows))


def write(target: Path | str, *tables: pa.Table, keep_ids: bool = False) -> int:
    return write_output(str(target), tables, unified_schema(one.schema for one in tables), keep_ids)


def content(path: Path) -> dict[str, bytes]:
    if path.is_dir():
        return {file.name: file.read_bytes() for file in sorted(path.iterdir())}
    return {"": path.read_bytes()}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_again_as_it_was(tmp_path: Path, kind: str) -> None:
    target = f"{tmp_path}/out/{kind}"
    nested_is_text = ".csv" in kind or ".tsv" in kind
    rows = [
        {name: json.dumps(value, ensure_ascii=False) if nested_is_text and isinstance(value, (list, dict)) else value
         for name, value in row.items()}
        for row in ROWS
    ]  # fmt: skip
    assert write(target, table(*ROWS)) == 2
    got = read_seeds(target)
    assert [{name: value for name, value in row.items() if name != ROW_ID} for row in got.to_pylist()] == rows
    assert got.column_names[1:] == list(ROWS[0])
    assert [path.name for path in (tmp_path / "out").iterdir()] == [kind.rstrip("/")]


@pytest.mark.parametrize("kind", KINDS)
def test_equal_rows_are_equal_bytes_however_they_are_cut(tmp_path: Path, kind: str) -> None:
    rows: list[dict[str, object]] = [
        {
            "n": number,
            "text": None if number % 3 else str(number),
            "list": [number] * (number % 4),
            "messages": [{"content": str(number), "flag": None if number < 9_000 else True}],
        }
        for number in range(11_003)
    ]
    whole = table(*rows)
    schema = whole.schema
    cut = [whole.slice(0, 0), whole.slice(0, 7), whole.slice(7, 10_001), whole.slice(10_008)]
    for name, parts in {"one": [whole], "cut": cut, "small": whole.to_batches(max_chunksize=997)}.items():
        tables = (part if isinstance(part, pa.Table) else pa.Table.from_batches([part]) for part in parts)
        assert write_output(f"{tmp_path}/{name}/{kind}", tables, schema) == len(rows)
    expected = content(tmp_path / "one" / kind)
    assert content(tmp_path / "cut" / kind) == expected
    assert content(tmp_path / "small" / kind) == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tables", [[], [table({"a": 1, "b": "x"}).slice(0, 0)]])
def test_no_rows_give_a_valid_file(tmp_path: Path, kind: str, tables: list[pa.Table]) -> None:
    target, schema = tmp_path / kind, pa.schema([("a", pa.int64()), ("b", pa.string())])
    assert write_output(f"{tmp_path}/{kind}", tables, schema) == 0
    if kind.endswith("json"):
        assert target.name == "a.ndjson" or json.loads(target.read_text()) == []
    elif "csv" in kind or "tsv" in kind:
        written = gzip.decompress(target.read_bytes()) if kind.endswith("gz") else target.read_bytes()
        assert written == (b"a\tb\n" if kind == "a.tsv" else b"a,b\n")
    elif kind.endswith("parquet"):
        assert pq.read_table(target).column_names == ["a", "b"]
    elif target.is_dir():
        assert load_from_disk(str(target)).column_names == ["a", "b"]


def test_json_lines_are_readable_and_complete(tmp_path: Path) -> None:
    when = datetime.datetime(2024, 1, 31, 10, 0, tzinfo=datetime.UTC)
    rows = {"t": "é\u2028", "when": when, "day": when.date(), "raw": b"\x00\xff", "f": 0.1, "whole": 1.0, "nan": float("nan")}
    write(tmp_path / "a.jsonl", table({**rows, "deep": [{"x": float("inf")}]}))
    assert (tmp_path / "a.jsonl").read_text() == (
        '{"t": "é\u2028", "when": "2024-01-31T10:00:00+00:00", "day": "2024-01-31", "raw": "AP8=", '
        '"f": 0.1, "whole": 1.0, "nan": null, "deep": [{"x": null}]}\n'
    )


def test_delimited_files_hold_nested_values_as_json_and_null_as_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", table({"a": None, "b": [{"x": "é"}], "c": True, "d": float("nan"), "e": "x\ry"}))
    with open(tmp_path / "a.csv", newline="") as stream:
        assert stream.read() == 'a,b,c,d,e\n,"[{""x"": ""é""}]",True,,"x\ry"\n'
    with open(tmp_path / "a.csv", newline="") as stream:
        assert list(csv.reader(stream))[1] == ["", '[{"x": "é"}]', "True", "", "x\ry"]


@pytest.mark.parametrize("kind", ["a.jsonl", "a.parquet", "folder"])
def test_tables_of_several_types_are_written_as_one(tmp_path: Path, kind: str) -> None:
    tables = [
        table({"n": 1, "t": None, "m": [{"role": "user"}]}),
        table({"new": "x", "n": 0.5, "t": "x", "m": [{"content": "Hi", "role": "bot"}]}),
        table({"n": None, "m": []}),
    ]
    assert write(tmp_path / kind, *tables) == 3
    assert read_seeds(str(tmp_path / kind)).drop_columns([ROW_ID]).to_pylist() == [
        {"n": 1.0, "t": None, "m": [{"role": "user", "content": None}], "new": None},
        {"n": 0.5, "t": "x", "m": [{"role": "bot", "content": "Hi"}], "new": "x"},
        {"n": None, "t": None, "m": [], "new": None},
    ]


def test_types_that_cannot_be_joined_are_told_with_their_column() -> None:
    with pytest.raises(StoreError, match=r"column 'a' has rows of type int64 and rows of type string\."):
        unified_schema([pa.schema([("a", pa.int64())]), pa.schema([("a", pa.string())])])
    with pytest.raises(StoreError, match=r"column 'a'"):
        unified_schema([table({"a": [{"b": True}]}).schema, table({"a": [{"b": 1}]}).schema])


def test_types_are_joined_permissively() -> None:
    pairs = [
        (pa.null(), pa.string(), pa.string()),
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.uint64(), pa.uint8(), pa.uint64()),
        (pa.int64(), pa.float32(), pa.float64()),
        (pa.string(), pa.large_string(), pa.string()),
        (pa.dictionary(pa.int8(), pa.string()), pa.string(), pa.string()),
        (pa.list_(pa.null()), pa.large_list(pa.string()), pa.list_(pa.string())),
        (pa.struct([("a", pa.null())]), pa.struct([("b", pa.int64())]), pa.struct([("a", pa.null()), ("b", pa.int64())])),
        (pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("us")),
        (pa.decimal128(5, 1), pa.decimal128(5, 2), pa.decimal128(6, 2)),
    ]
    for one, other, both in pairs:
        assert unified_schema([pa.schema([("a", one)]), pa.schema([("a", other)])]).field("a").type == both
        joined = unified_schema([pa.schema([("a", other)]), pa.schema([("a", one)])]).field("a").type
        assert joined == both or pa.types.is_struct(both)


def test_ids_are_written_only_when_asked_for(tmp_path: Path) -> None:
    rows = table({ROW_ID: "1a", "a": 1})
    write(tmp_path / "without.jsonl", rows)
    write(tmp_path / "with.jsonl", rows, keep_ids=True)
    assert (tmp_path / "without.jsonl").read_text() == '{"a": 1}\n'
    assert json.loads((tmp_path / "with.jsonl").read_text()) == {ROW_ID: "1a", "a": 1}


def failing_tables() -> Iterator[pa.Table]:
    yield table({"a": 1})
    raise StoreError("shard x cannot be read.")


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_leaves_the_old_output_as_it_was(tmp_path: Path, kind: str) -> None:
    target = tmp_path / kind
    write(f"{tmp_path}/{kind}", table({"a": "old"}))
    before = content(target)
    with pytest.raises(StoreError, match=r"shard x cannot be read\."):
        write_output(f"{tmp_path}/{kind}", failing_tables(), pa.schema([("a", pa.int64())]))
    assert content(target) == before
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("kind", KINDS)
def test_an_old_output_is_replaced(tmp_path: Path, kind: str) -> None:
    write(f"{tmp_path}/{kind}", table({"a": "old", "b": 1}, {"a": "old", "b": 2}))
    assert write(f"{tmp_path}/{kind}", table({"a": "new"})) == 1
    assert read_seeds(f"{tmp_path}/{kind}").drop_columns([ROW_ID]).to_pylist() == [{"a": "new"}]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "a.jsonl").symlink_to(tmp_path / "real" / "b.jsonl")
    write(tmp_path / "a.jsonl", table({"a": 1}))
    assert (tmp_path / "a.jsonl").is_symlink()
    assert (tmp_path / "real" / "b.jsonl").read_text() == '{"a": 1}\n'


def test_a_value_that_no_type_holds_is_told(tmp_path: Path) -> None:
    tables = [table({"a": 2**60 + 1}), table({"a": 0.5})]
    with pytest.raises(StoreError, match=r"cannot write .*a\.jsonl: integer value 1152921504606846977 not in range"):
        write(tmp_path / "a.jsonl", *tables)
    assert not list(tmp_path.iterdir())


def test_what_stands_in_the_way_is_told_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    (tmp_path / "file").write_text("x")
    (tmp_path / "a.jsonl").mkdir()
    told = {
        "": "the output has no name.",
        "hf:me/rows": "a dataset of the Hub cannot be written.",
        f"{tmp_path}/a.xlsx": "'.xlsx' is not a known kind of file. Rows are written to .jsonl, ",
        f"{tmp_path}/a.parquet.gz": "'.parquet.gz' is not a known kind of file.",
        f"{tmp_path}/full": "is a folder with other files in it.",
        f"{tmp_path}/full/": "is a folder with other files in it.",
        f"{tmp_path}/file": "is a file, and an Arrow folder is to be written.",
        f"{tmp_path}/a.jsonl": "is a folder.",
        f"{tmp_path}/file/deep/a.jsonl": f"cannot be written: '{tmp_path}/file' is a file.",
        "gs://bucket/a.jsonl": "is not a known kind of address.",
        "s3://bucket": "names no object in a bucket.",
        "s3:///a.jsonl": "names no object in a bucket.",
    }
    for target, message in told.items():
        for check in (check_output, lambda target: write_output(target, [], pa.schema([("a", pa.int64())]))):
            with pytest.raises(FlowError) as error:
                check(target)
            assert message in str(error.value), target
    assert (tmp_path / "full" / "thesis.tex").read_text() == "x"


def test_a_folder_that_is_not_there_yet_is_made_when_writing(tmp_path: Path) -> None:
    check_output(f"{tmp_path}/new/deep/a.jsonl")
    assert not (tmp_path / "new").exists()
    write(tmp_path / "new" / "deep" / "a.jsonl", table({"a": 1}))
    assert (tmp_path / "new" / "deep" / "a.jsonl").exists()


@pytest.mark.skipif("__import__('os').geteuid() == 0", reason="root writes everywhere")
def test_a_read_only_folder_is_told_before_the_run(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(FlowError, match="is read-only"):
        check_output(f"{tmp_path}/a.jsonl")
