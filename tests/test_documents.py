"""What the documents say is so: links lead somewhere, commands parse, flows are right, code runs, tables are complete."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer
import yaml

from docs.reference import pages
from sdg_prefect import generate
from sdg_prefect.cli.app import app
from sdg_prefect.engine.deploying import schedules_of
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.parameters import DeployedOptions
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.spec.ready import ready_folder
from tests.flows import is_flow
from tests.pages import OURS, ROOT, Page, arguments, documents

_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_INLINE = re.compile(r"`(?P<code>[^`]+)`")
_PLACE = re.compile(r"(?<![\w.:/}$~])/(?!data\b)[A-Za-z][\w.-]*/[\w.-]+")
_ADVERTISING = re.compile(
    r"\b(blazing\w*|cutting[- ]edge|effortless\w*|game[- ]chang\w+|leverag\w+|next[- ]generation|powerful|revolution\w+|robust"
    r"|seamless\w*|simply|state[- ]of[- ]the[- ]art|supercharg\w+|unleash\w*|world[- ]class)\b",
    re.IGNORECASE,
)
_UNFINISHED = re.compile(r"\b(TODO|FIXME|TBD|XXX|coming soon|lorem ipsum)\b")


DOCUMENTS = [pytest.param(path, id=str(path)) for path in documents()]


def _text(document: Path | str) -> str:
    return (ROOT / document).read_text("utf-8")


def _command_lines(document: Path | str) -> Iterator[list[str]]:
    """Find whole commands in the shell code of a document."""
    for line in Page(document).commands():
        words = re.sub(r"^.*\$\(([^)]*)\).*$", r"\1", line)
        if OURS.match(words):
            yield arguments(words)


def _mentions(document: Path | str) -> Iterator[list[str]]:
    """Find commands in the sentences of a document; they may leave out arguments."""
    for match in _INLINE.finditer(Page(document).prose):
        words = " ".join(match["code"].split())
        if OURS.match(words):
            yield arguments(words)


def _find_command(arguments: list[str]) -> tuple[Any, list[str]]:
    """Return the command that arguments begin with, and the rest of them."""
    command: Any = typer.main.get_command(app)
    rest = list(arguments)
    while rest and not rest[0].startswith("-") and hasattr(command, "commands"):
        name = rest.pop(0)
        assert name in command.commands, f"there is no command '{name}'"
        command = command.commands[name]
    return command, rest


def _options(command: Any) -> set[str]:
    return {"--help", "-h", *(option for parameter in command.params for option in parameter.opts if option.startswith("-"))}


def _slug(heading: str) -> str:
    """Return the anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_inside_the_project_leads_somewhere(document: Path) -> None:
    broken = []
    for match in _LINK.finditer(Page(document).prose):
        target, _, anchor = match["target"].partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        file = (ROOT / document).parent / target if target else ROOT / document
        headings = (
            re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE) if file.suffix == ".md" and file.is_file() else []
        )
        if not file.exists() or (anchor and anchor not in map(_slug, headings)):
            broken.append(match["target"])
    assert not broken


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_line_in_a_document_is_understood(document: Path) -> None:
    for words in _command_lines(document):
        command, rest = _find_command(words)
        if "--help" not in rest:
            command.make_context("sdg-prefect", list(rest))
        for word in rest:
            if word.startswith(("examples/", "flows/", "deployments/")):
                assert (ROOT / word).exists(), word


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_in_a_sentence_is_there_with_its_options(document: Path) -> None:
    for words in _mentions(document):
        command, rest = _find_command(words)
        unknown = {word.partition("=")[0] for word in rest if word.startswith("-")} - _options(command)
        assert not unknown, words


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_flow_in_a_document_is_right(document: Path, tmp_path: Path) -> None:
    seeds = tmp_path / "seeds.jsonl"
    for file in Page(document).write_files(tmp_path):
        if is_flow(file):
            asked = RunOptions(flow=file, input=str(seeds) if seeds.exists() else None)
            assert prepare(asked, needs_endpoints=False).plan.warnings == ()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_all_code_in_a_document_can_be_read(document: Path) -> None:
    for fence in Page(document).fences():
        if fence.language == "yaml":
            yaml.safe_load(fence.text)
        elif fence.language in ("json", "jsonl"):
            assert [json.loads(line) for line in fence.text.splitlines() if line]
        elif fence.language == "python":
            compile(fence.text, str(document), "exec")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_is_finished_and_names_no_place_of_a_single_machine(document: Path) -> None:
    text = _text(document)
    places = [match[0] for match in _PLACE.finditer(_LINK.sub("", re.sub(r"\S+://\S+", "", text)))]
    assert not places
    assert not _UNFINISHED.findall(text)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_does_not_advertise(document: Path) -> None:
    assert not _ADVERTISING.findall(_text(document))


@pytest.mark.e2e
def test_the_first_flow_of_the_readme_has_fifteen_lines_and_runs(tmp_path: Path) -> None:
    files = [file for file in Page("README.md").write_files(tmp_path) if file.name in ("flow.yaml", "prompt.yaml", "seeds.jsonl")]
    assert sum(len(file.read_text("utf-8").splitlines()) for file in files) == 15
    rows = generate(tmp_path / "flow.yaml", str(tmp_path / "seeds.jsonl"), storage=tmp_path / "store")
    assert rows.num_rows == 1
    assert rows.column_names == ["text", "question", "answer"]
    assert all(rows[0].values())


def test_the_blocks_of_the_guide_keep_to_the_standards(tmp_path: Path) -> None:
    Page("docs/custom-blocks.md").write_files(tmp_path)
    Page("README.md").write_files(tmp_path)
    more = [
        "from my_blocks import ShortenBlock",
        "from word_count import WordCount",
        "from old_blocks import AddLengthBlock",
        "from sdg_prefect.blocks import find_block",
        "from sdg_prefect.testing import check_block, run_block",
        "",
        "ROWS = [{'text': 'one two three'}, {'text': ''}, {'text': 'four'}]",
        "",
        "def test_shorten():",
        "    assert check_block(ShortenBlock(block_name='b', column='text', words=2), ROWS, elsewhere=False) == []",
        "",
        "def test_count():",
        "    assert check_block(WordCount(block_name='b', column='text'), ROWS, elsewhere=False) == []",
        "",
        "def test_old():",
        "    made = run_block(find_block('AddLengthBlock')(block_name='b', column='text'), ROWS)",
        "    assert [row['length'] for row in made.rows] == [13, 0, 4]",
    ]
    (tmp_path / "test_more_blocks.py").write_text("\n".join(more), "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n", "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


@pytest.mark.parametrize("name", ["blocks.md", "commands.md", "environment.md", "flows.md"])
def test_the_reference_is_what_the_program_says_of_itself(name: str) -> None:
    assert _text(f"docs/{name}") == pages()[name], "run: python -m docs.reference"


def test_a_message_in_the_document_about_trouble_is_one_that_the_program_has() -> None:
    known = [re.compile(pattern) for pattern in _messages()]
    told = re.findall(r"^\| `([^`]+)`(?:,[^|]*)? \|", _text("docs/troubleshooting.md"), re.MULTILINE)
    assert len(told) > 30
    assert [message for message in told if not any(pattern.search(message) for pattern in known)] == []


def _messages() -> Iterator[str]:
    """Yield each text of the program as a pattern, with anything where it puts in a value."""
    for file in [*(ROOT / "sdg_prefect").rglob("*.py"), ROOT / "Makefile"]:
        if file.suffix != ".py":
            yield from map(re.escape, re.findall(r'echo "([^,"]+)', file.read_text("utf-8")))
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                texts = [part.value if isinstance(part, ast.Constant) else None for part in node.values]
                if sum(len(str(text)) for text in texts if text) > 12:
                    yield "".join(".*" if text is None else re.escape(str(text)) for text in texts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) > 5:
                yield re.escape(node.value)


def test_the_figures_of_the_readme_are_those_of_the_benchmarks() -> None:
    table = _text("README.md").partition("\n## Why\n")[2].partition("\n## ")[0]
    figures = [cell.strip() for row in re.findall(r"^\|(.*)\|$", table, re.MULTILINE)[2:] for cell in row.split("|")[1:]]
    assert len(figures) == 20
    told = re.split(r"[|\n]", _text("docs/benchmarks.md"))
    assert [figure for figure in figures if figure not in map(str.strip, told)] == []


def test_hooks_run_the_commands_of_make_check() -> None:
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", _text("Makefile"), re.MULTILINE)
    assert recipe is not None
    checks = [line.strip().replace("$(BIN)/", "") for line in recipe[1].splitlines()]
    hooks = yaml.safe_load(_text(".pre-commit-config.yaml"))["repos"][0]["hooks"]
    assert [hook["entry"].removeprefix(".venv/bin/") for hook in hooks] == checks


@pytest.mark.parametrize(
    "deployment", yaml.safe_load(_text("deployments/prefect.yaml"))["deployments"], ids=lambda one: str(one["name"])
)
def test_a_deployment_names_a_flow_that_is_there_with_parameters_that_it_has(deployment: dict[str, Any]) -> None:
    module, _, name = deployment["entrypoint"].rpartition(".")
    flow = getattr(importlib.import_module(module), name)
    parameters = inspect.signature(flow.fn).parameters
    given = deployment["parameters"]
    assert set(given) <= set(parameters)
    assert {key for key, parameter in parameters.items() if parameter.default is parameter.empty} <= set(given)
    assert (ROOT / given["flow"]).is_file()
    assert (ROOT / given["input"]).is_file()
    DeployedOptions(**given)
    assert len(schedules_of(deployment)) == len(deployment.get("schedules", ()))
    assert f"`{flow.name}/{deployment['name']}`" in _text("deployments/README.md")


def test_the_picture_is_well_formed() -> None:
    assert ElementTree.parse(ROOT / "docs/way-of-the-data.svg").getroot().tag.endswith("svg")


def test_the_ready_flows_go_into_the_wheel_where_an_installed_package_looks_for_them() -> None:
    wheel = tomllib.loads(_text("pyproject.toml"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {"flows": "sdg_prefect/ready"}
    assert ready_folder() == ROOT / "flows"
