"""What prompts begin with, as a server that caches prefixes keeps it."""

from __future__ import annotations

import hashlib

from sdg_prefect.simulator.wording import TOKEN

_BLOCK = 16
"""Tokens that are kept together, as many as in vLLM."""


class SeenPrefixes:
    """The beginnings of all prompts so far. They are never forgotten."""

    def __init__(self, least: int) -> None:
        """Begin with none.

        Args:
            least: Tokens that a prompt has to share with an earlier one for them to count as cached.
        """
        self._least = least
        self._seen: set[bytes] = set()

    def cached(self, model: str, prompt: str) -> int:
        """Count the tokens that a prompt has in common with the beginning of an earlier one, and keep it for later ones."""
        tokens = TOKEN.findall(prompt)
        running, found, is_known = hashlib.blake2b(model.encode(), digest_size=8), 0, True
        for start in range(0, len(tokens) - _BLOCK + 1, _BLOCK):
            running.update("\n".join(["", *tokens[start : start + _BLOCK]]).encode("utf-8", "replace"))
            key = running.digest()
            is_known = is_known and key in self._seen
            found += _BLOCK * is_known
            self._seen.add(key)
        return found if found >= self._least else 0
