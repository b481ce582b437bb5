"""Endpoints: where a model is served, with its limits and the name of its key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from sdg_prefect.errors import FlowError, Problem, did_you_mean
from sdg_prefect.frozen import Frozen, canonical
from sdg_prefect.models.providers import calls_for_litellm


class Price(Frozen):
    """What a model costs."""

    input: float = Field(ge=0)
    """USD per million prompt tokens."""
    output: float = Field(ge=0)
    """USD per million completion tokens."""

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """Return what so many tokens cost in USD."""
        return (tokens_in * self.input + tokens_out * self.output) / 1e6


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
    """Calls in flight at most; the run's ``--concurrency`` where not set. Models behind one ``api_base`` share one limit. Fewer
    are sent while the endpoint refuses calls."""
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    """Calls sent in a minute at most, spread over it."""
    tokens_per_minute: Annotated[int, Field(ge=1)] | None = None
    """Prompt tokens sent in a minute at most, spread over it. A prompt's are guessed from its length until it is answered."""
    output_tokens_per_minute: Annotated[int, Field(ge=1)] | None = None
    """Completion tokens received in a minute at most, spread over it; a call is taken to bring as many as those before it."""
    timeout: float = Field(default=120.0, gt=0)
    """Seconds until one attempt of a call is given up."""
    price: Price | None = None
    """Price, where litellm's own table does not know the model, or does not count because there is an ``api_base``."""
    params: Mapping[str, object] = Field(default_factory=dict)
    """Sampling parameters for every call to this model, below those of a block's ``gen_kwargs``."""
    client: Literal["auto", "openai", "litellm", "pooling"] = "auto"
    """How the model is called. ``openai``: straight, where a server speaks the OpenAI protocol. ``litellm``: any provider, with
    more work for each call. ``auto`` takes the first where there is an ``api_base`` and no other provider in front of ``model``.
    ``pooling``: reward models behind vLLM."""
    mode: Literal["calls", "batch"] = "calls"
    """How requests are sent. ``calls``: one by one, answered at once. ``batch``: gathered and left with the provider, who answers
    them within a day at half the price; for servers that speak the OpenAI protocol and have ``/v1/batches``."""

    @property
    def is_simulated(self) -> bool:
        """True for the simulated model, which is served by this process."""
        return self.model.startswith("simulated/")

    @property
    def chosen_client(self) -> Literal["openai", "litellm", "pooling"]:
        """The client that calls the model: the one named here, or what suits its name and address."""
        if self.client != "auto":
            return self.client
        if self.is_simulated:
            return "openai"
        return "openai" if self.api_base and not calls_for_litellm(self.model) else "litellm"

    @property
    def in_batches(self) -> bool:
        """True where requests are left with the provider as batches."""
        return self.mode == "batch"

    @property
    def identity(self) -> str:
        """What decides its replies, as keys see it: the model and the parameters of every call. Where it is served does not."""
        return f"{self.model} {canonical(dict(self.params)).decode()}" if self.params else self.model

    def key(self) -> str | None:
        """Read the key from the environment: the variable named here, or OPENAI_API_KEY for a server behind ``api_base``."""
        if self.api_key_env:
            variable = self.api_key_env
        elif self.api_base and not self.is_simulated:
            variable = "OPENAI_API_KEY"
        else:
            return None
        # Variables filled from files end in a line break, which no header may hold.
        return os.environ.get(variable, "").strip() or None


_NO_ADDRESS = "Give its 'api_base', such as http://localhost:8000/v1, or leave 'client' away."
_NO_BATCHES = "Batches need the 'api_base' of a server that speaks the OpenAI protocol, such as https://api.openai.com/v1."
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
            place = api_base or (None if model else base.api_base)
            # Another model at its provider's own address may not be one for the client that was named.
            client = base.client if place else "auto"
            resolved[model_id] = base.model_copy(update={"model": model or base.model, "api_base": place, "client": client})
        elif known:
            resolved[model_id] = known
        elif "/" in model_id and model_id.split("/")[0] == "simulated":
            resolved[model_id] = Endpoint(model=model_id)
        else:
            near = did_you_mean(model_id, declared) if declared else ""
            missing.append(Problem(f"model '{model_id}' has no endpoint.", near if near.startswith("Did") else _HOW))
    missing += [
        Problem(f"model '{model_id}' has no address, which the client 'openai' needs.", _NO_ADDRESS)
        for model_id, endpoint in resolved.items()
        if endpoint.client == "openai" and endpoint.api_base is None and not endpoint.is_simulated
    ]
    missing += [
        Problem(f"model '{model_id}' has 'mode: batch', but is called through {endpoint.chosen_client}.", _NO_BATCHES)
        for model_id, endpoint in resolved.items()
        if endpoint.in_batches and endpoint.chosen_client != "openai"
    ]
    if missing:
        raise FlowError(missing)
    return resolved
