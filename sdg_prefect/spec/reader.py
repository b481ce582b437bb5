"""The one reader of flow files: all three roots, pipelines in pipelines, every problem at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from sdg_prefect.blocks.files import FlowFiles, shown_path
from sdg_prefect.blocks.structure import PipelineBlock
from sdg_prefect.errors import FlowError, Problem, did_you_mean
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.spec.flow import FlowSpec, Item, PipelineSpec, Place
from sdg_prefect.spec.items import read_item
from sdg_prefect.spec.overrides import Overrides
from sdg_prefect.spec.positions import Path, read_document
from sdg_prefect.spec.roots import PIPELINE_KEYS, ROOT_KEYS, read_endpoints, read_root_values

_MODELS_FILE = "models.yaml"


def read_flow(path: str | FilePath, models_file: str | FilePath | None = None, overrides: Sequence[str] = ()) -> FlowSpec:
    """Read a flow file and everything that it names.

    Args:
        path: The flow file.
        models_file: A file of endpoints; by default the ``models.yaml`` beside the flow, if there is one.
        overrides: Values for single fields, as ``block.key=value``.

    Raises:
        FlowError: With every problem of the flow, its prompts and the files that it includes.
    """
    problems: list[Problem] = []
    values = Overrides.parse(overrides, problems)
    flow = FileReader(FilePath(path), problems, values, ()).flow()
    values.report_unused(problems)
    extra = read_models_file(FilePath(models_file) if models_file else None, FilePath(path), problems)
    errors = [problem for problem in dict.fromkeys(problems) if not problem.warning]
    if flow is None or errors:
        raise FlowError(errors)
    own = {model_id: endpoint for _, block in flow.blocks() for model_id, endpoint in block.own_endpoints().items()}
    declared = {**flow.models, **extra} if models_file else {**extra, **flow.models}
    return replace(flow, models={**own, **declared}, warnings=tuple(p for p in dict.fromkeys(problems) if p.warning))


def read_models_file(given: FilePath | None, flow: FilePath, problems: list[Problem]) -> dict[str, Endpoint]:
    """Read the endpoints of ``--models`` or of the ``models.yaml`` beside a flow."""
    path = given or flow.parent / _MODELS_FILE
    if not path.is_file():
        if given:
            problems.append(Problem(f"the file '{given}' does not exist."))
        return {}
    document = read_document(path.read_text("utf-8"), shown_path(path))
    problems.extend(document.problems)
    data = document.data.get("models", document.data) if isinstance(document.data, dict) else document.data
    prefix: Path = ("models",) if data is not document.data else ()
    return read_endpoints(document, data, prefix, problems)


class FileReader:
    """Reads one flow file; nested files get a reader of their own."""

    def __init__(self, path: FilePath, problems: list[Problem], overrides: Overrides, above: tuple[FilePath, ...]) -> None:
        self.path = path
        self.problems = problems
        self.overrides = overrides
        self.files = FlowFiles(path.parent, problems)
        self._above = above
        self._names: dict[str, int] = {}
        self.document = read_document(self._text(), shown_path(path))
        problems.extend(self.document.problems)

    def _text(self) -> str:
        try:
            return self.path.read_text("utf-8")
        except FileNotFoundError:
            self.problems.append(Problem(f"the flow file '{self.path}' does not exist."))
        except IsADirectoryError:
            self.problems.append(Problem(f"'{self.path}' is a folder.", f"Did you mean '{self.path / 'flow.yaml'}'?"))
        except UnicodeDecodeError as error:
            self.problems.append(Problem(f"not UTF-8 text: {error.reason}.", file=shown_path(self.path), line=1))
        return ""

    def report(self, message: str, hint: str = "", *path: str | int) -> None:
        """Keep a problem of this file."""
        self.problems.append(self.document.problem(message, hint, *path))

    def warn(self, message: str, hint: str = "", *path: str | int) -> None:
        """Keep a warning about this file."""
        self.problems.append(self.document.problem(message, hint, *path, warning=True))

    def unique_name(self, name: str) -> str:
        """Return a name that no other item of the pipeline has."""
        self._names[name] = self._names.get(name, 0) + 1
        return name if self._names[name] == 1 else self.unique_name(f"{name}_{self._names[name]}")

    def flow(self) -> FlowSpec | None:
        """Read the file as a flow; None where its root is unusable, which is then reported."""
        data = self.document.data
        if (self.document.problems and data is None) or any("does not exist" in p.message for p in self.problems if not p.file):
            return None
        if isinstance(data, list):
            pipeline = self._pipeline(self._default_name, data, ())
            return FlowSpec(self._default_name, self.document.file, (pipeline,)) if pipeline else None
        if not isinstance(data, dict) or not ({"blocks", "pipelines"} & set(data)):
            found = did_you_mean("blocks", map(str, data)) if isinstance(data, dict) else ""
            hint = found if found.startswith("Did") else ""
            self.report("a flow is a list of blocks, or a mapping with 'blocks' or 'pipelines'.", hint)
            return None
        return self._mapping(data)

    @property
    def _default_name(self) -> str:
        path = self.path.resolve()
        return path.parent.name if path.stem == "flow" and path.parent.name else path.stem

    def _mapping(self, data: dict[str, Any]) -> FlowSpec | None:
        for key in data:
            if key not in ROOT_KEYS:
                self.report(f"unknown key '{key}' of a flow.", did_you_mean(str(key), ROOT_KEYS), key)
        if "blocks" in data and "pipelines" in data:
            self.report("a flow has 'blocks' or 'pipelines', not both.", "", "pipelines")
        values = read_root_values(self, data, self._default_name)
        if "pipelines" in data:
            pipelines = self._pipelines(data["pipelines"])
        else:
            one = self._pipeline(values.name, data["blocks"], ("blocks",))
            pipelines = (one,) if one else ()
        models = read_endpoints(self.document, data.get("models"), ("models",), self.problems)
        return FlowSpec(
            name=values.name,
            file=self.document.file,
            pipelines=pipelines,
            models=models,
            inputs=values.inputs,
            output_columns=values.output_columns,
            keep_inputs=values.keep_inputs,
            max_reject_rate=values.max_reject_rate,
            description=values.description,
        )

    def _pipelines(self, raw: Any) -> tuple[PipelineSpec, ...]:
        if not isinstance(raw, list) or not raw:
            self.report("'pipelines' has to be a list with at least one pipeline.", "", "pipelines")
            return ()
        read = [self._one_of_many(entry, ("pipelines", index)) for index, entry in enumerate(raw)]
        return tuple(pipeline for pipeline in read if pipeline is not None)

    def _one_of_many(self, raw: Any, path: Path) -> PipelineSpec | None:
        if not isinstance(raw, dict):
            self.report("a pipeline has to be a mapping with 'name' and 'blocks' or 'flow'.", "", *path)
            return None
        for key in raw:
            if key not in PIPELINE_KEYS:
                self.report(f"unknown key '{key}' of a pipeline.", did_you_mean(str(key), PIPELINE_KEYS), *path, key)
        if ("blocks" in raw) == ("flow" in raw):
            self.report("a pipeline has either 'blocks' or 'flow'.", "", *path)
            return None
        name = raw.get("name")
        if "flow" in raw:
            return self._included(name, raw["flow"], (*path, "flow"))
        return self._pipeline(str(name or f"pipeline_{int(path[-1]) + 1}"), raw["blocks"], (*path, "blocks"))

    def nested_pipeline(self, block: PipelineBlock, path: Path) -> PipelineSpec | None:
        """Read what a ``PipelineBlock`` names or holds."""
        config: Path = (*path, "block_config")
        if (block.flow is None) == (block.blocks is None):
            self.report(f"block '{block.block_name}': a PipelineBlock has either 'flow' or 'blocks'.", "", *config)
            return None
        if block.flow is not None:
            return self._included(block.block_name, block.flow, (*config, "flow"))
        return self._pipeline(block.block_name, list(block.blocks or ()), (*config, "blocks"))

    def _pipeline(self, name: str, raw: Any, path: Path) -> PipelineSpec | None:
        if not isinstance(raw, list) or not raw:
            self.report("a pipeline needs a list of at least one block.", "", *path)
            return None
        outer, self._names = self._names, {}
        read = [read_item(self, entry, (*path, index)) for index, entry in enumerate(raw)]
        self._names = outer
        items = tuple(item for item in read if item is not None)
        return PipelineSpec(name, items, Place(self.document.file, self.document.line(*path)))

    def _included(self, name: Any, flow: Any, path: Path) -> PipelineSpec | None:
        """Read another flow file as a pipeline; one that includes itself is a problem."""
        if not isinstance(flow, str):
            self.report("'flow' has to be the path of a flow file.", "", *path)
            return None
        try:
            found = self.files.find(flow).resolve()
        except ValueError as error:
            self.report(str(error), "", *path)
            return None
        chain = (*self._above, self.path.resolve())
        if found in chain:
            circle = " → ".join(shown_path(file) for file in (*chain[chain.index(found) :], found))
            self.report(f"pipelines go in a circle: {circle}.", "A flow cannot include itself.", *path)
            return None
        inner = FileReader(found, self.problems, self.overrides, chain).flow()
        if inner is None:
            return None
        return _as_pipeline(inner, str(name or inner.name), Place(self.document.file, self.document.line(*path)))


def _as_pipeline(flow: FlowSpec, name: str, place: Place) -> PipelineSpec:
    """Make a pipeline of an included flow; a workflow becomes a chain of nested pipelines."""
    if len(flow.pipelines) == 1:
        items = flow.pipelines[0].items
    else:
        items = tuple(Item(inner.name, inner.place, pipeline=inner) for inner in flow.pipelines)
    return PipelineSpec(name, items, place, None if flow.keep_inputs else flow.output_columns)
