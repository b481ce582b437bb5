"""Endpoints: where a model is served, with its limits and the name of its key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.errors import FlowError, Problem, did_you_mean
from sdg_prefect.frozen import Frozen, canonical
from sdg_prefect.models.connections import is_address, secrets_within, shown_url
from sdg_prefect.models.headers import secrets_of
from sdg_prefect.models.json_schema import SchemaWay, with_schema
from sdg_prefect.models.keys import key_named
from sdg_prefect.models.providers import calls_for_litellm
from sdg_prefect.models.usage import Usage


class Price(Frozen):
    """What a model costs."""

    input: float = Field(ge=0)
    """USD per million prompt tokens."""
    output: float = Field(ge=0)
    """USD per million completion tokens."""
    cached: Annotated[float, Field(ge=0)] | None = None
    """USD per million prompt tokens that the provider has in its cache; as ``input`` if not given."""
    written: Annotated[float, Field(ge=0)] | None = None
    """USD per million prompt tokens that the provider writes to its cache; as ``input`` if not given."""

    def cost(self, usage: Usage) -> float:
        """Return what the tokens of a call cost in USD."""
        written = self.input if self.written is None else self.written
        rest = usage.tokens_in - usage.tokens_cached - usage.tokens_written
        paid_in = rest * self.input + usage.tokens_cached * self._of_cached + usage.tokens_written * written
        return (paid_in + usage.tokens_out * self.output) / 1e6

    @property
    def _of_cached(self) -> float:
        return self.input if self.cached is None else self.cached

    def of_prompts(self, cached_share: float) -> float:
        """Return USD per million prompt tokens, of which a share comes from the provider's cache."""
        return self.input * (1 - cached_share) + self._of_cached * cached_share

    def times(self, factor: float) -> Price:
        """Return the price, changed by a factor."""
        return Price(**{name: None if price is None else price * factor for name, price in self})


class Address(Frozen):
    """Where calls may go, with its limits: what does not change the replies."""

    api_base: str | None = None
    """Base URL of a server that speaks the OpenAI protocol, such as ``http://localhost:8000/v1``."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key. The key itself never stands in a file."""
    max_concurrency: Annotated[int, Field(ge=1)] | None = None
    """Calls in flight at most; the run's ``--concurrency`` where not set. Models behind one ``api_base``, with one key, share one
    limit. Fewer are sent while the endpoint refuses calls."""
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    """Calls sent in a minute at most, spread over it."""
    tokens_per_minute: Annotated[int, Field(ge=1)] | None = None
    """Prompt tokens sent in a minute at most, spread over it. A prompt's are guessed from its length until it is answered."""
    output_tokens_per_minute: Annotated[int, Field(ge=1)] | None = None
    """Completion tokens received in a minute at most, spread over it; a call is taken to bring as many as those before it."""
    shared_limit: Annotated[str, Field(min_length=1)] | None = None
    """Name of a global concurrency limit of Prefect's: all runs that name it, on whatever machine, together have no more calls
    open than it has slots."""
    timeout: float = Field(default=120.0, gt=0)
    """Seconds until one attempt of a call is given up."""


class Endpoint(Address):
    """A model, where it is served and how it may be called."""

    model: str = Field(min_length=1)
    """The model as litellm names it: ``openai/gpt-4o-mini``, ``hosted_vllm/...``, ``simulated/teacher``. With ``api_base`` and no
    known provider in front, the name that the server knows."""
    endpoints: tuple[Address, ...] = Field(default=(), json_schema_extra={"minItems": 1})
    """Several endpoints that serve the same model. What one of them does not say is taken from the model. Each call goes to the
    one with the most room, and to another one where it fails."""
    price: Price | None = None
    """Price, where litellm's own table does not know the model, or does not count because there is an ``api_base``."""
    params: Mapping[str, object] = Field(default_factory=dict)
    """Sampling parameters for every call to this model, below those of a block's ``gen_kwargs``."""
    client: Literal["auto", "openai", "litellm", "pooling", "agent", "mcp"] = "auto"
    """How the model is called. ``openai``: straight, where a server speaks the OpenAI protocol. ``litellm``: any provider, with
    more work for each call. ``auto`` takes the first where there is an ``api_base`` and no other provider in front of ``model``.
    ``pooling``: reward models behind vLLM. The others, agents and servers of tools, are set by the blocks that ask these."""
    agent: str = ""
    """Kind of the agent, which the block that asks it sets."""
    prompt_cache: Literal["auto", "always", "never"] = "auto"
    """Whether the beginning that the prompts of all rows share is marked for the provider's cache. ``auto``: where the provider
    caches only what is marked, as Anthropic does. ``always``: also where nobody can tell, such as behind a gateway of one's own.
    Marks change the price of a call and no key."""
    json_schema: SchemaWay = "response_format"
    """How the model is held to a JSON Schema by blocks that ask for one. ``response_format``: as OpenAI and most servers have it.
    ``structured_outputs`` or ``guided_json``: guided decoding of newer or older vLLM. ``prompt``: the prompt alone says it. What
    comes is compared with the schema in any case, and this is no part of a key."""
    mode: Literal["calls", "batch"] = "calls"
    """How requests are sent. ``calls``: one by one, answered at once. ``batch``: gathered and left with the provider, who answers
    them within a day at half the price; for one server that speaks the OpenAI protocol and has ``/v1/batches``."""

    @field_validator("endpoints")
    @classmethod
    def _has_endpoints(cls, endpoints: tuple[Address, ...]) -> tuple[Address, ...]:
        """Refuse a list without any. Pydantic's own bound also refuses a list whose only item is wrong, in wrong words."""
        if not endpoints:
            raise PydanticCustomError("too_short", "must not be empty", {"min_length": 1})
        return endpoints

    @model_validator(mode="after")
    def _endpoints_differ(self) -> Self:
        """Refuse an endpoint that stands twice: its limits would be counted twice."""
        seen: list[tuple[str, str | None]] = []
        for number, one in enumerate(self.places):
            if one.account in seen:
                raise ValueError(
                    f"endpoints[{number}] is endpoints[{seen.index(one.account)}] again: one of them needs another 'api_base' or"
                    " 'api_key_env'"
                )
            seen.append(one.account)
        return self

    @model_validator(mode="after")
    def _batches_have_one_place(self) -> Self:
        """Refuse batches at several endpoints."""
        if self.in_batches and len(self.places) > 1:
            raise ValueError(f"{_ONE_PLACE}. Keep one of 'endpoints', or leave 'mode: batch' away")
        return self

    @property
    def places(self) -> tuple[Endpoint, ...]:
        """Each of its endpoints, as one of its own; itself where it names no others."""
        if not self.endpoints:
            return (self,)
        return tuple(
            self.model_copy(update={"endpoints": (), **{name: getattr(one, name) for name in one.model_fields_set}})
            for one in self.endpoints
        )

    @property
    def account(self) -> tuple[str, str | None]:
        """What limits hold for: an address, or the model where the provider decides on one, and who calls."""
        return self.api_base.rstrip("/") if self.api_base else self.model, self.api_key_env

    @property
    def shown_address(self) -> str:
        """The address as people may see it; see ``shown_url``."""
        return shown_url(self.api_base) if self.api_base else "provider's own address"

    def everywhere(self, change: Callable[[Address], Mapping[str, object]]) -> Endpoint:
        """Return a copy with fields changed for itself and for each of its endpoints.

        Args:
            change: Names the new values, given what it is called with; an endpoint is asked for what it says itself.
        """
        changed = tuple(one.model_copy(update=dict(change(one))) for one in self.endpoints)
        return self.model_copy(update={**change(self), "endpoints": changed})

    @property
    def is_simulated(self) -> bool:
        """True for the simulated model, which is served by this process."""
        return self.model.startswith("simulated/")

    @property
    def is_service(self) -> bool:
        """True for what is asked like a model and is none: an agent, or a server of tools."""
        return self.client in _SERVICES

    @property
    def is_fixed(self) -> bool:
        """True for what is where its block says, wherever models are served."""
        return self.is_service or self.client == "pooling"

    @property
    def chosen_client(self) -> str:
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

    def all_params(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the sampling parameters of a call as they are sent: its own over those of every call."""
        return with_schema({**self.params, **params}, self.json_schema)

    def key(self) -> str | None:
        """Read the key: that of the variable named here, or of OPENAI_API_KEY for a server behind ``api_base``."""
        if self.api_key_env:
            variable = self.api_key_env
        elif self.api_base and not self.is_simulated:
            variable = "OPENAI_API_KEY"
        else:
            return None
        return key_named(variable) or None

    def secrets(self) -> list[str]:
        """Read what no message may repeat: the key, and what stands in the address and, by its variable, in headers."""
        key, headers = self.key(), [self.params.get(name) for name in ("extra_headers", "headers")]
        found = [*([key] if key else []), *(secrets_within(self.api_base) if self.api_base else [])]
        return [*found, *(secret for one in headers for secret in secrets_of(one))]


_SERVICES = frozenset({"agent", "mcp"})
_NO_ADDRESS = "Give its 'api_base', such as http://localhost:8000/v1, or leave 'client' away."
_ADDRESS = "Such an address is http://localhost:8000/v1."
_NO_BATCHES = "Batches need the 'api_base' of a server that speaks the OpenAI protocol, such as https://api.openai.com/v1."
_ONE_PLACE = "'mode: batch' takes one endpoint, since a batch has to be collected where it was submitted"
_HOW = "Name it under 'models:' in the flow or in a models.yaml beside it, or pass --api-base URL or --model NAME."


def resolve_endpoints(
    model_ids: set[str],
    declared: Mapping[str, Endpoint],
    model: str | None = None,
    api_base: str | Sequence[str] | None = None,
) -> dict[str, Endpoint]:
    """Say for each model id of a flow where it is served.

    Args:
        model_ids: The names that the flow uses.
        declared: What ``models:`` and ``models.yaml`` say.
        model: ``--model``, which stands for every model id.
        api_base: ``--api-base``, which serves every model id under its own name, or ``model`` where that is given; several
            addresses all do.

    Raises:
        FlowError: A model id has no endpoint.
    """
    addresses = [api_base] if isinstance(api_base, str) else list(api_base or ())
    first = addresses[0] if addresses else None
    several = tuple(Address(api_base=one) for one in addresses) if len(addresses) > 1 else ()
    resolved: dict[str, Endpoint] = {}
    missing: list[Problem] = []
    for model_id in sorted(model_ids):
        known = declared.get(model_id)
        if known and known.is_fixed:
            resolved[model_id] = known
        elif model or first:
            # Behind a bare --api-base a model is known by its own whole name, even where that looks like a provider's.
            base = known if known and not known.is_simulated else Endpoint(model=f"openai/{model_id}")
            # Another model at its provider's own address may not be one for the client that was named.
            changed = {"model": model or base.model, "api_base": first, "client": base.client if first else "auto"}
            resolved[model_id] = base.model_copy(update={**changed, "endpoints": several})
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
        if endpoint.client == "openai" and not endpoint.is_simulated and not all(one.api_base for one in endpoint.places)
    ]
    resolved |= {model_id: endpoint.places[0] for model_id, endpoint in resolved.items() if len(endpoint.endpoints) == 1}
    missing += [
        Problem(f"model '{model_id}' has 'mode: batch', but is called through {endpoint.chosen_client}.", _NO_BATCHES)
        for model_id, endpoint in resolved.items()
        if endpoint.in_batches and endpoint.chosen_client != "openai"
    ]
    missing += [
        Problem(f"model '{model_id}': {_ONE_PLACE}.", "Give --api-base once, or leave 'mode: batch' away.")
        for model_id, endpoint in resolved.items()
        if endpoint.in_batches and len(endpoint.places) > 1
    ]
    missing += [problem for model_id, endpoint in resolved.items() for problem in _wrong_addresses(model_id, endpoint)]
    if missing:
        raise FlowError(missing)
    return resolved


def _wrong_addresses(model_id: str, endpoint: Endpoint) -> Iterator[Problem]:
    """Find addresses where no server can be."""
    for place in endpoint.places:
        if place.api_base and not endpoint.is_service and not is_address(place.api_base):
            shown = shown_url(place.api_base)
            with_scheme = f"http://{shown}"
            near = f"Did you mean '{with_scheme}'?" if not shown.startswith("http") and is_address(with_scheme) else _ADDRESS
            yield Problem(f"model '{model_id}': '{shown}' is not the address of a server.", near)
