"""Which client calls an endpoint, and by which name and key."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sdg_prefect.errors import FlowError
from sdg_prefect.models.endpoint import Address, Endpoint, Price, resolve_endpoints
from sdg_prefect.models.litellm_client import load_litellm
from sdg_prefect.models.pricing import price_of
from sdg_prefect.models.providers import PROVIDERS, SPEAKS_OPENAI, name_at_server

URL = "http://localhost:8000/v1"


@pytest.mark.parametrize(
    ("fields", "client"),
    [
        ({"model": "simulated/teacher"}, "openai"),
        ({"model": "simulated/teacher", "api_base": URL}, "openai"),
        ({"model": "teacher", "api_base": URL}, "openai"),
        ({"model": "meta-llama/Llama-3.3-70B", "api_base": URL}, "openai"),
        ({"model": "openai/gpt-4o", "api_base": URL}, "openai"),
        ({"model": "hosted_vllm/Qwen/Qwen2.5-7B", "api_base": URL}, "openai"),
        ({"model": "vllm/Qwen/Qwen2.5-7B", "api_base": URL}, "openai"),
        ({"model": "openai/gpt-4o"}, "litellm"),
        ({"model": "gpt-4o"}, "litellm"),
        ({"model": "anthropic/claude"}, "litellm"),
        ({"model": "mistral/large", "api_base": URL}, "litellm"),
        ({"model": "azure/gpt-4o", "api_base": URL}, "litellm"),
        ({"model": "text-completion-openai/davinci", "api_base": URL}, "litellm"),
        ({"model": "teacher", "api_base": URL, "client": "litellm"}, "litellm"),
        ({"model": "mistral/large", "api_base": URL, "client": "openai"}, "openai"),
        ({"model": "prm", "api_base": URL, "client": "pooling"}, "pooling"),
    ],
)
def test_the_client_suits_name_and_address(fields: dict[str, Any], client: str) -> None:
    assert Endpoint.model_validate(fields).chosen_client == client


def test_every_provider_that_litellm_knows_is_known_here() -> None:
    known = PROVIDERS | set(SPEAKS_OPENAI)
    assert sorted({str(getattr(name, "value", name)) for name in load_litellm().provider_list} - known) == []


@pytest.mark.parametrize(
    ("model", "name"),
    [("openai/m", "m"), ("vllm/a/b", "a/b"), ("openai/openai/m", "openai/m"), ("simulated/m", "simulated/m"), ("a/b", "a/b"), ("openai/", "openai/")],
)  # fmt: skip
def test_the_name_at_the_server(model: str, name: str) -> None:
    assert name_at_server(model) == name


@pytest.mark.parametrize("model_id", ["teacher", "mistral/large", "openai/gpt-oss-20b"])
def test_behind_a_bare_address_every_model_is_called_straight(model_id: str) -> None:
    endpoint = resolve_endpoints({model_id}, {}, api_base=URL)[model_id]
    assert (endpoint.chosen_client, name_at_server(endpoint.model)) == ("openai", model_id)


def test_several_bare_addresses_all_serve_every_model() -> None:
    declared = {"teacher": Endpoint(model="m", api_base="http://other/v1", max_concurrency=4, timeout=9)}
    for model_id, endpoint in resolve_endpoints({"teacher", "judge"}, declared, api_base=[URL, f"{URL}2"]).items():
        assert [(one.api_base, one.chosen_client) for one in endpoint.places] == [(URL, "openai"), (f"{URL}2", "openai")]
        assert {one.timeout for one in endpoint.places} == {9.0 if model_id == "teacher" else 120.0}


@pytest.mark.parametrize("given", [{"model": "anthropic/claude"}, {"api_base": URL}])
def test_the_command_line_takes_the_place_of_declared_endpoints(given: dict[str, str]) -> None:
    declared = {"teacher": Endpoint(model="m", endpoints=(Address(api_base="http://a/v1"), Address(api_base="http://b/v1")))}
    assert resolve_endpoints({"teacher"}, declared)["teacher"] is declared["teacher"]
    (place,) = resolve_endpoints({"teacher"}, declared, **given)["teacher"].places
    assert place.api_base == given.get("api_base")


def test_a_place_is_shown_without_a_password() -> None:
    assert Endpoint(model="m", api_base="https://me:secret@host:8000/v1").shown_address == "https://host:8000/v1"


def test_the_price_of_a_model_at_addresses_is_not_its_providers() -> None:
    assert price_of(Endpoint(model="gpt-4o-mini")) is not None
    assert price_of(Endpoint(model="gpt-4o-mini", endpoints=(Address(api_base=URL),))) is None


def test_the_client_openai_needs_an_address() -> None:
    declared = {"teacher": Endpoint(model="openai/gpt-4o", client="openai")}
    with pytest.raises(FlowError, match="'teacher' has no address, which the client 'openai' needs"):
        resolve_endpoints({"teacher"}, declared)
    assert resolve_endpoints({"teacher"}, declared, api_base=URL)["teacher"].client == "openai"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("localhost:8000/v1", r"'localhost:8000/v1' is not the address of a server. Did you mean 'http://localhost:8000/v1'\?"),
        ("me:secret@host/v1", "'host/v1' is not the address of a server. Did you mean 'http://host/v1'"),
        ("http//host/v1", "'http//host/v1' is not the address of a server. Such an address is http://localhost:8000/v1"),
        ("http://host:99999/v1", "'http://host:99999/v1' is not"),
        ("ftp://host/v1", "'ftp://host/v1' is not"),
        ("http://host /v1", "'http://host /v1' is not"),
    ],
)
def test_what_is_no_address_is_told_before_anything_is_sent_there(written: str, told: str) -> None:
    for known, named in (({"teacher": Endpoint(model="t", api_base=written)}, None), ({}, written)):
        with pytest.raises(FlowError, match=f"model 'teacher': {told}"):
            resolve_endpoints({"teacher"}, known, api_base=named)


def test_batches_need_a_server_that_speaks_the_openai_protocol() -> None:
    batches = Endpoint(model="openai/gpt-4o", mode="batch")
    with pytest.raises(FlowError, match=r"model 'teacher' has 'mode: batch', but is called through litellm\. Batches need"):
        resolve_endpoints({"teacher"}, {"teacher": batches})
    assert resolve_endpoints({"teacher"}, {"teacher": batches}, api_base=URL)["teacher"].in_batches


def test_batches_go_to_one_endpoint() -> None:
    one, other = {"api_base": URL}, {"api_base": f"{URL}2"}
    with pytest.raises(ValidationError, match=r"'mode: batch' takes one endpoint, .*Keep one of 'endpoints'"):
        Endpoint.model_validate({"model": "m", "mode": "batch", "endpoints": [one, other]})
    batches = Endpoint.model_validate({"model": "m", "mode": "batch", "endpoints": [one]})
    assert resolve_endpoints({"teacher"}, {"teacher": batches})["teacher"] == batches.places[0]
    with pytest.raises(FlowError, match=r"model 'teacher': 'mode: batch' takes one endpoint, .*Give --api-base once"):
        resolve_endpoints({"teacher"}, {"teacher": batches}, api_base=[URL, f"{URL}2"])


def test_a_batch_costs_half_and_asks_for_the_same_completions() -> None:
    calls = Endpoint(model="m", api_base=URL, price=Price(input=3, output=12))
    batches = calls.model_copy(update={"mode": "batch"})
    assert price_of(calls) == Price(input=3, output=12)
    assert price_of(batches) == Price(input=1.5, output=6)
    assert price_of(batches.model_copy(update={"price": None})) is None
    assert batches.identity == calls.identity


def test_another_model_without_an_address_is_called_as_suits_it() -> None:
    declared = {"teacher": Endpoint(model="m", api_base=URL, client="openai")}
    assert resolve_endpoints({"teacher"}, declared, model="anthropic/claude")["teacher"].chosen_client == "litellm"


def test_a_named_client_stays_when_only_the_address_changes() -> None:
    declared = {"teacher": Endpoint(model="m", client="litellm")}
    assert resolve_endpoints({"teacher"}, declared, api_base=URL)["teacher"].chosen_client == "litellm"


def test_a_key_is_read_without_the_line_break_of_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", " secret\n")
    monkeypatch.setenv("OPENAI_API_KEY", "other")
    assert Endpoint(model="m", api_key_env="MY_KEY").key() == "secret"
    assert Endpoint(model="m", api_base=URL).key() == "other"
    assert Endpoint(model="m").key() is None
    assert Endpoint(model="simulated/m", api_base=URL).key() is None
    monkeypatch.setenv("MY_KEY", "\n")
    assert Endpoint(model="m", api_key_env="MY_KEY").key() is None
