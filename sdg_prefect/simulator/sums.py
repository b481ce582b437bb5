"""Word problems of arithmetic: written, and solved by the numbers and a few words in them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sdg_prefect.simulator.chance import draw, pick

_PROBLEMS = (
    "{who} packs {a} {things} into each of {b} boxes and then gives {c} {things} away. How many {things} are left?",
    "{who} buys {b} bags with {a} {things} each and finds {c} more {things} at home. How many {things} are there now?",
    "{who} has {a} {things} on each of {b} shelves. On Monday {c} {things} are sold, and nothing is put in their places. "
    "How many {things} are left in the evening?",
    "A train carries {b} crates of {a} {things} each, and at the next station {c} more {things} are loaded. How many {things} "
    "does it carry then?",
)
_WHO = ("A baker", "The gardener", "A librarian", "The caretaker", "Mira", "Tomas", "A sailor", "The school")
_THINGS = ("rolls", "bulbs", "books", "lamps", "shells", "jars", "ropes", "pencils")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_ASKED = re.compile(r"\bhow (?:many|much|long|far|old|often)\b|\bwhat is the (?:total|sum|difference|cost)\b", re.IGNORECASE)
_EACH = re.compile(r"\b(?:each|every|per|apiece)\b", re.IGNORECASE)
_FEWER = re.compile(
    r"\b(?:left|away|sold|remain\w*|fewer|less|loses?|lost|breaks?|broken|eaten|spends?|spent|leaves?|taken)\b", re.IGNORECASE
)
_MOST = 10**9


@dataclass(frozen=True, slots=True)
class Solved:
    """The way to the answer of a problem."""

    steps: str
    answer: str


def write_problem(key: str) -> str:
    """Write a word problem: the same one for the same key."""
    numbers = {name: 2 + int(draw(key, name) * most) for name, most in (("a", 18), ("b", 7), ("c", 12))}
    numbers["c"] = min(numbers["c"], numbers["a"] * numbers["b"] - 1)
    return pick(_PROBLEMS, key, "problem").format(who=pick(_WHO, key, "who"), things=pick(_THINGS, key, "things"), **numbers)


def poses_problem(text: str) -> bool:
    """Tell whether a text asks for a number and gives some to find it with."""
    return len(_NUMBER.findall(text)) > 1 and _ASKED.search(text) is not None


def solve(text: str, key: str, *, carefully: bool) -> Solved:
    """Solve a problem: what is said of each is multiplied, what goes is taken away, all else is added.

    Args:
        text: A problem, for which ``poses_problem`` holds.
        key: Decides which mistake is made.
        carefully: False for an answer with a mistake in its last step.
    """
    first, second, *others = (int(re.split(r"[.,]", found)[0]) % _MOST for found in _NUMBER.findall(text))
    if _EACH.search(text):
        total, steps = first * second, [f"{first} times {second} makes {first * second}."]
    else:
        total, steps, others = first, [], [second, *others]
    for number in others:
        before = total
        total += -number if _FEWER.search(text) else number
        steps.append(f"{before} {'minus' if total < before else 'plus'} {number} makes {total}.")
    if not carefully:
        wrong = total + 1 + int(draw(key, "wrong") * 3)
        steps[-1] = steps[-1].replace(f"makes {total}.", f"makes {wrong}.")
        total = wrong
    return Solved(" ".join(steps), str(total))
