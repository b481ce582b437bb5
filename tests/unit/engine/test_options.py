"""The options of a run are said once, and are the same wherever a run is begun."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from prefect.utilities.callables import parameter_schema

from sdg_prefect import generate, run_flow_file
from sdg_prefect.cli.app import app
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.errors import FlowError

TEXTS = {name: str(field.description) for name, field in RunOptions.model_fields.items()}
OF_FILES = {"incremental", "mirror", "date", "timezone", "partition"}
"""What has a meaning only where seeds and rows lie in files."""


def test_python_takes_the_options_of_the_command_line_and_says_the_same_of_them() -> None:
    taken = inspect.signature(generate).parameters
    assert [name for name in taken if name != "dataset"] == [name for name in TEXTS if name not in {"input", *OF_FILES}]
    said = dict(re.findall(r"^    (\w+): (.+)$", inspect.getdoc(generate) or "", re.MULTILINE))
    assert {name: said[name] for name in taken if name != "dataset"} == {name: TEXTS[name] for name in taken if name != "dataset"}


def test_the_command_line_has_every_option_with_its_text() -> None:
    root: Any = typer.main.get_command(app)
    told = {parameter.name: parameter.help for parameter in root.commands["run"].params}
    assert {name: told[name] for name in TEXTS} == TEXTS


def test_a_deployment_has_a_form_with_every_option_its_text_and_its_bounds() -> None:
    form = parameter_schema(run_flow_file)
    # A form takes an object where a command line takes one pair after another.
    of_the_form = {"parameters": 'Values of the flow\'s parameters by name, as {"language": "en"}.'}
    assert {name: entry["description"] for name, entry in form.properties.items()} == TEXTS | of_the_form
    assert set(form.required) == {"flow", "input", "output"}
    assert form.properties["input"]["type"] == "string"
    assert {"minimum": 1, "type": "integer"} in form.properties["limit"]["anyOf"]
    assert {"exclusiveMinimum": 0, "type": "number"} in form.properties["budget"]["anyOf"]
    assert form.properties["fresh"] | {"position": 0, "description": ""} == {
        "default": False,
        "description": "",
        "position": 0,
        "title": "fresh",
        "type": "boolean",
    }


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"limit": 0}, "'limit' has to be at least 1, not 0."),
        ({"budget": -1.0}, "'budget' has to be more than 0, not -1.0."),
        ({"concurrency": "many"}, "'concurrency' has to be a whole number, not 'many'."),
        ({"shard_sizes": 3}, "unknown option 'shard_sizes'. Did you mean 'shard_size'?"),
    ],
    ids=["limit", "budget", "concurrency", "unknown"],
)
def test_wrong_options_are_told_in_words(options: dict[str, Any], told: str) -> None:
    with pytest.raises(FlowError) as raised:
        RunOptions(flow="flow.yaml", **options)
    assert str(raised.value) == told


def test_places_may_be_paths_and_one_address_or_several() -> None:
    options = RunOptions(flow=Path("a") / "flow.yaml", storage=Path("store"), api_base=["http://a", "http://b"])
    assert (options.flow, options.storage, options.api_base) == (str(Path("a") / "flow.yaml"), "store", ("http://a", "http://b"))
