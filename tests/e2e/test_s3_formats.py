"""Every kind of file is read from and written to S3, spoken over HTTP."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import s3fs

from sdg_prefect.errors import FlowError, InputError, StoreError
from sdg_prefect.rows import ROW_ID
from sdg_prefect.store.output import check_output, write_output
from sdg_prefect.store.seeds import peek_columns, read_seeds, seeds_of
from tests.s3 import another_client

KINDS = ["a.jsonl", "a.csv.gz", "a.parquet", "folder"]
MORE_KINDS = ["a.ndjson", "a.jsonl.gz", "a.json", "a.csv", "a.tsv", "slash/", "a.arrow"]
EVERY_KIND = [*KINDS, *(pytest.param(kind, marks=pytest.mark.long) for kind in MORE_KINDS)]
ROWS = [{"text": "Où ça ?", "n": 1, "level": 0.5}, {"text": "There", "n": 2, "level": None}]


def keys(bucket: str) -> list[str]:
    return sorted(path.removeprefix(f"{bucket}/") for path in another_client().find(bucket))


def put(bucket: str, key: str, content: bytes) -> str:
    another_client().pipe_file(f"{bucket}/{key}", content)
    return f"s3://{bucket}/{key}"


def failing_tables() -> Iterator[pa.Table]:
    yield pa.table({"a": [1]})
    raise StoreError("shard x cannot be read.")


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_what_is_written_to_s3_is_read_again_as_it_was(bucket: str, kind: str) -> None:
    table, target = pa.Table.from_pylist(ROWS), f"s3://{bucket}/deep/{kind}"
    check_output(target)
    assert write_output(target, [table.slice(0, 1), table.slice(1)], table.schema) == 2
    assert read_seeds(target).to_pylist() == seeds_of(ROWS).to_pylist()
    assert peek_columns(target) == ("text", "n", "level")
    assert read_seeds(target, limit=1).num_rows == 1


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_file_on_s3_holds_the_bytes_of_a_local_one(bucket: str, tmp_path: Path, kind: str) -> None:
    table = pa.Table.from_pylist(ROWS)
    write_output(f"{tmp_path}/{kind}", [table], table.schema)
    write_output(f"s3://{bucket}/{kind}", [table], table.schema)
    local = tmp_path / kind
    files = {f"{local.name}/{file.name}": file for file in local.iterdir()} if local.is_dir() else {kind: local}
    assert keys(bucket) == sorted(files)
    for key, file in files.items():
        assert another_client().cat_file(f"{bucket}/{key}") == file.read_bytes()


def test_an_output_of_several_megabytes_arrives_whole(bucket: str) -> None:
    table = pa.table({"text": [f"{number:06d}" * 3000 for number in range(800)]})
    write_output(f"s3://{bucket}/a.jsonl", [table], table.schema)
    assert read_seeds(f"s3://{bucket}/a.jsonl").drop_columns([ROW_ID]).equals(table)


@pytest.mark.parametrize("kind", ["a.jsonl", "folder"])
def test_a_failure_uploads_nothing(bucket: str, kind: str) -> None:
    with pytest.raises(StoreError, match=r"shard x"):
        write_output(f"s3://{bucket}/{kind}", failing_tables(), pa.schema([("a", pa.int64())]))
    assert keys(bucket) == []


@pytest.mark.parametrize("kind", ["a.jsonl", "folder"])
def test_an_old_output_on_s3_is_replaced(bucket: str, kind: str) -> None:
    put(bucket, "folder/data-00001-of-00002.arrow", b"old")
    for text in ("old", "new"):
        table = pa.table({"a": [text]})
        write_output(f"s3://{bucket}/{kind}", [table], table.schema)
    assert read_seeds(f"s3://{bucket}/{kind}").column("a").to_pylist() == ["new"]
    assert ("folder/data-00001-of-00002.arrow" in keys(bucket)) is (kind == "a.jsonl")


def test_a_folder_with_other_objects_is_never_overwritten(bucket: str) -> None:
    put(bucket, "folder/thesis.tex", b"x")
    with pytest.raises(FlowError, match="is a folder with other files in it"):
        check_output(f"s3://{bucket}/folder/")
    assert keys(bucket) == ["folder/thesis.tex"]


def test_a_prefix_or_pattern_on_s3_is_read_in_order_of_names(bucket: str) -> None:
    put(bucket, "many/b.jsonl.gz", gzip.compress(b'{"a": 2}\n'))
    put(bucket, "many/a.jsonl", b'{"a": 1}\n')
    for source in (f"s3://{bucket}/many", f"s3://{bucket}/many/", f"s3://{bucket}/many/*.jsonl*"):
        assert read_seeds(source).column("a").to_pylist() == [1, 2]
        assert peek_columns(source) == ("a",)


def test_what_others_wrote_in_the_meantime_is_seen(bucket: str) -> None:
    with pytest.raises(InputError):
        read_seeds(f"s3://{bucket}/many/a.jsonl")
    put(bucket, "many/a.jsonl", b'{"a": 1}\n')
    assert read_seeds(f"s3://{bucket}/many").num_rows == 1
    put(bucket, "many/b.jsonl", b'{"a": 2}\n')
    assert read_seeds(f"s3://{bucket}/many").num_rows == 2
    put(bucket, "many/a.jsonl", b'{"a": 1}\n{"a": 1}\n')
    assert read_seeds(f"s3://{bucket}/many/a.jsonl").num_rows == 2


def test_missing_objects_and_buckets_are_told_in_one_line(bucket: str) -> None:
    put(bucket, "deep/seeds.jsonl", json.dumps(ROWS[0]).encode())
    for read in (read_seeds, peek_columns):
        with pytest.raises(InputError, match=r"there is no such file\. Did you mean 'seeds\.jsonl'\?"):
            read(f"s3://{bucket}/deep/seds.jsonl")
        with pytest.raises(InputError, match=r"there is no bucket 'no-such-bucket'\."):
            read("s3://no-such-bucket/seeds.jsonl")
    with pytest.raises(FlowError, match=r"there is no bucket 'no-such-bucket'\."):
        check_output("s3://no-such-bucket/out.jsonl")


def test_broken_lines_on_s3_are_told_with_their_place(bucket: str) -> None:
    source = put(bucket, "a.jsonl", b'{"a": 1}\n{"a": \n')
    with pytest.raises(InputError) as error:
        read_seeds(source)
    assert str(error.value).startswith(f"{source}:2  not valid JSON")


def test_missing_credentials_are_told_in_one_line(bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    s3fs.S3FileSystem.clear_instance_cache()
    for read in (read_seeds, peek_columns, check_output):
        with pytest.raises(FlowError, match=r"there are no AWS credentials\. Set AWS_ACCESS_KEY_ID") as error:
            read(f"s3://{bucket}/a.jsonl")
        assert "\n" not in str(error.value)


def test_an_endpoint_that_does_not_answer_is_told_in_one_line(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    for read in (read_seeds, check_output):
        with pytest.raises(FlowError, match=r"S3 does not answer: .*127\.0\.0\.1:9.*Check AWS_ENDPOINT_URL") as error:
            read(f"s3://{bucket}/a.jsonl")
        assert "\n" not in str(error.value)
