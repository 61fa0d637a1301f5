"""Take secrets out of texts."""

from __future__ import annotations

import base64
import json
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

    def __call__(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, MASKED)
        return text


def _forms(secret: str) -> set[str]:
    """As it is, in a URL, in JSON, in Base64 of both alphabets."""
    packed = base64.b64encode(secret.encode())
    safe = base64.urlsafe_b64encode(secret.encode())
    forms = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    return forms | {packed.decode(), packed.decode().rstrip("="), safe.decode().rstrip("=")}
