"""Before a run: read everything that a user wrote, and stop at what is wrong, without a call and without heavy imports."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.partitions import of_partition
from sdg_prefect.engine.references import References, is_reference
from sdg_prefect.engine.runners.choice import Choice
from sdg_prefect.errors import FlowError, InputError, NoSeeds, Problem
from sdg_prefect.models.budget import Budget
from sdg_prefect.models.endpoint import Endpoint, resolve_endpoints
from sdg_prefect.models.pricing import price_of
from sdg_prefect.plan.compile import compile_plan
from sdg_prefect.plan.plan import Plan
from sdg_prefect.spec.elsewhere import looking_up
from sdg_prefect.spec.flow import FlowSpec
from sdg_prefect.spec.reader import Reading, scan_flow
from sdg_prefect.spec.target import Target
from sdg_prefect.spec.tracking import Tracking, track_columns


@dataclass(frozen=True, slots=True)
class Prepared:
    """A flow that may run: nothing wrong was found in it or its seeds' columns."""

    spec: FlowSpec
    tracking: Tracking
    plan: Plan
    options: RunOptions
    """The options, with the places of what they name: of a partition, or of a block of Prefect's."""


def prepare(options: RunOptions, salt: str = "", *, needs_endpoints: bool = True) -> Prepared:
    """Read a flow, look at its seeds, and compile its plan.

    Args:
        options: What is asked for.
        salt: Goes into every key; see ``compile_plan``.
        needs_endpoints: False to leave alone what only a run needs, as ``check`` does: models without an endpoint, and packages
            that are not installed.

    Raises:
        FlowError: With every problem found.
    """
    options, reading = _read(options)
    spec, problems = reading.flow, reading.errors
    columns = _seed_columns(options, problems)
    problems += _output_problems(options)
    if spec is None:
        raise FlowError(problems)
    tracking = track_columns(spec, columns)
    problems += [problem for problem in tracking.problems if not problem.warning]
    endpoints: dict[str, Endpoint] = {}
    try:
        endpoints = resolve_endpoints(spec.model_ids(), spec.models, options.model, options.api_base)
    except FlowError as error:
        # A file that could not be read may have named the endpoint.
        problems += error.problems if needs_endpoints and not reading.errors else ()
    problems += spec.missing_packages() if needs_endpoints else ()
    problems += _command_problems(options)
    budget, target = _budget(options, spec.budget), _target(options, spec.target, problems)
    if budget is not None and budget.usd is not None:
        problems += _price_problems(endpoints)
    if problems:
        raise FlowError(problems)
    if options.api_key_env:
        endpoints = {name: replace_key(endpoint, options.api_key_env) for name, endpoint in endpoints.items()}
    return Prepared(spec, tracking, replace(compile_plan(spec, tracking, endpoints, salt), budget=budget, target=target), options)


def _read(options: RunOptions) -> tuple[RunOptions, Reading]:
    """Read a flow. What it and the options name on Prefect's server is looked up, if there is any such thing."""
    with References() as references:
        found = references.in_options(of_partition(options))
        with looking_up(references.variable):
            reading = scan_flow(found.flow, found.models, found.overrides, found.parameters)
        reading = references.in_reading(reading, found.model)
    # An endpoint of Prefect's that serves every model is now that of each.
    return found.model_copy(update={"model": None}) if is_reference(found.model) else found, reading


def _budget(options: RunOptions, own: Budget | None) -> Budget | None:
    """Return the budget of a flow with what the options say instead."""
    given = {"usd": options.budget, "tokens": options.budget_tokens}
    set_here = {name: value for name, value in given.items() if value is not None}
    return Budget.model_validate({**(own.model_dump() if own else {}), **set_here}) if set_here else own


def _target(options: RunOptions, own: Target | None, problems: list[Problem]) -> Target | None:
    """Return the target of a flow with what the options say instead."""
    rows = options.target_rows or (own.rows if own else None)
    if rows is None:
        if options.max_candidates is not None:
            problems.append(Problem("--max-candidates is of no use without a target.", "Name it with --target-rows N."))
        return None
    if options.grows:
        problems.append(
            Problem("an output that grows takes what its new seeds give, and has no target.", "Leave one of both away.")
        )
    return Target(rows=rows, max_candidates=options.max_candidates or (own.max_candidates if own else None))


def _price_problems(endpoints: Mapping[str, Endpoint]) -> list[Problem]:
    """Find models whose calls a budget in dollars cannot count."""
    hint = "Write price: {input: USD, output: USD}, for a million tokens each, at the model; or give a budget of tokens."
    return [
        Problem(f"the price of model '{model_id}' is not known, which a budget in dollars needs.", hint)
        for model_id, endpoint in endpoints.items()
        if not endpoint.is_fixed and price_of(endpoint) is None
    ]


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def _command_problems(options: RunOptions) -> list[Problem]:
    """Find what is wrong between the options themselves."""
    problems = list(_runner_problems(options.runner))
    if options.grows and options.output is None:
        problems.append(Problem("an output that grows has to have a place.", "Name it with --output."))
    if options.api_key_env and not _VARIABLE.fullmatch(options.api_key_env):
        hint = "Put the key into a variable, and name that."
        problems.append(Problem("--api-key-env takes the name of an environment variable, not a key.", hint))
    if isinstance(options.input, str) and options.output and _same_file(options.input, options.output):
        problems.append(Problem(f"the output '{options.output}' is the file of the seeds.", "Name another one with --output."))
    return problems


def _runner_problems(runner: str | None) -> Sequence[Problem]:
    try:
        Choice.of(runner)
    except FlowError as error:
        return error.problems
    return ()


def _same_file(one: str, other: str) -> bool:
    return one == other or (Path(one).exists() and Path(other).exists() and Path(one).samefile(other))


def replace_key(endpoint: Endpoint, variable: str) -> Endpoint:
    """Let an endpoint take its key from another environment variable."""
    return endpoint if endpoint.is_simulated or endpoint.is_service else endpoint.everywhere(lambda _: {"api_key_env": variable})


def _seed_columns(options: RunOptions, problems: list[Problem]) -> Sequence[str] | None:
    if options.input is None:
        return None
    if not isinstance(options.input, str):
        from sdg_prefect.store.seeds import seeds_of

        return tuple(seeds_of(options.input, limit=1).column_names[1:])
    from sdg_prefect.store.seeds import peek_columns

    try:
        return peek_columns(options.input, options.pdf)
    except NoSeeds as error:
        # Seeds may come later.
        problems += () if options.may_lack_seeds else error.problems
        return None
    except InputError as error:
        problems += error.problems
        return None


def _output_problems(options: RunOptions) -> Sequence[Problem]:
    if options.output is None:
        return ()
    from sdg_prefect.store.output import check_output
    from sdg_prefect.store.versions import Versions

    try:
        check_output(options.output)
        if options.grows:
            Versions(options.output).check()
    except FlowError as error:
        return error.problems
    return ()
