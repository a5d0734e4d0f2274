"""From any image file to what the models see: one grey square of 48 x 48 pixels."""

import contextlib
import glob
import io
import math
import re
import threading
import warnings
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, features

from mien.errors import DataError, printable
from mien.files import files_below, hidden

#: Height and width of every face, in pixels: those of FER2013 (Goodfellow et al. 2013).
SIDE = 48

_ENDINGS = "jpg jpeg jpe jfif pjpeg png bmp dib gif webp tif tiff avif heic heif jp2"
#: Endings of image files, in any case.
IMAGE_SUFFIXES = tuple(f".{ending}" for ending in _ENDINGS.split())
_OF_VIDEOS = "mp4 mov avi mkv webm m4v mpg mpeg wmv 3gp mts"
#: Endings of video files, in any case.
VIDEO_SUFFIXES = tuple(f".{ending}" for ending in _OF_VIDEOS.split())

#: An image with more pixels is reduced, where its format allows while it is decoded; one with far
#: more is refused before: a file of some kilobytes can unfold into gigabytes.
LARGE, MAX_PIXELS = 50_000_000, 178_000_000

#: A larger picture is reduced to this many pixels a side before its edges are repeated: a strip of
#: one by a million pixels would else unfold into a square of a million by a million.
LONGEST = 1024
_FORMATS = ("JPEG", "MPO", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "PPM", "AVIF", "JPEG2000")
_one_large = threading.Lock()  # memory for one large picture, however many threads decode
_CONVERT = "convert it to JPEG"


def open_image(path: str | Path) -> Image.Image:
    """Open an image file of any mode as the picture that a person would see (`plain_image`).

    Of an animation, the first frame counts; an image of more than `LARGE` pixels is reduced.
    `DataError` if the file is missing, damaged, cut off, no image, or larger than `MAX_PIXELS`.
    """
    try:
        with quiet_pillow(), _opened(Path(path)) as image:
            return _decoded(image)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path} has more than {MAX_PIXELS:,} pixels") from error
    except DataError as error:
        raise DataError(f"{path} {error}") from error
    except Exception as error:  # Pillow raises many kinds on damaged files
        raise DataError(f"{path} is damaged, cut off or no image that mien can read") from error


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Let Pillow warn of nothing: of odd metadata, of sizes that are refused anyway."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _opened(path: Path) -> Image.Image:
    """Open a file with Pillow, else with what reads the formats that Pillow does not."""
    try:
        return _pillow(path)
    except Exception as error:
        with path.open("rb") as file:
            start = file.read(12)
        kind = start[8:] if start[4:8] == b"ftyp" else start[:4]
        if kind in (b"avif", b"avis") and not features.check("avif"):
            told = f"is an AVIF picture, which this Pillow cannot read: {_CONVERT}"
            raise DataError(told) from error
        if kind in (b"avif", b"avis"):  # a damaged EXIF ends its decoding, so it goes without
            return _pillow(io.BytesIO(path.read_bytes().replace(b"Exif", b"none")))
        if kind in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"):
            return _heic(path.read_bytes())
        if kind in (b"II*\0", b"MM\0*"):
            import cv2  # here, because it takes a moment, and hardly anybody has such files

            data = np.frombuffer(path.read_bytes(), np.uint8)  # of several deep channels
            values = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
            return Image.fromarray(_eight_bits(values[..., 2::-1]))
        raise


def _pillow(file: Path | io.BytesIO) -> Image.Image:
    Image.init()
    return Image.open(file, formats=[name for name in _FORMATS if name in Image.OPEN])


def _heic(data: bytes) -> Image.Image:
    try:
        import pillow_heif
    except ImportError:
        remedy = f"{_CONVERT}, or install mien[heic] (pip install pillow-heif)"
        raise DataError(f"is a HEIC photo: {remedy}") from None
    return pillow_heif.open_heif(data, convert_hdr_to_8bit=True).to_pillow()


def _decoded(image: Image.Image) -> Image.Image:
    if image.width * image.height > MAX_PIXELS:
        raise Image.DecompressionBombError
    times = _times_too_large(image)
    with _one_large if times > 1 else contextlib.nullcontext():
        if times > 1:
            image.draft(image.mode, (image.width // times, image.height // times))
        image.load()
        plain = plain_image(image)
        times = _times_too_large(plain)
        return plain.reduce(times) if times > 1 else plain


def _times_too_large(image: Image.Image) -> int:
    return math.ceil(math.sqrt(image.width * image.height / LARGE))


#: Names that cameras, phones and screenshots give; the part before their last _ is no clip. Where
#: another _ and a number follow, it is a frame of such a video, and the name of a clip again.
CAMERA_NAME = re.compile(
    r"""(?:
        (?:_?(?:img|dsc[nf]?|mg|imgp|mvimg|sam|cimg|dji|hpim|kimg|fb_img|burst|received|snapchat)
            [_-]?e?[0-9]{4,} | p[0-9]{7})  # IMG_0123, DSC00123, P1010123
        | (?:[a-z]{2,5}[_-])?[0-9]{8}(?:[_-]?[0-9]{2}){3}[0-9]{0,3}  # PXL_20240501_101112123
        | (?:photo_)?[0-9]{4}(?:-[0-9]{2}){2}[ _][0-9]{2}(?:[.-][0-9]{2}){2}
        | (?:screen[ ]?shot|bildschirmfoto|capture|whatsapp[ ]image|signal)[ _-].*[0-9]
    )(?![_-]?[0-9]).*""",
    re.IGNORECASE | re.VERBOSE,
)


def shooting_time(path: Path | None, name: str = "") -> datetime | None:
    """Return when a photo was taken: by its EXIF, else by date and time in a name."""
    texts = [name]
    if path is not None:
        with contextlib.suppress(Exception), quiet_pillow(), _pillow(path) as image:
            exif = image.getexif()
            texts = [str(exif.get_ifd(0x8769).get(0x9003, "")), str(exif.get(0x0132, "")), name]
    date, clock = r"(\d{4})[-_.:]?(\d\d)[-_.:]?(\d\d)", r"(\d\d)[-_.:]?(\d\d)[-_.:]?(\d\d)"
    pattern = rf"{date}(?:[-_. T]| [a-z]{{1,3}} ){clock}"
    for found in filter(None, (re.search(pattern, text) for text in texts)):
        with contextlib.suppress(ValueError):
            return datetime(*map(int, found.groups()))
    return None


def is_of_camera(stem: str, taken: datetime | None) -> bool:
    """Return whether a camera has named a photo; ``img_0001`` without a time is a program's."""
    return bool(CAMERA_NAME.fullmatch(stem)) and (taken is not None or stem != stem.lower())


def plain_image(image: Image.Image) -> Image.Image:
    """Return an image upright and in 8 bits: mode ``"L"`` if it is grey, else ``"RGB"``.

    EXIF's orientation is applied, an EXIF that cannot be read ignored; what is transparent shows
    middle grey (128); 16-bit grey is divided by 257, so that 65535 becomes 255. Modes ``"I"`` and
    ``"F"`` count as 16-bit where a value is above 255, ``"F"`` as 0..1 where none is above 1.
    `DataError` if Pillow knows no way from the image's mode to RGB.
    """
    try:
        image = ImageOps.exif_transpose(image)
    except Exception:  # Pillow raises many kinds on a damaged EXIF
        image = image.copy()
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return Image.fromarray(_eight_bits(np.asarray(image)))
    try:
        if image.has_transparency_data:
            front = image.convert("RGBA")
            behind = Image.new("RGBA", front.size, (128, 128, 128, 255))
            plain = Image.alpha_composite(behind, front).convert("RGB")
        else:
            plain = image.convert("L" if image.mode in ("1", "L") else "RGB")
    except ValueError as error:
        raise DataError(f"an image of mode {image.mode} cannot be read as RGB") from error
    plain.info = {}  # what it says has been done
    return plain


def square(image: Image.Image) -> Image.Image:
    """Return an image, mode ``"L"`` or ``"RGB"``, whole in the centre of a square.

    The outermost row or column of pixels is repeated. More than `LONGEST` pixels a side are
    area-averaged to that before.
    """
    longest = max(image.size)
    if longest > LONGEST:
        size = [max(1, round(side * LONGEST / longest)) for side in image.size]
        image, longest = image.resize(size, Image.Resampling.BOX), LONGEST
    pixels = np.asarray(image)
    missing = [longest - pixels.shape[0], longest - pixels.shape[1]]
    around = [(short // 2, short - short // 2) for short in missing] + [(0, 0)] * (pixels.ndim - 2)
    return Image.fromarray(np.pad(pixels, around, mode="edge"))


def resized(image: Image.Image, side: int) -> Image.Image:
    """Return a square image with ``side`` pixels a side, area-averaged, or bilinear if larger."""
    way = Image.Resampling.BOX if image.width >= side else Image.Resampling.BILINEAR
    return image.resize((side, side), way)


def to_grey48(image: Image.Image) -> np.ndarray:
    """Turn an image into network input, uint8 (48, 48): the one way for all models and data.

    The picture as a person sees it (`plain_image`, which raises), in grey by the luma of ITU-R
    BT.601 (0.299 R + 0.587 G + 0.114 B), whole in the centre of a `square`, then area-averaged: so
    nothing is squashed or cut off, and FER2013's faces, too, show forehead and chin.

    The choice was made once, on 87 labelled pictures of one person, about 4 : 3 (the unknown faces
    had no say). Right were of the network that comes with mien, another of its shape, and an SVM of
    A1: 73.6, 73.6 and 56.3 % like this; 66.7, 72.4 and 56.3 % of squares cut out of the centre;
    66.7, 71.3 and 52.9 % of squashed pictures. Other paddings differ by a few faces.
    """
    return np.asarray(resized(square(plain_image(image).convert("L")), SIDE))


def thumbnail(image: Image.Image, side: int = 96) -> Image.Image:
    """Return the square that the models see, in colour, at most ``side`` pixels a side."""
    image = square(plain_image(image)).convert("RGB")
    return resized(image, min(side, image.width))


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Return the values of a deep image as uint8."""
    deep, real = values.dtype == np.uint16, values.dtype.kind == "f"
    values = np.nan_to_num(values.astype(np.float32))
    top = values.max(initial=0)
    if deep or top > 255:
        values /= 257
    elif real and top <= 1:
        values *= 255
    return np.rint(values).clip(0, 255).astype(np.uint8)


def find_images(
    names: Iterable[str | Path], *, suffixes: tuple[str, ...] = IMAGE_SUFFIXES
) -> list[Path]:
    """List the images that files, folders and globs name, each once, in the order given.

    A file counts whatever its ending; of a folder every image below it that ends in ``suffixes``,
    sorted, without what is hidden. `DataError` if a name leads to no image.
    """
    found: dict[Path, None] = {}
    for name in names:
        path = Path(name).expanduser()
        globbed = [] if path.exists() else glob.glob(str(path), recursive=True)  # noqa: PTH207
        matches = [path] if path.exists() else map(Path, sorted(globbed))
        matches = [m for m in matches if m.is_dir() or m == path or _shown(m, suffixes)]
        if not matches:
            raise DataError(f"nothing is called {printable(name)}")
        images = []
        for match in matches:
            if match.is_dir():
                below = filter(Path.is_file, files_below(match))
                images += [file for file in below if _shown(file, suffixes)]
            else:
                images.append(match)
        if not images:
            raise DataError(f"{printable(name)} holds no image ({', '.join(suffixes)})")
        found |= dict.fromkeys(images)
    return list(found)


def _shown(path: Path, suffixes: tuple[str, ...]) -> bool:
    """Return whether a file is an image by its ending, and not hidden."""
    return path.suffix.lower() in suffixes and not hidden(path.name)


def prepare(images: np.ndarray) -> np.ndarray:
    """Return what a network sees of uint8 (n, height, width): float32 (n, height, width, 1).

    Every face has mean 0 and standard deviation 1; one of constant grey becomes zeros.
    """
    pixels = images.astype(np.float32)
    pixels -= pixels.mean(axis=(1, 2), keepdims=True)
    pixels /= np.maximum(pixels.std(axis=(1, 2), keepdims=True), 1.0)
    return pixels[..., None]
