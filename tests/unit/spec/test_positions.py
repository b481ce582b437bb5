"""YAML with line numbers, and values from the environment."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sdg_prefect.spec.positions import Document, read_document

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(alphabet=st.characters(codec="ascii")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4),
    max_leaves=20,
)


def read(text: str) -> Document:
    return read_document(text, "flow.yaml")


@given(PLAIN)
def test_a_document_says_what_the_safe_loader_says(value: object) -> None:
    text = yaml.safe_dump(value)
    if "${" not in text:
        assert read(text).data == yaml.safe_load(text)


def test_every_key_and_item_has_its_line() -> None:
    document = read("a:\n  - b: 1\n    c: 2\n\n  - [x,\n     y]\n")
    assert [document.line("a"), document.line("a", 0, "c"), document.line("a", 1), document.line("a", 1, 1)] == [1, 3, 5, 6]


def test_what_is_not_there_has_the_line_of_what_is_around_it() -> None:
    document = read("x: 1\na:\n  b:\n    c: 1\n")
    assert [document.line("a", "b", "nothing"), document.line("nothing")] == [3, 1]


def test_a_merged_key_may_be_overruled_but_not_written_twice() -> None:
    document = read("base: &base {a: 1, b: 2}\nuse:\n  <<: *base\n  b: 3\n")
    assert (document.data["use"], document.problems) == ({"a": 1, "b": 3}, [])
    assert [problem.line for problem in read("a: 1\nb: 2\na: 3\n").problems] == [3]


def test_variables_fill_values_and_keep_their_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDG_N", "3")
    monkeypatch.setenv("SDG_TEXT", "a: [b")
    text = "n: ${SDG_N}\nquoted: '${SDG_N}'\npath: /x/${SDG_N}/y\ndefault: ${SDG_NONE:-0.5}\nempty: ${SDG_NONE:-}\ntext: ${SDG_TEXT}\n"
    assert read(text).data == {"n": 3, "quoted": "3", "path": "/x/3/y", "default": 0.5, "empty": "", "text": "a: [b"}


def test_a_variable_that_is_not_set_is_a_problem_with_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SDG_NONE", raising=False)
    document = read("a: 1\nb:\n  c: ${SDG_NONE}\n")
    assert [(problem.line, problem.warning) for problem in document.problems] == [(3, False)]
    assert document.unset == {("b", "c")}


def test_braces_that_name_no_variable_stay_with_a_warning() -> None:
    document = read("a: ${not a name}\n")
    assert document.data == {"a": "${not a name}"}
    assert [problem.warning for problem in document.problems] == [True]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\nb: {{document}}\n", 2, "a key has to be a word or a number. A text that starts with '{' is put in quotes."),
        ("a: 1\n? [x]\n: 2\n", 2, "a key has to be a word or a number."),
        ("a: 2024-13-45\n", 1, "'2024-13-45' cannot be a date or number; put it in quotes if it is text."),
        (f"a: {'9' * 5000}\n", 1, "cannot be a date or number"),
        ("a: b: c\n", 1, "mapping values are not allowed here. Check the indentation, and put a text with ': ' in it in quotes."),
        ('a: "\\d"\n', 1, "Between double quotes a backslash is written twice"),
        ("a: *b\n", 1, "found undefined alias 'b'. A text that starts with '*' is put in quotes."),
        ("a: %x\n", 1, "Put the text in quotes."),
        ("a: \x07\n", 1, "it holds the control character '\\x07'. Remove it."),
        ("a: !!omap [b: 1]\n", 1, "there is no meaning for the tag '!!omap' here."),
    ],
)
def test_what_is_no_yaml_is_told_in_words(text: str, line: int, said: str) -> None:
    document = read(text)
    assert document.is_unreadable
    (problem,) = document.problems
    assert problem.line == line
    assert said in str(problem)
