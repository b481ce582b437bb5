"""Prefect block types for what runs need and no file may hold: endpoints with their keys, stores with their credentials.

Prefect's server imports this at its start, by the entry point ``prefect.collections``.
"""

from __future__ import annotations

from copy import copy
from typing import Any, ClassVar

from prefect.blocks.core import Block
from pydantic import BaseModel, Field, SecretStr, create_model

from sdg_prefect.frozen import field_docs
from sdg_prefect.models.endpoint import Endpoint


def _fields_of(kind: type[BaseModel]) -> dict[str, Any]:
    """Return the fields of a class with their texts, for another class."""
    docs = field_docs(kind)
    fields = {}
    for name, given in kind.model_fields.items():
        field = copy(given)
        field.description = docs.get(name)
        fields[name] = (field.annotation, field)
    return fields


_EndpointFields: Any = create_model("_EndpointFields", **_fields_of(Endpoint))


class LLMEndpoint(_EndpointFields, Block):
    """A model, where it is served, how it may be called, and the key for it.

    A flow names it in place of an endpoint, as ``teacher: prefect:llm-endpoint/NAME``.
    """

    _block_type_name: ClassVar[str | None] = "LLM Endpoint"
    _block_type_slug: ClassVar[str | None] = "llm-endpoint"
    _description: ClassVar[str | None] = "A model, where it is served, how it may be called, and the key for it."
    _code_example: ClassVar[str | None] = "models:\n  teacher: prefect:llm-endpoint/NAME\n"

    api_key: SecretStr | None = Field(default=None, description="The key; or name a variable of the worker in ``api_key_env``.")


class DataStore(Block):
    """A folder or a place on S3, with the credentials for it.

    It stands before a path in ``input``, ``output`` and ``storage``, as ``prefect:data-store/NAME/path``.
    """

    _block_type_name: ClassVar[str | None] = "Data Store"
    _block_type_slug: ClassVar[str | None] = "data-store"
    _description: ClassVar[str | None] = "A folder or a place on S3, with the credentials for it."
    _code_example: ClassVar[str | None] = "sdg-prefect run flow.yaml --storage prefect:data-store/NAME\n"

    place: str = Field(min_length=1, description="A folder of the worker, or ``s3://bucket/prefix``.")
    access_key_id: str | None = Field(default=None, description="Who asks; the usual AWS variables of the worker if not given.")
    secret_access_key: SecretStr | None = Field(default=None, description="The secret of the access key.")
    session_token: SecretStr | None = Field(default=None, description="The token of a session, where there is one.")
    region: str | None = Field(default=None, description="The region of the bucket.")
    endpoint_url: str | None = Field(default=None, description="Address of a server that speaks S3, if it is not that of AWS.")

    def s3_options(self) -> dict[str, Any]:
        """Return how s3fs opens the place; empty where the worker's own variables say."""
        secrets = {"secret": self.secret_access_key, "token": self.session_token}
        options: dict[str, Any] = {name: value.get_secret_value() for name, value in secrets.items() if value is not None}
        options |= {"key": self.access_key_id} if self.access_key_id else {}
        options |= {"endpoint_url": self.endpoint_url} if self.endpoint_url else {}
        return options | ({"client_kwargs": {"region_name": self.region}} if self.region else {})
