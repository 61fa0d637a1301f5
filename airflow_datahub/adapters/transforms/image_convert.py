"""Write a picture in another format. It is base64 text or a `data:` address, and stays what it was.

What is transparent becomes white in JPEG. What its file says besides the picture is left out. Broken pictures, and
those of more than 50 million pixels, are rejected.

Example:
    image_convert: {field: image, format: png}

Given:
    - {image: iVBORw0KGgoAAAANSUhEUgAAAAQAAAACCAIAAADwyuo0AAAAEElEQVR4nGP8z4AATEhsBgAZNQEDGy9LEgAAAABJRU5ErkJggg==}

Gives:
    - {image: iVBORw0KGgoAAAANSUhEUgAAAAQAAAACCAIAAADwyuo0AAAAEElEQVR4nGP8z4AATEhsBgAZNQEDGy9LEgAAAABJRU5ErkJggg==}
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from airflow_datahub.conversion import Conversion, Convert
from airflow_datahub.extras import library
from airflow_datahub.images import Format, opened, written


class ImageConvert(Conversion):
    format: Format
    """The new format."""

    quality: Annotated[int, Field(ge=1, le=100)] = 85
    """Of JPEG and WebP."""

    def conversion(self) -> Convert:
        library("PIL.Image", "image-convert")

        def convert(value: Any) -> str:
            picture, as_address = opened(self.field, value, "image-convert")
            return written(picture, self.format, self.quality, as_address)

        return convert
