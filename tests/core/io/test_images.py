import io
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dckt_core.base.errors import DataError, UsageError
from dckt_core.contract.pairs import ImageItem
from dckt_core.io import images
from dckt_core.io.images import MAX_PIXELS, image_size, max_pixels, open_image
from tests.support.data import optional_data

RED, WHITE = (255, 0, 0), (255, 255, 255)


def save(path: Path, picture: Image.Image, **options: Any) -> Path:
    picture.save(path, **options)
    return path


def half_red() -> Image.Image:
    """6 x 4, the left half red, the right half white."""
    picture = Image.new("RGB", (6, 4), WHITE)
    picture.paste(RED, (0, 0, 3, 4))
    return picture


def test_an_item_opens_its_file(tmp_path: Path) -> None:
    picture = ImageItem("x", save(tmp_path / "x.png", half_red())).open()
    assert picture.mode == "RGB"
    assert np.array_equal(np.asarray(picture), np.asarray(half_red()))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(tmp_path: Path, orientation: int) -> None:
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    picture = half_red()
    picture.putpixel((0, 0), (0, 0, 255))
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = picture if stored is None else picture.transpose(stored)
    path = save(tmp_path / "x.png", turned, exif=exif)
    assert np.array_equal(np.asarray(open_image(path)), np.asarray(picture))


def test_broken_exif_data_leave_the_picture_as_it_is(tmp_path: Path) -> None:
    path = save(tmp_path / "x.jpg", half_red(), exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage", quality=95)
    assert open_image(path).size == (6, 4)


def test_grey(tmp_path: Path) -> None:
    assert open_image(save(tmp_path / "x.png", Image.new("L", (2, 2), 70))).getpixel((0, 0)) == (70, 70, 70)
    assert open_image(save(tmp_path / "y.png", Image.new("1", (2, 2), 1))).getpixel((0, 0)) == WHITE


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize(("brightest", "bits"), [(1, 8), (255, 8), (256, 10), (4095, 12), (4096, 14), (0x4000, 16)])
def test_16_bit_grey_that_uses_fewer_is_not_black(tmp_path: Path, suffix: str, brightest: int, bits: int) -> None:
    samples = np.array([[0, brightest // 2, brightest]], dtype=np.uint16)
    for depth in (np.uint16, np.int32) if suffix == "tiff" else (np.uint16,):
        Image.fromarray(samples.astype(depth)).save(tmp_path / f"x.{suffix}")
        grey = np.asarray(open_image(tmp_path / f"x.{suffix}"))[..., 0]
        assert np.array_equal(grey, samples >> (bits - 8))


def test_the_same_picture_in_8_12_and_16_bits_is_the_same(tmp_path: Path) -> None:
    grey = np.arange(45, 240, dtype=np.uint16).reshape(15, 13)
    for bits in (8, 12, 16):
        path = tmp_path / f"{bits}.png"
        Image.fromarray(grey << (bits - 8)).save(path)
        assert np.array_equal(np.asarray(open_image(path))[..., 0], grey)


GREYS = [f"../cases/pictures/i16_{bits}.png" for bits in ("8bit", "12bit", "full")]


def test_greys_as_they_were_found() -> None:
    found = [np.asarray(open_image(path)) for path in optional_data(*GREYS)]
    assert (found[0].min(), found[0].max()) == (45, 239)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_16_bit_grey_keeps_its_upper_bits(tmp_path: Path, suffix: str) -> None:
    samples = np.array([[0, 255, 256], [0x1234, 0x8000, 0xFFFF]], dtype=np.uint16)
    path = tmp_path / f"x.{suffix}"
    if suffix == "pgm":  # by hand: not every Pillow writes 16 bits of it
        path.write_bytes(b"P5 3 2 65535\n" + samples.astype(">u2").tobytes())
    else:
        Image.fromarray(samples).save(path)
    picture = open_image(path)
    assert np.array_equal(np.asarray(picture)[..., 0], samples >> 8)


@pytest.mark.parametrize(
    "samples",
    [
        np.array([[0, 1 << 18, 1 << 20]], dtype=np.int32),
        np.array([[-3, 0, 9]], dtype=np.int32),
        np.array([[-(1 << 31), -(1 << 30), (1 << 31) - 1]], dtype=np.int32),
        np.array([[0.25, 0.3125, 0.5]], dtype=np.float32),
        np.array([[-1e30, -5e29, 1e30]], dtype=np.float32),
    ],
)
def test_greys_of_32_bits_go_from_their_darkest_to_their_brightest(
    tmp_path: Path, samples: np.ndarray[Any, Any]
) -> None:
    picture = open_image(save(tmp_path / "x.tiff", Image.fromarray(samples)))
    assert [pixel[0] for pixel in np.asarray(picture)[0].tolist()] == [0, 64, 255]
    assert picture.info[images.RESCALED]


def test_a_grey_of_one_value_is_dark(tmp_path: Path) -> None:
    flat = save(tmp_path / "x.tiff", Image.fromarray(np.full((2, 2), 0.7, dtype=np.float32)))
    assert np.asarray(open_image(flat)).max() == 0


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_greys_that_are_no_numbers_are_refused(tmp_path: Path, odd: float) -> None:
    file = save(tmp_path / "x.tiff", Image.fromarray(np.array([[0, odd]], dtype=np.float32)))
    with pytest.raises(DataError, match=r"x\.tiff: cannot be decoded: its samples are not all finite numbers"):
        open_image(file)


def test_palette(tmp_path: Path) -> None:
    path = save(tmp_path / "x.png", half_red().convert("P", palette=Image.Palette.ADAPTIVE, colors=2))
    assert np.array_equal(np.asarray(open_image(path)), np.asarray(half_red()))


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA", "RGB"])
def test_what_is_transparent_becomes_white(tmp_path: Path, mode: str) -> None:
    options: dict[str, Any] = {}
    if mode == "P":
        picture = Image.new("P", (2, 1))
        picture.putpalette([255, 0, 0, 0, 0, 0])
        picture.putpixel((1, 0), 1)
        options = {"transparency": bytes([255, 0])}
    elif mode == "RGB":
        picture = Image.new("RGB", (2, 1), RED)
        picture.putpixel((1, 0), (0, 0, 0))
        options = {"transparency": (0, 0, 0)}
    else:
        picture = Image.new("RGBA", (2, 1), (*RED, 255))
        picture.putpixel((1, 0), (0, 0, 0, 0))
        picture = picture.convert(mode)
    opened = open_image(save(tmp_path / "x.png", picture, **options))
    assert opened.getpixel((1, 0)) == WHITE
    assert opened.getpixel((0, 0)) == (RED if mode != "LA" else (76, 76, 76))


def test_cmyk(tmp_path: Path) -> None:
    path = save(tmp_path / "x.jpg", Image.new("CMYK", (8, 8), (0, 255, 255, 0)), quality=100)
    pixel = open_image(path).getpixel((4, 4))
    assert isinstance(pixel, tuple)
    assert max(abs(found - wanted) for found, wanted in zip(pixel, RED, strict=True)) <= 3


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tiff", "mpo"])
def test_of_several_frames_the_first(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, (0, 0, 255))]
    path = save(tmp_path / f"x.{suffix}", frames[0], save_all=True, append_images=frames[1:])
    with Image.open(path) as stored:
        assert getattr(stored, "n_frames", 1) == 2
    pixel = np.asarray(open_image(path))[8, 8].astype(int)
    assert np.abs(pixel - RED).max() <= 6  # WebP and MPO lose a little


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "tiff", "bmp"])
def test_truncated_files_are_named(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, size=(64, 64, 3), dtype=np.uint8)
    path = save(tmp_path / f"x.{suffix}", Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"^{path}: \S") as caught:
        open_image(path)
    assert "\n" not in str(caught.value)


_noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, size=(9, 7, 3), dtype=np.uint8))
_SEEDS = [
    (_noise, "JPEG"),
    (_noise, "PNG"),
    (_noise.quantize(16), "GIF"),
    (_noise, "WEBP"),
    (_noise, "BMP"),
    (_noise, "TIFF"),
    (_noise, "PPM"),
    (_noise.convert("CMYK"), "JPEG"),
    (_noise.convert("I;16"), "PNG"),
]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    seed=st.sampled_from(_SEEDS),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8),
    length=st.integers(0, 3000),
)
def test_whatever_the_bytes_a_picture_or_a_data_error_comes_out(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seed: tuple[Image.Image, str],
    changes: list[tuple[int, int]],
    length: int,
) -> None:
    monkeypatch.setenv("DCKT_MAX_PIXELS", "1000000")  # a changed header may ask for much memory
    buffer = io.BytesIO()
    seed[0].save(buffer, seed[1])
    data = bytearray(buffer.getvalue())
    for place, value in changes:
        data[place % len(data)] = value
    path = tmp_path / "x"
    path.write_bytes(data[:length])
    fault = ""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            assert open_image(path).mode == "RGB"
        except DataError as error:
            fault = str(error)
    assert fault == "" or fault.startswith(f"{path}: ")
    assert "\n" not in fault


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    cases = {
        "gone.png": (None, "no such file"),
        "empty.png": (b"", "the file is empty"),
        "text.jpg": (b"<html>404 Not Found</html>", "no picture of a known format"),
        "code.png": (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
            "no picture of a known format",
        ),
    }
    for name, (content, reason) in cases.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError) as caught:
            open_image(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: {reason}"
    with pytest.raises(DataError, match="no such file"):
        open_image(tmp_path)


@pytest.fixture
def bomb(tmp_path: Path) -> Path:
    """A PNG whose header claims 20,000 x 20,000 pixels that it does not have."""
    buffer = io.BytesIO()
    Image.new("1", (8, 8)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[16:24] = (20_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path = tmp_path / "bomb.png"
    path.write_bytes(data)
    return path


def test_the_pixel_cap_is_read_from_the_header(bomb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=f"more pixels than the {MAX_PIXELS} that are opened"):
        open_image(bomb)
    path = save(bomb.with_name("x.png"), half_red())
    monkeypatch.setenv("DCKT_MAX_PIXELS", "24")
    assert open_image(path).size == (6, 4)
    monkeypatch.setenv("DCKT_MAX_PIXELS", "23")
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("was decoded"))
    with pytest.raises(DataError, match="6 x 4 pixels are more than the 23 that are opened"):
        open_image(path)


@pytest.mark.parametrize("said", ["", "0", "-1", "1e6", "many", str(MAX_PIXELS + 1), "²"])
def test_a_cap_that_is_none(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("DCKT_MAX_PIXELS", said)
    with pytest.raises(UsageError, match="DCKT_MAX_PIXELS must be a whole number"):
        max_pixels()


def test_pillow_warns_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "x.jpg", half_red(), exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # Pillow warns above this and refuses above twice as much
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        assert open_image(path).size == (6, 4)
        with ThreadPoolExecutor(8) as pool:
            assert {picture.size for picture in pool.map(open_image, [path] * 64)} == {(6, 4)}
        assert warnings.filters == before
        with pytest.raises(UserWarning):
            warnings.warn("others still warn", stacklevel=1)


def test_warnings_stay_off_until_the_last_thread_is_out(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with images._pillow_is_quiet:
            inside.set()
            leave.wait(10)

    before = list(warnings.filters)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(stay)
        assert inside.wait(10)
        with images._pillow_is_quiet:
            pass
        assert warnings.filters != before
        leave.set()
        other.result()
    assert warnings.filters == before


def test_the_size_is_read_from_the_header_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.new("L", (30, 20)).save(file)
    file.write_bytes(file.read_bytes()[:48])  # no pixels are left
    assert image_size(file) == (30, 20)
    file.write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"a\.png: no picture of a known format"):
        image_size(file)


def _photo(side: int) -> Image.Image:
    """A picture whose detail falls off with its frequency f, as that of photos does: amplitudes are 1 / f."""
    generator = np.random.default_rng(0)
    frequencies = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij"))
    frequencies[0, 0] = 1
    planes = []
    for _ in range(3):
        noise = np.exp(2j * np.pi * generator.random(frequencies.shape)) / frequencies
        plane = np.fft.irfft2(noise, s=(side, side))
        planes.append(128 + 48 * (plane - plane.mean()) / plane.std())
    return Image.fromarray(np.stack(planes, axis=-1).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(("side", "size"), [(None, 640), (161, 640), (160, 320), (81, 320), (80, 160), (20, 80)])
def test_a_large_jpeg_is_decoded_at_a_part_of_its_size(tmp_path: Path, side: int | None, size: int) -> None:
    file = save(tmp_path / "x.jpg", _photo(640))
    assert ImageItem("x", file).open(side).size == (size, size)


def test_the_shorter_side_counts(tmp_path: Path) -> None:
    file = save(tmp_path / "x.jpg", Image.new("RGB", (800, 200)))
    assert open_image(file, 50).size == (400, 100)


def test_other_formats_come_whole(tmp_path: Path) -> None:
    assert open_image(save(tmp_path / "x.png", _photo(64)), 4).size == (64, 64)


def test_what_is_scaled_changes_less_than_by_saving_it_once_more(tmp_path: Path) -> None:
    file = save(tmp_path / "x.jpg", _photo(640), quality=92)
    again = save(tmp_path / "again.jpg", open_image(file), quality=85)
    whole, part, saved = (
        np.asarray(picture.resize((160, 160), Image.Resampling.BICUBIC), dtype=np.float64)
        for picture in (open_image(file), open_image(file, 160), open_image(again))
    )
    assert 0 < np.abs(part - whole).mean() < np.abs(saved - whole).mean()
