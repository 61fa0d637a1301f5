"""Make a picture smaller or larger. It is base64 text or a `data:` address, and stays what it was.

What its file says besides the picture (where it was taken, by what) is left out. Broken pictures, and those of more
than 50 million pixels, are rejected.

Example:
    image_resize: {field: image, width: 2, to: small}

Given:
    - {image: iVBORw0KGgoAAAANSUhEUgAAAAQAAAACCAIAAADwyuo0AAAAEElEQVR4nGP8z4AATEhsBgAZNQEDGy9LEgAAAABJRU5ErkJggg==}

Gives:
    - image: iVBORw0KGgoAAAANSUhEUgAAAAQAAAACCAIAAADwyuo0AAAAEElEQVR4nGP8z4AATEhsBgAZNQEDGy9LEgAAAABJRU5ErkJggg==
      small: iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAAD0lEQVR4nGP8z8DAwMAAAAYIAQHLR3Z1AAAAAElFTkSuQmCC
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from airflow_datahub.conversion import Conversion, Convert, mistake
from airflow_datahub.extras import library
from airflow_datahub.images import kind_of_picture, opened, written

Pixels = Annotated[int, Field(ge=1, le=10_000)]


class ImageResize(Conversion):
    width: Pixels | None = None
    """Width in pixels; left out, it follows from the height."""

    height: Pixels | None = None
    """Height in pixels; left out, it follows from the width."""

    fit: Literal["contain", "cover", "exact"] = "contain"
    """With both: contain: as large as fits in; cover: fills all, what sticks out is cut off; exact: stretched."""

    enlarge: bool = False
    """Make small pictures larger, too."""

    quality: Annotated[int, Field(ge=1, le=100)] = 85
    """Of JPEG and WebP."""

    @model_validator(mode="after")
    def _some_size(self) -> ImageResize:
        if self.width is None and self.height is None:
            raise mistake("takes `width`, `height` or both")
        return self

    def conversion(self) -> Convert:
        library("PIL.Image", "image-resize")

        def convert(value: Any) -> str:
            picture, as_address = opened(self.field, value, "image-resize")
            kind = kind_of_picture(picture)
            return written(self._resized(picture), kind, self.quality, as_address)

        return convert

    def _resized(self, picture: Any) -> Any:
        ops: Any = library("PIL.ImageOps", "image-resize")
        size = self._size(picture.width, picture.height)
        if not self.enlarge and (size[0] > picture.width or size[1] > picture.height):
            return picture
        if picture.mode not in ("RGB", "RGBA", "L"):
            picture = picture.convert("RGBA")
        if self.fit == "cover" and self.width and self.height:
            return ops.fit(picture, size)
        return picture.resize(size)

    def _size(self, width: int, height: int) -> tuple[int, int]:
        if self.width and self.height and self.fit != "contain":
            return self.width, self.height
        scales = [wanted / now for wanted, now in ((self.width, width), (self.height, height)) if wanted]
        return max(1, round(width * min(scales))), max(1, round(height * min(scales)))
