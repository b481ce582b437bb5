"""Entries of ``prefect.yaml``, written so that everything else in the file stays as it is, comments too."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from sdg_prefect.errors import FlowError, Problem
from sdg_prefect.store.replacing import replacing_file


def write_entry(file: Path, entry: Mapping[str, Any]) -> bool:
    """Write a deployment into a file; return False if it took the place of one of the same name.

    Args:
        file: The file; made if it is not there.
        entry: As ``entry_of`` returns it.

    Raises:
        FlowError: What is there is no file of deployments.
    """
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 130
    try:
        content = yaml.load(file.read_text("utf-8")) if file.is_file() else None
    except (YAMLError, UnicodeDecodeError) as error:
        raise FlowError([Problem(f"cannot be read: {str(error).splitlines()[0]}.", "", str(file))]) from error
    content = {"name": "sdg_prefect", "deployments": []} if content is None else content
    entries = content.setdefault("deployments", []) if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise FlowError([Problem("is not a file of deployments.", "Name a new one, such as prefect.yaml.", str(file))])
    places = [place for place, one in enumerate(entries) if one.get("name") == entry["name"]]
    if places:
        entries[places[0]] = dict(entry)
    else:
        entries.append(dict(entry))
    text = io.StringIO()
    yaml.dump(content, text)
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing_file(file) as stream:
        stream.write(text.getvalue().encode())
    return not places
