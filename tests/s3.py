"""An S3 of the tests' own, spoken over HTTP, so that it is there for other processes too."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Self
from uuid import uuid4

import pytest
import s3fs
from moto.server import ThreadedMotoServer

_REGION = "us-east-1"


class S3Server:
    """A server that speaks S3.

    What is in moto belongs to the process: all its servers have the same buckets, and a bucket stays when its server has ended. So
    no test names one itself.
    """

    def __init__(self, address: str = "127.0.0.1") -> None:
        self._moto = ThreadedMotoServer(ip_address=address, port=0, verbose=False)

    def __enter__(self) -> Self:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._moto.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._moto.stop()

    @property
    def url(self) -> str:
        """The address."""
        host, port = self._moto.get_host_and_port()
        return f"http://{host}:{port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that lead a process here."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @cached_property
    def client(self) -> s3fs.S3FileSystem:
        """A client that remembers nothing, wherever the environment leads."""
        return another_client(self.url)

    def new_bucket(self) -> str:
        """Make a bucket, and return its name, which no other has."""
        name = f"bucket-{uuid4().hex}"
        self.client.mkdir(name)
        return name


def another_client(url: str | None = None) -> s3fs.S3FileSystem:
    """Return a client that shares no cache with the ones under test; of the S3 to which the environment leads, if none is named."""
    return s3fs.S3FileSystem(
        endpoint_url=url or os.environ["AWS_ENDPOINT_URL"],
        key="test",
        secret="test",
        config_kwargs={"region_name": _REGION},
        skip_instance_cache=True,
        use_listings_cache=False,
    )


@contextmanager
def leading_to(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the variables of an S3 lead this process there; no client from before is used, and none stays."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    yield
    s3fs.S3FileSystem.clear_instance_cache()


def note_requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets each request of this process to S3 from now on: its method, and its key or prefix."""
    noted: list[str] = []
    call = s3fs.S3FileSystem._call_s3

    async def noting(self: Any, method: str, *arguments: Any, **options: Any) -> Any:
        noted.append(f"{method} {options.get('Key') or options.get('Prefix')}")
        return await call(self, method, *arguments, **options)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", noting)
    return noted
