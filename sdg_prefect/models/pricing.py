"""What a call costs, as far as it is known."""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sdg_prefect.models.endpoint import Endpoint, Price

_LIST = "model_prices_and_context_window_backup.json"
_PER = 1_000_000
_IN_BATCHES = 0.5


def price_of(endpoint: Endpoint) -> Price | None:
    """Return the price of an endpoint's model; None where nobody knows it. In batches it is half the price of calls.

    The endpoint's own price counts first. Else litellm's list is asked, the one that comes with the package, unless the model is
    served at an address of its own, where the list's names mean nothing.
    """
    price = _price_of_calls(endpoint)
    if price is None or not endpoint.in_batches:
        return price
    return Price(input=price.input * _IN_BATCHES, output=price.output * _IN_BATCHES)


def _price_of_calls(endpoint: Endpoint) -> Price | None:
    if endpoint.is_simulated:
        return Price(input=0, output=0)
    if endpoint.price is not None or any(one.api_base for one in endpoint.places):
        return endpoint.price
    known = _prices().get(endpoint.model) or _prices().get(endpoint.model.split("/", 1)[-1])
    if not known:
        return None
    return Price(
        input=float(known.get("input_cost_per_token") or 0) * _PER, output=float(known.get("output_cost_per_token") or 0) * _PER
    )


@cache
def _prices() -> dict[str, Any]:
    """Read litellm's list, without the seconds that importing litellm takes."""
    spec = find_spec("litellm")
    places = list(spec.submodule_search_locations or ()) if spec else []
    files = [file for place in places if (file := Path(place) / _LIST).exists()]
    listed: dict[str, Any] = json.loads(files[0].read_text()) if files else {}
    return listed
