"""The sample data set's pictures: printed characters drawn in many fonts, and scans of handwritten digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIDE = 48
"""Pixels of a picture's side."""

FONTS = {
    "DejaVuSans": "plain sans-serif",
    "DejaVuSans-Bold": "bold sans-serif",
    "DejaVuSans-Oblique": "slanted sans-serif",
    "DejaVuSans-BoldOblique": "bold slanted sans-serif",
    "DejaVuSerif": "plain serif",
    "DejaVuSerif-Bold": "bold serif",
    "DejaVuSerif-Italic": "slanted serif",
    "DejaVuSerif-BoldItalic": "bold slanted serif",
    "DejaVuSansMono": "plain typewriter",
    "DejaVuSansMono-Bold": "bold typewriter",
    "DejaVuSansMono-Oblique": "slanted typewriter",
    "DejaVuSansMono-BoldOblique": "bold slanted typewriter",
    "STIXGeneral": "plain serif",
    "STIXGeneralBol": "bold serif",
    "STIXGeneralItalic": "slanted serif",
    "STIXGeneralBolIta": "bold slanted serif",
    "cmr10": "plain serif",
    "cmb10": "bold serif",
    "cmmi10": "slanted serif",
    "cmss10": "plain sans-serif",
    "cmtt10": "plain typewriter",
}
"""Fonts that matplotlib ships, by file name, and how a text calls their style."""


def font_folder() -> Path:
    """Where matplotlib keeps its fonts."""
    from matplotlib import get_data_path

    return Path(get_data_path(), "fonts", "ttf")


def printed(character: str, font: Path, draw: np.random.Generator) -> Image.Image:
    """A character in dark ink on tinted paper, RGB, with size, place, angle, blur and grain drawn at random."""
    size = int(draw.integers(30, 41))
    paper = tuple(int(value) for value in draw.integers(215, 256, size=3))
    ink = tuple(int(value) for value in draw.integers(0, 70, size=3))
    shift_x, shift_y = (float(value) for value in draw.uniform(-3, 3, size=2))
    angle, blur = float(draw.uniform(-12, 12)), float(draw.uniform(0, 0.8))
    picture = Image.new("RGB", (SIDE, SIDE), paper)
    place = (SIDE / 2 + shift_x, SIDE / 2 + shift_y)
    ImageDraw.Draw(picture).text(place, character, ink, ImageFont.truetype(str(font), size), anchor="mm")
    picture = picture.rotate(angle, Image.Resampling.BICUBIC, fillcolor=paper)
    picture = picture.filter(ImageFilter.GaussianBlur(blur))
    grain = draw.normal(0, 6, size=(SIDE, SIDE, 1))
    return Image.fromarray((np.asarray(picture) + grain).clip(0, 255).astype(np.uint8))


def scanned(scan: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> Image.Image:
    """A scan of 8 x 8 values from 0 (paper) to 16 (ink) as a grey picture, dark on light, with a margin."""
    grey = Image.fromarray((255 * (1 - scan / 16)).astype(np.uint8))
    picture = Image.new("L", (SIDE, SIDE), 255)
    inner = SIDE - 8
    picture.paste(grey.resize((inner, inner), Image.Resampling.BICUBIC), (4, 4))
    return picture
