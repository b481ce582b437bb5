"""What a run of a small flow leaves to tell of it, made by hand."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from sdg_prefect.counts import Counts
from sdg_prefect.frequencies import Frequencies
from sdg_prefect.models.completion import Choice, Completion
from sdg_prefect.report.comparison import Told
from sdg_prefect.report.profile import profile_of
from sdg_prefect.report.run_report import BlockTally, RunReport
from sdg_prefect.report.timeline import Moment, Timeline


def step(label: str, kind: str = "LLMBlock", **changed: Any) -> dict[str, Any]:
    """Describe a step."""
    asks = kind == "LLMBlock"
    prompt = {"messages": [{"role": "user", "content": "Ask about {{text}}.\nBriefly."}]}
    told = {
        "name": label,
        "label": label,
        "type": kind,
        "version": 1,
        "source": "",
        "key": f"key-of-{label}",
        "ledger_key": f"asks-of-{label}" if asks else "",
        "scope": "row",
        "times": 1,
        "when": "",
        "models": ["teacher"] if asks else [],
        "leaves_out": "nothing",
        "drop_columns": [],
        "keep_columns": None,
        "columns": ["text"],
        "expect": {},
        "config": {"block_name": label, **({"config_path": prompt, "gen_kwargs": {"temperature": 0.7}} if asks else {})},
        "prompts": {"config_path": "abc"} if asks else {},
    }
    return told | changed


def told(
    *,
    text: str = "a text",
    run_id: str = "20260101-000000-aaaaaa",
    steps: list[dict[str, Any]] | None = None,
    rows: list[dict[str, Any]] | None = None,
    **report: Any,
) -> Told:
    """Tell of a run in which every text is the same one."""
    seen = Frequencies()
    for number in range(20):
        completion = Completion((Choice(text, "stop" if number else "length"),), text, 100 + number, 20, 0.001, 0.5 + number / 10)
        seen.note(completion.sightings())
    asked = Counts(rows_in=20, rows_out=19, gave_rows=19, rejected=1, llm_calls=20, tokens_in=2000, tokens_out=400, cost_usd=0.02)
    filtered = Counts(rows_in=19, rows_out=10, gave_rows=10, filtered=9)
    blocks = [BlockTally("ask", asked, 3.0, 1, 0, seen), BlockTally("keep", filtered, 0.1, 1)]
    made = RunReport(
        **{
            "status": "completed_with_rejects",
            "run_id": run_id,
            "flow": "small",
            "rows_in": 20,
            "rows_out": 10,
            "blocks": blocks,
            "seconds": 4.5,
            "output": "out.jsonl",
            "storage": "store",
            **report,
        }
    )
    exchange = {
        "key": "k",
        "model_id": "teacher",
        "prompt_hash": "0011",
        "asked": [{"role": "user", "content": text}],
        "params": {"stop": [text]},
        "model": text,
        "replies": [{"text": text, "reasoning": None, "finish_reason": "stop"}],
        "tokens_in": 100,
        "tokens_out": 20,
        "tokens_cached": 0,
        "cost_usd": 0.001,
        "seconds": 0.5,
        "attempts": 2,
        "at": "2026-01-01T00:00:00+00:00",
    }
    story = {
        "row_id": "r1",
        "run_id": run_id,
        "is_in_output": True,
        "row": {"text": text, "n": [1, {"a": text}]},
        "seed": {"row_id": "s1", "row": {"text": text}},
        "steps": [
            {
                "block": "ask",
                "type": "LLMBlock",
                "version": 1,
                "key": "k",
                "row_id": "s1",
                "made": "r1",
                "changed": {"question": text},
                "dropped": [text],
                "exchanges": [exchange, {**exchange, "asked": text, "replies": None}],
                "note": "",
            }
        ],
        "afterwards": [],
    }
    reject = {"row_id": "r2", "block": "ask", "error": "NothingParsed", "message": text, "attempts": 1, "raw": text, "row": text}
    output = pa.Table.from_pylist(
        rows if rows is not None else [{"text": text.encode("utf-8", "replace").decode(), "label": label} for label in "aabbb"]
    )
    flow: dict[str, Any] = {
        "name": "small",
        "file": "flow.yaml",
        "key": "flow-key",
        "about": {"description": "", "author": "", "license": "", "version": "", "tags": []},
        "models": {
            "teacher": {
                "model": "gpt",
                "identity": "gpt",
                "client": "openai",
                "addresses": ["http://h/v1"],
                "is_simulated": False,
                "mode": "calls",
                "params": {},
                "price": None,
            }
        },
        "pipelines": [
            {"pipeline": text, "times": 1, "steps": steps or [step("ask"), step("keep", "FilterByValueBlock", scope="all")]}
        ],
        "expect": {},
        "output_columns": None,
    }
    manifest = {
        "run_id": run_id,
        "status": made.status,
        "started": "2026-01-01T00:00:00+00:00",
        "ended": "2026-01-01T00:01:00+00:00",
        "store": "store",
        "flow": flow,
        "flow_files": [{"name": "flow.yaml", "size": 9, "sha256": "ff"}],
        "flow_address": "file:///data/my%20flows/flow.yaml",
        "git": {"revision": "abcdef", "is_changed": True, "path": "flows/flow.yaml"},
        "programs": {"python": "3.13", "system": "Linux", "packages": {"prefect": "3.8.8"}},
        "input": {
            "source": "s3://bucket/seeds.jsonl",
            "address": "s3://bucket/seeds.jsonl",
            "files": [],
            "stored": "inputs/1-10",
            "rows": 20,
            "columns": ["text"],
        },
        "served_models": {"ask": {text: 20}},
        "output": {
            "target": "out.jsonl",
            "address": "file:///data/my%20rows/out.jsonl",
            "files": [{"name": "out.jsonl", "size": 10, "sha256": "aa"}],
            "rows": 10,
            "columns": [{"name": "text", "type": "string"}, {"name": "question", "type": "string"}],
            "content": [],
        },
    }
    figures = {
        "blocks": {"ask": seen.to_json()},
        "timeline": Timeline(0.5, [Moment(0, 0, 0), Moment(7, 3, 1), Moment(0, 20, 20)]).to_json(),
        "profile": profile_of([output]).to_json(),
        "rejects": [{"block": "ask", "error": "NothingParsed", "rows": 1, "examples": [reject]}],
        "samples": [story],
    }
    return Told(made.to_json(), figures, manifest)
