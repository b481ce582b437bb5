"""Writes the pages that say what the program says of itself: ``python -m docs.reference``; a test compares them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from sdg_prefect.blocks import block_names, find_block
from sdg_prefect.blocks.reference import reference_page
from sdg_prefect.cli.app import app
from sdg_prefect.frozen import field_docs
from sdg_prefect.settings import Settings
from sdg_prefect.spec.flow_reference import flows_page
from sdg_prefect.spec.ready import ready_flows

_COMMANDS = """\
# Commands and options

The program is called `sdg-prefect`; `python -m sdg_prefect` is the same. `--help` after a command prints what stands here. This
page is made of the program by `python -m docs.reference`.

| exit status | means |
|---|---|
| 0 | done |
| 1 | failed, stopped by its budget, or finished with rows rejected that nobody allowed, or with fewer than are wanted |
| 2 | the flow, the seeds or the command line is wrong; nothing was run |
| 130 | interrupted; the same command goes on |
"""
_ENVIRONMENT = """\
# Environment variables

They set what holds for a machine, a container or a worker. This page is made of the program by `python -m docs.reference`.

| variable | sets | default |
|---|---|---|
"""
_MORE = """
`PREFECT_API_URL` and the other variables of Prefect mean what they always mean; where it is set, runs show on that server.
S3 takes the usual variables of AWS, `AWS_ENDPOINT_URL` among them; see [S3](s3.md). Keys of models are in variables that you
name; see [models](models.md).
"""


def pages() -> dict[str, str]:
    """Return the text of each page by its name in this folder."""
    classes = [cls for name in block_names() if (cls := find_block(name)) and cls.__module__.startswith("sdg_prefect.")]
    return {
        "blocks.md": reference_page(classes),
        "commands.md": _commands_page(),
        "environment.md": _environment_page(),
        "flows.md": flows_page(ready_flows()),
    }


def _commands_page() -> str:
    commands = list(_walk(typer.main.get_command(app)))
    rows = [f"| [`{name}`](#{name.replace(' ', '-')}) | {_prose(command.help.splitlines()[0])} |" for name, command in commands]
    table = "\n".join(["| command | does |", "|---|---|", *rows])
    of_run = {_row(one) for one in commands[0][1].params}
    return "\n".join([_COMMANDS, f"{table}\n", *(_command(name, command, of_run) for name, command in commands)])


def _walk(group: Any, *before: str) -> Iterator[tuple[str, Any]]:
    """Yield each command with its whole name, in the order of ``--help``."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _walk(command, *before, name)
        else:
            yield " ".join([*before, name]), command


def _command(name: str, command: Any, of_run: set[str]) -> str:
    arguments = [_argument(one) if one.required else f"[{_argument(one)}]" for one in command.params if _is_argument(one)]
    usage = " ".join(["sdg-prefect", name, *arguments, "[OPTIONS]"])
    parts = [f"## {name}\n", f"{_prose(command.help)}\n", f"```text\n{usage}\n```\n"]
    shared = [f"`{one.opts[0]}`" for one in command.params if name != "run" and not _is_argument(one) and _row(one) in of_run]
    rows = [row for one in command.params if (row := _row(one)) not in of_run or name == "run" or _is_argument(one)]
    parts += ["\n".join(["| option | does | default |", "|---|---|---|", *rows]) + "\n"] if rows else []
    parts += [f"The same as for [`run`](#run): {', '.join(shared)}.\n"] if shared else []
    return "\n".join(parts)


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _argument(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper()).strip("[]")


def _row(parameter: Any) -> str:
    """Return the line of the table that explains an argument or an option."""
    default = parameter.default
    if _is_argument(parameter):
        names = [_argument(parameter)]
    else:
        value = "" if parameter.is_flag else f" {parameter.metavar or ('TEXT' if isinstance(default, str | None) else 'N')}"
        names = [f"{name}{value}" for name in (*parameter.opts, *parameter.secondary_opts)]
    is_given = default not in (None, False, "", ()) and default is not True and not callable(default)
    said = "required" if parameter.required else f"`{default}`" if is_given else ""
    words = ", ".join(f"`{name}`" for name in names).replace("|", "\\|")
    return f"| {words} | {_prose(parameter.help or '')} | {said} |"


def _environment_page() -> str:
    docs = field_docs(Settings)
    rows = []
    for name, field in Settings.model_fields.items():
        default = "the data folder of your user" if name == "home" else f"`{field.default}`" if field.default != "" else ""
        rows.append(f"| `SDG_PREFECT_{name.upper()}` | {_prose(docs[name])} | {default} |")
    return _ENVIRONMENT + "\n".join(rows) + "\n" + _MORE


def _prose(text: str) -> str:
    """Return a text of a docstring as one line of Markdown."""
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|").replace("<", "&lt;")


def main() -> None:
    """Write all pages."""
    for name, text in pages().items():
        Path(__file__).with_name(name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
