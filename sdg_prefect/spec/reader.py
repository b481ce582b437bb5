"""From the name of a flow file to the flow, with the endpoints beside it and every problem at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from sdg_prefect.errors import FlowError, Problem
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.spec.file_reader import FileReader
from sdg_prefect.spec.flow import FlowSpec
from sdg_prefect.spec.overrides import Overrides
from sdg_prefect.spec.parameter import Parameter
from sdg_prefect.spec.parameters import Given, declared_parameters
from sdg_prefect.spec.positions import Path, read_file
from sdg_prefect.spec.roots import read_endpoints
from sdg_prefect.spec.tracking import track_columns

_MODELS_FILE = "models.yaml"


@dataclass(frozen=True, slots=True)
class Reading:
    """A flow file, read as far as it can be."""

    flow: FlowSpec | None
    """The flow; blocks that cannot be read have a place in it. None where nothing can be read."""
    problems: tuple[Problem, ...]
    """Everything that was found, warnings included."""

    @property
    def errors(self) -> list[Problem]:
        """The problems that stop a run."""
        return [problem for problem in self.problems if not problem.warning]


def read_flow(
    path: str | FilePath,
    models_file: str | FilePath | None = None,
    overrides: Sequence[str] = (),
    parameters: Mapping[str, Any] | None = None,
) -> FlowSpec:
    """Read a flow file and everything that it names.

    Args:
        path: The flow file.
        models_file: A file of endpoints; by default the ``models.yaml`` beside the flow, if there is one.
        overrides: Values for single fields, as ``block.key=value``.
        parameters: Values of the flow's parameters, by name.

    Raises:
        FlowError: With every problem of the flow, its prompts and the files that it includes.
    """
    reading = scan_flow(path, models_file, overrides, parameters)
    if reading.flow is None or reading.errors:
        tracked = track_columns(reading.flow, None).problems if reading.flow else []
        raise FlowError([*reading.errors, *(problem for problem in tracked if not problem.warning)])
    return reading.flow


def scan_flow(
    path: str | FilePath,
    models_file: str | FilePath | None = None,
    overrides: Sequence[str] = (),
    parameters: Mapping[str, Any] | None = None,
) -> Reading:
    """Read a flow file as ``read_flow`` does, and return what is wrong with it instead of raising it."""
    problems: list[Problem] = []
    values = Overrides.parse(overrides, problems)
    given = Given(parameters or {}, lambda message, hint, _: problems.append(Problem(message, hint)))
    flow = FileReader(FilePath(path), problems, values, given=given).flow()
    if flow is not None:
        values.report_unused(problems)
    extra = read_models_file(FilePath(models_file) if models_file else None, FilePath(path), problems)
    found = tuple(dict.fromkeys(problems))
    if flow is None:
        return Reading(None, found)
    own = {model_id: endpoint for _, block in flow.blocks() for model_id, endpoint in block.own_endpoints().items()}
    declared = {**flow.models, **extra} if models_file else {**extra, **flow.models}
    warnings = tuple(problem for problem in found if problem.warning)
    return Reading(replace(flow, models={**own, **declared}, warnings=warnings), found)


def read_parameters_of(path: str | FilePath) -> Mapping[str, Parameter]:
    """Read what a flow file leaves open, whether or not there are values for it; ``parameters_schema`` makes a form of it.

    Raises:
        FlowError: The file cannot be read, or says something wrong of a parameter.
    """
    document = read_file(FilePath(path), "flow file")
    declared = declared_parameters(document)
    if problems := [problem for problem in document.problems if not problem.warning]:
        raise FlowError(problems)
    return declared


def read_models_file(given: FilePath | None, flow: FilePath, problems: list[Problem]) -> dict[str, Endpoint]:
    """Read the endpoints of ``--models`` or of the ``models.yaml`` beside a flow."""
    path = given or flow.parent / _MODELS_FILE
    if given is None and not path.is_file():
        return {}
    document = read_file(path, "models file")
    problems.extend(document.problems)
    data = document.data.get("models", document.data) if isinstance(document.data, dict) else document.data
    prefix: Path = ("models",) if data is not document.data else ()
    return read_endpoints(document, data, prefix, problems)
