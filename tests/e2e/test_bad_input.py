"""Whatever a careless user gives: one clear line for each mistake, before the first call, and nothing is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.errors import FlowError
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from tests.flows import ASK

ROOT = Path(__file__).parents[2]

PROMPT = """\
system: You are a teacher.
introduction: Read the document.
generation: |
  Document: {{document}}
  Ask a question.
start_tags: ["[Q]"]
end_tags: ["[/Q]"]
"""
KEEP = """\
- block_type: FilterByValueBlock
  block_config:
    block_name: keep
    filter_column: question
    filter_value: x
    operation: operator.eq
"""
SEEDS = '{"document": "The sun is a star."}\n{"document": "Water is wet."}\n'
TWO_COLUMNS = ASK.replace("[question]", "[question, answer]")
CUSTOM = "    parser_kwargs: {parser_name: custom, parsing_pattern: '%s'}\n"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(9 * [f'*{old}'])}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

NOBODY = "which no block before writes and the seeds do not have."
NO_ENDPOINT = "Name it under 'models:' in the flow or in a models.yaml beside it, or pass --api-base URL or --model NAME."
A_FLOW = "a flow is a list of blocks, or a mapping with 'blocks' or 'pipelines'."
LLM_FIELDS = (
    "batch_kwargs, block_name, config_path, gen_kwargs, model_id, model_prompt, output_cols, parser_kwargs, reasoning_col."
)


@dataclass(frozen=True)
class Case:
    """What a user gives, and what they are told."""

    name: str
    lines: tuple[str, ...]
    """The lines, each whole or the telling part of it."""
    files: Mapping[str, str | bytes | None] = field(default_factory=dict)
    """Files that differ from those of a sound flow; None for one that is not there."""
    options: Mapping[str, Any] = field(default_factory=dict)


def flow(name: str, text: str | bytes, *lines: str) -> Case:
    return Case(name, lines, {"flow.yaml": text})


def prompt(name: str, text: str | bytes, *lines: str) -> Case:
    return Case(name, lines, {"ask.yaml": text})


def template(name: str, text: str, *lines: str) -> Case:
    return prompt(name, PROMPT.replace("{{document}}", text), *lines)


def models(name: str, text: str | bytes, *lines: str) -> Case:
    return Case(name, lines, {"models.yaml": text})


def given(name: str, line: str, **options: Any) -> Case:
    return Case(name, (line,), options=options)


# fmt: off
MISSPELT = [
    flow("block", ASK.replace("LLMBlock", "LMBlock"), "flow.yaml:1  unknown block type 'LMBlock'. Did you mean 'LLMBlock'?"),
    flow("block unlike any", ASK.replace("LLMBlock", "Zzzz"), "flow.yaml:1  unknown block type 'Zzzz'. 'python -m sdg_prefect blocks' lists them."),
    flow("key of the root", f"nmae: x\nblocks:\n{ASK}", "flow.yaml:1  unknown key 'nmae' of a flow. Did you mean 'name'?"),
    flow("blocks of the root", f"name: x\nblock:\n{ASK}", "flow.yaml:2  unknown key 'block' of a flow. Did you mean 'blocks'?"),
    flow("key of a pipeline", "pipelines:\n- name: x\n  block: []\n", "flow.yaml:3  unknown key 'block' of a pipeline. Did you mean 'blocks'?"),
    flow("key of an item", f"{ASK}  drop_colums: [document]\n", "flow.yaml:7  unknown key 'drop_colums' of a block. Did you mean 'drop_columns'?"),
    flow("block_type", ASK.replace("block_type", "block_tpye"), "flow.yaml:1  unknown key 'block_tpye' of a block. Did you mean 'block_type'?"),
    flow("block_config", ASK.replace("block_config", "block_confg"), "flow.yaml:2  unknown key 'block_confg' of a block. Did you mean 'block_config'?"),
    flow("field", ASK.replace("config_path:", "config_paht:"), "flow.yaml:4  block 'ask': unknown field 'config_paht'. Did you mean 'config_path'?"),
    flow("field unlike any", f"{ASK}    colour: red\n", f"flow.yaml:7  block 'ask': unknown field 'colour'. Known: {LLM_FIELDS}"),
    flow("field of a field", f"{ASK}    parser_kwargs:\n      parser_nam: x\n", "flow.yaml:8  block 'ask': unknown field 'parser_kwargs.parser_nam'. Did you mean 'parser_name'?"),
    flow("sampling parameter", f"{ASK}  gen_kwargs: {{temprature: 1}}\n", "unknown sampling parameter 'temprature'. Did you mean 'temperature'?"),
    flow("place of a sampling parameter", f"{ASK}    temperature: 1\n", "flow.yaml:7  block 'ask': unknown field 'temperature'. 'temperature' stands under 'gen_kwargs', beside 'block_config'."),
    flow("place of drop_columns", f"{ASK}    drop_columns: [document]\n", "flow.yaml:7  block 'ask': unknown field 'drop_columns'. 'drop_columns' stands beside 'block_config', not in it."),
    flow("key of a budget", f"name: x\nbudget:\n  usd: 3\n  token: 5\nblocks:\n{ASK}", "flow.yaml:4  'budget': unknown key 'token'. Did you mean 'tokens'?"),
    flow("key of inputs", f"inputs: {{required_column: [document]}}\nblocks:\n{ASK}", "flow.yaml:1  'inputs': unknown key 'required_column'. Did you mean 'required_columns'?"),
    models("key of a model", "teacher:\n  modle: x\n", "models.yaml:2  model 'teacher': unknown key 'modle'. Did you mean 'model'?"),
    prompt("section", PROMPT.replace("generation", "generatoin"), "ask.yaml:3  unknown key 'generatoin' in the prompt. Did you mean 'generation'?"),
    prompt("tags", PROMPT.replace("start_tags", "start_tag"), "ask.yaml:6  unknown key 'start_tag' in the prompt. Did you mean 'start_tags'?"),
    flow("operation", ASK + KEEP.replace("operator.eq", "operator.equals"), "flow.yaml:12  block 'keep': 'operation' cannot be 'operator.equals'. Did you mean 'operator.eq'?"),
]

FILES = [
    given("no flow", "the flow file 'flwo.yaml' does not exist. Did you mean 'flow.yaml'?", flow="flwo.yaml"),
    Case("folder with a flow", ("'a' is a folder, not a flow file. Did you mean 'a/flow.yaml'?",), {"a/flow.yaml": ASK}, {"flow": "a"}),
    Case("folder without one", ("'a' is a folder, not a flow file. Name the flow file in it.",), {"a/x": ""}, {"flow": "a"}),
    given("prompt as a flow", "ask.yaml:1  this is a prompt file, not a flow. Name the flow whose block uses it.", flow="ask.yaml"),
    flow("binary flow", b"\x00\x01\x02", "flow.yaml:1  not text: it holds the control character '\\x00'. Remove it."),
    flow("flow that is not UTF-8", b"# one\nname: caf\xe9\n", "flow.yaml:2  not UTF-8 text. Save the file as UTF-8."),
    flow("empty flow", "", f"flow.yaml:1  the file is empty; {A_FLOW}"),
    flow("flow without blocks", "name: x\n", "flow.yaml:1  a flow has 'blocks' or 'pipelines', and this has neither."),
    flow("flow with no block", "[]\n", "flow.yaml:1  a pipeline needs a list of at least one block."),
    flow("cycle of one", "pipelines:\n- flow: flow.yaml\n", "flow.yaml:2  pipelines go in a circle: flow.yaml → flow.yaml. A flow cannot include itself."),
    Case("cycle of two", ("b.yaml:2  pipelines go in a circle: flow.yaml → b.yaml → flow.yaml. A flow cannot include itself.",),
         {"flow.yaml": "pipelines:\n- flow: b.yaml\n", "b.yaml": "- block_type: PipelineBlock\n  block_config: {block_name: x, flow: flow.yaml}\n"}),
    given("no models file", "the models file 'modles.yaml' does not exist. Did you mean 'models.yaml'?", models="modles.yaml"),
    models("models that are not UTF-8", b"teacher: caf\xe9\n", "models.yaml:1  not UTF-8 text. Save the file as UTF-8."),
    flow("no prompt", ASK.replace("ask.yaml", "aks.yaml"), "flow.yaml:4  block 'ask': config_path: the file 'aks.yaml' does not exist. Did you mean 'ask.yaml'?"),
    prompt("empty prompt", "", "ask.yaml:1  a prompt file is a mapping of sections or a list of messages."),
    prompt("prompt that is not UTF-8", PROMPT.replace("teacher", "caf\xe9").encode("latin-1"), "ask.yaml"),
    prompt("prompt that is not YAML", "system: [\n", "ask.yaml:2  not valid YAML:"),
]

SYNTAX = [
    flow("indentation", "- block_type: LLMBlock\n block_config: x\n", "flow.yaml:2  not valid YAML: expected the end of the mapping or list, but found a mapping inside it. Check the indentation"),
    flow("tab", "- block_type: LLMBlock\n\tblock_config: x\n", "flow.yaml:2  not valid YAML: found character '\\t' that cannot start any token. YAML is indented with spaces, not with tabs."),
    flow("bracket", "blocks: [1, 2\n", "flow.yaml:2  not valid YAML: expected ',' or ']', but got the end of the file. A bracket"),
    flow("two documents", f"{ASK}---\n{ASK}", "flow.yaml:7  not valid YAML: found another document. One file holds one flow; remove the line '---'."),
    flow("tag", "!!python/object/apply:os.system ['echo']\n", "flow.yaml:1  not valid YAML: there is no meaning for the tag '!!python/object/apply:os.system' here."),
    flow("alias bomb", BOMB, "flow.yaml:1  not valid YAML: its aliases unfold to too many values."),
    flow("alias of itself", "blocks: &a [*a]\n", "flow.yaml:1  not valid YAML: it is nested too deep, or contains itself."),
    flow("depth", "[" * 5000, "flow.yaml  not valid YAML: it is nested too deep."),
    flow("key twice", f"{ASK}    model_id: other\n", "flow.yaml:7  the key 'model_id' stands twice here. Remove one of them."),
    flow("unset variable", ASK.replace("teacher", "${SDG_TEST_UNSET}"), "flow.yaml:5  the environment variable SDG_TEST_UNSET is not set. Set it, or write ${SDG_TEST_UNSET:-default}."),
    models("models file", "teacher: [\n", "models.yaml:2  not valid YAML: expected a value, but found the end of the file. A bracket or a quotation mark is not closed."),
]

TYPES = [
    flow("root", "name: [x]\ndescription: {a: 1}\nmetadata: 3\nmodels: 4\ninputs: 5\noutput_columns: 6\nmax_reject_rate: lots\nblocks: 7\n",
         "flow.yaml:1  'name' has to be text, not a list.",
         "flow.yaml:2  'description' has to be text, not a mapping.",
         "flow.yaml:3  'metadata' has to be a mapping, not 3.",
         "flow.yaml:4  'models' has to be a mapping of model id to endpoint, not 4.",
         "flow.yaml:5  'inputs': has to be a mapping, not 5.",
         "flow.yaml:6  'output_columns' has to be a list of column names.",
         "flow.yaml:7  'max_reject_rate' has to be a number from 0 to 1, not 'lots'.",
         "flow.yaml:8  a pipeline needs a list of at least one block, not 7."),
    flow("pipelines", "pipelines:\n- 3\n- name: [x]\n  blocks: 3\n- flow: 3\n- flow: nope.yaml\n- name: a\n- {name: b, flow: x, blocks: []}\n",
         "flow.yaml:2  a pipeline has to be a mapping with 'name' and 'blocks' or 'flow', not 3.",
         "flow.yaml:3  'name' of a pipeline has to be text, not a list.",
         "flow.yaml:4  a pipeline needs a list of at least one block, not 3.",
         "flow.yaml:5  'flow' has to be the path of a flow file, not 3.",
         "flow.yaml:6  the file 'nope.yaml' does not exist.",
         "flow.yaml:7  a pipeline has 'blocks' or 'flow', and this has neither.",
         "flow.yaml:8  a pipeline has 'blocks' or 'flow', not both."),
    flow("items", "- 3\n- null\n- block_type: 3\n- block_type: LLMBlock\n  block_config: 3\n",
         "flow.yaml:1  a block has to be a mapping with 'block_type' and 'block_config', not 3.",
         "flow.yaml:2  a block has to be a mapping with 'block_type' and 'block_config', not an empty value.",
         "flow.yaml:3  'block_type' has to be text, not 3.",
         "flow.yaml:3  a block needs a 'block_config'.",
         "flow.yaml:5  'block_config' has to be a mapping, not 3."),
    flow("keys of an item", f"{ASK}  drop_columns: {{a: 1}}\n  drop_duplicates: true\n  scope: some\n  gen_kwargs: 3\n",
         "flow.yaml:7  'drop_columns' has to be a list of column names, not a mapping.",
         "flow.yaml:8  'drop_duplicates' has to be a list of column names, not true.",
         "flow.yaml:9  'scope' has to be 'all' or 'shard', not 'some'.",
         "flow.yaml:10  'gen_kwargs' has to be a mapping, not 3."),
    flow("budget", f"name: x\nbudget:\n  usd: 0\n  tokens: many\nblocks:\n{ASK}",
         "flow.yaml:3  'budget': 'usd' has to be more than 0, not 0.", "flow.yaml:4  'budget': 'tokens' has to be a whole number, not 'many'."),
    flow("no budget", f"name: x\nbudget: 20\nblocks:\n{ASK}", "flow.yaml:2  'budget': has to be a mapping, not 20."),
    flow("fields", "- block_type: LLMBlock\n  block_config:\n    block_name: [x]\n    config_path: [x]\n    model_id: 4\n    output_cols: q\n    parser_kwargs: 4\n",
         "flow.yaml:3  a block of type LLMBlock: 'block_name' has to be text, not a list.",
         "flow.yaml:4  a block of type LLMBlock: config_path: expected the name of a file.",
         "flow.yaml:5  a block of type LLMBlock: 'model_id' has to be text, not 4.",
         "flow.yaml:6  a block of type LLMBlock: 'output_cols' has to be a list, not 'q'.",
         "flow.yaml:7  a block of type LLMBlock: 'parser_kwargs' has to be a mapping, not 4."),
    flow("empty fields", ASK.replace("teacher", "''").replace("[question]", "[]"),
         "flow.yaml:5  block 'ask': 'model_id' must not be empty.",
         "flow.yaml:6  block 'ask': 'output_cols' must not be empty."),
    flow("missing fields", "- block_type: LLMBlock\n  block_config:\n    block_name: ask\n",
         "flow.yaml:2  block 'ask': the field 'config_path' is missing.",
         "flow.yaml:2  block 'ask': the field 'output_cols' is missing.",
         "flow.yaml:2  block 'ask': the field 'model_id' is missing."),
    models("models", "teacher:\n  model: 3\n  max_concurrency: many\n  timeout: -1\n  client: foo\n  price: 3\njudge: [x]\n",
           "models.yaml:2  model 'teacher': 'model' has to be text, not 3.",
           "models.yaml:3  model 'teacher': 'max_concurrency' has to be a whole number, not 'many'.",
           "models.yaml:4  model 'teacher': 'timeout' has to be more than 0, not -1.",
           "models.yaml:5  model 'teacher': 'client' cannot be 'foo'.",
           "models.yaml:6  model 'teacher': 'price' has to be a mapping, not 3.",
           "models.yaml:7  model 'judge': has to be a mapping, not a list."),
    prompt("prompt", "system: [a]\ngeneration: 3\nstart_tags: x\nend_tags: {a: 1}\nnum_samples: lots\n",
           "ask.yaml:1  section 'system' has to be text", "ask.yaml:2  section 'generation' has to be text",
           "ask.yaml:3  'start_tags' has to be a list of texts.", "ask.yaml:4  'end_tags' has to be a list of texts.",
           "ask.yaml:5  'num_samples' has to be a whole number."),
]

COLUMNS = [
    flow("nobody writes it", ASK + KEEP.replace("question", "questoin"), f"flow.yaml:10  block 'keep' reads the column 'questoin', {NOBODY} Did you mean 'question'?"),
    flow("it was dropped", f"{ASK}  drop_columns: [question]\n{KEEP}", "flow.yaml:11  block 'keep' reads the column 'question', which is gone after block 'ask'."),
    Case("the seeds lack it", (f"ask.yaml:4  block 'ask' reads the column 'document', {NOBODY} Known: text.",), {"seeds.jsonl": '{"text": "x"}\n'}),
    flow("the seeds lack what the flow requires", f"name: x\ninputs: {{required_columns: [document, domain]}}\nblocks:\n{ASK}",
         "flow.yaml:2  the seeds have no column 'domain', which the flow requires. Known: document."),
    template("no variable of the prompt is there", "{{documnt}}", f"ask.yaml:4  block 'ask' reads the column 'documnt', {NOBODY} Did you mean 'document'?"),
    flow("drop_duplicates of a dropped column", f"{ASK}  drop_columns: [question]\n  drop_duplicates: [question]\n",
         "flow.yaml:8  block 'ask': drop_duplicates names 'question', which drop_columns has just dropped."),
    flow("drop_duplicates of no column", f"{ASK}  drop_duplicates: [questoin]\n", f"flow.yaml:7  block 'ask': drop_duplicates names 'questoin', {NOBODY} Did you mean 'question'?"),
    flow("output_columns of no column", f"name: x\noutput_columns: [questoin]\nblocks:\n{ASK}", f"flow.yaml:2  output_columns names 'questoin', {NOBODY} Did you mean 'question'?"),
    flow("no column is left", f"{ASK}  drop_columns: [question, document]\n", "flow.yaml:7  block 'ask' leaves no column at all."),
]

REPLIES = [
    template("attribute walk", "{{ ''.__class__.__mro__ }}", "ask.yaml:4  the template reaches for '__mro__', which is not a part of a row."),
    template("unknown filter", "{{ document | uper }}", "ask.yaml:4  there is no filter 'uper'."),
    template("open brace", "{{ document ", "ask.yaml:5  the template is wrong: expected token 'end of print statement', got 'Ask'."),
    template("include", "{% include '/etc/passwd' %}", "ask.yaml:4  a prompt cannot include other templates."),
    prompt("no tags", PROMPT.partition("start_tags")[0], "block 'ask': the prompt ask.yaml has no start_tags and end_tags."),
    flow("pattern", ASK + CUSTOM % "([a", "flow.yaml:7  block 'ask': parser_kwargs.parsing_pattern: not a valid regular expression: unterminated character set at position 1."),
    flow("groups", TWO_COLUMNS + CUSTOM % "(a)", "block 'ask': the pattern has 1 group(s) for 2 output columns, so no reply could ever give a row."),
]

ENDPOINTS = [
    Case("none", (f"model 'teacher' has no endpoint. {NO_ENDPOINT}",), {"models.yaml": None}),
    models("a key in the file", "teacher:\n  model: x\n  api_key: sk-123\n",
           "models.yaml:3  model 'teacher': a key must not stand in a file. Put it into an environment variable and write api_key_env: NAME instead of 'api_key'."),
    models("a key for the name of its variable", "teacher:\n  model: x\n  api_key_env: sk-123\n", "models.yaml:3  model 'teacher': a key must not stand in a file."),
]

SEED_FILES = [
    Case("broken lines", ('seeds.jsonl:2  not valid JSON: expecting value (column 13).', "seeds.jsonl:4  not an object but a list."),
         {"seeds.jsonl": '{"document": "x"}\n{"document": \n{"document": "y"}\n[1]\n'}),
    Case("empty", ("seeds.jsonl  has no rows.",), {"seeds.jsonl": ""}),
    given("not there", "sedes.jsonl  there is no such file. Did you mean 'seeds.jsonl'?", input="sedes.jsonl"),
    given("unknown kind", "ask.yaml  '.yaml' is not a known kind of file.", input="ask.yaml"),
]

COMMAND_LINE = [
    given("--set of no block", "--set: the flow has no block 'aks'. Did you mean 'ask'?", overrides=["aks.model_id=x"]),
    given("--set of no field", "--set: block 'ask': unknown field 'modle_id'. Did you mean 'model_id'?", overrides=["ask.modle_id=x"]),
    given("--set of a wrong value", "--set: block 'ask': 'model_id' has to be text, not 3.", overrides=["ask.model_id=3"]),
    given("--set without a block", "--set 'model_id=3' is not of the form BLOCK.KEY=VALUE.", overrides=["model_id=3"]),
    given("unknown kind of output", "out.xyz  '.xyz' is not a known kind of file. Rows are written to .jsonl,", output="out.xyz"),
    Case("output that is a folder", ("out.jsonl  is a folder. Name a file in it, or remove it.",), {"out.jsonl/x": ""}, {"output": "out.jsonl"}),
]
# fmt: on

GROUPS = {
    "misspelt": MISSPELT,
    "files": FILES,
    "syntax": SYNTAX,
    "types": TYPES,
    "columns": COLUMNS,
    "replies": REPLIES,
    "endpoints": ENDPOINTS,
    "seeds": SEED_FILES,
    "command line": COMMAND_LINE,
}
CASES = [pytest.param(case, id=f"{group}: {case.name}") for group, cases in GROUPS.items() for case in cases]
TOLD_TWICE = [
    pytest.param(case, id=case.name)
    for case in (MISSPELT[0], MISSPELT[6], FILES[0], FILES[3], SYNTAX[3], TYPES[0], COLUMNS[0], REPLIES[0], SEED_FILES[0])
]
"""Cases that are told by ``check`` and by ``run``."""

LOCKED = SimulatorSettings(api_key="the-key", models=("teacher",))


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedModel]:
    """A model that could be called, and is not; who does call one has another, since tests come in any order."""
    with SimulatedModel(LOCKED) as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lay_out(folder: Path, server: SimulatedModel, files: Mapping[str, str | bytes | None]) -> dict[str, bytes]:
    """Write a sound flow and what differs from it; return all files with their bytes."""
    endpoint = f"teacher:\n  model: teacher\n  api_base: {server.url}\n"
    sound = {"flow.yaml": ASK, "ask.yaml": PROMPT, "seeds.jsonl": SEEDS, "models.yaml": endpoint}
    for name, content in {**sound, **files}.items():
        if content is not None:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def says(told: str, lines: tuple[str, ...]) -> None:
    """Check that exactly these lines were told, one for each mistake."""
    found = told.splitlines()
    assert len(found) == len(lines), told
    for expected in lines:
        assert sum(expected in line for line in found) == 1, told
    assert "Traceback" not in told


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_told_in_one_line_and_nothing_is_called_or_touched(
    case: Case, folder: Path, server: SimulatedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SDG_TEST_UNSET", raising=False)
    before = lay_out(folder, server, case.files)
    with pytest.raises(FlowError) as told:
        prepare(RunOptions(**{"flow": "flow.yaml", "input": "seeds.jsonl", **case.options}))
    says(str(told.value), case.lines)
    assert told.value.exit_code == 2
    assert contents(folder) == before
    assert server.stats()["calls"] == 0


def command(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    words = (sys.executable, "-m", "sdg_prefect", *words)
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=180)


@pytest.mark.parametrize("case", TOLD_TWICE)
def test_check_and_run_tell_the_same_lines(case: Case, folder: Path, server: SimulatedModel) -> None:
    before = lay_out(folder, server, {**case.files, "out.jsonl": "kept\n"})
    name = str(case.options.get("flow", "flow.yaml"))
    checked = command(folder, "check", name, "--input", "seeds.jsonl")
    ran = command(folder, "run", name, "--input", "seeds.jsonl", "--output", "out.jsonl")
    says(checked.stderr, case.lines)
    assert (checked.returncode, checked.stderr) == (ran.returncode, ran.stderr)
    assert checked.returncode == 2
    assert checked.stdout == ran.stdout == ""
    assert contents(folder) == before
    assert server.stats()["calls"] == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("run", "flow.yaml", "--inptu", "seeds.jsonl"), "No such option: --inptu (Possible options: --input)"),
        (("run", "flow.yaml", "--input", "seeds.jsonl", "--limit", "0"), "Invalid value for '--limit'"),
        (("rnu", "flow.yaml"), "No such command 'rnu'. Did you mean 'run'?"),
        (("run", "flow.yaml"), "there are no seeds. Name them with --input FILE."),
    ],
    ids=["option", "value", "command", "no seeds"],
)
def test_a_wrong_command_line_is_told_by_its_last_line(
    words: tuple[str, ...], line: str, folder: Path, server: SimulatedModel
) -> None:
    before = lay_out(folder, server, {})
    ran = command(folder, *words)
    assert ran.returncode == 2
    assert line in ran.stderr.splitlines()[-1]
    assert "Traceback" not in ran.stderr
    assert contents(folder) == before


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("words", "variables", "line"),
    [
        (("--api-base", "http://127.0.0.1:1/v1"), {}, "endpoint http://127.0.0.1:1/v1 does not answer"),
        ((), {"OPENAI_API_KEY": "wrong"}, "refuses the key (HTTP 401). Check the key in the variable OPENAI_API_KEY."),
        (("--api-key-env", "SDG_TEST_UNSET"), {}, "the environment variable SDG_TEST_UNSET is not set."),
        (("--model", "judge"), {"OPENAI_API_KEY": "the-key"}, "model 'teacher' (judge): UnknownModel"),
    ],
    ids=["unreachable", "wrong key", "no key", "unknown model"],
)
def test_an_endpoint_that_cannot_serve_is_told_in_one_line(
    words: tuple[str, ...], variables: dict[str, str], line: str, folder: Path
) -> None:
    with SimulatedModel(LOCKED) as called:
        before = lay_out(folder, called, {"out.jsonl": "kept\n"})
        base = () if "--api-base" in words else ("--api-base", called.url)
        ran = command(folder, "run", "flow.yaml", "--input", "seeds.jsonl", "--output", "out.jsonl", *base, *words, **variables)
    assert ran.returncode == 1
    assert line in ran.stderr.splitlines()[-1]
    assert "Traceback" not in ran.stderr
    assert {name: contents(folder)[name] for name in before} == before


@pytest.mark.e2e
def test_a_quota_that_is_used_up_ends_the_run_and_keeps_the_output(folder: Path) -> None:
    with SimulatedModel(SimulatorSettings(quota=0)) as poor:
        before = lay_out(folder, poor, {"out.jsonl": "kept\n"})
        ran = command(folder, "run", "flow.yaml", "--input", "seeds.jsonl", "--output", "out.jsonl")
        assert ran.returncode == 1
        assert all(word in ran.stderr.splitlines()[-1] for word in ("QuotaUsedUp", "Top up the account"))
        assert "Traceback" not in ran.stderr
        assert {name: contents(folder)[name] for name in before} == before
