"""What the simulated model writes where a prompt asks for a skill: programs, sums, translations, calls of tools."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from sdg_prefect.blocks.tool_calls import CheckToolCalls
from sdg_prefect.simulator.programs import PROGRAMS, Program, program_for
from sdg_prefect.simulator.replying import FREE, Constraint, write_reply
from sdg_prefect.simulator.sums import poses_problem, solve, write_problem
from sdg_prefect.testing import run_block

TOOLS = json.dumps(
    [
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "description": "Look up the weather of a city.",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "city": {"type": "string"},
                        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                        "days": {"type": "integer", "minimum": 1, "maximum": 7},
                    },
                    "required": ["city", "unit", "days"],
                },
            },
        },
        {
            "name": "convert_money",
            "description": "Convert an amount of money into another currency.",
            "parameters": {
                "type": "object",
                "properties": {
                    "amount": {"type": "number"},
                    "currency": {"type": "string"},
                    "tags": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["amount", "currency"],
            },
        },
    ]
)
CALLS = {
    "type": "object",
    "properties": {
        "calls": {
            "type": "array",
            "items": {"type": "object", "properties": {"name": {"type": "string"}, "arguments": {"type": "object"}}},
        }
    },
}


def reply(prompt: str, sample: int = 0, constraint: Constraint = FREE) -> str:
    return write_reply(prompt, 1, sample, constraint, False)


def slot(name: str) -> str:
    return f"\n\n[Start of {name}]\nyour {name.lower()}\n[End of {name}]"


def filled(name: str, text: str) -> str:
    found = re.findall(rf"\[Start of {name}\]\n?(.*?)\n?\[End of {name}\]", text, re.DOTALL)
    assert len(found) == 1, text
    return str(found[0])


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_a_program_passes_its_tests_and_with_its_slip_it_fails_them(program: Program) -> None:
    test = f"test_{program.name}()"
    exec(f"{program.written(carefully=True)}\n{program.tested()}\n{test}", {})
    with pytest.raises(AssertionError):
        exec(f"{program.written(carefully=False)}\n{program.tested()}\n{test}", {})


def test_code_and_tests_that_are_asked_for_one_by_one_are_of_the_task_that_is_given() -> None:
    task = filled("Task", reply(f"Write one programming task on dates.{slot('Task')}"))
    code = filled("Solution", reply(f"Solve the problem in Python.\n\nProblem:\n{task}{slot('Solution')}"))
    tests = filled("Tests", reply(f"Write unit tests in Python.\n\nProblem:\n{task}{slot('Tests')}"))
    name = re.findall(r"`(\w+)\(", task)[0]
    assert f"def {name}(" in code
    assert f"def test_{name}(" in tests
    assert "longest_word" in reply("Write a Python function that finds the longest word in a text.")


def test_a_program_takes_the_name_that_a_task_gives_it() -> None:
    program = program_for("Write `find_it(text)`, which returns the longest word of the text.")
    assert program.name == "find_it"
    assert "def find_it(text)" in program.code
    assert all("longest_word" not in test for test in program.tests)


@pytest.mark.parametrize("number", range(20))
def test_a_word_problem_is_solved_by_its_own_numbers(number: int) -> None:
    problem = write_problem(f"key {number}")
    assert poses_problem(problem)
    first, second, third = (int(found) for found in re.findall(r"\d+", problem))
    asks_for_rest = "left" in problem
    right = solve(problem, "k", carefully=True).answer
    assert int(right) == first * second + (-third if asks_for_rest else third) > 0
    assert solve(problem, "k", carefully=False).answer != right


def test_most_attempts_at_a_problem_agree() -> None:
    problem = "A baker packs 12 rolls into each of 4 boxes and gives 5 away. How many rolls are left?"
    prompt = f"Think step by step.\n\nProblem:\n{problem}\n\nEnd in this form:\nReasoning: <your steps>\nAnswer: <the number>"
    answers = [reply(prompt, sample).rsplit("Answer: ", 1)[1] for sample in range(30)]
    assert 15 < answers.count("43") < 30
    assert "12 times 4 makes 48." in reply(prompt)


def test_a_translation_is_marked_and_translated_back_it_is_the_text() -> None:
    text = "Cork floats. Its cells are full of air."
    there = filled("Translation", reply(f"Translate the text into Portuguese.\n\nText:\n{text}{slot('Translation')}", 1))
    assert there.startswith("(in Portuguese) Cork floats.")
    back = [
        filled("Translation", reply(f"Translate the text into English.\n\nText:\n{there}{slot('Translation')}", n))
        for n in range(9)
    ]
    assert set(back) <= {text, "Cork floats."}
    assert text in back


def test_requests_are_written_for_tools_and_calls_fit_to_them() -> None:
    prompt = "Write one request of a user, for which exactly two calls are needed.\n\nTools:\n{}{}"
    request = filled("Request", reply(prompt.format(TOOLS, slot("Request"))))
    said = [
        json.loads(reply(f"Which tools are called?\n\nTools:\n{TOOLS}\n\nRequest:\n{request}", n, Constraint(schema=CALLS)))[
            "calls"
        ]
        for n in range(20)
    ]
    assert all({call["name"] for call in calls} == {"get_weather", "convert_money"} for calls in said)
    block = CheckToolCalls(block_name="c", calls_col="calls", tools_col="tools")
    verdicts = [row["fits"] for row in run_block(block, [{"tools": TOOLS, "calls": json.dumps(calls)} for calls in said]).rows]
    assert 10 < verdicts.count(True) < 20
    city = next(call for call in said[0] if call["name"] == "get_weather")["arguments"].get("city", "")
    assert city in request


def test_where_no_tool_is_of_use_none_is_called() -> None:
    prompt = f"Write one request for which none of the tools is of use.\n\nTools:\n{TOOLS}{slot('Request')}"
    request = filled("Request", reply(prompt))
    called = reply(f"Which tools are called?\n\nTools:\n{TOOLS}\n\nRequest:\n{request}", 0, Constraint(schema=CALLS))
    assert json.loads(called) == {"calls": []}


@pytest.mark.parametrize(
    "template",
    [
        "<|begin_of_text|>{}<|start_header_id|>user<|end_header_id|>\n\n",
        "{}<|im_start|>user\n",
        "{}<start_of_turn>user\n",
        "<s>{}[INST] ",
    ],
)
def test_a_chat_template_that_ends_where_the_user_speaks_is_gone_on_with_by_a_users_message(template: str) -> None:
    said: list[Any] = [reply(template.format(""), sample) for sample in range(6)]
    assert len(set(said)) > 3
    assert all(re.match(r"(How|What|Can|Write)\b", text) for text in said)
    about = reply(template.format("<|im_start|>system\nYou help people who keep bees.<|im_end|>\n"))
    assert re.search(r"It has to do with (help|people|keep|bees)\.$", about)


def test_a_description_is_put_in_the_place_of_a_name() -> None:
    prompt = (
        "Put a description in the place of a name.\n\nName: Harl bridge\n\nMaterial:\nThe only toll bridge over the Seel.\n\n"
        f"Question:\nWhen was Harl bridge built?{slot('Rewritten Question')}"
    )
    assert filled("Rewritten Question", reply(prompt)) == "When was the only toll bridge over the Seel built?"


def test_a_form_is_filled_as_often_as_is_wanted_and_differently_each_time() -> None:
    prompt = f"Write 3 pairs of prompts on the text.\n\nText:\nBees dance. Cows graze. Fish swim. Birds sing. Cats nap. Dogs dig.{slot('First Prompt')}{slot('Second Prompt')}"
    found = re.findall(r"\[Start of (?:First|Second) Prompt\]\n(.*?)\n\[End", reply(prompt))
    assert len(found) == len(set(found)) == 6
    people = (
        f"Think of 2 people who could read the text, each in this form.\n\nText:\nBees dance. Cows graze.{slot('Description')}"
    )
    assert reply(people).count("[Start of Description]") == 2


def test_a_prompt_that_ends_with_a_call_is_answered_as_the_tool_would() -> None:
    tools = json.dumps([{"name": "find", "parameters": {"type": "object", "properties": {"what": {"type": "string"}}}}])
    call = '{"name": "find", "arguments": {"what": "Größe"}}'
    made = json.loads(reply(f"You stand in for tools.\n{tools}\n\n{call}"))
    assert (made["what"], made["status"]) == ("Größe", "ok")
    assert reply(f"You stand in for tools.\n{tools}\n\n{call.replace('find', 'seek')}") != json.dumps(made, ensure_ascii=False)
