"""Options that commands share. Those of a run come from its own list, with their kinds, bounds and words."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from inspect import Parameter
from typing import Annotated, Any, Optional, get_args, get_origin

import typer
from annotated_types import Ge

from sdg_prefect.engine.options import RunOptions

_FLAGS = {"input": ("--input", "-i"), "output": ("--output", "-o"), "overrides": ("--set",), "parameters": ("--param",)}
"""How an option is written where that is not its name."""
_METAVARS = {
    "input": "SOURCE",
    "output": "TARGET",
    "model": "NAME",
    "api_base": "URL",
    "api_key_env": "NAME",
    "models": "FILE",
    "storage": "PLACE",
    "concurrency": "N",
    "shard_size": "N",
    "runner": "KIND[=WHERE]",
    "limit": "N",
    "pdf": "layout|text",
    "target_rows": "N",
    "max_candidates": "N",
    "budget": "USD",
    "budget_tokens": "N",
    "overrides": "BLOCK.KEY=VALUE",
    "parameters": "NAME=VALUE",
    "reviews": "wait|approve|stop",
    "date": "DAY",
    "timezone": "ZONE",
    "partition": "NAME=VALUE",
}


def takes(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command options of a run. It gets them as its first argument, a ``RunOptions``.

    Args:
        names: The options, ``flow`` first.
    """

    def with_options(command: Callable[..., None]) -> Callable[..., None]:
        _, *own = inspect.signature(command, eval_str=True).parameters.values()
        parameters = [*map(_parameter, names), *(one.replace(kind=Parameter.KEYWORD_ONLY) for one in own)]

        @wraps(command)
        def call(**given: Any) -> None:
            asked = {name: value for name in names if (value := given.pop(name)) not in (None, [])}
            command(RunOptions(**asked), **given)

        # What typer reads: the signature, and the annotations beside it.
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return call

    return with_options


def _parameter(name: str) -> Parameter:
    """Return an option of a run as typer wants it."""
    field = RunOptions.model_fields[name]
    if field.is_required():
        argument = typer.Argument(help=field.description, show_default=False, metavar=name.upper())
        return Parameter(name, Parameter.KEYWORD_ONLY, annotation=Annotated[str, argument])
    kind = _kind(field.annotation)
    default = False if kind is bool else None
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, _option(name)])


def _option(name: str) -> Any:
    field = RunOptions.model_fields[name]
    flags = _FLAGS.get(name, (f"--{name.replace('_', '-')}",))
    least: Any = next((bound.ge for bound in field.metadata if isinstance(bound, Ge)), None)
    return typer.Option(*flags, help=field.description, min=least, metavar=_METAVARS.get(name))


def _kind(annotation: Any) -> Any:
    """Return what is typed for a field: a flag, a number, a text, or several of them."""
    if annotation is bool:
        return bool
    kinds = {get_origin(kind) or kind for kind in get_args(annotation) or (annotation,)}
    if tuple in kinds or get_origin(annotation) in (tuple, dict):
        return Optional[list[str]]
    return Optional[int if int in kinds else float if float in kinds else str]


Storage = Annotated[Optional[str], _option("storage")]
Blocks = Annotated[
    Optional[list[str]],
    typer.Option("--blocks", help="Python file or module with blocks of your own, loaded first.", metavar="FILE"),
]
