"""A parameter of a flow: a value that the flow leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from sdg_prefect.errors import did_you_mean
from sdg_prefect.frozen import Frozen
from sdg_prefect.spec.overrides import value_of
from sdg_prefect.spec.wording import shown_value

Type = Literal["string", "integer", "number", "boolean", "list"]

WANTED = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false", "list": "a list"}
_KINDS: tuple[tuple[type, Type], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (list, "list"),
    (tuple, "list"),
)


class Parameter(Frozen):
    """A value that a flow leaves open."""

    type: Type | None = None
    """What its values are; as the default is if not given."""
    default: Any = None
    """The value where none is given. Without a default one has to be given."""
    enum: tuple[Any, ...] | None = None
    """The values that there are; of a list those of its items."""
    minimum: float | None = None
    """The least number."""
    maximum: float | None = None
    """The largest number."""
    description: str = ""
    """What it is for."""

    @property
    def is_required(self) -> bool:
        """True if a value has to be given."""
        return "default" not in self.model_fields_set

    @property
    def kind(self) -> Type | None:
        """What its values are; None for any."""
        return self.type or _kind_of(self.default)

    def value(self, given: Any) -> Any:
        """Return a value as its type has it; a text is read, as the command line gives nothing else.

        Raises:
            ValueError: It is of another type, or not among those allowed.
        """
        found = _read(given, self.kind)
        if self.enum is not None:
            for one in found if isinstance(found, list) else [found]:
                if one not in self.enum:
                    known = f"one of {', '.join(map(str, self.enum))}"
                    near = did_you_mean(str(one), map(str, self.enum))
                    hint = f" {near}" if near.startswith("Did") else ""
                    raise ValueError(f"has to be {known}, not {shown_value(one)}.{hint}")
        if isinstance(found, (int, float)):
            if self.minimum is not None and not found >= self.minimum:
                raise ValueError(f"has to be at least {self.minimum:g}, not {shown_value(found)}.")
            if self.maximum is not None and not found <= self.maximum:
                raise ValueError(f"has to be at most {self.maximum:g}, not {shown_value(found)}.")
        return found


def _kind_of(value: Any) -> Type | None:
    return next((kind for cls, kind in _KINDS if isinstance(value, cls)), None)


def _read(given: Any, kind: Type | None) -> Any:
    value = list(given) if isinstance(given, tuple) else given
    if isinstance(value, str) and kind != "string":
        value = _parsed(value, kind)
    if kind == "number" and _kind_of(value) == "integer":
        return value
    if kind is not None and _kind_of(value) != kind:
        raise ValueError(f"has to be {WANTED[kind]}, not {shown_value(value)}.")
    return value


def _parsed(text: str, kind: Type | None) -> Any:
    value = value_of(text)
    if kind == "list" and not isinstance(value, list):
        return [part.strip() for part in text.split(",") if part.strip()]
    # A date, or the like, that nobody meant.
    return value if _kind_of(value) is not None else text


def parameters_schema(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the values that a flow takes, for a form.

    Args:
        parameters: What the flow declares; see ``FlowSpec.parameters``.
    """
    properties = {}
    for name, parameter in parameters.items():
        kind = parameter.kind
        about: dict[str, Any] = {"type": "array" if kind == "list" else kind} if kind else {}
        if parameter.enum is not None:
            about |= {"items": {"enum": list(parameter.enum)}} if kind == "list" else {"enum": list(parameter.enum)}
        about |= {key: getattr(parameter, key) for key in ("minimum", "maximum") if getattr(parameter, key) is not None}
        about |= {} if parameter.is_required else {"default": parameter.default}
        about |= {"description": parameter.description} if parameter.description else {}
        properties[name] = about
    required = [name for name, parameter in parameters.items() if parameter.is_required]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
