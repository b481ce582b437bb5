"""The tools of a conversation that is made up, and what is known of their results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sdg_prefect.blocks.offered_tools import Unfit, argument_schemas, arguments_of, listed, tools_in
from sdg_prefect.blocks.schemas import ReplySchema


@dataclass(frozen=True, slots=True)
class Known:
    """The result of a tool that a row knows."""

    name: str
    result: str
    arguments: Mapping[str, Any] | None = None
    """The arguments with which it is called; None for any."""


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The tools that a row offers."""

    tools: Sequence[Mapping[str, Any]]
    """As OpenAI has them."""
    schemas: Mapping[str, ReplySchema]
    """The schema of the arguments of each."""
    known: Sequence[Known] = ()

    @classmethod
    def of(cls, tools: Any, results: Any = None) -> Toolbox:
        """Read what two cells hold.

        Args:
            tools: The tools, as ``tools_in`` reads them.
            results: A list of known results, each with the ``name`` of its tool, its ``result``, and, where it is not for any
                arguments, ``arguments``; or JSON text of it.

        Raises:
            Unfit: A tool or a result is something else.
        """
        return cls(tools_in(tools), argument_schemas(tools), [_known(item) for item in listed(results)])

    def returned(self, call: Mapping[str, Any]) -> str | None:
        """Return what a call gives: its result, or what is wrong with it; None where nobody knows."""
        try:
            arguments = arguments_of(call, self.schemas)
        except Unfit as error:
            return json.dumps({"error": str(error)}, ensure_ascii=False)
        name = call["function"]["name"]
        fitting = (one for one in self.known if one.name == name and one.arguments in (None, arguments))
        return next((one.result for one in fitting), None)


def _known(item: Any) -> Known:
    if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
        shown = json.dumps(item, ensure_ascii=False)
        raise Unfit(f"a result is an object with the 'name' of its tool and 'result', not {shown}.")
    result, arguments = item.get("result"), item.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError) as error:
            raise Unfit(f"the arguments of a result of '{item['name']}' are no JSON: {error}.") from error
    return Known(item["name"], result if isinstance(result, str) else json.dumps(result, ensure_ascii=False), arguments)
