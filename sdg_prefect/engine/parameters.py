"""The options of a run as the parameters of a function: Prefect makes a typed form of them, and refuses wrong values."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field
from pydantic.fields import FieldInfo

from sdg_prefect.engine.options import RunOptions, as_values

F = TypeVar("F", bound=Callable[..., Any])


class DeployedOptions(RunOptions):
    """The options of a deployed run, whose seeds and rows have to have a place."""

    input: str
    """Seeds: jsonl, json, csv, tsv, parquet, txt, md, pdf, a folder or pattern of such files, an Arrow folder, hf:NAME, s3://."""
    output: str
    """Where the rows go; same kinds, by the ending."""
    parameters: Annotated[dict[str, Any], BeforeValidator(as_values)] = Field(default={})
    """Values of the flow's parameters by name, as {"language": "en"}."""


def taking_options(function: F) -> F:
    """Let a function of any keyword arguments show those that it takes: one for each option, with type, bounds and text."""
    fields = DeployedOptions.model_fields
    parameters = [_parameter(name, field) for name, field in fields.items()]
    function.__signature__ = Signature(sorted(parameters, key=_has_default))  # type: ignore[attr-defined]
    # Prefect reads the texts of the form from here.
    texts = "".join(f"    {name}: {field.description}\n" for name, field in fields.items())
    function.__doc__ = f"{function.__doc__}\n\nArgs:\n{texts}"
    return function


def _parameter(name: str, field: FieldInfo) -> Parameter:
    annotation = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    default = Parameter.empty if field.is_required() else field.default
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _has_default(parameter: Parameter) -> bool:
    return parameter.default is not Parameter.empty
