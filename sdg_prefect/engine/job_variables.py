"""What a worker gives the process or the container of a run: variables of the job template of its pool."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sdg_prefect.errors import FlowError, Problem, did_you_mean
from sdg_prefect.models.connections import secrets_within
from sdg_prefect.settings import settings
from sdg_prefect.spec.wording import is_secret

if TYPE_CHECKING:
    from prefect.client.schemas.objects import WorkPool

_ALWAYS = {"HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "PREFECT_LOGGING_EXTRA_LOGGERS": "sdg_prefect"}
"""Environment of each run: threads that save datasets race in tqdm otherwise, and the UI gets the program's own log."""
_OWN_OPTIONS = {"env": "--env NAME=VALUE", "image": "--image"}
_OF_A_BLOCK = re.compile(r"\{\{\s*prefect\.blocks\.[^{}]+\}\}")
_CONTAINERS = ("docker", "kubernetes")
"""Types of pools that start an image of Prefect's where nobody names one."""
_ELSEWHERE = ("s3://", "prefect:")


def job_variables(image: str | None, env: Mapping[str, str], others: Mapping[str, Any]) -> dict[str, Any]:
    """Return the job variables of a deployment.

    Args:
        image: The image of its containers; None where it has none, or its pool knows one.
        env: Environment variables of its runs.
        others: Other variables by name, as the job template of the pool has them.

    Raises:
        FlowError: A key would stand in them for all to read, or a variable has an option of its own.
    """
    problems = [
        Problem(f"--job-variable {name}: it has an option of its own.", f"Give {_OWN_OPTIONS[name.partition('.')[0]]}.")
        for name in others
        if name.partition(".")[0] in _OWN_OPTIONS
    ]
    made = {**({"image": image} if image else {}), "env": {**_ALWAYS, **env}, **others}
    problems += [
        Problem(f"{_option(path)}: a key must not stand in a deployment.", _advice(path))
        for path, text in _texts_within(made)
        if not _OF_A_BLOCK.fullmatch(text) and (_says_key(path) or _holds_key(text))
    ]
    if problems:
        raise FlowError(problems)
    return made


def refuse_keys(parameters: Mapping[str, Any]) -> None:
    """Refuse addresses with passwords in them: whoever sees a deployment reads its parameters.

    Raises:
        FlowError: There is one.
    """
    hint = "Use a Prefect block: prefect:llm-endpoint/NAME or prefect:data-store/NAME."
    problems = [
        Problem(f"--{path[0].replace('_', '-')}: an address with a key in it must not stand in a deployment.", hint)
        for path, text in _texts_within(parameters)
        if _holds_key(text)
    ]
    if problems:
        raise FlowError(problems)


def refuse_blocks(variables: Mapping[str, Any]) -> None:
    """Refuse what may be in a deployment, but in no file: ``prefect deploy`` puts the values of blocks in place of their names.

    Raises:
        FlowError: A block is named.
    """
    hint = "Deploy without --write: then the deployment keeps the name, and the worker looks it up."
    problems = [
        Problem(f"{_option(path)}: prefect deploy would write the value of this block into the deployment.", hint)
        for path, text in _texts_within(variables)
        if _OF_A_BLOCK.search(text)
    ]
    if problems:
        raise FlowError(problems)


def fit_to_pool(variables: Mapping[str, Any], pool: WorkPool) -> dict[str, Any]:
    """Return job variables as the job template of a pool takes them; the server looks at the values.

    Raises:
        FlowError: The template lacks one of them, which Prefect would pass over in silence, or nobody names an image.
    """
    known: dict[str, Any] = pool.base_job_template.get("variables", {}).get("properties", {})
    lacking = [name for name in variables if known and name.partition(".")[0] not in known]
    if "image" in lacking or ("image" in variables and pool.type == "process"):
        hint = "Leave --image away, or name a pool of containers."
        raise FlowError([Problem(f"the work pool '{pool.name}' is of type '{pool.type}', which has no images.", hint)])
    if lacking:
        whose = f"the job template of the work pool '{pool.name}' has no such variable."
        raise FlowError([Problem(f"{_option((name,))}: {whose}", did_you_mean(name, known)) for name in lacking])
    if pool.type in _CONTAINERS and "image" in known and not (variables.get("image") or known["image"].get("default")):
        message = f"the work pool '{pool.name}' starts containers, and neither it nor the deployment says of which image."
        raise FlowError([Problem(message, "Name one with sdg_prefect in it: --image NAME. Prefect's own has none.")])
    return {name: _as_wanted(value, known.get(name, {})) for name, value in variables.items()}


def lost_with_container(entry: Mapping[str, Any]) -> list[str]:
    """Return what a deployment keeps in its containers alone, in words: it goes with them.

    Args:
        entry: As ``entry_of`` returns it.
    """
    variables, parameters = entry["work_pool"]["job_variables"], entry["parameters"]
    if "image" not in variables or "volumes" in variables:
        return []
    store = parameters.get("storage") or variables["env"].get("SDG_PREFECT_STORAGE") or settings().storage
    places = {"the output": parameters["output"], "the store": store}
    return [what for what, place in places.items() if not str(place).startswith(_ELSEWHERE)]


def _as_wanted(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a number as the text that a template wants: that of two processors is "2"."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    kinds = {one.get("type") for one in (schema, *schema.get("anyOf", ()))}
    return str(value) if is_number and "string" in kinds and not kinds & {"integer", "number"} else value


def _texts_within(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the texts and numbers in a value, each with the names that lead to it."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts_within(inner, (*path, *str(name).split(".")))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts_within(inner, path)
    elif value is not None and not isinstance(value, bool):
        yield path, str(value)


def _holds_key(text: str) -> bool:
    """True for an address with a password in it, or with a query that may be one."""
    try:
        return "://" in text and bool(secrets_within(text))
    except ValueError:  # no address
        return False


def _says_key(path: tuple[str, ...]) -> bool:
    return is_secret(path[-1]) or any(is_secret(part) for part in path[-1].lower().split("_"))


def _option(path: tuple[str, ...]) -> str:
    if path == ("image",):
        return "--image"
    return f"--env {path[1]}" if path[0] == "env" and len(path) > 1 else f"--job-variable {'.'.join(path)}"


def _advice(path: tuple[str, ...]) -> str:
    name = f'{_option(path)}="{{{{ prefect.blocks.secret.NAME }}}}"'
    return f"Set it where the worker runs, or keep it in a Prefect block, and name that: {name}."
