"""What stands at the root of a flow file besides its blocks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from sdg_prefect.errors import Problem, did_you_mean
from sdg_prefect.frozen import Frozen
from sdg_prefect.models.budget import Budget
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.report.expectations import Expectations
from sdg_prefect.spec.flow import About, Inputs, RecommendedModels
from sdg_prefect.spec.positions import Document, Path
from sdg_prefect.spec.target import Target
from sdg_prefect.spec.wording import explain, is_secret, shown_value

if TYPE_CHECKING:
    from sdg_prefect.spec.file_reader import FileReader

ROOT_KEYS = (
    "name",
    "description",
    "metadata",
    "models",
    "inputs",
    "blocks",
    "pipelines",
    "output_columns",
    "target_rows",
    "max_candidates",
    "max_reject_rate",
    "budget",
    "expect",
    "parameters",
)
_BESIDE_ABOUT = ("name", "description", "dataset_requirements", "output_columns")
"""Keys of sdg_hub's metadata that are not about a flow."""
_BESIDE_INPUTS = ("max_samples", "column_types", "description")
"""Keys of its requirements that it does not look at either."""
Kind = TypeVar("Kind", bound=Frozen)

PIPELINE_KEYS = ("name", "flow", "blocks", "parameters")
INCLUDE_KEYS = ("include", "parameters")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class RootValues:
    """The plain values of a flow's root."""

    name: str
    description: str
    inputs: Inputs | None
    output_columns: tuple[str, ...] | None
    keep_inputs: bool
    max_reject_rate: float
    budget: Budget | None
    target: Target | None
    about: About
    expect: Expectations
    lines: Mapping[str, int]
    """Lines of ``inputs`` and ``output_columns``, as a user calls them, and of the gates of ``expect``."""


def read_root_values(reader: FileReader, data: Mapping[str, Any], default_name: str) -> RootValues:
    """Read what a flow says of itself, in our words or in the ``metadata`` of sdg_hub 0.9."""
    metadata = data.get("metadata") or {}
    if not isinstance(metadata, dict):
        reader.report(f"'metadata' has to be a mapping, not {shown_value(metadata)}.", "", "metadata")
        metadata = {}
    name = data.get("name") or metadata.get("name") or default_name
    if not isinstance(name, str):
        reader.report(
            f"'name' has to be text, not {shown_value(name)}.", "", *(("name",) if "name" in data else ("metadata", "name"))
        )
    if not isinstance(data.get("description"), (str, type(None))):
        reader.report(f"'description' has to be text, not {shown_value(data['description'])}.", "", "description")
    own = _columns(reader, data.get("output_columns"), ("output_columns",))
    theirs = _columns(reader, _trimmed(metadata.get("output_columns")), ("metadata", "output_columns"))
    rate = data.get("max_reject_rate", 0.0)
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        reader.report(f"'max_reject_rate' has to be a number from 0 to 1, not {shown_value(rate)}.", "", "max_reject_rate")
        rate = 0.0
    return RootValues(
        name=str(name),
        description=str(data.get("description") or metadata.get("description") or ""),
        inputs=_inputs(reader, data, metadata),
        output_columns=own if own is not None else theirs,
        keep_inputs=own is None and theirs is not None,
        max_reject_rate=float(rate),
        budget=_budget(reader, data),
        target=_target(reader, data),
        about=_about(reader, metadata),
        expect=read_expectations(reader, data.get("expect"), ("expect",)),
        lines={
            **{f"expect.{kind}": reader.document.line("expect", kind) for kind in Expectations.model_fields},
            "inputs": reader.document.line("inputs" if "inputs" in data else "metadata"),
            "output_columns": reader.document.line(*(("output_columns",) if own is not None else ("metadata", "output_columns"))),
        },
    )


def _about(reader: FileReader, metadata: Mapping[Any, Any]) -> About:
    """Read what the metadata say for people; keys that nobody knows are told."""
    _warn_of_unknown(reader, metadata, (*About.model_fields, *_BESIDE_ABOUT), ("metadata",))
    said = {key: _trimmed(metadata[key]) for key in About.model_fields if metadata.get(key) is not None}
    if isinstance(models := said.get("recommended_models"), dict):
        known = RecommendedModels.model_fields
        _warn_of_unknown(reader, models, known, ("metadata", "recommended_models"))
        said["recommended_models"] = {key: _trimmed(value) for key, value in models.items() if key in known and value is not None}
    return _validated(reader, About, said, ("metadata",)) or About()


def _warn_of_unknown(reader: FileReader, value: Mapping[Any, Any], known: Iterable[str], path: Path) -> None:
    """Tell which keys nobody knows; in the metadata sdg_hub takes any."""
    for key in value:
        if key not in known:
            near = did_you_mean(str(key), known)
            hint = near if near.startswith("Did") else ""
            reader.warn(f"unknown key '{key}' of '{'.'.join(map(str, path))}' is ignored.", hint, *path, key)


def _trimmed(value: Any) -> Any:
    """Take blanks from around the texts of a list, and empty texts out of it, as sdg_hub does with what stands in metadata."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return value
    return [item.strip() for item in value if item.strip()]


def _columns(reader: FileReader, value: Any, path: Path) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        reader.report(f"'{path[-1]}' has to be a list of column names.", "", *path)
        return None
    if len(set(value)) != len(value):
        twice = next(name for place, name in enumerate(value) if name in value[:place])
        reader.report(f"'{path[-1]}' names the column '{twice}' twice.", "", *path)
    return tuple(value)


def _inputs(reader: FileReader, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> Inputs | None:
    if "inputs" in data:
        return _validated(reader, Inputs, data["inputs"], ("inputs",))
    wanted = metadata.get("dataset_requirements")
    if not isinstance(wanted, dict):
        return None
    _warn_of_unknown(reader, wanted, (*Inputs.model_fields, *_BESIDE_INPUTS), ("metadata", "dataset_requirements"))
    known = {key: _trimmed(wanted[key]) for key in Inputs.model_fields if wanted.get(key) is not None}
    return _validated(reader, Inputs, known, ("metadata", "dataset_requirements"))


def _budget(reader: FileReader, data: Mapping[str, Any]) -> Budget | None:
    if data.get("budget") is None:
        return None
    return _validated(reader, Budget, data["budget"], ("budget",))


def read_expectations(reader: FileReader, value: Any, path: Path) -> Expectations:
    """Read what is expected of rows, at the root or at a block."""
    return (None if value is None else _validated(reader, Expectations, value, path)) or Expectations()


def _target(reader: FileReader, data: Mapping[str, Any]) -> Target | None:
    given = {key: data[key] for key in ("target_rows", "max_candidates") if data.get(key) is not None}
    wrong = {key: value for key, value in given.items() if isinstance(value, bool) or not isinstance(value, int) or value < 1}
    for key, value in wrong.items():
        reader.report(f"'{key}' has to be a whole number above 0, not {shown_value(value)}.", "", key)
    if "max_candidates" in given and "target_rows" not in given:
        reader.report("'max_candidates' is of no use without 'target_rows'.", "", "max_candidates")
    if wrong or "target_rows" not in given:
        return None
    return Target(rows=given["target_rows"], max_candidates=given.get("max_candidates"))


def _validated(reader: FileReader, kind: type[Kind], value: Any, path: Path) -> Kind | None:
    value = {} if value is None else value
    try:
        return kind.model_validate(value, context=reader.files)
    except ValidationError as error:
        reader.problems.extend(_problems(reader.document, error, kind, value, path, f"'{path[-1]}'"))
        return None


def read_endpoints(document: Document, data: Any, path: Path, problems: list[Problem]) -> dict[str, Endpoint]:
    """Read a mapping of model id to endpoint; a text is short for ``model``."""
    if data is None:
        return {}
    if not isinstance(data, dict):
        problems.append(
            document.problem(f"'models' has to be a mapping of model id to endpoint, not {shown_value(data)}.", "", *path)
        )
        return {}
    endpoints = {}
    for model_id, value in data.items():
        where = (*path, model_id)
        config = {"model": value} if isinstance(value, str) else value
        exposed = [*_secrets(config, ())]
        for secret in exposed:
            message = f"model '{model_id}': a key must not stand in a file."
            hint = f"Put it into an environment variable and write api_key_env: NAME instead of '{secret[-1]}'."
            problems.append(document.problem(message, hint, *where, *secret))
        if exposed:
            continue
        try:
            endpoints[str(model_id)] = Endpoint.model_validate(config)
        except ValidationError as error:
            problems.extend(_problems(document, error, Endpoint, config, where, f"model '{model_id}'"))
    return endpoints


def _secrets(config: Any, path: Path) -> Iterator[Path]:
    """Find keys that stand in an endpoint: under a name that says so, or in place of the name of a variable."""
    if isinstance(config, list):
        for number, item in enumerate(config):
            yield from _secrets(item, (*path, number))
    for key, value in config.items() if isinstance(config, dict) else ():
        if key == "api_key_env":
            if isinstance(value, str) and not _VARIABLE_NAME.fullmatch(value):
                yield (*path, key)
        elif is_secret(key):
            yield (*path, key)
        else:
            yield from _secrets(value, (*path, key))


def _problems(
    document: Document, error: ValidationError, kind: type[Frozen], value: Any, path: Path, subject: str
) -> Iterator[Problem]:
    for finding in explain(error, kind, value, "key"):
        where = (*path, *finding.path)
        if where not in document.unset:
            yield document.problem(f"{subject}: {finding.message}", finding.hint, *where)
