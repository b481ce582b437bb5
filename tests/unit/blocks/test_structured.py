"""Replies in JSON: validated, repaired, corrected, and of the schema's types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from sdg_prefect.blocks.files import FlowFiles
from sdg_prefect.blocks.schemas import GROUP, find_type
from sdg_prefect.blocks.structured import StructuredLLMBlock
from sdg_prefect.models.completion import Choice, Completion, Failure
from sdg_prefect.testing import BlockResult, run_block

PROMPT = {"messages": [{"role": "user", "content": "Rate {{ text }}"}]}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"score": {"type": "integer", "minimum": 1, "maximum": 5}, "why": {"type": "string"}},
    "required": ["score", "why"],
    "additionalProperties": False,
}
ROWS = [{"text": "it"}]


def structured(**config: Any) -> StructuredLLMBlock:
    given = {"block_name": "rate", "config_path": PROMPT, "model_id": "m", **config}
    return StructuredLLMBlock.model_validate(given if "output_type" in config else {"output_schema": SCHEMA, **given})


def rated(reply: Any, **config: Any) -> BlockResult:
    return run_block(structured(**config), ROWS, reply if callable(reply) else lambda _: reply)


def refused(**config: Any) -> str:
    with pytest.raises(ValidationError) as error:
        structured(**config)
    return str(error.value)


@pytest.mark.parametrize(
    "reply",
    [
        '{"score": 4, "why": "good"}',
        '```json\n{"score": 4, "why": "good"}\n```',
        'Here it is: {"score": 4, "why": "good"} I hope that helps.',
        "{'score': 4, 'why': 'good',}",
        '{"score": 4.0, "why": "good"',
    ],
)
def test_json_with_small_faults_is_repaired(reply: str) -> None:
    assert rated(reply).rows == [{"text": "it", "score": 4, "why": "good"}]


def test_the_model_is_told_what_is_wrong_and_asked_again() -> None:
    made = rated(lambda prompt: '{"score": 5, "why": "yes"}' if "not what was asked" in prompt else '{"score": 9}')
    assert made.rows == [{"text": "it", "score": 5, "why": "yes"}]
    first, second = made.requests
    assert list(second.messages or ())[: len(first.messages or ())] == list(first.messages or ())
    _, said, told = second.messages or ()
    assert said == {"role": "assistant", "content": '{"score": 9}'}
    assert "$.score: 9 is greater than the maximum of 5" in told["content"]
    assert "'why' is a required property" in told["content"]


def test_a_row_whose_reply_stays_wrong_is_rejected_with_reply_and_reason() -> None:
    made = rated('{"score": "high", "why": ""}', corrections=2)
    assert made.rows == []
    assert len(made.requests) == 3
    (reject,) = made.rejects
    assert (reject.error, reject.raw) == ("SchemaMismatch", '{"score": "high", "why": ""}')
    assert "$.score: 'high' is not of type 'integer'" in reject.message


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("date", "2024-02-29", "2023-02-29"),
        ("date", "2024-05-17", "May 17th"),
        ("date-time", "2024-05-17T10:30:00Z", "2024-05-17"),
        ("date-time", "2024-05-17T10:30:00", "2024-05-17T25:30:00Z"),
        ("time", "10:30:00", "half past ten"),
        ("email", "reader@example.com", "reader"),
        ("uuid", "7f1d8a52-3c64-4b0e-9f27-5d0c6e1ab934", "7f1d8a52"),
        ("ipv4", "192.0.2.7", "192.0.2.700"),
        ("ipv6", "2001:db8::7", "192.0.2.7"),
    ],
)
def test_what_is_no_date_or_the_like_is_told(form: str, good: str, bad: str) -> None:
    schema = {"type": "object", "properties": {"on": {"type": ["string", "null"], "format": form}}, "required": ["on"]}
    made = rated(lambda prompt: json.dumps({"on": good if "not what was asked" in prompt else bad}), output_schema=schema)
    assert made.rows == [{"text": "it", "on": good}]
    assert f"$.on: '{bad}' is not a '{form}'" in (made.requests[1].messages or ())[-1]["content"]
    assert rated('{"on": null}', output_schema=schema).rows == [{"text": "it", "on": None}]


def test_without_corrections_a_model_is_asked_once() -> None:
    assert len(rated("nothing", corrections=0).requests) == 1


def test_a_reply_that_was_cut_is_neither_repaired_nor_asked_for_again() -> None:
    made = rated(Completion((Choice('{"score": 4, "why": "goo', "length"),)))
    assert [reject.message for reject in made.rejects] == ["the reply was cut at max_tokens."]
    assert len(made.requests) == 1


def test_the_schema_is_sent_and_told_and_the_same_for_every_row() -> None:
    block = structured()
    made = run_block(block, [{"text": "one"}, {"text": "two"}], lambda _: '{"score": 4, "why": "x"}')
    for request in made.requests:
        form = request.params["response_format"]
        assert form == {"type": "json_schema", "json_schema": {"name": "reply", "schema": SCHEMA, "strict": True}}
        content = (request.messages or ())[0]["content"]
        assert content.startswith("Reply with JSON alone")
        assert content[: request.shared_prefix].endswith("Rate")
    assert '"maximum":5' in made.prompts[0]


def test_the_schema_can_be_left_out_of_the_prompt_and_is_not_strict_where_it_is_open() -> None:
    loose = {"type": "object", "properties": {"score": {"type": "integer"}}}
    (request,) = rated('{"score": 4}', output_schema=loose, tell_schema=False).requests
    assert (request.messages or ())[0]["content"] == "Rate it"
    assert request.params["response_format"]["json_schema"]["strict"] is False


def test_an_endpoint_that_refuses_schemas_is_asked_without() -> None:
    def reply(prompt: str) -> Any:
        asked.append(prompt)
        return (
            Failure("BadRequest", "unknown field response_format", transient=False)
            if len(asked) == 1
            else '{"score": 1, "why": ""}'
        )

    asked: list[str] = []
    made = rated(reply)
    assert made.rows == [{"text": "it", "score": 1, "why": ""}]
    assert "response_format" not in made.requests[1].params
    assert "json_schema: prompt" in made.logs[0]


def test_other_failures_reject_their_row() -> None:
    made = rated(Failure("BadRequest", "no such thing", transient=False))
    assert [(reject.error, reject.message) for reject in made.rejects] == [("BadRequest", "no such thing")]


def test_each_good_choice_gives_a_row_and_the_others_are_counted() -> None:
    replies = ['{"score": 1, "why": "a"}', "no", '{"score": 2, "why": "b"}']
    made = rated(Completion(tuple(Choice(text, "stop") for text in replies)), gen_kwargs={"n": 3})
    assert [row["score"] for row in made.rows] == [1, 2]
    assert made.counts.unparsed == 1


def test_columns_have_the_types_of_the_schema_whatever_the_replies() -> None:
    schema = {
        "type": "object",
        "$defs": {"point": {"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": "number"}}}},
        "properties": {
            "at": {"$ref": "#/$defs/point"},
            "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "flag": {"type": ["boolean", "null"]},
            "kind": {"enum": ["a", "b"]},
            "list": {"type": "array", "items": {"$ref": "#/$defs/point"}},
            "any": {},
            "free": {"type": "object"},
            "either": {"type": ["string", "integer"]},
        },
    }
    point = pa.struct([("x", pa.float64()), ("y", pa.float64())])
    block = structured(output_schema=schema)
    said = {
        "at": {"x": 1, "y": 2},
        "maybe": None,
        "flag": True,
        "kind": "a",
        "list": [{"x": 1}],
        "any": [1],
        "free": {"k": 1},
        "either": 7,
    }
    for reply in (json.dumps(said), "[]"):
        made = run_block(block, ROWS, {"": reply})
        kinds = {field.name: field.type for field in made.table.schema}
        assert kinds["at"] == point
        assert kinds["list"] == pa.list_(point)
        assert [kinds[name] for name in ("maybe", "flag", "kind", "any", "free", "either")] == [
            pa.int64(), pa.bool_(), pa.string(), pa.string(), pa.string(), pa.string()
        ]  # fmt: skip
    row = run_block(block, ROWS, lambda _: json.dumps(said)).rows[0]
    assert row == {
        "text": "it",
        **said,
        "at": {"x": 1.0, "y": 2.0},
        "list": [{"x": 1.0, "y": None}],
        "any": "[1]",
        "free": '{"k": 1}',
        "either": "7",
    }


def test_a_schema_that_refers_to_itself_ends_in_json_text() -> None:
    tree = {"type": "object", "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}}}
    made = rated('{"name": "a", "children": [{"name": "b", "children": []}]}', output_schema=tree)
    assert made.rows[0]["children"][0]["name"] == "b"


def test_some_properties_or_the_whole_reply_can_be_kept() -> None:
    reply = '{"score": 4, "why": "good"}'
    assert rated(reply, output_cols=["why"]).columns == ["text", "why"]
    assert rated(reply, output_col="all").rows[0]["all"] == {"score": 4, "why": "good"}
    assert rated("[1, 2]", output_schema={"type": "array", "items": {"type": "integer"}}, output_col="all").rows[0]["all"] == [
        1,
        2,
    ]


def test_a_list_of_objects_gives_a_row_for_each() -> None:
    pair = {"type": "object", "properties": {"q": {"type": "string"}, "a": {"type": "string"}}, "required": ["q"]}
    schema = {"type": "object", "properties": {"pairs": {"type": "array", "items": pair}}, "required": ["pairs"]}
    made = rated('{"pairs": [{"q": "1", "a": "x"}, {"q": "2"}]}', output_schema=schema, rows_from="pairs")
    assert [(row["q"], row["a"]) for row in made.rows] == [("1", "x"), ("2", None)]
    assert rated('{"pairs": []}', output_schema=schema, rows_from="pairs").rejects[0].message == "$.pairs: the list is empty."


def test_a_number_that_no_column_holds_is_a_fault_of_the_reply() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    assert "too large a number" in rated('{"n": 99999999999999999999}', output_schema=schema).rejects[0].message


def test_what_is_wrong_with_a_schema_is_found_before_a_run() -> None:
    assert "not a JSON Schema: type: 'objekt' is not valid" in refused(output_schema={"type": "objekt"})
    assert "lies outside of it" in refused(output_schema={"$ref": "https://example.org/schema.json"})
    assert "name an 'output_col'" in refused(output_schema={"type": "string"})
    assert "no property 'scor'. Did you mean 'score'?" in refused(output_cols=["scor"])
    assert "is no list of objects" in refused(rows_from="score")
    assert "leave 'output_cols' and 'rows_from' away" in refused(output_col="x", rows_from="y")
    assert "no installed package brings the class 'my.Type'" in refused(output_type="my.Type")
    assert "the file 'none.yaml' does not exist" in refused(output_schema="none.yaml")


def test_a_schema_can_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    given = {"block_name": "rate", "config_path": PROMPT, "model_id": "m", "output_schema": "schema.json"}
    block = StructuredLLMBlock.model_validate(given, context=FlowFiles(tmp_path))
    assert block.key({}) == structured().key({})


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a package with two entry points, one of them for what is no class."""
    (tmp_path / "my_types.py").write_text(
        "from pydantic import BaseModel, field_validator\n\n\n"
        "class Rating(BaseModel):\n"
        "    score: int\n"
        "    words: list[str] = []\n\n"
        "    @field_validator('words')\n"
        "    @classmethod\n"
        "    def _some(cls, words):\n"
        "        if not words:\n"
        "            raise ValueError('name a word')\n"
        "        return words\n"
    )
    about = tmp_path / "my_types-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-types\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        f"[{GROUP}]\nrating = my_types:Rating\nmodule = my_types\nbroken = not_there:Rating\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    find_type.cache_clear()
    yield
    find_type.cache_clear()


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("name", ["rating", "my_types.Rating", "my_types:Rating"])
def test_a_class_of_an_installed_package_gives_the_schema_and_checks_the_reply(name: str) -> None:
    made = rated('{"score": 3, "words": ["warm"]}', output_type=name)
    assert made.rows == [{"text": "it", "score": 3, "words": ["warm"]}]
    wrong = rated('{"score": 3, "words": []}', output_type=name, corrections=0)
    assert "$.words: Value error, name a word" in wrong.rejects[0].message


@pytest.mark.usefixtures("plugin")
def test_only_what_an_entry_point_names_is_imported() -> None:
    assert "no installed package brings the class 'subprocess.Popen'" in refused(output_type="subprocess.Popen")
    assert "no installed package brings the class 'ratin'. Did you mean 'rating'?" in refused(output_type="ratin")
    assert "'module' is no pydantic class" in refused(output_type="module")
    assert "cannot be imported: ModuleNotFoundError" in refused(output_type="broken")


def test_half_of_a_character_in_a_reply_is_replaced() -> None:
    assert rated('{"score": 3, "why": "good \\ud83d"}').rows == [{**ROWS[0], "score": 3, "why": "good ?"}]
    assert rated('{"score": 3, "why": "good \\ud83d",}').rows[0]["why"] == "good ?"
