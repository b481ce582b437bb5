"""The task with curator: an LLM object for each block, one after the other, with its OpenAI backend."""

from __future__ import annotations

from typing import Any

# Points tiktoken at the copy of its encodings that litellm brings along; it would download them otherwise.
import litellm.litellm_core_utils.default_encoding  # noqa: F401
from bespokelabs import curator

from tests.benchmarks.peers.arguments import MODEL, Task, read_task

UNLIMITED = 100_000_000
"""A minute; without a number it takes one that is meant for hosted models."""


class Ask(curator.LLM):  # type: ignore[misc]
    """One block."""

    def __init__(self, task: Task, number: int) -> None:
        self.template, self.column = task.prompts[number - 1], f"reply_{number}"
        limits = {"max_requests_per_minute": UNLIMITED, "max_tokens_per_minute": UNLIMITED}
        params = {"base_url": task.url, "api_key": "none", "max_concurrent_requests": task.concurrency, **limits}
        super().__init__(model_name=MODEL, backend="openai", backend_params=params)

    def prompt(self, input: dict[str, Any]) -> str:
        """Return what to ask about a row."""
        return self.template.format(**input)

    def parse(self, input: dict[str, Any], response: str) -> dict[str, Any]:
        """Return the row with its reply."""
        return {**input, self.column: response}


if __name__ == "__main__":
    told = read_task()
    rows: Any = told.rows
    for place in range(len(told.prompts)):
        rows = Ask(told, place + 1)(rows, working_dir=str(told.folder / "work")).dataset
    told.write(rows)
