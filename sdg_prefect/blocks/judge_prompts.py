"""What judges are told, and how their verdicts are read."""

from __future__ import annotations

import re
from collections.abc import Mapping

USUAL_RUBRIC: Mapping[int, str] = {
    1: "wrong, harmful or beside the point",
    2: "mostly wrong or incomplete",
    3: "partly right, with gaps that matter",
    4: "right, with small faults",
    5: "right, complete and clear; nothing to improve",
}
"""What the scores mean where no rubric is given."""

_LENGTH = "Judge what is said; that one is longer, bolder or more polite is no merit in itself."

_GRADE = """\
Grade a response to an instruction by one criterion and nothing else.

Criterion: {criterion}

What each score means:
{rubric}

{length}

First write in a few sentences what is good and what is not, then give the score, an integer from {low} to {high}, in this form:
<feedback>your feedback</feedback>
<score>your score</score>

### Instruction
{instruction}

### Response
{response}
{reference}"""

_PROMETHEUS = """\
###Task Description:
Below are an instruction, a response to grade,{reference_named} and a score rubric for one criterion.
1. Write feedback on the response that keeps strictly to the rubric.
2. After the feedback, write a score that is an integer between {low} and {high}, as the rubric says.
3. The output has this form: "Feedback: (your feedback) [RESULT] (an integer between {low} and {high})"
4. Write nothing else before or after it.

###The instruction to evaluate:
{instruction}

###Response to evaluate:
{response}
{reference}
###Score Rubrics:
[{criterion}]
{rubric}

###Feedback: """

_COMPARE = """\
Compare two responses, A and B, to an instruction by one criterion and nothing else.

Criterion: {criterion}

{length} Neither is it a merit to stand first.

First write in a few sentences how they differ, then name the better one, in this form, where the verdict is A, B or tie:
<feedback>your comparison</feedback>
<verdict>A, B or tie</verdict>

### Instruction
{instruction}

### Response A
{first}

### Response B
{second}
"""

_FEEDBACK = re.compile(r"<feedback>(.*?)(?:</feedback>|<score>|<verdict>|$)", re.DOTALL | re.IGNORECASE)
_SCORE = re.compile(r"<score>\D{0,20}?(-?\d+(?:\.\d+)?)", re.IGNORECASE)
_RESULT = re.compile(r"\[RESULT\]\D{0,20}?(-?\d+(?:\.\d+)?)", re.IGNORECASE)
_VERDICT = re.compile(r"<verdict>\W*(?:response\s+)?(A|B|tie)\b", re.IGNORECASE)
_BRACKETED = re.compile(r"\[\[(A|B|C|tie)\]\]", re.IGNORECASE)


def grade_prompt(
    instruction: str, response: str, reference: str | None, criterion: str, rubric: Mapping[int, str], *, prometheus: bool
) -> str:
    """Return the prompt that has one response graded.

    Args:
        instruction: What the response answers.
        response: What is graded.
        reference: A response that would get the highest score; None for none.
        criterion: By what it is graded.
        rubric: What each score means.
        prometheus: True for the layout on which the Prometheus judges were trained (Kim et al., 2024, arXiv:2405.01535).
    """
    low, high = min(rubric), max(rubric)
    said = {"instruction": instruction, "response": response, "criterion": criterion, "low": low, "high": high}
    if prometheus:
        lines = "\n".join(f"Score {score}: {meaning}" for score, meaning in sorted(rubric.items()))
        shown = "" if reference is None else f"\n###Reference Answer (Score {high}):\n{reference}\n"
        named = "" if reference is None else f" a reference answer that gets the score {high},"
        return _PROMETHEUS.format(**said, rubric=lines, reference=shown, reference_named=named)
    lines = "\n".join(f"{score}: {meaning}" for score, meaning in sorted(rubric.items()))
    shown = "" if reference is None else f"\n### A response that gets the score {high}\n{reference}\n"
    return _GRADE.format(**said, rubric=lines, reference=shown, length=_LENGTH)


def read_grade(reply: str, rubric: Mapping[int, str]) -> tuple[float, str] | None:
    """Return the score and the feedback in a reply; None where there is no score, or one beyond the rubric."""
    found = [*_SCORE.finditer(reply)] or [*_RESULT.finditer(reply)]
    if not found:
        return None
    score = float(found[-1][1])
    if not min(rubric) <= score <= max(rubric):
        return None
    feedback = _FEEDBACK.search(reply)
    said = feedback[1] if feedback else reply[: found[-1].start()]
    return score, re.sub(r"^\W*feedback:", "", said.strip(), flags=re.IGNORECASE).strip()


def compare_prompt(instruction: str, first: str, second: str, criterion: str) -> str:
    """Return the prompt that has two responses compared, in this order."""
    return _COMPARE.format(instruction=instruction, first=first, second=second, criterion=criterion, length=_LENGTH)


def read_verdict(reply: str) -> str | None:
    """Return ``A``, ``B`` or ``tie`` from a reply; None where there is no verdict."""
    found = [*_VERDICT.finditer(reply)] or [*_BRACKETED.finditer(reply)]
    if not found:
        return None
    said = found[-1][1].upper()
    return said if said in ("A", "B") else "tie"
