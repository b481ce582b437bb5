"""Files and batches of the simulated model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sdg_prefect.simulator import SimulatedModel

Row = dict[str, Any]


@pytest.fixture
def model() -> Iterator[SimulatedModel]:
    with SimulatedModel() as server:
        yield server


def body(place: int) -> Row:
    return {"model": "simulated", "messages": [{"role": "user", "content": f"Write about river {place}."}]}


def line(place: int, **fields: Any) -> Row:
    return {"custom_id": f"id {place}", "method": "POST", "url": "/v1/chat/completions", "body": body(place), **fields}


def upload(model: SimulatedModel, lines: list[Row]) -> Row:
    content = "".join(json.dumps(one) + "\n" for one in lines)
    sent = httpx.post(f"{model.url}/files", data={"purpose": "batch"}, files={"file": ("in.jsonl", content.encode())})
    found: Row = sent.json()
    return found


def submit(model: SimulatedModel, lines: list[Row], **fields: Any) -> Row:
    asked = {
        "input_file_id": upload(model, lines)["id"],
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        **fields,
    }
    found: Row = httpx.post(f"{model.url}/batches", json=asked).json()
    return found


def state(model: SimulatedModel, batch: Row) -> Row:
    found: Row = httpx.get(f"{model.url}/batches/{batch['id']}").json()
    return found


def results(model: SimulatedModel, batch: Row, name: str = "output_file_id") -> dict[str, Row]:
    content = httpx.get(f"{model.url}/files/{batch[name]}/content").text
    return {one["custom_id"]: one for one in map(json.loads, content.splitlines())}


def without_time(reply: Row) -> Row:
    return {name: value for name, value in reply.items() if name != "created"}


def test_a_batch_has_the_replies_of_the_chat_endpoint_in_another_order(model: SimulatedModel) -> None:
    batch = submit(model, [line(place) for place in range(5)], metadata={"marker": "m"})
    assert (batch["status"], batch["metadata"]) == ("validating", {"marker": "m"})
    ended = state(model, batch)
    assert (ended["status"], ended["request_counts"]) == ("completed", {"total": 5, "completed": 5, "failed": 0})
    found = results(model, ended)
    assert list(found) == [f"id {place}" for place in reversed(range(5))]
    for place in range(5):
        response = found[f"id {place}"]["response"]
        assert response["status_code"] == 200
        reply = httpx.post(f"{model.url}/chat/completions", json=body(place)).json()
        assert without_time(response["body"]) == without_time(reply)
    stats = model.stats()
    assert (stats["batches"], stats["batch_requests"], stats["calls"]) == (1, 5, 5)


def test_a_large_file_is_taken(model: SimulatedModel) -> None:
    lines = [line(place, body={**body(place), "user": "x" * 3000}) for place in range(1000)]
    assert upload(model, lines)["bytes"] > 2**20


def test_a_batch_takes_its_time_and_can_be_cancelled(model: SimulatedModel) -> None:
    model.change(batch_seconds=3600)
    batch = submit(model, [line(1), line(2)])
    assert state(model, batch)["status"] == "in_progress"
    cancelled = httpx.post(f"{model.url}/batches/{batch['id']}/cancel").json()
    assert cancelled["status"] == "cancelling"
    ended = state(model, batch)
    assert (ended["status"], ended["output_file_id"]) == ("cancelled", None)
    assert {one["error"]["code"] for one in results(model, ended, "error_file_id").values()} == {"batch_cancelled"}


def test_requests_can_fail_expire_or_be_refused(model: SimulatedModel) -> None:
    model.change(batch_failed_share=0.3, batch_expired_share=0.3, refusal_share=0.3)
    ended = state(model, submit(model, [line(place) for place in range(60)]))
    assert ended["status"] == "expired"
    good, bad = results(model, ended), results(model, ended, "error_file_id")
    assert len(good) + len(bad) == 60
    assert {one["response"] and one["response"]["status_code"] for one in bad.values()} == {None, 400, 500}
    assert ended["request_counts"] == {"total": 60, "completed": len(good), "failed": len(bad)}


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([line(1), line(1)], "duplicate_custom_id"),
        ([line(1), line(2, url="/v1/completions")], "mismatched_url"),
        ([line(1), line(2, body={**body(2), "model": "other"})], "mismatched_model"),
        ([{"custom_id": "id"}], "invalid_json_line"),
        ([], "empty_file"),
    ],
)
def test_a_file_that_is_wrong_fails_its_batch(model: SimulatedModel, lines: list[Row], code: str) -> None:
    batch = submit(model, lines)
    assert batch["status"] == "failed"
    assert [problem["code"] for problem in batch["errors"]["data"]] == [code]


def test_batches_are_listed_newest_first_page_by_page(model: SimulatedModel) -> None:
    made = [submit(model, [line(place)])["id"] for place in range(5)]
    seen: list[str] = []
    while True:
        page = httpx.get(f"{model.url}/batches", params={"limit": 2, **({"after": seen[-1]} if seen else {})}).json()
        seen += [batch["id"] for batch in page["data"]]
        if not page["has_more"]:
            break
    assert seen == list(reversed(made))


def test_what_is_not_there_is_not_found_and_a_wrong_key_is_refused(model: SimulatedModel) -> None:
    assert httpx.get(f"{model.url}/batches/batch_1").status_code == 404
    assert httpx.get(f"{model.url}/files/file-1/content").status_code == 404
    asked = {"input_file_id": "file-1", "endpoint": "/v1/moderations", "completion_window": "24h"}
    assert httpx.post(f"{model.url}/batches", json=asked).status_code == 400
    file = upload(model, [line(1)])
    assert httpx.delete(f"{model.url}/files/{file['id']}").json()["deleted"] is True
    assert httpx.get(f"{model.url}/files/{file['id']}").status_code == 404
    model.change(api_key="secret")
    assert httpx.get(f"{model.url}/batches").status_code == 401
