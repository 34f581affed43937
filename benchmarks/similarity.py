"""Similarity of a thumbnail to the best possible one: SSIM."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps
from skimage.metrics import structural_similarity

Image.MAX_IMAGE_PIXELS = None  # the files are our own


class Reference:
    """A fully decoded, upright picture in sRGB, resized by Lanczos directly to any size."""

    def __init__(self, path: Path) -> None:
        """Hold the picture in memory."""
        with Image.open(path) as picture:
            image = ImageOps.exif_transpose(picture)
        profile = image.info.get("icc_profile")
        if profile:
            converted = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                outputMode="RGB",
            )
            if converted is None:
                raise ValueError(
                    "no conversion to sRGB"
                )  # only conversion in place returns nothing
            image = converted
        self._image = image
        self._shrunk: dict[tuple[int, int], Image.Image] = {}

    def similarity(self, thumbnail: Path | bytes) -> float:
        """Return the SSIM of an encoded thumbnail, 1 for no difference, at its own size."""
        source = io.BytesIO(thumbnail) if isinstance(thumbnail, bytes) else thumbnail
        with Image.open(source) as image:
            image.load()
        if image.size not in self._shrunk:
            self._shrunk[image.size] = self._image.resize(image.size, Image.Resampling.LANCZOS)
        return ssim(self._shrunk[image.size], image)


def ssim(one: Image.Image, other: Image.Image) -> float:
    """Return the average structural similarity of two pictures of one size, over R, G and B.

    As Wang et al. (2004) define it: Gaussian weights of 1.5 pixels. Transparent
    pictures are first composited on mid-gray.
    """
    value = structural_similarity(
        _flat(one),
        _flat(other),
        data_range=255,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    return float(value)


def _flat(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    if image.mode == "RGBA":
        ground = Image.new("RGBA", image.size, (128, 128, 128, 255))
        image = Image.alpha_composite(ground, image)
    return np.asarray(image.convert("RGB"), dtype=np.float32)
