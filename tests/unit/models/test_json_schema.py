"""A schema goes to an endpoint in the way that it takes."""

from __future__ import annotations

from typing import Any

import pytest

from sdg_prefect.models.endpoint import Endpoint

SCHEMA = {"type": "object"}
PARAMS: dict[str, Any] = {
    "temperature": 0,
    "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": SCHEMA}},
}


@pytest.mark.parametrize(
    ("way", "sent"),
    [
        ("response_format", PARAMS),
        ("structured_outputs", {"temperature": 0, "extra_body": {"structured_outputs": {"json": SCHEMA}}}),
        ("guided_json", {"temperature": 0, "extra_body": {"guided_json": SCHEMA}}),
        ("prompt", {"temperature": 0}),
    ],
)
def test_a_schema_is_sent_as_the_endpoint_takes_it(way: Any, sent: dict[str, Any]) -> None:
    endpoint = Endpoint(model="m", json_schema=way)
    assert endpoint.all_params(PARAMS) == sent
    assert endpoint.all_params({"response_format": {"type": "json_object"}}) == {"response_format": {"type": "json_object"}}


def test_what_extra_body_says_stays_and_the_way_is_no_part_of_the_identity() -> None:
    endpoint = Endpoint(model="m", json_schema="guided_json", params={"extra_body": {"top_k": 5}})
    assert endpoint.all_params(PARAMS)["extra_body"] == {"guided_json": SCHEMA, "top_k": 5}
    assert endpoint.identity == Endpoint(model="m", params={"extra_body": {"top_k": 5}}).identity
