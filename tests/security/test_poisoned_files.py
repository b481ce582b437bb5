"""Files that would run, fill the memory or the disk if somebody trusted them: rows, folders of rows, and a whole store."""

from __future__ import annotations

import gzip
import json
import os
import pickle  # noqa: TID251 - to poison files
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sdg_prefect.counts import Counts
from sdg_prefect.errors import InputError, SdgError
from sdg_prefect.frozen import canonical
from sdg_prefect.rows import with_ids
from sdg_prefect.store.checkpoints import RECORD, checkpoint_folder, recall, sealed, write_checkpoint
from sdg_prefect.store.root import Root
from sdg_prefect.store.seeds import peek_columns, read_seeds
from tests.damage import Poison
from tests.security.auditing import REACHES_OUT, STARTS, UNPICKLES, audited

SCRIPT = "import os\nos.mkdir(os.environ['TRACE'])\n"
EXECUTES = (*STARTS, *UNPICKLES, *REACHES_OUT, "os.mkdir")


@pytest.fixture
def poison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A pickle that makes a folder when it is loaded."""
    monkeypatch.setenv("TRACE", str(tmp_path / "trace"))
    return pickle.dumps(Poison())


def _extended(poison: bytes, name: str) -> pa.Table:
    """Rows whose column says that its type is made from a pickle, as pyarrow once did by itself."""
    metadata = {"ARROW:extension:name": name, "ARROW:extension:metadata": poison}
    field = pa.field("text", pa.string(), metadata=metadata)
    return pa.table([pa.array(["a row"])], schema=pa.schema([field], metadata={"huggingface": poison, "pandas": poison}))


def _arrow(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


def _folder(path: Path, table: pa.Table) -> None:
    """A folder as ``save_to_disk`` leaves it, with everything in it that somebody could run."""
    path.mkdir()
    _arrow(path / "data.arrow", table)
    (path / "state.json").write_text(
        json.dumps({"_data_files": [{"filename": "data.arrow"}], "_format_type": "__import__('os')"})
    )
    (path / "dataset_info.json").write_text(
        json.dumps({"builder_name": f"{path.name}.py", "features": {"text": {"_type": "os.system"}}})
    )
    for name in (f"{path.name}.py", "__init__.py", "conftest.py", "sitecustomize.py", "dataset_script.py"):
        (path / name).write_text(SCRIPT)


@pytest.mark.parametrize(
    "extension", ["arrow.py_extension_type", "pickle", "arrow.json", "arrow.opaque", "datasets.features.Array2DExtensionType"]
)
def test_types_and_metadata_of_rows_are_not_unpickled(
    extension: str, poison: bytes, tmp_path: Path, tried: Callable[[str, int], None]
) -> None:
    table = _extended(poison, extension)
    try:
        pq.write_table(table, tmp_path / "rows.parquet")
    except pa.ArrowInvalid:
        pq.write_table(pa.table({"text": ["a row"]}).replace_schema_metadata({"pandas": poison}), tmp_path / "rows.parquet")
    _arrow(tmp_path / "rows.arrow", table)
    _folder(tmp_path / "rows", table)
    with audited(*STARTS, *UNPICKLES, *REACHES_OUT) as seen:
        for place in ("rows.parquet", "rows.arrow", "rows"):
            with suppress(SdgError):
                assert read_seeds(str(tmp_path / place)).column("text").to_pylist() == ["a row"]
                peek_columns(str(tmp_path / place))
    assert seen == []
    assert not (tmp_path / "trace").exists()
    tried(f"files of rows with types called {extension}", 3)


def test_code_beside_rows_is_not_imported(poison: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _folder(tmp_path / "rows", pa.table({"text": ["a row"]}))
    monkeypatch.chdir(tmp_path / "rows")
    before = set(sys.modules)
    with audited(*EXECUTES) as seen:
        read_seeds(".")
        with pytest.raises(InputError):
            read_seeds(f"hf:{tmp_path / 'rows' / 'dataset_script.py'}")
    assert seen == []
    assert not {"conftest", "sitecustomize", "dataset_script"} & (set(sys.modules) - before)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("name", ["rows.pkl", "rows.pickle", "rows.pt", "rows.npy", "rows.joblib", "rows.tar", "rows.py"])
def test_files_that_are_programs_are_no_rows(name: str, poison: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(poison)
    with audited(*EXECUTES) as seen, pytest.raises(InputError, match="not a known kind of file"):
        read_seeds(str(tmp_path / name))
    assert seen == []


@pytest.mark.parametrize(
    "name", ["rows.jsonl", "rows.json", "rows.csv", "rows.parquet", "rows.arrow", "rows.jsonl.gz", "rows.txt.gz"]
)
def test_a_pickle_by_another_name_is_a_broken_file(name: str, poison: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(gzip.compress(poison) if name.endswith(".gz") else poison)
    with audited(*EXECUTES) as seen, pytest.raises(InputError):
        read_seeds(str(tmp_path / name))
    assert seen == []


@pytest.mark.parametrize("name", ["rows.jsonl.gz", "rows.json.gz", "rows.csv.gz"])
def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b'"' * (name == "rows.csv.gz") + b" " * 70_000_000, 9))
    assert os.path.getsize(tmp_path / name) < 100_000
    with pytest.raises(InputError, match="unpacks to"):
        read_seeds(str(tmp_path / name))


def test_a_document_that_is_an_archive_bomb_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "seeds.docx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"0" * 110_000_000)
    with pytest.raises(SdgError):
        read_seeds(str(tmp_path / "seeds.docx"))


def test_nothing_in_a_store_is_unpickled(poison: bytes, tmp_path: Path, tried: Callable[[str, int], None]) -> None:
    """Each file of a store is a pickle in turn, with a checksum that is right where one is asked for."""
    root = Root.at(tmp_path / "store")
    folder = checkpoint_folder("block", "key")
    rows = with_ids(pa.table({"a": ["x"]}), ["id-x"])
    made = write_checkpoint(root, folder, [rows], Counts(rows_in=1), [], "run", 0.5)
    record = sealed(canonical({"result": canonical({"data": made.model_dump()}).decode()}))
    for serializer in (
        {"type": "pickle", "picklelib": "pickle"},
        {"type": "compressed/pickle"},
        {"type": "pickle", "picklelib": "os"},
    ):
        hidden = {"metadata": {"serializer": serializer}, "result": pickle.dumps(Poison(), protocol=0).decode("ascii")}
        contents = [poison, sealed(canonical(hidden)), canonical(hidden), poison + record]
        for content in contents:
            root.write(content, folder, RECORD)
            with audited(*STARTS, *UNPICKLES, *REACHES_OUT) as seen:
                assert recall(root, folder, "other") is None
            assert seen == []
    assert not (tmp_path / "trace").exists()
    tried("pickles as records of a store", 12)
    # That it is a poison is no accident.
    pickle.loads(poison)
    assert (tmp_path / "trace").exists()
