"""What a flow leaves open: parameters with types and defaults, and where their values go."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from sdg_prefect.errors import did_you_mean
from sdg_prefect.spec.parameter import WANTED, Parameter
from sdg_prefect.spec.positions import Document, Path
from sdg_prefect.spec.wording import explain, is_secret, shown_value

_WITHOUT_EFFECT = ("type_hint", "required", "constraints")
"""Keys that sdg_hub 0.9 knows and ignores."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_USE = re.compile(r"\$\{parameters\.([^}]*)\}")


def _unheard(message: str, hint: str, name: str) -> None:
    """Where nothing is given, nothing is wrong with it."""


@dataclass(frozen=True, slots=True)
class Given:
    """Values that somebody gives to a flow file: the command line, or the file that includes it."""

    values: Mapping[str, Any] = field(default_factory=dict)
    report: Callable[[str, str, str], None] = _unheard
    """Told what is wrong with one of them: message, hint, name."""
    how: str = "--param NAME=VALUE"
    """How to give one."""
    around: Mapping[str, Any] | None = None
    """The values of the including file, which a list of blocks sees as its own; None where nothing includes the file."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a flow file, and their values."""

    declared: Mapping[str, Parameter] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    """Those without a value that can be used, which is a problem that is told."""

    @property
    def names(self) -> list[str]:
        """All names that may be used."""
        return [*self.values, *self.missing]


def read_parameters(document: Document, given: Given) -> Parameters:
    """Read the parameters that a flow file declares, with the values that are given.

    Args:
        document: The file, which is told what is wrong.
        given: The values.
    """
    if not isinstance(document.data, dict):
        for name in given.values if given.around is None and not document.is_unreadable else ():
            given.report(f"the flow has no parameter '{name}'.", "A list of blocks has none.", name)
        return Parameters(values={**(given.around or {}), **given.values})
    declared = declared_parameters(document)
    for name in given.values:
        if name not in declared:
            near = did_you_mean(name, declared) if declared else "It has none."
            given.report(f"the flow has no parameter '{name}'.", near, name)
    values, missing = dict[str, Any](), set[str]()
    for name, parameter in declared.items():
        if name in given.values:
            try:
                values[name] = parameter.value(given.values[name])
            except ValueError as error:
                given.report(f"the parameter '{name}' {error}", "", name)
                missing.add(name)
        elif parameter.is_required:
            about = f": {parameter.description}" if parameter.description else ""
            message = f"the parameter '{name}' has no value{about.rstrip('.')}."
            document.report(message, f"Give it one ({given.how}), or a default.", "parameters", name)
            missing.add(name)
        else:
            values[name] = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
    return Parameters(declared, values, frozenset(missing))


def declared_parameters(document: Document) -> dict[str, Parameter]:
    """Read the parameters that a file declares, whatever their values."""
    raw = document.data.get("parameters") if isinstance(document.data, dict) else None
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        document.report(f"'parameters' has to be a mapping, not {shown_value(raw)}.", "", "parameters")
        return {}
    found = {}
    for name, written in raw.items():
        parameter = _one(document, name, written)
        if parameter is not None:
            found[str(name)] = parameter
    return found


def _one(document: Document, name: Any, written: Any) -> Parameter | None:
    where = ("parameters", name)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        document.report(f"'{name}' cannot be the name of a parameter.", "It is a word of letters, digits and '_'.", *where)
        return None
    if is_secret(name):
        document.report(f"the parameter '{name}': a key must not be a parameter.", "Name its environment variable.", *where)
        return None
    if not isinstance(written, dict):
        return Parameter() if written is None else Parameter(default=written)
    for key in _WITHOUT_EFFECT:
        if key in written:
            document.warn(f"'{key}' of a parameter has no effect.", "", *where, key)
    known = {key: value for key, value in written.items() if key not in _WITHOUT_EFFECT}
    try:
        parameter = Parameter.model_validate(known)
        if parameter.default is not None:
            parameter.value(parameter.default)
            _check_type(parameter)
    except ValidationError as error:
        for finding in explain(error, Parameter, known, "key"):
            document.report(f"the parameter '{name}': {finding.message}", finding.hint, *where, *finding.path)
        return None
    except ValueError as error:
        document.report(f"the parameter '{name}': its default {error}", "", *where, "default")
        return None
    return parameter


def _check_type(parameter: Parameter) -> None:
    """Raise if a default is a text that only the command line may write for a value of another type."""
    if isinstance(parameter.default, str) and parameter.kind != "string":
        raise ValueError(f"has to be {WANTED[parameter.kind or 'string']}, not {shown_value(parameter.default)}.")


def fill(document: Document, parameters: Parameters) -> Any:
    """Return what a file says, with the values of parameters in it.

    A value that is ``${parameters.name}`` alone becomes the value itself, whatever its type; inside of a text it becomes text.
    """

    def filled(value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {
                key: inner if path == () and key == "parameters" else filled(inner, (*path, key)) for key, inner in value.items()
            }
        if isinstance(value, list):
            return [filled(inner, (*path, place)) for place, inner in enumerate(value)]
        return _filled_text(document, parameters, value, path) if isinstance(value, str) and "${parameters." in value else value

    return filled(document.data, ())


def _filled_text(document: Document, parameters: Parameters, text: str, path: Path) -> Any:
    names = [name.strip() for name in _USE.findall(text)]
    for name in names:
        if name not in parameters.names:
            hint = did_you_mean(name, parameters.names) if parameters.names else "Declare it under 'parameters'."
            document.report(f"there is no parameter '{name}'.", hint, *path)
    if any(name not in parameters.values for name in names):
        document.unset.add(path)
        return text
    if len(names) == 1 and _USE.fullmatch(text):
        return parameters.values[names[0]]
    return _USE.sub(lambda match: _as_text(parameters.values[match.group(1).strip()]), text)


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(_as_text, value))
    return "" if value is None else str(value)
