"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

Flow = Annotated[Path, typer.Argument(help="The flow file.", show_default=False)]
Input = Annotated[
    Optional[str],
    typer.Option(
        "--input", "-i", help="Seeds: jsonl, json, csv, parquet, an Arrow folder, hf:NAME, each also s3://.", metavar="SOURCE"
    ),
]
Output = Annotated[
    Optional[str], typer.Option("--output", "-o", help="Where the rows go; same kinds, by the ending.", metavar="TARGET")
]
Model = Annotated[
    Optional[str], typer.Option("--model", help="Serve every model of the flow by this one, as litellm names it.", metavar="NAME")
]
ApiBase = Annotated[
    Optional[list[str]],
    typer.Option("--api-base", help="Serve every model at this OpenAI-protocol address; give it again for more.", metavar="URL"),
]
ApiKeyEnv = Annotated[
    Optional[str], typer.Option("--api-key-env", help="Environment variable that holds the endpoint's key.", metavar="NAME")
]
Models = Annotated[
    Optional[Path], typer.Option("--models", help="File of endpoints; models.yaml beside the flow by default.", metavar="FILE")
]
Storage = Annotated[
    Optional[str],
    typer.Option("--storage", help="Where shards and completions are kept: a folder or s3://.  [default: .sdg]", metavar="PLACE"),
]
ShardSize = Annotated[Optional[int], typer.Option("--shard-size", min=1, help="Rows per shard; chosen by itself if not given.")]
Limit = Annotated[Optional[int], typer.Option("--limit", min=1, help="Only the first N seeds.", metavar="N")]
Budget = Annotated[
    Optional[float],
    typer.Option("--budget", min=0, help="US dollars that all runs of the flow on this store may cost.", metavar="USD"),
]
BudgetTokens = Annotated[
    Optional[int],
    typer.Option("--budget-tokens", min=1, help="Tokens that all runs of the flow on this store may cost.", metavar="N"),
]
Set = Annotated[
    Optional[list[str]],
    typer.Option("--set", help="Set a field: BLOCK.KEY=VALUE. May be given several times.", metavar="BLOCK.KEY=VALUE"),
]
Blocks = Annotated[
    Optional[list[str]],
    typer.Option("--blocks", help="Python file or module with blocks of your own, loaded first.", metavar="FILE"),
]
