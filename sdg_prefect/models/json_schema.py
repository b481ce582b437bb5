"""How an endpoint is asked to hold its replies to a JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

SchemaWay = Literal["response_format", "structured_outputs", "guided_json", "prompt"]
"""``response_format``, as OpenAI has it and most servers since; ``structured_outputs`` and ``guided_json``, as newer and older
releases of vLLM have it in ``extra_body``; ``prompt``: not at all, the prompt alone says it."""


def with_schema(params: Mapping[str, Any], way: SchemaWay) -> Mapping[str, Any]:
    """Return sampling parameters with the schema of the reply, if there is one, as the endpoint takes it.

    Args:
        params: The parameters, in which ``response_format`` holds the schema.
        way: How the endpoint takes it.
    """
    form = params.get("response_format")
    if way == "response_format" or not isinstance(form, Mapping) or form.get("type") != "json_schema":
        return params
    rest = {name: value for name, value in params.items() if name != "response_format"}
    if way == "prompt":
        return rest
    schema = form["json_schema"]["schema"]
    asked = {"guided_json": schema} if way == "guided_json" else {"structured_outputs": {"json": schema}}
    return {**rest, "extra_body": {**asked, **(rest.get("extra_body") or {})}}
