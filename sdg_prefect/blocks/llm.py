"""Ask a model about each row, and make rows of its replies."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.prompt_block import PromptBlock
from sdg_prefect.blocks.prompts import Prompt, PromptFile
from sdg_prefect.blocks.registry import block

if TYPE_CHECKING:
    pass


@block("LLMBlock")
class LLMBlock(PromptBlock):
    """Ask a model about each row with a prompt file, and parse the replies into rows.

    A reply may give several rows; ``n`` replies give those of each. A row whose replies give nothing is rejected, with the reply.
    """

    example: ClassVar[Example] = Example(
        config={"config_path": "ask.yaml", "model_id": "teacher", "output_cols": ["question", "answer"]},
        gen_kwargs={"temperature": 0.7},
        files={
            "ask.yaml": """\
    generation: |
      Ask a question about this text, and answer it.
      {{ text }}
    start_tags: ["<question>", "<answer>"]
    end_tags: ["</question>", "</answer>"]
    """
        },
        rows=[{"text": "Bees dance to tell where food is."}],
        replies={"Bees": "<question>Why do bees dance?</question><answer>To tell where food is.</answer>"},
        output=[
            {
                "text": "Bees dance to tell where food is.",
                "question": "Why do bees dance?",
                "answer": "To tell where food is.",
            }
        ],
    )

    config_path: PromptFile
    """The prompt file."""

    def _first_prompt(self) -> Prompt:
        return self.config_path
