"""A kit for block authors: run a block and check it, without Prefect, a server or a model."""

from sdg_prefect.testing.context import Rejected, ScriptedContext
from sdg_prefect.testing.examples import check_example
from sdg_prefect.testing.running import BlockResult, run_block
from sdg_prefect.testing.script import NoReply, Reply, Script
from sdg_prefect.testing.standards import check_block

__all__ = [
    "BlockResult",
    "NoReply",
    "Rejected",
    "Reply",
    "Script",
    "ScriptedContext",
    "check_block",
    "check_example",
    "run_block",
]
