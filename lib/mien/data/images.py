"""From any image file to what the models see: one grey square of 48 x 48 pixels."""

import contextlib
import glob
import re
import warnings
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mien.errors import DataError, printable

#: Height and width of every face, in pixels: those of FER2013 (Goodfellow et al. 2013).
#: Endings of image files, in any case.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")

SIDE = 48

#: An image with more pixels than this is refused before it is decoded: a file of some kilobytes
#: can unfold into gigabytes.
MAX_PIXELS = 50_000_000

#: A larger picture is reduced to this many pixels a side before its edges are repeated: a strip of
#: one by a million pixels would else unfold into a square of a million by a million.
LONGEST = 1024
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "PPM")
_BEHIND = (128, 128, 128, 255)


def open_image(path: str | Path) -> Image.Image:
    """Open an image file of any mode as the picture that a person would see.

    Of an animation, the first frame counts.

    Returns
    -------
    Image
        As `plain_image` gives it.

    Raises
    ------
    DataError
        If the file is missing, damaged, cut off, no image, or larger than `MAX_PIXELS`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of odd metadata and of sizes refused below
            with Image.open(path, formats=_FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Image.DecompressionBombError
                image.load()
                return plain_image(image)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path} has more than {MAX_PIXELS:,} pixels") from error
    except Exception as error:  # Pillow raises many kinds on damaged files
        raise DataError(f"{path} is damaged, cut off or no image that mien can read") from error


#: Names that cameras, phones and screenshots give; the part before their last _ is no clip.
CAMERA_NAME = re.compile(
    r"(?:_?(?:img|dsc[nf]?|mg|imgp|pxl|mvimg|sam|cimg|gopr|dji|hpim|kimg|vid|wp|win|fb_img|burst"
    r"|p)[_-]?e?[0-9]{4,}|[0-9]{8}[_-][0-9]{6}|[0-9]{4}-[0-9]{2}-[0-9]{2}[ _][0-9]{2}[.-][0-9]{2}"
    r"|(?:screenshot|screen shot|bildschirmfoto|whatsapp image|signal)[ _-].*[0-9]).*",
    re.IGNORECASE,
)


def shooting_time(path: Path | None, name: str = "") -> datetime | None:
    """Return when a photo was taken: by its EXIF, else by date and time in a name."""
    texts = [name]
    if path is not None:
        with contextlib.suppress(Exception), Image.open(path, formats=_FORMATS) as image:
            exif = image.getexif()
            texts = [str(exif.get_ifd(0x8769).get(0x9003, "")), str(exif.get(0x0132, "")), name]
    pattern = r"(\d{4})[-_.:]?(\d\d)[-_.:]?(\d\d)(?:[-_. ]|T| at )(\d\d)[-_.:]?(\d\d)[-_.:]?(\d\d)"
    for found in filter(None, (re.search(pattern, text) for text in texts)):
        with contextlib.suppress(ValueError):
            return datetime(*map(int, found.groups()))
    return None


def plain_image(image: Image.Image) -> Image.Image:
    """Return an image upright and in 8 bits: mode ``"L"`` if it is grey, else ``"RGB"``.

    EXIF's orientation is applied; what is transparent shows middle grey (128), the mean of a face
    rather than a bright or dark edge around it; 16-bit grey is divided by 257, so that 65535
    becomes 255. Modes ``"I"`` and ``"F"`` count as 16-bit where a value is above 255.

    Raises
    ------
    DataError
        If Pillow knows no way from the image's mode to RGB.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return Image.fromarray(_eight_bits(image))
    try:
        if image.has_transparency_data:
            front = image.convert("RGBA")
            behind = Image.new("RGBA", front.size, _BEHIND)
            return Image.alpha_composite(behind, front).convert("RGB")
        return image.convert("L" if image.mode in ("1", "L") else "RGB")
    except ValueError as error:
        raise DataError(f"an image of mode {image.mode} cannot be read as RGB") from error


def square(image: Image.Image) -> Image.Image:
    """Return an image, mode ``"L"`` or ``"RGB"``, whole in the centre of a square.

    The shorter side grows to the longer one: the outermost row or column of pixels is repeated.
    An image of more than `LONGEST` pixels a side is area-averaged to that before.
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
    """Return a square image with ``side`` pixels a side.

    Smaller by area-averaging (each pixel is the mean of the area that it covers), larger by
    bilinear interpolation, which invents no values beyond those of its neighbours.
    """
    smaller = image.width >= side
    return image.resize(
        (side, side), Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
    )


def to_grey48(image: Image.Image) -> np.ndarray:
    """Turn an image into network input: the one way for every model and every data set.

    The picture as a person sees it (`plain_image`), in grey by the luma of ITU-R BT.601
    (0.299 R + 0.587 G + 0.114 B), whole in the centre of a square, with the pixels of its edges
    repeated where it is narrower (`square`), then area-averaged to 48 x 48 pixels. So nothing is
    squashed and nothing is cut off: FER2013's faces, too, show forehead and chin.

    The choice was made once, on the labelled faces of one person (87 upright pictures, about 4 : 3,
    answers restricted to the person's five emotions; the unknown faces had no say). Right were, of
    the network that comes with mien, another network of its shape, and an SVM of A1:

    ============================================  =========  =======  ======
    the square                                    shipped    other    SVM
    ============================================  =========  =======  ======
    cut out of the centre, of the shorter side    66.7 %     72.4 %   56.3 %
    squashed                                      66.7 %     71.3 %   52.9 %
    of 90 % of the longer side, edges repeated    70.1 %     75.9 %   56.3 %
    **of the longer side, edges repeated**        73.6 %     73.6 %   56.3 %
    of the longer side, filled with the mean      73.6 %     71.3 %   59.8 %
    of the longer side, filled with black         70.1 %     72.4 %   58.6 %
    ============================================  =========  =======  ======

    One face is 1.1 points, so the paddings are alike; edges need no number and keep the contrast.

    Parameters
    ----------
    image : PIL.Image.Image
        Any mode, any size.

    Returns
    -------
    ndarray of uint8, shape (48, 48)
        0 is black, 255 is white.

    Raises
    ------
    DataError
        If Pillow knows no way from the image's mode to RGB.

    Examples
    --------
    >>> to_grey48(Image.new("RGB", (96, 200), "red"))[0, :3]
    array([76, 76, 76], dtype=uint8)
    """
    return np.asarray(resized(square(plain_image(image).convert("L")), SIDE))


def read_face(path: str | Path) -> np.ndarray:
    """Read any image file as network input.

    Returns
    -------
    ndarray of uint8, shape (48, 48)
        See `to_grey48`.

    Raises
    ------
    DataError
        If the file cannot be read as an image.
    """
    return to_grey48(open_image(path))


def thumbnail(image: Image.Image, side: int = 96) -> Image.Image:
    """Return the square that the models see, in colour, at most ``side`` pixels a side."""
    image = square(plain_image(image)).convert("RGB")
    return resized(image, min(side, image.width))


def _eight_bits(image: Image.Image) -> np.ndarray:
    """Return the values of a deep grey image as uint8."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    deep = image.mode.startswith("I;16") or values.max() > 255
    return np.rint(values / 257 if deep else values).clip(0, 255).astype(np.uint8)


def find_images(names: Iterable[str | Path]) -> list[Path]:
    """List the images that files, folders and globs name, each once, in the order given.

    Parameters
    ----------
    names : iterable of str or path
        A file counts whatever its ending; of a folder, and of a folder that a glob names, every
        image below it by the endings of `IMAGE_SUFFIXES`, sorted, without what is
        hidden. In a glob, ``**`` stands for any folders.

    Raises
    ------
    DataError
        If a name leads to no image.

    Examples
    --------
    >>> find_images(["nowhere/*.jpg"])
    Traceback (most recent call last):
        ...
    mien.errors.DataError: nothing is called nowhere/*.jpg
    """
    found: dict[Path, None] = {}
    for name in names:
        path = Path(name).expanduser()
        matches = [path] if path.exists() else map(Path, sorted(_globbed(path)))
        matches = [match for match in matches if match.is_dir() or match == path or _shown(match)]
        if not matches:
            raise DataError(f"nothing is called {printable(name)}")
        images = [image for match in matches for image in _images_at(match)]
        if not images:
            endings = ", ".join(IMAGE_SUFFIXES)
            raise DataError(f"{printable(name)} holds no image ({endings})")
        found |= dict.fromkeys(images)
    return list(found)


def _globbed(path: Path) -> list[str]:
    return glob.glob(str(path), recursive=True)  # noqa: PTH207 - absolute patterns, too


def _images_at(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    return sorted(path for path in place.rglob("*") if path.is_file() and _shown(path, place))


def _shown(path: Path, below: Path | None = None) -> bool:
    """Return whether a file is an image by its ending, and neither it nor its folder is hidden."""
    parts = path.relative_to(below).parts if below else (path.name,)
    return path.suffix.lower() in IMAGE_SUFFIXES and not any(p.startswith(".") for p in parts)
