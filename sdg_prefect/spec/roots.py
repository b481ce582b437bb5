"""What stands at the root of a flow file besides its blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sdg_prefect.errors import Problem, did_you_mean
from sdg_prefect.frozen import Frozen
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.spec.flow import Inputs
from sdg_prefect.spec.positions import Document, Path

if TYPE_CHECKING:
    from sdg_prefect.spec.reader import FileReader

ROOT_KEYS = (
    "name",
    "description",
    "metadata",
    "models",
    "inputs",
    "blocks",
    "pipelines",
    "output_columns",
    "max_reject_rate",
    "parameters",
)
PIPELINE_KEYS = ("name", "flow", "blocks")
_SECRET_KEYS = ("api_key", "key", "token", "password")


@dataclass(frozen=True, slots=True)
class RootValues:
    """The plain values of a flow's root."""

    name: str
    description: str
    inputs: Inputs | None
    output_columns: tuple[str, ...] | None
    keep_inputs: bool
    max_reject_rate: float


def read_root_values(reader: FileReader, data: Mapping[str, Any], default_name: str) -> RootValues:
    """Read what a flow says of itself, in our words or in the ``metadata`` of sdg_hub 0.9."""
    metadata = data.get("metadata") or {}
    if not isinstance(metadata, dict):
        reader.report("'metadata' has to be a mapping.", "", "metadata")
        metadata = {}
    if "parameters" in data:
        reader.warn("'parameters' has no effect.", "", "parameters")
    name = data.get("name") or metadata.get("name") or default_name
    if not isinstance(name, str):
        reader.report("'name' has to be text.", "", "name")
    own = _columns(reader, data.get("output_columns"), ("output_columns",))
    theirs = _columns(reader, metadata.get("output_columns"), ("metadata", "output_columns"))
    rate = data.get("max_reject_rate", 0.0)
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        reader.report("'max_reject_rate' has to be a number from 0 to 1.", "", "max_reject_rate")
        rate = 0.0
    return RootValues(
        name=str(name),
        description=str(data.get("description") or metadata.get("description") or ""),
        inputs=_inputs(reader, data, metadata),
        output_columns=own if own is not None else theirs,
        keep_inputs=own is None and theirs is not None,
        max_reject_rate=float(rate),
    )


def _columns(reader: FileReader, value: Any, path: Path) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        reader.report(f"'{path[-1]}' has to be a list of column names.", "", *path)
        return None
    if len(set(value)) != len(value):
        reader.report(f"'{path[-1]}' names a column twice.", "", *path)
    return tuple(value)


def _inputs(reader: FileReader, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> Inputs | None:
    if "inputs" in data:
        return _validated(reader, Inputs, data["inputs"], ("inputs",))
    wanted = metadata.get("dataset_requirements")
    if not isinstance(wanted, dict):
        return None
    known = {key: wanted[key] for key in Inputs.model_fields if wanted.get(key) is not None}
    return _validated(reader, Inputs, known, ("metadata", "dataset_requirements"))


def _validated(reader: FileReader, kind: type[Inputs], value: Any, path: Path) -> Inputs | None:
    try:
        return kind.model_validate(value or {})
    except ValidationError as error:
        reader.problems.extend(explain(reader.document, error, kind, path, f"'{path[-1]}'"))
        return None


def read_endpoints(document: Document, data: Any, path: Path, problems: list[Problem]) -> dict[str, Endpoint]:
    """Read a mapping of model id to endpoint; a text is short for ``model``."""
    if data is None:
        return {}
    if not isinstance(data, dict):
        problems.append(document.problem("'models' has to be a mapping of model id to endpoint.", "", *path))
        return {}
    endpoints = {}
    for model_id, value in data.items():
        where = (*path, model_id)
        config = {"model": value} if isinstance(value, str) else value
        secret = next((key for key in _SECRET_KEYS if isinstance(config, dict) and key in config), None)
        if secret:
            problems.append(
                document.problem(
                    f"model '{model_id}': a key must not stand in a file.",
                    f"Put it into an environment variable and write api_key_env: NAME instead of '{secret}'.",
                    *where,
                    secret,
                )
            )
            continue
        try:
            endpoints[str(model_id)] = Endpoint.model_validate(config)
        except ValidationError as error:
            problems.extend(explain(document, error, Endpoint, where, f"model '{model_id}'"))
    return endpoints


def explain(document: Document, error: ValidationError, kind: type[Frozen], path: Path, subject: str) -> list[Problem]:
    """Turn what pydantic says about a mapping into problems with places."""
    problems = []
    for detail in error.errors():
        key = ".".join(str(part) for part in detail["loc"])
        if detail["type"] == "extra_forbidden":
            message, hint = f"{subject}: unknown key '{key}'.", did_you_mean(str(detail["loc"][-1]), kind.model_fields)
        elif detail["type"] == "missing":
            message, hint = f"{subject}: '{key}' is missing.", ""
        else:
            message, hint = f"{subject}: {key}: {detail['msg'][0].lower()}{detail['msg'][1:]}.", ""
        problems.append(document.problem(message, hint, *path, *detail["loc"]))
    return problems
