"""What the simulated model writes, asked over HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from sdg_prefect.simulator.replying import FREE, write_reply

DOCUMENT = (
    "Tidal marshes are wetlands at the edge of the sea. They are flooded twice a day by salt water. "
    "Cordgrass holds the mud in place with its roots. Young fish hide among the stems from larger hunters. "
    "A healthy marsh can store more carbon than a forest of the same size."
)
FAITHFULNESS = """Decide whether the context supports the response. Answer YES or NO.

Example:
[Start of Context]
Bread is baked from flour.
[End of Context]
[Start of Response]
Bread is made of glass.
[End of Response]
[Start of Explanation]
Flour is not glass.
[End of Explanation]
[Start of Answer]
NO
[End of Answer]

* Put the explanation between [Start of Explanation] and [End of Explanation] tags.
* Put the answer between [Start of Answer] and [End of Answer] tags.

[Start of Context]
{document}
[End of Context]
[Start of Response]
{response}
[End of Response]
"""
PAIRS = """Write question and answer pairs about the document in this form:

[Question]
<question>
[Answer]
<answer>
[END]

Here is an example.

[Document]
Bread is baked from flour.

[Question]
What is bread baked from?
[Answer]
Flour.
[END]

Here is the document:

[Document]
{document}
"""


@pytest.fixture(scope="module")
def model() -> Iterator[SimulatedModel]:
    with SimulatedModel() as server:
        yield server


def ask(server: SimulatedModel, prompt: str, **params: Any) -> dict[str, Any]:
    body = {"model": "simulated", "messages": [{"role": "user", "content": prompt}], **params}
    response = httpx.post(f"{server.url}/chat/completions", json=body, verify=False)
    assert response.status_code == 200, response.text
    reply: dict[str, Any] = response.json()
    return reply


def texts(reply: dict[str, Any]) -> list[str]:
    return [choice["message"]["content"] for choice in reply["choices"]]


def tagged(name: str, text: str) -> list[str]:
    return [body.strip() for body in re.findall(rf"\[Start of {name}\](.*?)\[End of {name}\]", text, re.DOTALL)]


def test_a_reply_says_that_it_is_simulated(model: SimulatedModel) -> None:
    response = httpx.post(f"{model.url}/completions", json={"model": "any", "prompt": "Hello there."})
    assert response.headers["x-simulated"] == "true"
    assert response.json()["system_fingerprint"] == "simulated"
    assert response.json()["model"] == "any"
    listed = httpx.get(f"{model.url}/models").json()["data"]
    assert {entry["owned_by"] for entry in listed} == {"simulated"}


def test_paths_work_with_and_without_the_prefix(model: SimulatedModel) -> None:
    root = model.url.removesuffix("/v1")
    assert httpx.get(f"{root}/health").status_code == httpx.get(f"{model.url}/health").status_code == 200
    body = {"model": "any", "messages": [{"role": "user", "content": "Hello there."}]}
    assert httpx.post(f"{root}/chat/completions", json=body).status_code == 200


def test_the_same_prompt_seed_and_sample_give_the_same_text(model: SimulatedModel) -> None:
    first = texts(ask(model, PAIRS.format(document=DOCUMENT), n=4, seed=7))
    assert texts(ask(model, PAIRS.format(document=DOCUMENT), n=4, seed=7)) == first
    assert texts(ask(model, PAIRS.format(document=DOCUMENT), n=4, seed=8)) != first
    assert len(set(first)) > 1


def test_a_judge_answers_in_the_tags_that_are_asked_for(model: SimulatedModel) -> None:
    (text,) = texts(ask(model, FAITHFULNESS.format(document=DOCUMENT, response="Marshes store carbon.")))
    assert tagged("Answer", text)[0] in ("YES", "NO")
    assert "Marshes store carbon" in tagged("Explanation", text)[0]
    assert tagged("Context", text) == []


def test_what_a_place_of_the_reply_lists_is_what_stands_there(model: SimulatedModel) -> None:
    prompt = "Which joke is better, A or B?\n<feedback>your comparison</feedback>\n<verdict>A, B or tie</verdict>\n\nJoke {}"
    replies = [texts(ask(model, prompt.format(number)))[0] for number in range(20)]
    found = {verdict for reply in replies for verdict in re.findall("<verdict>(.*)</verdict>", reply)}
    assert found == {"A", "B", "tie"}


def test_judges_mostly_say_yes_and_sometimes_no(model: SimulatedModel) -> None:
    verdicts = [
        tagged("Answer", text)[0]
        for number in range(10)
        for text in texts(ask(model, FAITHFULNESS.format(document=DOCUMENT, response=f"Claim {number}."), n=20))
    ]
    assert 0.75 < verdicts.count("YES") / len(verdicts) < 0.95


def test_question_and_answer_pairs_come_in_the_shape_shown_and_from_the_row(model: SimulatedModel) -> None:
    (text,) = texts(ask(model, PAIRS.format(document=DOCUMENT)))
    pairs = re.findall(r"\[Question\]\n(.*?)\n\[Answer\]\n(.*?)\n\[END\]", text)
    assert 2 <= len(pairs) <= 3
    assert all(question.endswith("?") and answer in DOCUMENT for question, answer in pairs)
    assert "bread" not in text.lower()


def test_xml_tags_are_filled(model: SimulatedModel) -> None:
    prompt = (
        f"Here is a text:\n<text>\n{DOCUMENT}\n</text>\nRate it on a scale from 1 to 5. Put your reasons in "
        "<rationale></rationale> tags and the number in <score></score> tags."
    )
    (text,) = texts(ask(model, prompt))
    assert re.search(r"<rationale>.+</rationale>", text, re.DOTALL)
    assert re.search(r"<score>[1-5]</score>", text)


@pytest.mark.parametrize(
    ("instruction", "allowed"),
    [
        ("Classify the emotion as joy, anger, fear or sadness.", {"joy", "anger", "fear", "sadness"}),
        ("Rate the text on a scale of 0 to 2.", {"0", "1", "2"}),
        ("Is this text about nature? Answer yes or no.", {"yes", "no"}),
    ],
)
def test_a_bare_question_gets_a_bare_answer(model: SimulatedModel, instruction: str, allowed: set[str]) -> None:
    assert set(texts(ask(model, f"{instruction}\n\nText: {DOCUMENT}", n=5))) <= allowed


def test_a_summary_is_made_of_the_document_and_shorter(model: SimulatedModel) -> None:
    (text,) = texts(ask(model, f"Give a detailed summary of the document.\n\nDocument:\n{DOCUMENT}"))
    assert text.startswith("Tidal marshes are wetlands")
    assert len(text) < len(DOCUMENT)


def test_a_system_message_is_not_taken_for_the_row(model: SimulatedModel) -> None:
    messages = [
        {"role": "system", "content": "You are an expert at summarizing text."},
        {"role": "user", "content": f"Summarize the following document:\n{DOCUMENT}"},
    ]
    reply = httpx.post(f"{model.url}/chat/completions", json={"model": "m", "messages": messages}).json()
    assert texts(reply)[0].startswith("Tidal marshes")


def test_a_json_schema_is_kept(model: SimulatedModel) -> None:
    schema = {
        "type": "object",
        "properties": {
            "question": {"type": "string"},
            "difficulty": {"enum": ["easy", "hard"]},
            "score": {"type": "integer", "minimum": 1, "maximum": 3},
            "share": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
            "code": {"type": "string", "pattern": "^[A-Z]{2}-\\d{3}$"},
            "keywords": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 4},
            "source": {"$ref": "#/$defs/source"},
            "note": {"anyOf": [{"type": "string", "maxLength": 10}, {"type": "null"}]},
        },
        "required": ["question", "score"],
        "$defs": {"source": {"type": "object", "properties": {"is_primary": {"type": "boolean"}}}},
    }
    form = {"type": "json_schema", "json_schema": {"name": "row", "schema": schema}}
    for text in texts(ask(model, f"Document:\n{DOCUMENT}", response_format=form, n=10)):
        value = json.loads(text)
        assert value["question"].endswith("?")
        assert value["difficulty"] in ("easy", "hard")
        assert value["score"] in (1, 2, 3)
        assert 0 < value["share"] <= 1
        assert re.fullmatch(r"[A-Z]{2}-\d{3}", value["code"])
        assert 2 <= len(value["keywords"]) <= 4
        assert isinstance(value["source"]["is_primary"], bool)
        assert len(value["note"]) <= 10


@pytest.mark.parametrize("is_held", [True, False])
def test_a_schema_that_the_prompt_tells_is_kept_and_no_word_of_it_said(model: SimulatedModel, is_held: bool) -> None:
    schema = {
        "type": "object",
        "description": "A review, whose schema goes to the model. What comes is checked.",
        "properties": {"review": {"type": "string"}, "stars": {"type": "integer", "minimum": 1, "maximum": 5}},
        "required": ["review", "stars"],
    }
    told = f"Reply with JSON alone. It has to match this JSON Schema:\n{json.dumps(schema)}"
    held = {"response_format": {"type": "json_schema", "json_schema": {"name": "r", "schema": schema}}} if is_held else {}
    asked = "Write a short review of this shop.\n\nShop:\nA bakery by the station that opens at five in the morning."
    (said,) = texts(ask(model, f"{asked}\n\n{told}", **held))
    review = json.loads(said)
    assert 1 <= review["stars"] <= 5
    assert not {"JSON", "{", "schema"} & set(re.findall(r"\w+|\{", review["review"]))


def test_a_json_object_has_the_keys_the_prompt_shows(model: SimulatedModel) -> None:
    prompt = f'Document:\n{DOCUMENT}\n\nReturn JSON: {{"topic": "...", "score": 3, "keywords": ["..."]}}'
    (text,) = texts(ask(model, prompt, response_format={"type": "json_object"}))
    value = json.loads(text)
    assert isinstance(value["topic"], str)
    assert isinstance(value["score"], int)
    assert isinstance(value["keywords"], list)


def test_guided_parameters_are_kept(model: SimulatedModel) -> None:
    choices = ["coding", "math", "writing"]
    assert texts(ask(model, "Solve this: 2 + 2.", guided_choice=choices))[0] in choices
    assert re.fullmatch(r"\d{2,4} (cats|dogs)\.", texts(ask(model, "Hi.", guided_regex=r"\d{2,4} (cats|dogs)\."))[0])
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
    assert "answer" in json.loads(texts(ask(model, "Hi.", guided_json=schema))[0])
    assert texts(ask(model, "Hi.", allowed_token_ids=[1, 2, 3]))[0]


def test_stop_cuts_the_text(model: SimulatedModel) -> None:
    reply = ask(model, PAIRS.format(document=DOCUMENT), stop=["[Answer]", "[END]"])
    assert "[Answer]" not in texts(reply)[0]
    assert reply["choices"][0]["finish_reason"] == "stop"


def test_max_tokens_cuts_the_text_and_says_so(model: SimulatedModel) -> None:
    reply = ask(model, f"Summarize this document:\n{DOCUMENT}", max_tokens=5)
    assert texts(reply)[0] == "Tidal marshes are wetlands at"
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["usage"]["completion_tokens"] == 5


def test_usage_counts_words_and_punctuation(model: SimulatedModel) -> None:
    usage = ask(model, "One, two.", n=3)["usage"]
    assert usage["prompt_tokens"] == 4
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_batched_prompts_come_back_prompt_by_prompt(model: SimulatedModel) -> None:
    prompts = [f"Document:\nThe number {number} is quite a good one to have." for number in range(3)]
    body = {"model": "m", "prompt": prompts, "n": 2}
    choices = httpx.post(f"{model.url}/completions", json=body).json()["choices"]
    assert [choice["index"] for choice in choices] == list(range(6))
    for place, choice in enumerate(choices):
        assert f"number {place // 2}" in choice["text"]


def test_chat_log_probabilities_have_the_chat_shape(model: SimulatedModel) -> None:
    choice = ask(model, "Is water wet? Answer yes or no.", logprobs=True, top_logprobs=3)["choices"][0]
    content = choice["logprobs"]["content"]
    assert "".join(entry["token"] for entry in content) == choice["message"]["content"]
    assert [entry["token"] for entry in content[0]["top_logprobs"]][:2] in (["yes", "no"], ["no", "yes"])
    assert content[0]["logprob"] == content[0]["top_logprobs"][0]["logprob"] < 0
    assert len(content[0]["top_logprobs"]) == 3


def test_completion_log_probabilities_have_the_completions_shape(model: SimulatedModel) -> None:
    body = {"model": "m", "prompt": "Is water wet? Answer yes or no.", "logprobs": 5}
    choice = httpx.post(f"{model.url}/completions", json=body).json()["choices"][0]
    scores = choice["logprobs"]
    assert "".join(scores["tokens"]) == choice["text"]
    assert len(scores["tokens"]) == len(scores["token_logprobs"]) == len(scores["text_offset"])
    assert len(scores["top_logprobs"][0]) == 5


def test_a_stream_has_the_same_text_in_pieces(model: SimulatedModel) -> None:
    prompt = f"Summarize this document:\n{DOCUMENT}"
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": prompt}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    lines = httpx.post(f"{model.url}/chat/completions", json=body).text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    pieces = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"]]
    assert "".join(pieces) == texts(ask(model, prompt))[0]
    assert chunks[-1]["usage"]["completion_tokens"] > 0


def test_a_reasoning_model_thinks_first(model: SimulatedModel) -> None:
    (text,) = texts(ask(model, f"Summarize this document:\n{DOCUMENT}", model="some-thinking-model"))
    assert re.fullmatch(r"<think>\n.+\n</think>\n\nTidal marshes .+", text, re.DOTALL)


def test_a_reward_model_scores_each_step(model: SimulatedModel) -> None:
    messages = [
        {"role": "user", "content": "What is 2 + 2?"},
        {"role": "assistant", "content": "Two and two.<extra_0>That makes four.<extra_0>"},
    ]
    root = model.url.removesuffix("/v1")
    reply = httpx.post(f"{root}/pooling", json={"model": "prm", "messages": messages}).json()
    (steps,) = [entry["data"] for entry in reply["data"]]
    assert len(steps) == 2
    assert all(abs(bad + good - 1) < 1e-5 for bad, good in steps)


def test_scripted_replies_come_first(tmp_path: Path) -> None:
    script = tmp_path / "replies.jsonl"
    lines = [{"match": "apple", "reply": ["first", "second"]}, {"match": ["apple", "pear"], "reply": "never"}]
    script.write_text("\n".join(json.dumps(line) for line in lines))
    with SimulatedModel(SimulatorSettings(replies=script)) as model:
        assert texts(ask(model, "an apple and a pear", n=3)) == ["first", "second", "first"]
        assert texts(ask(model, "only a pear"))[0] not in ("first", "second", "never")


def test_a_wrong_script_names_its_line(tmp_path: Path) -> None:
    script = tmp_path / "replies.jsonl"
    script.write_text('{"match": "a", "reply": "b"}\n{"match": "a"}\n')
    with (
        pytest.raises(ValueError, match=r"replies\.jsonl:2"),
        SimulatedModel(SimulatorSettings(replies=script)),
    ):
        raise AssertionError("the model must not start")


@pytest.mark.parametrize(
    ("asked", "tags"),
    [
        ("Write a question about it, as [Q]your question[/Q] and [A]your answer[/A].", ("Q", "A")),
        ("[Question]your question[/Question]\n[Answer]your answer[/Answer]", ("Question", "Answer")),
        ("Write a question, as <question>your question</question>, and the answer that the\ntext gives, as <answer>the answer</answer>.", ("question", "answer")),
        ("Reply as <sentiment>positive or negative</sentiment> and <reason>one sentence</reason>", ("sentiment", "reason")),
    ],
)  # fmt: skip
def test_tags_in_the_middle_of_a_sentence_are_filled_from_the_text(asked: str, tags: tuple[str, ...]) -> None:
    reply = write_reply(f"You teach.\nCork floats because its cells are filled with air.\n{asked}", None, 0, FREE, thinks=False)
    for tag in tags:
        body = re.search(rf"[<\[]{tag}[>\]](.*?)[<\[]/{tag}[>\]]", reply, re.DOTALL)
        assert body is not None, reply
        assert body[1].strip()
        assert not re.search("your|write|reply|[<>]", body[1], re.IGNORECASE), reply
    assert re.search("cork|cells|floats", reply, re.IGNORECASE)
