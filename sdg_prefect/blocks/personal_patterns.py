"""Personal data that patterns and checksums find: no model, no network."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A piece of personal data in a text."""

    kind: str
    start: int
    end: int


def passes_luhn(number: str) -> bool:
    """True if the last digit of a number is the check digit of the others (ISO/IEC 7812-1)."""
    digits = [int(sign) for sign in number if sign.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_iban(text: str) -> bool:
    """True if the check digits of an account number are right (ISO 13616, ISO/IEC 7064 MOD 97-10)."""
    number = re.sub(r"\s", "", text).upper()
    moved = number[4:] + number[:4]
    return 15 <= len(number) <= 34 and int("".join(str(int(sign, 36)) for sign in moved)) % 97 == 1


def _is_card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and passes_luhn(digits)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_phone(text: str) -> bool:
    return 7 <= len(re.sub(r"\D", "", text)) <= 15


def _is_ssn(text: str) -> bool:
    """True where the Social Security Administration may have given the number."""
    area, group, serial = text.split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


_SECRET = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bsk-[A-Za-z0-9_-]{20,}\b|\bxox[abprs]-[A-Za-z0-9-]{10,}\b"
    r"|\bhf_[A-Za-z0-9]{30,}\b|-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[\s\S]*?(?:-----END (?:[A-Z]+ )?PRIVATE KEY-----|$)"
)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+%-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")
_IP = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}"
    r"|(?:[0-9A-Fa-f]{1,4}:){2,7}[0-9A-Fa-f]{1,4}|(?:[0-9A-Fa-f]{1,4}:){1,6}:[0-9A-Fa-f:]{1,40})(?![\w:]|\.\d)"
)
_PHONE = re.compile(
    r"(?<![\w.+-])(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){1,4}"
    r"|\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}[.-]\d{3}[.-]\d{4})(?![\w-]|\.\d)"
)

_PATTERNS: Mapping[str, tuple[re.Pattern[str], Callable[[str], bool]]] = {
    "secret": (_SECRET, bool),
    "email": (_EMAIL, bool),
    "iban": (re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b"), is_iban),
    "credit_card": (re.compile(r"(?<![\d-])\d(?:[ -]?\d){12,18}(?![\d-])"), _is_card),
    "us_ssn": (re.compile(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])"), _is_ssn),
    "ip_address": (_IP, _is_address),
    "phone": (_PHONE, _is_phone),
}
"""Each kind's pattern, and what a match has to pass; of two that overlap the earlier kind counts."""

KINDS = tuple(_PATTERNS)


def find_personal(text: str, kinds: frozenset[str]) -> list[Finding]:
    """Return what is found in a text, in order, without overlaps."""
    found: list[Finding] = []
    for kind in KINDS:
        if kind in kinds:
            found += [
                one for one in _matches(kind, text) if not any(one.start < other.end and other.start < one.end for other in found)
            ]
    return sorted(found, key=lambda finding: finding.start)


def _matches(kind: str, text: str) -> Iterator[Finding]:
    pattern, passes = _PATTERNS[kind]
    for match in pattern.finditer(text):
        if passes(match[0]):
            yield Finding(kind, match.start(), match.end())
