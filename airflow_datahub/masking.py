"""Take secrets out of texts."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

MASKED = "***"
SHORTEST = 5
"""Characters of a secret that is masked, as in Airflow's own logs: a shorter one would garble other words."""
PART = 8
"""Characters of a secret whose rest was cut off that are masked, too."""

_NAMES = re.compile(
    r"(password|passwd|pwd|passphrase|secret|tokens?|credentials?|authorization|cookie|webhook[_-]?url|"
    r"(api|private|access|secret)[_-]?key)$",
    re.IGNORECASE,
)
_SCHEME = re.compile("(?:Bearer|Basic|Token) +(.+)$", re.IGNORECASE)
DEEPEST = 100
"""Characters behind PART that are compared; what follows them up to the cut goes with them."""
_NOT_CUT = r"(?:(?!\.\.\.)[^\s…'\"/]){0,4096}+"
_CUT = r"(?=…|\\*['\"/]|\.\.\.|$)"
"""Where a text may have been cut; at a slash by whoever puts an address together."""


def names_a_secret(name: str) -> bool:
    """Whether what a field or an argument of that name holds is nobody's business: `password`, `clientSecret`."""
    return bool(_NAMES.search(name))


class Mask:
    """Knows every form in which secrets could turn up in a text. It shows none of them."""

    def __init__(self, secrets: Iterable[str] = (), also: Callable[[str], None] | None = None):
        """`also` is told every secret that is new."""
        self._secrets: set[str] = set()
        self._forms: tuple[str, ...] = ()
        self._pattern = self._begun = re.compile("(?!)")
        self._also = also
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str | None) -> None:
        """Know one more secret, such as a token that was just fetched."""
        if not secret or secret in self._secrets:
            return
        self._secrets.add(secret)
        self._forms = tuple(sorted({*self._forms, *forms(secret)}, key=len, reverse=True))  # the longest first
        self._pattern = re.compile("|".join("".join(_loosely(form)) for form in self._forms))
        begun = {form[:PART] for form in self._forms if len(form) > PART}
        self._begun = re.compile("|".join("".join(_loosely(start)) for start in begun) or "(?!)")
        if self._also:
            self._also(secret)

    @property
    def forms(self) -> tuple[str, ...]:
        """All that is taken out, for a log that masks by itself."""
        return self._forms

    def __call__(self, text: str) -> str:
        text = self._pattern.sub(MASKED, text)
        if self._begun.search(text):
            for form in self._forms:
                text = _cut_off(form).sub(MASKED, text) if len(form) > PART else text
        return text


def _loosely(form: str) -> list[str]:
    """Patterns that find, one after another, a form also where it was quoted again, even several times: JSON in a text
    that Python shows, or a URL in a URL."""
    first, *others = _PIECES.findall(form)
    return [_first(first), *map(_loose, others)]


_PIECES = re.compile(r"\\+|(?:%5[Cc])+|%2[27Ff]|.", re.DOTALL)
_BACKSLASH = "(?:%(?:25)*5[Cc])"


def _loose(piece: str) -> str:
    if piece[0] == "\\":
        return r"\\++"
    if piece in "'\"/":
        return r"\\*+" + piece
    if piece.startswith("%5"):
        return _BACKSLASH + "++"
    if piece.startswith("%"):
        return (_BACKSLASH + "*+" if len(piece) > 1 else "") + "%(?:25)*" + piece[1:]
    return re.escape(piece)


def _first(piece: str) -> str:
    """The same for the first piece, which is tried everywhere: what comes before it does not matter, and to look for it
    would take the square of the time."""
    if piece[0] in "\\'\"/":
        return r"(?<!\\)" + _loose(piece)
    if piece.startswith("%5"):
        return _BACKSLASH + "{1,64}+"
    return "%(?:25)*" + piece[1:] if piece[0] == "%" else _loose(piece)


@lru_cache(1000)
def _cut_off(form: str) -> re.Pattern[str]:
    """Finds the beginning of a form, at least PART of it, where the text may have been cut."""
    pieces = _loosely(form)
    first, rest = pieces[:PART], pieces[PART : PART + DEEPEST]
    beyond = _NOT_CUT if len(pieces) > PART + DEEPEST else ""
    return re.compile("".join(first) + "".join("(?:" + piece for piece in rest) + beyond + ")?" * len(rest) + _CUT)


def forms(secret: str) -> set[str]:
    """As it is, in a URL (its escapes in capitals or small letters), in JSON, HTML and Python's own notation, in Base64
    of both alphabets."""
    packed = base64.b64encode(secret.encode())
    safe = base64.urlsafe_b64encode(secret.encode())
    quoted = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    inside = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    inside |= {_for_html(text) for text in inside}
    inside |= {text.replace("/", "\\/") for text in inside}
    inside |= {_in_capitals(text) for text in inside}
    shown = {repr(secret)[1:-1], ascii(secret)[1:-1], repr(secret.encode())[2:-1]}
    shown |= {html.escape(secret), html.escape(secret, False), html.escape(secret).replace("&quot;", "&#34;")}
    written = {secret, *quoted, *map(_in_small, quoted), *inside, *shown}
    return written | {packed.decode(), packed.decode().rstrip("="), safe.decode(), safe.decode().rstrip("=")}


def _for_html(text: str) -> str:
    """JSON as it is written where it may stand in a page."""
    return re.sub("[<>&'+]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _in_capitals(text: str) -> str:
    return re.sub(r"\\u[0-9a-f]{4}", lambda escape: "\\u" + escape[0][2:].upper(), text)


def _in_small(quoted: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda escape: escape[0].lower(), quoted)


def secrets_in(login: str | None, password: str | None, extra: Mapping[str, Any]) -> Iterator[str]:
    """What must not be shown of a connection: its password, what its extra holds under the name of a secret, and login
    and password as basic authentication packs them."""
    for secret in filter(None, (password, *_named(extra))):
        if len(secret) >= SHORTEST:
            yield secret
        if (scheme := _SCHEME.match(secret)) and len(scheme[1]) >= SHORTEST:
            yield scheme[1]
    if password:
        yield from (basic(login or "", password), basic(quote_plus(login or ""), quote_plus(password)))


def basic(login: str, password: str) -> str:
    """Login and password as basic authentication packs them."""
    return base64.b64encode(f"{login}:{password}".encode()).decode()


def _named(extra: Any, secret: bool = False) -> Iterator[str]:
    if isinstance(extra, Mapping):
        for name, value in extra.items():
            yield from _named(value, secret or names_a_secret(str(name)))
    elif isinstance(extra, list):
        for value in extra:
            yield from _named(value, secret)
    elif secret and isinstance(extra, str | int) and not isinstance(extra, bool):
        yield str(extra)
