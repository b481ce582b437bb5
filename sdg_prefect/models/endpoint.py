"""Endpoints: where a model is served, with its limits and the name of its key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from sdg_prefect.errors import FlowError, Problem, did_you_mean
from sdg_prefect.frozen import Frozen


class Price(Frozen):
    """What a model costs."""

    input: float = Field(ge=0)
    """USD per million prompt tokens."""
    output: float = Field(ge=0)
    """USD per million completion tokens."""


class Endpoint(Frozen):
    """Where a model is served and how it may be called."""

    model: str = Field(min_length=1)
    """The model as litellm names it: ``openai/gpt-4o-mini``, ``hosted_vllm/...``, ``simulated/teacher``. With ``api_base`` and no
    known provider in front, the name that the server knows."""
    api_base: str | None = None
    """Base URL of a server that speaks the OpenAI protocol, such as ``http://localhost:8000/v1``."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key. The key itself never stands in a file."""
    max_concurrency: Annotated[int, Field(ge=1)] | None = None
    """Calls in flight at most; the run's ``--concurrency`` where not set. Models behind one ``api_base`` share one limit."""
    timeout: float = Field(default=120.0, gt=0)
    """Seconds until one attempt of a call is given up."""
    price: Price | None = None
    """Price, where litellm's own table does not know the model."""
    params: Mapping[str, object] = Field(default_factory=dict)
    """Sampling parameters for every call to this model, below those of a block's ``gen_kwargs``."""
    client: Literal["litellm", "pooling"] = "litellm"
    """How the model is called: any provider through litellm; ``pooling`` for reward models behind vLLM."""

    @property
    def is_simulated(self) -> bool:
        """True for the simulated model, which is served by this process."""
        return self.model.startswith("simulated/")

    def key(self) -> str | None:
        """Read the key from the environment: the variable named here, or OPENAI_API_KEY for a server behind ``api_base``."""
        if self.api_key_env:
            return os.environ.get(self.api_key_env)
        return os.environ.get("OPENAI_API_KEY") if self.api_base and not self.is_simulated else None


_HOW = "Name it under 'models:' in the flow or in a models.yaml beside it, or pass --api-base URL or --model NAME."


def resolve_endpoints(
    model_ids: set[str],
    declared: Mapping[str, Endpoint],
    model: str | None = None,
    api_base: str | None = None,
) -> dict[str, Endpoint]:
    """Say for each model id of a flow where it is served.

    Args:
        model_ids: The names that the flow uses.
        declared: What ``models:`` and ``models.yaml`` say.
        model: ``--model``, which stands for every model id.
        api_base: ``--api-base``, which serves every model id under its own name, or ``model`` where that is given.

    Raises:
        FlowError: A model id has no endpoint.
    """
    resolved: dict[str, Endpoint] = {}
    missing: list[Problem] = []
    for model_id in sorted(model_ids):
        known = declared.get(model_id)
        if known and known.client == "pooling":
            resolved[model_id] = known  # a reward model, whose address stands in its block
        elif model or api_base:
            # Behind a bare --api-base a model is known by its own whole name, even where that looks like a provider's.
            base = known if known and not known.is_simulated else Endpoint(model=f"openai/{model_id}")
            resolved[model_id] = base.model_copy(
                update={"model": model or base.model, "api_base": api_base or (None if model else base.api_base)}
            )
        elif known:
            resolved[model_id] = known
        elif "/" in model_id and model_id.split("/")[0] == "simulated":
            resolved[model_id] = Endpoint(model=model_id)
        else:
            near = did_you_mean(model_id, declared) if declared else ""
            missing.append(Problem(f"model '{model_id}' has no endpoint.", near if near.startswith("Did") else _HOW))
    if missing:
        raise FlowError(missing)
    return resolved
