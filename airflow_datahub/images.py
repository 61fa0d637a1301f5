"""Pictures as records hold them: base64, or an address that begins with `data:`."""

from __future__ import annotations

import base64
import binascii
import io
import re
import warnings
from typing import Any, Literal

from airflow_datahub.conversion import unfit
from airflow_datahub.extras import library

Format = Literal["jpeg", "png", "webp"]
LONGEST = 32 << 20
"""Characters of a picture in base64."""
MOST_PIXELS = 50_000_000
"""A picture with more is not opened: 50 million take 200 MB."""

_DATA = re.compile(r"data:image/[a-z0-9.+-]+;base64,")


def opened(field: str, value: Any, extra: str) -> tuple[Any, bool]:
    """The picture, upright, its first frame; and whether it came as a `data:` address. What is none is rejected."""
    image: Any = library("PIL.Image", extra)
    ops: Any = library("PIL.ImageOps", extra)
    content = _content(field, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = image.open(io.BytesIO(content), formats=["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
            if found.width * found.height > MOST_PIXELS:
                raise unfit(field, f"{found.width} x {found.height}", f"pixels are more than {MOST_PIXELS:,}")
            found.load()
            return ops.exif_transpose(found), value.startswith("data:")
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, image.DecompressionBombError) as error:
        raise unfit(field, value[:40], "is not a picture that can be read") from error


def written(picture: Any, kind: Format, quality: int, as_address: bool) -> str:
    """The picture as text, without what its file said besides (places, cameras)."""
    if kind == "jpeg" and picture.mode not in ("RGB", "L"):
        picture = _on_white(picture)
    elif picture.mode not in ("RGB", "RGBA", "L", "LA"):
        picture = picture.convert("RGBA")
    out = io.BytesIO()
    options = {} if kind == "png" else {"quality": quality}
    picture.save(out, kind.upper(), **options)
    text = base64.b64encode(out.getvalue()).decode()
    return f"data:image/{kind};base64,{text}" if as_address else text


def kind_of_picture(picture: Any, otherwise: Format = "png") -> Format:
    """The format that a picture came in, if it is one that is written."""
    known: dict[str, Format] = {"JPEG": "jpeg", "PNG": "png", "WEBP": "webp"}
    return known.get(getattr(picture, "format", None) or "", otherwise)


def _on_white(picture: Any) -> Any:
    image: Any = library("PIL.Image", "image-convert")
    rgba = picture.convert("RGBA")
    ground = image.new("RGB", rgba.size, "white")
    ground.paste(rgba, mask=rgba.getchannel("A"))
    return ground


def _content(field: str, value: Any) -> bytes:
    if not isinstance(value, str) or len(value) > LONGEST:
        raise unfit(field, value, f"is not a picture in base64 of at most {LONGEST >> 20} MiB")
    start = _DATA.match(value)
    try:
        return base64.b64decode(value[start.end() if start else 0 :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise unfit(field, value[:40], "is not base64") from error
