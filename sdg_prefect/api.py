"""Flows from Python."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from sdg_prefect.engine.options import RunOptions

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from datasets import Dataset


def generate(
    flow: str | os.PathLike[str],
    dataset: Dataset | pd.DataFrame | pa.Table | Iterable[Mapping[str, Any]] | str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    model: str | None = None,
    api_base: str | Sequence[str] | None = None,
    api_key_env: str | None = None,
    models: str | os.PathLike[str] | None = None,
    storage: str | os.PathLike[str] | None = None,
    concurrency: int | None = None,
    shard_size: int | None = None,
    runner: str | None = None,
    limit: int | None = None,
    pdf: Literal["layout", "text"] | None = None,
    budget: float | None = None,
    budget_tokens: int | None = None,
    target_rows: int | None = None,
    max_candidates: int | None = None,
    allow_missed: bool = False,
    overrides: Sequence[str] = (),
    parameters: Mapping[str, Any] | None = None,
    fresh: bool = False,
    retry_rejects: bool = False,
    allow_rejects: bool = False,
    keep_ids: bool = False,
    reviews: Literal["wait", "approve", "stop"] = "wait",
) -> Dataset:
    """Run a flow over a dataset and return the rows that it makes.

    Args:
        flow: The flow file.
        dataset: The seeds: a Dataset, a data frame, an Arrow table, mappings, or the name of a file as on the command line.
        output: Where the rows go; same kinds, by the ending.
        model: Serve every model of the flow by this one, as litellm names it.
        api_base: Serve every model at this OpenAI-protocol address, or at each of several.
        api_key_env: Environment variable that holds the endpoint's key.
        models: File of endpoints; models.yaml beside the flow by default.
        storage: Where shards and completions are kept: a folder or s3://; .sdg by default.
        concurrency: Calls in flight at most, for each endpoint.
        shard_size: Rows per shard; chosen by itself if not given.
        runner: What works on shards: local, dask or ray; the last two with =WORKERS for so many here, or =ADDRESS of a cluster.
        limit: Only so many of the first seeds.
        pdf: How seeds in PDF are read: layout by docling and its models, text without any; layout where docling is installed.
        budget: US dollars that all runs of the flow on this store may cost; the flow's own budget if not given.
        budget_tokens: Tokens that all runs of the flow on this store may cost; the flow's own budget if not given.
        target_rows: Take seeds, again and again if need be, until exactly so many rows come out.
        max_candidates: Try so many seeds for these rows at most; ten for each row if not given.
        allow_missed: Count as a success even if fewer rows come out than are wanted.
        overrides: Fields of blocks to set, each as BLOCK.KEY=VALUE.
        parameters: Values of the flow's parameters, each as NAME=VALUE.
        fresh: Reuse nothing of earlier runs.
        retry_rejects: Ask again for the rows that earlier runs rejected, and for no others.
        allow_rejects: Count as a success even if rows were rejected.
        keep_ids: Keep the row ids in the output.
        reviews: At a review that nobody has decided: wait for a person, approve all rows, or stop.

    Raises:
        FlowError: The flow or the seeds are wrong; nothing was run. Carries every problem.
        RejectedRows: Rows were rejected, more than allowed. The others are in the error's ``dataset``.
        TargetMissed: Fewer rows came out than are wanted. They are in the error's ``dataset``.
        ReviewStopped: A person decided to stop the run, or nobody decided.
        BudgetReached: The budget is used up; the same call with a higher one goes on from there.
        SdgError: The run could not finish; the same call goes on from there.
    """
    from sdg_prefect.engine.start import run
    from sdg_prefect.errors import RejectedRows, TargetMissed
    from sdg_prefect.rows import concat, to_dataset, without_ids

    options = RunOptions(
        flow=flow,
        input=_seeds(dataset),
        output=output,
        model=model,
        api_base=api_base,
        api_key_env=api_key_env,
        models=models,
        storage=storage,
        concurrency=concurrency,
        shard_size=shard_size,
        runner=runner,
        limit=limit,
        pdf=pdf,
        budget=budget,
        budget_tokens=budget_tokens,
        target_rows=target_rows,
        max_candidates=max_candidates,
        allow_missed=allow_missed,
        overrides=overrides,
        parameters=parameters or {},
        fresh=fresh,
        retry_rejects=retry_rejects,
        allow_rejects=allow_rejects,
        keep_ids=keep_ids,
        reviews=reviews,
    )
    outcome = run(options)
    table = concat(outcome.tables)
    made = to_dataset(table if keep_ids else without_ids(table))
    if not outcome.is_success and (target := outcome.report.target) and made.num_rows < target["rows"]:
        raise TargetMissed(made.num_rows, target["rows"], target["candidates"], made)
    if not outcome.is_success:
        raise RejectedRows(outcome.report.total.rejected, outcome.report.run_id, made)
    return made


def _seeds(dataset: Any) -> Any:
    if isinstance(dataset, os.PathLike):
        return os.fspath(dataset)
    # A run looks at its seeds more than once: before it begins, and if they are damaged in the store.
    return list(dataset) if isinstance(dataset, Iterator) else dataset
