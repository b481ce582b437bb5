"""Sampling parameters: what ``gen_kwargs`` may hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from sdg_prefect.errors import did_you_mean

KNOWN = frozenset(
    "temperature top_p n stop max_tokens max_completion_tokens presence_penalty frequency_penalty logit_bias logprobs "
    "top_logprobs seed response_format tools tool_choice parallel_tool_calls user extra_body extra_headers best_of echo suffix "
    "reasoning_effort modalities prediction service_tier store metadata stream top_k min_p timeout".split()
)
"""Parameters of the OpenAI protocol (API reference, 2026), and two that most open servers share."""

DEFAULTS: Mapping[str, Any] = {"temperature": 0, "max_tokens": 4096}
"""Parameters of calls that say nothing else."""
_BODY_ONLY = frozenset({"top_k", "min_p"})
_NUMBERS = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_WHOLE = ("n", "max_tokens", "max_completion_tokens", "seed", "best_of", "top_logprobs")


def _check(params: Mapping[str, Any]) -> Mapping[str, Any]:
    wrong = [message for name, value in params.items() if (message := _wrong(name, value))]
    if wrong:
        raise PydanticCustomError("gen_kwargs", "{message}", {"message": " ".join(wrong)})
    return normal(params)


def _wrong(name: str, value: Any) -> str:
    """Say what is wrong with a parameter; nothing if it is fine."""
    if name not in KNOWN:
        hint = did_you_mean(name, KNOWN) or "A parameter of your server alone goes under 'extra_body'."
        return f"unknown sampling parameter '{name}'. {hint}"
    wanted = "a number" if name in _NUMBERS else "a whole number" if name in _WHOLE else ""
    kinds = (int, float) if name in _NUMBERS else (int,)
    if wanted and value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
        return f"'{name}' has to be {wanted}, not {value!r}."
    if name == "n" and value is not None and value < 1:
        return "'n' has to be at least 1."
    return ""


def normal(params: Mapping[str, Any]) -> dict[str, Any]:
    """Bring parameters into the one shape in which they are sent."""
    kept = {name: value for name, value in params.items() if value is not None and name != "stream" and name not in _BODY_ONLY}
    body = {name: params[name] for name in _BODY_ONLY if params.get(name) is not None}
    if body:
        kept["extra_body"] = {**kept.get("extra_body", {}), **body}
    if isinstance(kept.get("stop"), str):
        kept["stop"] = [kept["stop"]]
    return kept


GenKwargs = Annotated[Mapping[str, Any], AfterValidator(_check)]
"""Sampling parameters as the OpenAI protocol names them."""
