"""Prompt files of both kinds: five sections that become one user message, or a list of chat messages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema, WrapValidator

from sdg_prefect.blocks.base import Need
from sdg_prefect.blocks.files import FlowFiles, file_validator, reported
from sdg_prefect.blocks.filling import fill_template
from sdg_prefect.blocks.shared_prefix import Known, shared_prefix, unshared_rest
from sdg_prefect.blocks.templates import TemplateProblem, Variables, find_variables, render, variables_in
from sdg_prefect.errors import Problem, did_you_mean
from sdg_prefect.frozen import Frozen

SECTIONS = ("system", "introduction", "principles", "examples", "generation")
"""The five sections of a prompt file of sdg_hub 0.1, in the order in which they are joined."""

_KNOWN = (*SECTIONS, "start_tags", "end_tags", "num_samples")
_ROLES = ("system", "user", "assistant", "tool")


class MessageTemplate(Frozen):
    """One message of a prompt."""

    role: str
    content: str


class Prompt(Frozen):
    """What a prompt file says."""

    messages: tuple[MessageTemplate, ...]
    """The messages, with Jinja templates as contents."""
    start_tags: tuple[str, ...] | None = None
    end_tags: tuple[str, ...] | None = None
    num_samples: int | None = None
    """Fills the column of that name where the rows have none."""
    source: str = Field(default="", exclude=True)
    """The file, as people should see it. Not a part of the content."""
    text: str = Field(default="", exclude=True, repr=False)
    """The file's text, to find the line of a name."""

    @cached_property
    def variables(self) -> Variables:
        """The names that the prompt takes from the row."""
        return variables_in(message.content for message in self.messages)

    def needs(self) -> list[Need]:
        """Name the columns that the prompt reads, with their places."""
        wanted = [Need(name, self.source, self.line_of(name)) for name in sorted(self.variables.needed)]
        asked = [Need(name, self.source, self.line_of(name), optional=True) for name in sorted(self.variables.optional)]
        return wanted + asked

    def line_of(self, name: str) -> int:
        """Return the first line of the file that uses a name in a template; 0 where none does."""
        pattern = re.compile(r"\{[{%][^}]*\b" + re.escape(name) + r"\b")
        return next((number for number, line in enumerate(self.text.splitlines(), 1) if pattern.search(line)), 0)

    def render(self, row: Mapping[str, Any]) -> list[dict[str, str]]:
        """Fill the messages with a row; each is stripped, and empty ones are left out.

        Raises:
            jinja2.TemplateError: The row does not fit.
        """
        filled = ({"role": message.role, "content": render(message.content, row).strip()} for message in self.messages)
        return [message for message in filled if message["content"]]

    def shared_prefix(self, messages: Sequence[Mapping[str, str]], known: Known) -> int:
        """Count the characters at the beginning of filled messages that every row has; see ``shared_prefix``."""
        return shared_prefix(messages, self.templates, known)

    @cached_property
    def templates(self) -> tuple[str, ...]:
        """The contents of the messages."""
        return tuple(message.content for message in self.messages)

    def render_text(self, row: Mapping[str, Any]) -> str:
        """Fill the prompt with a row, as one text for the completion protocol."""
        return "\n".join(message["content"] for message in self.render(row))


def load_prompt(files: FlowFiles, name: str) -> Prompt:
    """Read a prompt file; every problem in it is reported with its line."""
    content, text, shown = files.read_mapping(name)
    before = len(files.problems)
    if isinstance(content, list):
        prompt = _read_messages(files, content, text, shown)
    elif isinstance(content, dict):
        prompt = _read_sections(files, content, text, shown)
    else:
        files.report(Problem("a prompt file is a mapping of sections or a list of messages.", file=shown, line=1))
        raise reported()
    filled = None if prompt is None else _checked(files, prompt)
    if prompt is None or filled is None or any(not problem.warning for problem in files.problems[before:]):
        raise reported()
    _check_order(files, filled, prompt)
    return filled


PromptFile = Annotated[
    Prompt,
    WrapValidator(file_validator(Prompt, load_prompt)),
    WithJsonSchema({"type": "string", "description": "Path of a prompt file, from the flow's folder."}),
]
"""A field that holds the name of a prompt file in YAML, and the prompt once it is read."""


def _read_sections(files: FlowFiles, content: Mapping[Any, Any], text: str, shown: str) -> Prompt | None:
    before = len(files.problems)
    _check_sections(files, content, text, shown)
    if any(not problem.warning for problem in files.problems[before:]):
        return None
    joined = "\n".join(content.get(key) or "" for key in SECTIONS)
    if not joined.strip():
        missing = did_you_mean("generation", [str(key) for key in content]) if content else ""
        files.report(Problem("the prompt has no text: give it a 'generation' section.", missing, shown, 1))
        return None
    return Prompt(
        messages=(MessageTemplate(role="user", content=joined),),
        start_tags=_tags(content.get("start_tags")),
        end_tags=_tags(content.get("end_tags")),
        num_samples=content.get("num_samples"),
        source=shown,
        text=text,
    )


def _check_sections(files: FlowFiles, content: Mapping[Any, Any], text: str, shown: str) -> None:
    """Report the keys of a mapping of sections that are unknown or of another type."""

    def report(key: str, message: str, hint: str = "", *, warning: bool = False) -> None:
        files.report(Problem(message, hint, shown, _line_of_key(text, key), warning))

    for key in content:
        if key not in _KNOWN and (hint := did_you_mean(str(key), _KNOWN)).startswith("Did you mean"):
            # Where the right key is there too, the other one may be somebody's note; where it is not, its text would be lost.
            report(str(key), f"unknown key '{key}' in the prompt.", hint, warning=hint.split("'")[1] in content)
    for key in SECTIONS:
        if not isinstance(content.get(key), (str, type(None))):
            report(key, f"section '{key}' has to be text, not {type(content[key]).__name__}.")
    for key in ("start_tags", "end_tags"):
        tags = content.get(key)
        if tags is not None and not (isinstance(tags, list) and all(isinstance(tag, (str, type(None))) for tag in tags)):
            report(key, f"'{key}' has to be a list of texts.")
    number = content.get("num_samples")
    if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
        report("num_samples", "'num_samples' has to be a whole number.")


def _tags(tags: list[str | None] | None) -> tuple[str, ...] | None:
    return None if tags is None else tuple(tag or "" for tag in tags)


def _read_messages(files: FlowFiles, content: list[Any], text: str, shown: str) -> Prompt | None:
    messages = []
    for number, message in enumerate(content, 1):
        role, body = (message.get("role"), message.get("content")) if isinstance(message, dict) else (None, None)
        if role not in _ROLES or not isinstance(body, str):
            files.report(
                Problem(
                    f"message {number} has to be a mapping of 'role' ({', '.join(_ROLES)}) and 'content' (text).",
                    did_you_mean(role, _ROLES) if isinstance(role, str) and role not in _ROLES else "",
                    shown,
                    _line_of_item(text, number),
                )
            )
        else:
            messages.append(MessageTemplate(role=role, content=body))
    if len(messages) != len(content):
        return None
    if not messages or messages[-1].role != "user":
        files.report(
            Problem("the last message of a prompt has to be the user's.", file=shown, line=_line_of_item(text, len(content)))
        )
        return None
    # Such a file has no tags: the whole reply is what is wanted, unless a pattern says otherwise.
    return Prompt(messages=tuple(messages), start_tags=("",), end_tags=("",), source=shown, text=text)


def _checked(files: FlowFiles, prompt: Prompt) -> Prompt:
    """Report what is wrong with the templates of a prompt, and return it with the values of parameters in it."""
    messages = []
    for message in prompt.messages:
        try:
            find_variables(message.content)
            content = message.content if files.parameters is None else fill_template(message.content, files.parameters)
            messages.append(message.model_copy(update={"content": content}))
        except TemplateProblem as problem:
            line = _line_of_text(prompt.text, message.content.splitlines()[problem.line - 1 : problem.line])
            files.report(
                Problem(f"{str(problem).rstrip('.')}{'' if str(problem).endswith('?') else '.'}", file=prompt.source, line=line)
            )
    return prompt.model_copy(update={"messages": tuple(messages)})


def _check_order(files: FlowFiles, prompt: Prompt, written: Prompt) -> None:
    """Warn where a long constant text comes after something of the row: no provider can take it from its cache."""
    if found := unshared_rest(prompt.templates, (("num_samples", ""),)):
        place, number, characters = found
        line = _line_of_text(prompt.text, written.templates[place].splitlines()[number - 1 : number])
        said = f"{characters:,} characters that are the same for every row come after something of the row."
        hint = "Providers bill what all prompts begin with at a tenth to a half, if it comes first."
        files.report(Problem(said, hint, prompt.source, line, warning=True))


def _line_of_key(text: str, key: str) -> int:
    pattern = re.compile(rf"^['\"]?{re.escape(key)}['\"]?\s*:")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)


def _line_of_item(text: str, ordinal: int) -> int:
    starts = [number for number, line in enumerate(text.splitlines(), 1) if line.startswith("-")]
    return starts[ordinal - 1] if 0 < ordinal <= len(starts) else 1


def _line_of_text(text: str, wanted: list[str]) -> int:
    needle = wanted[0].strip() if wanted else ""
    return next((number for number, line in enumerate(text.splitlines(), 1) if needle and needle in line), 1)
