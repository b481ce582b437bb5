"""The light commands: check, blocks, flows, schema, simulate, and blocks of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sdg_prefect.report.inert import plain
from tests.flows import ASK, PROMPT, copy

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Told


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("flow.yaml").write_text(ASK)
    Path("ask.yaml").write_text(PROMPT)
    return tmp_path


def test_check_says_that_a_flow_is_fine_and_what_it_needs(told: Told, folder: Path) -> None:
    code, out, err = told("check", "flow.yaml", "--api-base", "http://127.0.0.1:1/v1")
    assert (code, out, err) == (0, f"flow.yaml: {folder.name} is fine: 1 block; the seeds need document.\n", "")


def test_check_warns_of_a_model_that_cannot_be_called_yet(told: Told) -> None:
    code, _, err = told("check", "flow.yaml")
    assert code == 0
    assert err.startswith("warning: model 'teacher' has no endpoint.")


def test_check_gives_its_problems_as_json(told: Told) -> None:
    Path("flow.yaml").write_text(ASK.replace("LLMBlock", "LMBlock"))
    code, out, err = told("check", "flow.yaml", "--json")
    assert code == 2
    assert json.loads(out) == [
        {
            "file": "flow.yaml",
            "line": 1,
            "message": "unknown block type 'LMBlock'.",
            "hint": "Did you mean 'LLMBlock'?",
            "warning": False,
        }
    ]
    assert err == "flow.yaml:1  unknown block type 'LMBlock'. Did you mean 'LLMBlock'?\n"


def test_blocks_are_listed_and_explained(told: Told) -> None:
    code, out, _ = told("blocks", "--json")
    assert code == 0
    assert json.loads(out)["LLMBlock"].startswith("Ask a model")
    _, out, _ = told("blocks", "RenameColumns")
    assert "columns_map  (object; required)\n      Old name to new name." in out
    _, out, _ = told("blocks", "TagParserBlock")
    assert "input_cols  (string or array or object or null; required)" in out


@pytest.mark.parametrize(
    ("name", "hint"),
    [("LMBlock", "Did you mean 'LLMBlock'?"), ("Zzzz", "'python -m sdg_prefect blocks' lists them.")],
)
def test_an_unknown_block_is_told(name: str, hint: str, told: Told) -> None:
    code, _, err = told("blocks", name)
    assert (code, err) == (2, f"unknown block type '{name}'. {hint}\n")


def test_flows_are_listed_even_if_one_is_wrong(told: Told) -> None:
    Path("wrong.yaml").write_text(ASK.replace("ask.yaml", "nowhere.yaml"))
    code, out, err = told("flows", "--folder", ".")
    assert code == 0
    assert "flow.yaml  needs document" in out
    assert err.startswith("wrong.yaml:4  block 'ask': config_path: the file 'nowhere.yaml' does not exist.")


ABOUT = """\
metadata:
  name: Questions
  id: blue-bird-1
  author: Ada
  tags: [qa, Short]
  recommended_models: {default: m, compatible: [n]}
  dataset_requirements: {required_columns: [a], optional_columns: [z]}
blocks:
"""


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--tag", "short"), ["mine"]),
        (("--tag", "sho"), []),
        (("--author", "ada"), ["mine"]),
        (("--search", "question"), ["mine"]),
        (("--search", "blue-bird"), ["mine"]),
        (("--search", "flow", "--author", "bob"), []),
        ((), ["flow", "mine"]),
    ],
)
def test_flows_are_found_by_what_they_say_of_themselves(
    words: tuple[str, ...], found: list[str], told: Told, folder: Path
) -> None:
    Path("mine.yaml").write_text(ABOUT + copy("a", "b"))
    _, out, _ = told("flows", "--folder", ".", "--json", *words)
    assert set(json.loads(out)) == {folder.name if name == "flow" else name for name in found}


def test_a_flow_is_explained_with_its_metadata(told: Told) -> None:
    Path("mine.yaml").write_text(ABOUT + copy("a", "b"))
    _, out, _ = told("flows", "mine", "--folder", ".")
    said = dict(line.split(": ", 1) for line in out.splitlines())
    assert (said["name"], said["id"], said["tags"], said["recommended model"]) == ("Questions", "blue-bird-1", "qa, Short", "m")
    assert (said["other models"], said["seeds"], said["optional seeds"]) == ("n", "a", "z")
    assert "license" not in said


def test_flows_of_one_name_are_called_by_their_paths_and_each_by_its_id(told: Told) -> None:
    for place in ("a/b/flow.yaml", "c/b/flow.yaml", "c/b.yaml", "d/flow.yaml", "e.yaml/link.yaml"):
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        Path(place).write_text(ABOUT.replace("blue-bird-1", place[0]) + copy("a", "b"))
    assert set(json.loads(told("flows", "--folder", ".", "--json")[1])) >= {"a/b", "c/b/flow.yaml", "c/b.yaml", "d", "link"}
    for wanted, file in (("a", "a/b/flow.yaml"), ("d", "d/flow.yaml"), ("c/b.yaml", "c/b.yaml")):
        assert json.loads(told("flows", wanted, "--folder", ".", "--json")[1]).popitem()[1]["file"] == file
    assert told("flows", "Questions", "--folder", "a")[0] == 0
    code, _, err = told("flows", "b", "--folder", ".")
    assert (code, err) == (2, "several flows are called 'b'. Name one of them: a/b, c/b/flow.yaml, c/b.yaml.\n")
    code, _, err = told("flows", "link2", "--folder", ".")
    assert (code, err) == (2, "there is no flow 'link2'. Did you mean 'link'?\n")


def test_blocks_are_found_by_family(told: Told) -> None:
    _, out, _ = told("blocks", "--family", "parse a column", "--json")
    assert (
        {"TagParserBlock", "RegexParserBlock", "JSONParserBlock"}
        <= set(json.loads(out))
        < set(json.loads(told("blocks", "--json")[1]))
    )
    code, _, err = told("blocks", "--family", "parsing")
    assert code == 2
    assert err.startswith("there is no family 'parsing' of blocks. Known: Ask a model, ")


def test_blocks_are_found_by_words(told: Told) -> None:
    _, out, _ = told("blocks", "--search", "langgraph", "--json")
    assert json.loads(out) == {}
    _, out, _ = told("blocks", "--search", "JSON", "--json")
    assert {"JSONParserBlock", "JSONStructureBlock"} <= set(json.loads(out))


def test_a_folder_of_flows_that_is_not_there_is_told(told: Told) -> None:
    code, _, err = told("flows", "--folder", "nowhere")
    assert (code, err) == (2, "there is no folder 'nowhere'. Name the one with the flows: --folder FOLDER.\n")


def test_the_ready_flows_are_listed_beside_those_of_the_folder_flows(told: Told) -> None:
    ready = set(json.loads(told("flows", "--json")[1]))
    assert {"self_instruct", "knowledge_qa", "magpie"} <= ready
    Path("flows").mkdir()
    Path("flows/mine.yaml").write_text(copy("a", "b"))
    assert set(json.loads(told("flows", "--json")[1])) == {*ready, "mine"}
    _, out, _ = told("flows", "--search", "refuses")
    assert out.startswith("refusal_tests")
    _, out, _ = told("flows", "translation")
    assert "parameters: source, target, least_overlap, least_score" in out.splitlines()


def test_a_ready_flow_is_copied_to_start_from_and_its_page_speaks_of_the_copy(told: Told) -> None:
    code, out, _ = told("new", "mine", "--from", "self_instruct")
    assert (code, out.split()[0]) == (0, "mine/flow.yaml")
    assert told("check", "mine/flow.yaml", "--input", "mine/seeds.jsonl")[0] == 0
    page = Path("mine/README.md").read_text()
    assert "run mine/flow.yaml --input mine/seeds.jsonl" in page
    assert "](../" not in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "self_instuct"), "there is no ready flow 'self_instuct'. Did you mean 'self_instruct'?\n"),
        (("--from", "self_instruct"), "'taken' is there and not empty. Name a new folder; nothing was written.\n"),
    ],
)
def test_a_copy_that_cannot_be_made_is_told(words: tuple[str, ...], said: str, told: Told) -> None:
    Path("taken").mkdir()
    Path("taken/flow.yaml").write_text("mine")
    code, _, err = told("new", "taken", *words)
    assert (code, err) == (2, said)
    assert Path("taken/flow.yaml").read_text() == "mine"


def test_the_schema_is_json(told: Told) -> None:
    _, out, _ = told("schema")
    assert json.loads(out)["title"] == "sdg_prefect flow"


def test_blocks_of_ones_own_are_loaded_first(told: Told) -> None:
    Path("mine.py").write_text(
        "from sdg_prefect import Block, block\n@block('MineOfTheCommandLine')\nclass Mine(Block):\n    '''Mine.'''\n"
    )
    Path("flow.yaml").write_text("- block_type: MineOfTheCommandLine\n  block_config: {block_name: mine}\n")
    code, _, _ = told("check", "flow.yaml", "--blocks", "mine.py")
    assert code == 0


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("x = 1\nraise ValueError('no')\n", "--blocks mine.py:2  cannot be imported: ValueError: no."),
        ("x = 1\n\ndef\n", "--blocks mine.py:3  cannot be imported: SyntaxError"),
        ("import nothing_of_that_name\n", "--blocks mine.py:1  cannot be imported: ModuleNotFoundError"),
        (None, "--blocks: the file 'mine.py' does not exist."),
    ],
    ids=["error", "syntax", "import", "missing"],
)
def test_blocks_that_cannot_be_loaded_are_told_with_their_line(content: str | None, line: str, told: Told) -> None:
    if content is not None:
        Path("mine.py").write_text(content)
    code, _, err = told("check", "flow.yaml", "--blocks", "mine.py")
    assert code == 2
    assert err.startswith(line)
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("--error-429-share", "0.8", "--timeout-share", "0.8"),
            "the shares of failing calls add up to 1.6, which is more than 1.",
        ),
        (("--port", "0", "--replies", "ask.yaml"), "ask.yaml:1  not a scripted reply"),
        (("--port", "0", "--log", "nowhere/log"), "cannot open nowhere/log: No such file or directory."),
        (("--port", "99999"), "Invalid value for '--port'"),
        (("--replies", "nowhere"), "Invalid value for '--replies'"),
    ],
    ids=["shares", "replies", "log", "port", "no replies"],
)
def test_a_simulator_that_cannot_be_is_told(words: tuple[str, ...], line: str, told: Told) -> None:
    code, _, err = told("simulate", *words)
    assert code == 2
    assert line in err.splitlines()[-1]
    assert "Traceback" not in err


def test_control_characters_are_shown_instead_of_obeyed() -> None:
    assert plain("a\x1b[31mb\n\tc é") == "a\\x1b[31mb\n\tc é"
