"""Keep the secrets of a run's connections out of its log, its errors and what the store keeps of it (S8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow_datahub.contract import Connection, Log, Run
from airflow_datahub.errors import RunFailed
from airflow_datahub.masking import Mask


def keeping_secrets(run: Run) -> Run:
    """The run, which learns the secrets of each connection that it reads, and logs none of them."""

    def known(connection_id: str) -> Connection:
        found = run.connections(connection_id)
        for secret in found.secrets:
            run.mask.add(secret)
        return found

    return replace(run, connections=known, log=MaskedLog(run.log, run.mask))


class MaskedLog:
    """Hands events on, with their texts masked."""

    def __init__(self, log: Log, mask: Mask):
        self._log, self._mask = log, mask

    def debug(self, event: str, **fields: Any) -> None:
        """Detail."""
        self._log.debug(self._mask(event), **self._masked(fields))

    def info(self, event: str, **fields: Any) -> None:
        """What happens."""
        self._log.info(self._mask(event), **self._masked(fields))

    def warning(self, event: str, **fields: Any) -> None:
        """What somebody should look at."""
        self._log.warning(self._mask(event), **self._masked(fields))

    def error(self, event: str, **fields: Any) -> None:
        """What went wrong."""
        self._log.error(self._mask(event), **self._masked(fields))

    def _masked(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {name: _masked(value, self._mask) for name, value in fields.items()}


def _masked(value: Any, mask: Mask) -> Any:
    """Numbers stay what they are; all else is masked as the log would show it, where it holds a secret."""
    if value is None or isinstance(value, int | float):
        return value
    text = str(value)
    shown = mask(text)
    return value if shown == text else shown


def masked_error(error: BaseException, mask: Mask) -> BaseException:
    """The error, its text masked and those of all that it came from, which a traceback shows as well."""
    _mask_chain(error, mask, set())
    return error if _clean(error, mask) else RunFailed(mask(str(error)))


def _mask_chain(error: BaseException, mask: Mask, seen: set[int]) -> None:
    if id(error) in seen:
        return
    seen.add(id(error))
    error.args = tuple(mask(each) if isinstance(each, str) else each for each in error.args)
    if notes := getattr(error, "__notes__", None):
        error.__notes__ = [mask(str(note)) for note in notes]
    for each in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
        if each is not None:
            _mask_chain(each, mask, seen)
    quiet = error.__suppress_context__
    error.__cause__, error.__context__ = _shown(error.__cause__, mask), _shown(error.__context__, mask)
    error.__suppress_context__ = quiet


def _shown(error: BaseException | None, mask: Mask) -> BaseException | None:
    """The error, or what can be told of one whose text is not in its arguments."""
    if error is None or _clean(error, mask):
        return error
    return RuntimeError(mask(f"{type(error).__name__}: {error}"))


def _clean(error: BaseException, mask: Mask) -> bool:
    return mask(str(error)) == str(error)
