"""What a call costs, as far as it is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sdg_prefect.models.endpoint import Endpoint, Price
from sdg_prefect.models.price_list import listed

_PER = 1_000_000
_IN_BATCHES = 0.5


def price_of(endpoint: Endpoint) -> Price | None:
    """Return the price of an endpoint's model; None where nobody knows it. In batches it is half the price of calls.

    The endpoint's own price counts first. Else litellm's list is asked, the one that comes with the package, unless the model is
    served at an address of its own, where the list's names mean nothing.
    """
    price = _price_of_calls(endpoint)
    return price.times(_IN_BATCHES) if price is not None and endpoint.in_batches else price


def _price_of_calls(endpoint: Endpoint) -> Price | None:
    if endpoint.is_simulated:
        return Price(input=0, output=0)
    if endpoint.price is not None or any(one.api_base for one in endpoint.places):
        return endpoint.price
    known = listed(endpoint.model)
    if not known:
        return None
    return Price(
        input=_per_million(known, "input_cost_per_token") or 0,
        output=_per_million(known, "output_cost_per_token") or 0,
        cached=_per_million(known, "cache_read_input_token_cost"),
        written=_per_million(known, "cache_creation_input_token_cost"),
    )


def _per_million(known: Mapping[str, Any], name: str) -> float | None:
    cost = known.get(name)
    return None if cost is None else float(cost) * _PER
