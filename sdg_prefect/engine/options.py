"""What a run is asked to do, said once: the command line, ``generate`` and the form of a deployment all take it from here."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler, model_validator

from sdg_prefect.errors import FlowError, Problem


def _as_text(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def as_values(given: Any) -> Any:
    """Return values by name, also where each is written as NAME=VALUE."""
    if not isinstance(given, (list, tuple)):
        return given or {}
    pairs = [str(text).partition("=") for text in given]
    if wrong := next(("".join(pair) for pair in pairs if not pair[0].strip() or not pair[1]), ""):
        raise ValueError(f"'{wrong}' is not of the form NAME=VALUE")
    return {name.strip(): value for name, _, value in pairs}


Place = Annotated[str, BeforeValidator(_as_text)]
"""A path or an address."""


class RunOptions(BaseModel):
    """The options of ``run``. The strings under the fields are the help of the command line and the texts of the form."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=())

    flow: Place
    """The flow file."""
    input: Any = None
    """Seeds: jsonl, json, csv, tsv, parquet, txt, md, pdf, a folder or pattern of such files, an Arrow folder, hf:NAME, s3://."""
    output: Place | None = None
    """Where the rows go; same kinds, by the ending."""
    model: str | None = None
    """Serve every model of the flow by this one, as litellm names it."""
    api_base: str | tuple[str, ...] | None = None
    """Serve every model at this OpenAI-protocol address, or at each of several."""
    api_key_env: str | None = None
    """Environment variable that holds the endpoint's key."""
    models: Place | None = None
    """File of endpoints; models.yaml beside the flow by default."""
    storage: Place | None = None
    """Where shards and completions are kept: a folder or s3://; .sdg by default."""
    concurrency: int | None = Field(default=None, ge=1)
    """Calls in flight at most, for each endpoint."""
    shard_size: int | None = Field(default=None, ge=1)
    """Rows per shard; chosen by itself if not given."""
    runner: str | None = None
    """What works on shards: local, dask or ray; the last two with =WORKERS for so many here, or =ADDRESS of a cluster."""
    limit: int | None = Field(default=None, ge=1)
    """Only so many of the first seeds."""
    pdf: Literal["layout", "text"] | None = None
    """How seeds in PDF are read: layout by docling and its models, text without any; layout where docling is installed."""
    budget: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """US dollars that all runs of the flow on this store may cost; the flow's own budget if not given."""
    budget_tokens: int | None = Field(default=None, ge=1)
    """Tokens that all runs of the flow on this store may cost; the flow's own budget if not given."""
    target_rows: int | None = Field(default=None, ge=1)
    """Take seeds, again and again if need be, until exactly so many rows come out."""
    max_candidates: int | None = Field(default=None, ge=1)
    """Try so many seeds for these rows at most; ten for each row if not given."""
    allow_missed: bool = False
    """Count as a success even if fewer rows come out than are wanted."""
    overrides: tuple[str, ...] = ()
    """Fields of blocks to set, each as BLOCK.KEY=VALUE."""
    parameters: Annotated[dict[str, Any], BeforeValidator(as_values)] = {}
    """Values of the flow's parameters, each as NAME=VALUE."""
    fresh: bool = False
    """Reuse nothing of earlier runs."""
    retry_rejects: bool = False
    """Ask again for the rows that earlier runs rejected, and for no others."""
    allow_rejects: bool = False
    """Count as a success even if rows were rejected."""
    keep_ids: bool = False
    """Keep the row ids in the output."""
    reviews: Literal["wait", "approve", "stop"] = "wait"
    """At a review that nobody has decided: wait for a person, approve all rows, or stop."""

    incremental: bool = False
    """Make rows of new seeds only, and add them to the output as its next version."""
    mirror: bool = False
    """Make a version of all seeds, known ones for nothing: rows of seeds that are gone or changed leave the output."""
    date: str | None = None
    """Day that {date} stands for in input and output: YYYY-MM-DD, today or yesterday; the day of the run if not given."""
    timezone: str | None = None
    """Time zone of that day, such as Europe/Berlin; UTC if not given."""
    partition: tuple[str, ...] = ()
    """What other names in braces stand for in input and output, each as NAME=VALUE."""

    @property
    def grows(self) -> bool:
        """True if the output has versions."""
        return self.incremental or self.mirror

    @property
    def may_lack_seeds(self) -> bool:
        """True if a run without seeds is one with nothing to do. With ``mirror`` all rows would leave the output."""
        return self.incremental and not self.mirror

    @model_validator(mode="wrap")
    @classmethod
    def _in_words(cls, given: Any, validate: ValidatorFunctionWrapHandler) -> Self:
        """Raise what is wrong with the options as any other mistake of a user is raised."""
        try:
            made: Self = validate(given)
        except ValidationError as error:
            from sdg_prefect.spec.wording import explain

            raise FlowError([Problem(one.message, one.hint) for one in explain(error, cls, given, "option")]) from None
        return made
