"""Small Python programs with their tests: what the simulated model has learned of programming."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from sdg_prefect.simulator.chance import draw, pick
from sdg_prefect.simulator.wording import content_words


@dataclass(frozen=True, slots=True)
class Program:
    """A function that does one thing."""

    name: str
    task: str
    """What it has to do, in words."""
    code: str
    slip: tuple[str, str]
    """A part of the code, and what a careless programmer writes in its place."""
    tests: tuple[str, ...]

    def written(self, *, carefully: bool) -> str:
        """Return the code, with a mistake that its tests find unless it is written carefully."""
        return self.code if carefully else self.code.replace(*self.slip)

    def tested(self) -> str:
        """Return the tests as a function."""
        return "\n".join((f"def test_{self.name}():", *(f"    assert {test}" for test in self.tests)))

    def called(self, name: str) -> Program:
        """Return the same program under another name."""
        code, tests = self.code.replace(self.name, name), tuple(test.replace(self.name, name) for test in self.tests)
        return replace(self, name=name, task=self.task.replace(self.name, name), code=code, tests=tests)


_NAMED = re.compile(r"`(?:def )?([a-z_][a-z0-9_]*)\(|\b(?:def|named|called) `?([a-z_][a-z0-9_]*)`?")
_ENOUGH = 2
"""Telling words that a text shares with a task that it speaks of."""


def program_for(text: str) -> Program:
    """Return the program that a text speaks of most, under the name that the text gives it; the same for the same text."""
    named = [found[1] or found[2] for found in _NAMED.finditer(text)]
    for program in PROGRAMS:
        if program.name in named:
            return program
    wanted = content_words(text)
    best = max(PROGRAMS, key=lambda program: len(content_words(program.task) & wanted))
    chosen = best if len(content_words(best.task) & wanted) >= _ENOUGH else pick(PROGRAMS, text, "program")
    return chosen.called(named[0]) if named else chosen


def programs_about(text: str, key: str) -> list[Program]:
    """Return all programs, those first whose task shares a word with a text, the others from a place that the key decides."""
    wanted = content_words(text)
    start = int(draw(key, "program") * len(PROGRAMS))
    rotated = [*PROGRAMS[start:], *PROGRAMS[:start]]
    return sorted(rotated, key=lambda program: not content_words(program.task) & wanted)


PROGRAMS = (
    Program(
        "longest_word",
        "Write a function `longest_word(text)` that returns the longest word of a text. Of equally long words the first counts, "
        "and a text without words gives an empty text.",
        'def longest_word(text):\n    return max(text.split(), key=len, default="")',
        ("max(", "min("),
        ('longest_word("a bee dances") == "dances"', 'longest_word("one two") == "one"', 'longest_word("") == ""'),
    ),
    Program(
        "count_words",
        "Write a function `count_words(text)` that counts how often each word of a text occurs, without regard to case, and "
        "returns a dict from word to count.",
        "def count_words(text):\n    counts = {}\n    for word in text.lower().split():\n"
        "        counts[word] = counts.get(word, 0) + 1\n    return counts",
        ("text.lower()", "text"),
        ('count_words("Tea and tea") == {"tea": 2, "and": 1}', 'count_words("") == {}'),
    ),
    Program(
        "running_totals",
        "Write a function `running_totals(amounts)` that takes a list of amounts and returns the list of their totals so far.",
        "def running_totals(amounts):\n    total, totals = 0, []\n    for amount in amounts:\n        total += amount\n"
        "        totals.append(total)\n    return totals",
        ("totals.append(total)", "totals.append(amount)"),
        ("running_totals([1, 2, 3]) == [1, 3, 6]", "running_totals([]) == []", "running_totals([5, -5]) == [5, 0]"),
    ),
    Program(
        "minutes_between",
        "Write a function `minutes_between(start, end)` for two times of day as texts such as '09:30'. It returns the minutes "
        "from the first to the second; if the second is earlier, it lies on the next day.",
        "def minutes_between(start, end):\n    def minutes(time):\n        hours, rest = time.split(':')\n"
        "        return 60 * int(hours) + int(rest)\n\n    return (minutes(end) - minutes(start)) % 1440",
        (" % 1440", ""),
        ('minutes_between("09:30", "10:15") == 45', 'minutes_between("23:50", "00:10") == 20'),
    ),
    Program(
        "group_by_initial",
        "Write a function `group_by_initial(names)` that returns a dict from each first letter, as a capital, to the list of the "
        "names that begin with it, in the order of the list. Empty names are left out.",
        "def group_by_initial(names):\n    groups = {}\n    for name in names:\n        if name:\n"
        "            groups.setdefault(name[0].upper(), []).append(name)\n    return groups",
        ("name[0].upper()", "name[0]"),
        ('group_by_initial(["ada", "Alan", "", "bo"]) == {"A": ["ada", "Alan"], "B": ["bo"]}', "group_by_initial([]) == {}"),
    ),
    Program(
        "is_palindrome",
        "Write a function `is_palindrome(text)` that tells whether a text reads the same from both ends, looking at its letters "
        "and digits only and not at their case.",
        "def is_palindrome(text):\n    kept = [sign.lower() for sign in text if sign.isalnum()]\n    return kept == kept[::-1]",
        ("sign.lower()", "sign"),
        ('is_palindrome("Never odd or even")', 'not is_palindrome("bees")', 'is_palindrome("")'),
    ),
    Program(
        "change_in_coins",
        "Write a function `change_in_coins(cents)` that returns the fewest coins of 50, 20, 10, 5, 2 and 1 cents that make up an "
        "amount, as a list with the largest coin first.",
        "def change_in_coins(cents):\n    coins = []\n    for coin in (50, 20, 10, 5, 2, 1):\n        while cents >= coin:\n"
        "            coins.append(coin)\n            cents -= coin\n    return coins",
        ("cents >= coin", "cents > coin"),
        ("change_in_coins(87) == [50, 20, 10, 5, 2]", "change_in_coins(0) == []", "change_in_coins(3) == [2, 1]"),
    ),
    Program(
        "parse_settings",
        "Write a function `parse_settings(lines)` that reads lines of the form 'name = value' into a dict of texts. Empty lines "
        "and lines that begin with '#' are passed over, and spaces around names and values do not count.",
        "def parse_settings(lines):\n    settings = {}\n    for line in lines:\n"
        "        if line.strip() and not line.lstrip().startswith('#'):\n            name, _, value = line.partition('=')\n"
        "            settings[name.strip()] = value.strip()\n    return settings",
        ("value.strip()", "value"),
        ('parse_settings(["a = 1", "# no", "", "b=x = y"]) == {"a": "1", "b": "x = y"}', "parse_settings([]) == {}"),
    ),
    Program(
        "merge_ranges",
        "Write a function `merge_ranges(ranges)` that takes a list of pairs (first, last) of whole numbers in any order and "
        "returns the fewest pairs that cover the same numbers, in order. Ranges that touch, as (1, 3) and (4, 5) do, are joined.",
        "def merge_ranges(ranges):\n    merged = []\n    for first, last in sorted(ranges):\n"
        "        if merged and first <= merged[-1][1] + 1:\n"
        "            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))\n        else:\n"
        "            merged.append((first, last))\n    return merged",
        ("merged[-1][1] + 1", "merged[-1][1]"),
        ("merge_ranges([(4, 5), (1, 3), (8, 9)]) == [(1, 5), (8, 9)]", "merge_ranges([]) == []"),
    ),
    Program(
        "average_without_extremes",
        "Write a function `average_without_extremes(grades)` that returns the mean of a list of numbers without its least "
        "and its greatest one, each left out once. With fewer than three numbers it returns None.",
        "def average_without_extremes(grades):\n    if len(grades) < 3:\n        return None\n"
        "    kept = sorted(grades)[1:-1]\n    return sum(kept) / len(kept)",
        ("sorted(grades)[1:-1]", "grades[1:-1]"),
        ("average_without_extremes([9, 1, 5, 7]) == 6", "average_without_extremes([1, 2]) is None"),
    ),
)
