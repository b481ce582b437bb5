"""S3 as any tool on the machine uses it: credentials and addresses from the usual places, large objects in parts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import s3fs

from sdg_prefect.store import root as roots
from sdg_prefect.store.root import Root
from tests.s3 import note_requests

if TYPE_CHECKING:
    from tests.s3 import S3Server

MIB = 1024 * 1024


def test_a_profile_of_the_aws_files_says_where_s3_is_and_who_asks(
    bucket: str, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in s3_server.environment:
        monkeypatch.delenv(name)
    (tmp_path / "config").write_text(f"[profile work]\nregion = us-east-1\nendpoint_url = {s3_server.url}\n")
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = mine\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3fs.S3FileSystem.clear_instance_cache()
    Root.at(f"s3://{bucket}/store").write(b"content", "file")
    assert s3_server.client.cat_file(f"{bucket}/store/file") == b"content"


def test_large_objects_are_written_and_read_in_parts(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, large = Root.at(f"s3://{bucket}/store"), bytes(101 * MIB)
    noted = note_requests(monkeypatch)
    root.write(large, "written")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "data").write_bytes(large)
    root.adopt(folder, "adopted")
    methods = [request.split()[0] for request in noted]
    assert methods.count("create_multipart_upload") == methods.count("complete_multipart_upload") == 2
    assert methods.count("upload_part") >= 4
    assert "put_object" not in methods
    monkeypatch.setattr(roots, "_PART_BYTES", 40 * MIB)
    noted.clear()
    assert root.read("written") == large
    assert len(noted) == 3
    assert root.sizes("adopted") == {"data": len(large)}
