"""YAML that is small and stands for much, or for more than values: refused at once, in words, wherever a file is read."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from sdg_prefect.spec.reader import scan_flow
from tests.security.auditing import REACHES_OUT, STARTS, UNPICKLES, audited

_LEVELS = "abcdefghijkl"


def _laughs(one: str, more: str) -> str:
    """Nine of nine of nine, and so on."""
    lines = [f"a: &a {one}"]
    lines += [f"{name}: &{name} {more.format(', '.join([f'*{before}'] * 9))}" for before, name in pairwise(_LEVELS)]
    return "\n".join(lines)


BOMBS = {
    "laughing lists": _laughs("[lol]", "[{}]"),
    "laughing mappings": "\n".join(
        [
            "a: &a {x: lol}",
            *(f"{name}: &{name} {{{', '.join(f'k{n}: *{before}' for n in range(9))}}}" for before, name in pairwise(_LEVELS)),
        ]
    ),
    "laughing merges": _laughs("{x: lol}", "{{<<: [{}], own: 1}}"),
    "one mapping merged ten thousand times": "a: &a {" + ", ".join(f"k{n}: 1" for n in range(500)) + "}\n"
    "b: {<<: [" + ", ".join(["*a"] * 10_000) + "]}",
    "a list in itself": "a: &a [*a]",
    "a mapping in itself": "a: &a {b: *a}",
    "a merge of itself": "a: &a {<<: *a}",
    "deep lists": "a: " + "[" * 20_000,
    "deep mappings": "a: " + "{b: " * 20_000,
    "deep blocks": "".join(f"{' ' * depth}a:\n" for depth in range(2_000)),
    "deep keys": "? " * 20_000 + "a",
    "a file without an end": "a: x" + "x" * 11_000_000,
    "a python object": "a: !!python/object:os.system {}",
    "a python call": "a: !!python/object/apply:os.system ['touch pwned']",
    "a python call of another spelling": "a: !<tag:yaml.org,2002:python/object/apply:os.system> ['touch pwned']",
    "a new python object": "a: !!python/object/new:os.system ['touch pwned']",
    "a python name": "a: !!python/name:os.system ''",
    "a python module": "a: !!python/module:os ''",
    "a python tuple": "a: !!python/tuple [1]",
    "a tag of a prefix": "%TAG ! tag:yaml.org,2002:python/\n---\na: !object/apply:os.system ['touch pwned']",
    "a tag in a key": "!!python/object/apply:os.system ['touch pwned']: a",
    "a tag of its own": "a: !include /etc/passwd",
    "a list as a key": "? [a, b]\n: c",
    "a mapping as a key": "? {a: b}\n: c",
    "two documents": "a: 1\n---\nb: 2",
    "a very long number": "a: " + "9" * 5_000,
    "a date that is none": "a: 2026-99-99",
    "characters of control": "a: \x1b]0;owned\x07",
    "a null character": "a: \x00",
    "an alias of nothing": "a: *nothing",
}
"""Documents, each of which is refused as a flow; as a prompt, those that are not just odd."""


def _problems(folder: Path, flow: str) -> list[str]:
    (folder / "flow.yaml").write_text(flow, "utf-8")
    started = time.thread_time()
    with audited(*STARTS, *UNPICKLES, *REACHES_OUT) as seen:
        found = [str(problem) for problem in scan_flow(folder / "flow.yaml").errors]
    assert seen == []
    assert time.thread_time() - started < 20
    return found


def test_a_flow_of_bombs_and_tags_is_refused_in_words(tmp_path: Path, tried: Callable[[str, int], None]) -> None:
    for name, text in BOMBS.items():
        problems = _problems(tmp_path, text)
        assert problems, name
        # Of a key that is merged many times PyYAML keeps one, so nothing is left to refuse but the keys.
        is_told = any("YAML" in problem or "text" in problem for problem in problems)
        assert is_told or name == "laughing merges", (name, problems)
        assert all(len(problem) < 600 for problem in problems), name
    assert not (tmp_path / "pwned").exists()
    tried("YAML bombs and tags as flows", len(BOMBS))


def test_a_prompt_of_bombs_and_tags_is_refused_in_words(tmp_path: Path, tried: Callable[[str, int], None]) -> None:
    flow = """
models: {teacher: simulated/teacher}
blocks:
- block_type: LLMBlock
  block_config: {block_name: ask, config_path: prompt.yaml, model_id: teacher, output_cols: [x]}
"""
    prompts = {name: text for name, text in BOMBS.items() if name != "deep lists"}
    for name, text in prompts.items():
        (tmp_path / "prompt.yaml").write_text(text, "utf-8")
        problems = _problems(tmp_path, flow)
        assert problems, name
        assert all(len(problem) < 600 for problem in problems), name
    tried("YAML bombs and tags as prompts", len(prompts))


def test_a_key_that_stands_twice_is_told(tmp_path: Path) -> None:
    (tmp_path / "prompt.yaml").write_text("generation: one\nsystem: two\ngeneration: three\n")
    flow = "models: {t: simulated/t}\nblocks:\n- block_type: LLMBlock\n  block_config: {block_name: a, config_path: prompt.yaml, model_id: t, output_cols: [x]}\n"
    (tmp_path / "flow.yaml").write_text(flow)
    said = [str(problem) for problem in scan_flow(tmp_path / "flow.yaml").problems]
    assert any("prompt.yaml:3" in one and "the key 'generation' stands twice" in one for one in said), said
    (tmp_path / "flow.yaml").write_text(f"{flow}blocks: []\n")
    assert any("the key 'blocks' stands twice" in str(problem) for problem in scan_flow(tmp_path / "flow.yaml").errors)


def test_a_merge_that_people_write_works(tmp_path: Path) -> None:
    (tmp_path / "prompt.yaml").write_text("x: &base {system: You teach., generation: no}\n<<: *base\ngeneration: Teach.\n")
    problems = _problems(
        tmp_path,
        "models: {t: simulated/t}\nblocks:\n- block_type: LLMBlock\n"
        "  block_config: {block_name: a, config_path: prompt.yaml, model_id: t, output_cols: [x], parser_kwargs: {parser_name: custom, parsing_pattern: '(.*)'}}\n",
    )
    assert problems == []
