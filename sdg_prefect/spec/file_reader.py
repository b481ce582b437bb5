"""Reads one flow file of any of the three roots, and the flow files that it includes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from sdg_prefect.blocks.files import FlowFiles, shown_path
from sdg_prefect.blocks.structure import PipelineBlock, Way
from sdg_prefect.errors import Problem, did_you_mean
from sdg_prefect.spec.flow import FlowSpec, Item, PipelineSpec, Place
from sdg_prefect.spec.items import read_item
from sdg_prefect.spec.overrides import Overrides
from sdg_prefect.spec.parameters import Given, fill, read_parameters
from sdg_prefect.spec.positions import Path, read_file
from sdg_prefect.spec.roots import INCLUDE_KEYS, PIPELINE_KEYS, ROOT_KEYS, read_endpoints, read_root_values
from sdg_prefect.spec.wording import shown_value


class FileReader:
    """Reads one flow file; nested files get a reader of their own."""

    def __init__(
        self,
        path: FilePath,
        problems: list[Problem],
        overrides: Overrides,
        above: tuple[FilePath, ...] = (),
        given: Given | None = None,
    ) -> None:
        self.path = path
        self.problems = problems
        self.overrides = overrides
        self.files = FlowFiles(path.parent, problems)
        self._above = above
        self._names: dict[str, int] = {}
        self.document = read_file(path, "flow file")
        self.parameters = read_parameters(self.document, given or Given())
        self.document.data = fill(self.document, self.parameters)
        if self.parameters.names:
            self.files.parameters = {**dict.fromkeys(self.parameters.missing), **self.parameters.values}
        problems.extend(self.document.problems)

    def report(self, message: str, hint: str = "", *path: str | int) -> None:
        """Keep a problem of this file, unless it comes of a value that is not there."""
        if path not in self.document.unset:
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
        if self.document.is_unreadable:
            return None
        if isinstance(data, list):
            return FlowSpec(self._default_name, self.document.file, (self._pipeline(self._default_name, data, ()),))
        if not isinstance(data, dict):
            found = "the file is empty; " if data is None else ""
            self.report(f"{found}a flow is a list of blocks, or a mapping with 'blocks' or 'pipelines'.")
            return None
        return self._mapping(data)

    @property
    def _default_name(self) -> str:
        return default_name(self.path)

    def _mapping(self, data: dict[str, Any]) -> FlowSpec | None:
        if {"system", "generation"} & set(data):
            self.report("this is a prompt file, not a flow.", "Name the flow whose block uses it.")
            return None
        meant = self.unknown_keys(data, ROOT_KEYS, "a flow", (), is_ignored=self.has_metadata)
        if not {"blocks", "pipelines"} & {*data, *meant}:
            self.report("a flow has 'blocks' or 'pipelines', and this has neither.")
        if "blocks" in data and "pipelines" in data:
            self.report("a flow has 'blocks' or 'pipelines', not both.", "", "pipelines")
        values = read_root_values(self, data, self._default_name)
        if values.about.recommended_models is not None:
            self.files.default_model = values.about.recommended_models.default
        if "pipelines" in data:
            pipelines = self._pipelines(data["pipelines"])
        elif "blocks" in data:
            pipelines = (self._pipeline(values.name, data["blocks"], ("blocks",)),)
        else:
            pipelines = (self._unread(values.name, ()),)
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
            budget=values.budget,
            target=values.target,
            parameters=self.parameters.declared,
            values=self.parameters.values,
            expect=values.expect,
            description=values.description,
            lines=values.lines,
            about=values.about,
        )

    @property
    def has_metadata(self) -> bool:
        """True for a file as those of sdg_hub 0.9, which leaves keys alone that it does not know."""
        return isinstance(self.document.data, dict) and "metadata" in self.document.data

    def unknown_keys(
        self, data: Iterable[Any], known: Sequence[str], what: str, path: Path, *, is_ignored: bool = False
    ) -> set[str]:
        """Report keys that a mapping does not have, and return those that were probably meant.

        With ``is_ignored`` they are told, and no reason to stop. Keys that begin with ``x-`` are the user's own: a place for
        anchors, as in files of compose.
        """
        meant = set()
        for key in data:
            if key not in known and not str(key).startswith("x-"):
                hint = did_you_mean(str(key), known)
                meant |= {name for name in known if hint == f"Did you mean '{name}'?"}
                if is_ignored:
                    self.warn(f"unknown key '{key}' of {what} is ignored.", hint if hint.startswith("Did") else "", *path, key)
                else:
                    self.report(f"unknown key '{key}' of {what}.", hint, *path, key)
        return meant

    def _unread(self, name: str, path: Path) -> PipelineSpec:
        """Return a pipeline that stands for one that cannot be read."""
        place = Place(self.document.file, self.document.line(*path))
        return PipelineSpec(name, (Item("", place),), place)

    def _pipelines(self, raw: Any) -> tuple[PipelineSpec, ...]:
        if not isinstance(raw, list) or not raw:
            self.report("'pipelines' has to be a list with at least one pipeline.", "", "pipelines")
            return (self._unread("", ("pipelines",)),)
        return tuple(self._one_of_many(entry, ("pipelines", index)) for index, entry in enumerate(raw))

    def _one_of_many(self, raw: Any, path: Path) -> PipelineSpec:
        if not isinstance(raw, dict):
            self.report(f"a pipeline has to be a mapping with 'name' and 'blocks' or 'flow', not {shown_value(raw)}.", "", *path)
            return self._unread("", path)
        meant = self.unknown_keys(raw, PIPELINE_KEYS, "a pipeline", path)
        name = raw.get("name")
        if not isinstance(name, (str, type(None))):
            self.report(f"'name' of a pipeline has to be text, not {shown_value(name)}.", "", *path, "name")
        if ("blocks" in raw) == ("flow" in raw):
            if not {"blocks", "flow"} & meant:
                what = "not both" if "blocks" in raw else "and this has neither"
                self.report(f"a pipeline has 'blocks' or 'flow', {what}.", "", *path)
            return self._unread(str(name), path)
        if "flow" in raw:
            return self._included(name, raw["flow"], raw.get("parameters"), (*path, "flow"))
        self._doubt_parameters("a pipeline", raw.get("parameters"), path)
        return self._pipeline(str(name or f"pipeline_{int(path[-1]) + 1}"), raw["blocks"], (*path, "blocks"))

    def inner_pipeline(self, subject: str, name: str, written: PipelineBlock | Way, path: Path) -> PipelineSpec:
        """Read the pipeline that a block names or holds.

        Args:
            subject: What has it, for messages.
            name: The name of the pipeline.
            written: What says so.
            path: Where that stands.
        """
        if (written.flow is None) == (written.blocks is None):
            what = "not both" if written.flow is not None else "and this has neither"
            self.report(f"{subject} has 'flow' or 'blocks', {what}.", "", *path)
            return self._unread(name, path)
        if written.flow is not None:
            return self._included(name, written.flow, written.parameters, (*path, "flow"))
        self._doubt_parameters(subject, written.parameters, path)
        return self._pipeline(name, list(written.blocks or ()), (*path, "blocks"))

    def _doubt_parameters(self, subject: str, parameters: Any, path: Path) -> None:
        """Warn of values for a file where there is none."""
        if parameters:
            self.warn(
                f"{subject}: 'parameters' has no effect beside 'blocks', which see those of this file.", "", *path, "parameters"
            )

    def _pipeline(self, name: str, raw: Any, path: Path) -> PipelineSpec:
        if not isinstance(raw, list) or not raw:
            found = "" if raw is None or raw == [] else f", not {shown_value(raw)}"
            self.report(f"a pipeline needs a list of at least one block{found}.", "", *path)
            return self._unread(name, path)
        outer, self._names = self._names, {}
        items = tuple(item for index, entry in enumerate(raw) for item in self._items(entry, (*path, index)))
        self._names = outer
        return PipelineSpec(name, items, Place(self.document.file, self.document.line(*path)))

    def _items(self, raw: Any, path: Path) -> Sequence[Item]:
        """Read one entry of a chain: a block, or a file whose blocks stand here."""
        if not isinstance(raw, dict) or "include" not in raw or "block_type" in raw:
            return [read_item(self, raw, path)]
        self.unknown_keys(raw, INCLUDE_KEYS, "an include", path)
        included = self._included(None, raw["include"], raw.get("parameters"), (*path, "include"))
        if included.output_columns is not None:
            # What it hands on is a matter of all its blocks together.
            return [Item(self.unique_name(included.name), included.place, pipeline=included)]
        return [replace(item, name=self.unique_name(item.name) if item.name else "") for item in included.items]

    def _included(self, name: Any, flow: Any, parameters: Any, path: Path) -> PipelineSpec:
        """Read another flow file as a pipeline; one that includes itself is a problem."""
        unread = self._unread(str(name), path)
        if not isinstance(flow, str):
            self.report(f"'{path[-1]}' has to be the path of a flow file, not {shown_value(flow)}.", "", *path)
            return unread
        try:
            found = self.files.find(flow).resolve()
        except ValueError as error:
            self.report(str(error), "", *path)
            return unread
        chain = (*self._above, self.path.resolve())
        if found in chain:
            circle = " → ".join(shown_path(file) for file in (*chain[chain.index(found) :], found))
            self.report(f"pipelines go in a circle: {circle}.", "A flow cannot include itself.", *path)
            return unread
        reader = FileReader(found, self.problems, self.overrides, chain, self._given(parameters, path))
        reader.files.default_model = self.files.default_model
        inner = reader.flow()
        if inner is None:
            return unread
        return _as_pipeline(inner, str(name or inner.name), Place(self.document.file, self.document.line(*path)))

    def _given(self, parameters: Any, path: Path) -> Given:
        """Return what this file gives to one that it includes."""
        where = (*path[:-1], "parameters")
        if not isinstance(parameters, Mapping | None):
            self.report(f"'parameters' has to be a mapping, not {shown_value(parameters)}.", "", *where)
        values = parameters if isinstance(parameters, Mapping) else {}
        return Given(
            {str(name): value for name, value in values.items()},
            lambda message, hint, name: self.report(message, hint, *where, name),
            f"'parameters' beside '{path[-1]}'",
            self.parameters.values,
        )


def default_name(path: FilePath) -> str:
    """Return the name of a flow that has none: that of its file, or of its folder where the file is ``flow.yaml``."""
    whole = path.resolve()
    return whole.parent.name if whole.stem == "flow" and whole.parent.name else whole.stem


def _as_pipeline(flow: FlowSpec, name: str, place: Place) -> PipelineSpec:
    """Make a pipeline of an included flow; a workflow becomes a chain of nested pipelines."""
    if len(flow.pipelines) == 1:
        items = flow.pipelines[0].items
    else:
        items = tuple(Item(inner.name, inner.place, pipeline=inner) for inner in flow.pipelines)
    return PipelineSpec(name, items, place, None if flow.keep_inputs else flow.output_columns)
