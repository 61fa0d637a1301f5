"""Take secrets out of texts."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASKED = "***"


class Mask:
    """Knows every form in which the secrets of a connection could turn up in a text. It shows none of them."""

    def __init__(self, secrets: Iterable[str] = ()):
        self._forms: tuple[str, ...] = ()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str | None) -> None:
        """Know one more secret, such as a token that was just fetched."""
        if secret:
            self._forms = tuple(sorted({*self._forms, *_forms(secret)}, key=len, reverse=True))  # the longest first

    @property
    def forms(self) -> tuple[str, ...]:
        """All that is taken out, for a log that masks by itself."""
        return self._forms

    def __call__(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, MASKED)
        return text


def _forms(secret: str) -> set[str]:
    """As it is, in a URL (its escapes in capitals or small letters), in JSON, in Base64 of both alphabets."""
    packed = base64.b64encode(secret.encode())
    safe = base64.urlsafe_b64encode(secret.encode())
    quoted = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    forms = {secret, *quoted, *map(_in_small, quoted), json.dumps(secret)[1:-1]}
    return forms | {packed.decode(), packed.decode().rstrip("="), safe.decode().rstrip("=")}


def _in_small(quoted: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda escape: escape[0].lower(), quoted)
