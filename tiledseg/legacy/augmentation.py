"""Translation of the source program's online augmentation."""

import math
from collections.abc import Callable

from tiledseg.legacy.reader import Reader
from tiledseg.legacy.reasons import AUGMENTORS, DETAILS
from tiledseg.legacy.values import finite, numbers, switch

_NOT_IN_SOURCE = "the source program has nothing like it"
_DRAWN = "drawn anew for every crop; there, a fixed change"
_WITHOUT_FOLDS = 0.5
"""Most displacement for a smoothness with which an elastic deformation hardly ever folds."""

IsOn = Callable[[str, bool], bool]


def translate_augmentation(reader: Reader) -> None:
    """Put down the settings of ``augmentation``, and tell what it cannot say."""
    switches = ("model.generator", "generator.augmentation")
    online = reader.value(switches[0], switch, False) and reader.value(switches[1], switch, True)

    def is_on(name: str, default: bool) -> bool:
        return reader.value(f"augmentor.{name}", switch, default) and online

    for flip in ("hflip", "vflip"):
        reader.put(f"augmentation.{flip}", is_on(flip, True), f"augmentor.{flip}", *switches)
    _rotation(reader, is_on("rotation", True), switches)
    shrinks = reader.value("augmentor.shrinks", numbers, [0.8])
    change = max((abs(1.0 - shrink) for shrink in shrinks), default=0.0) if online else 0.0
    remark = "crops smaller and larger; there, smaller only" if change else ""
    scale = round(min(change, 0.9), 6)
    reader.put("augmentation.scale", scale, "augmentor.shrinks", *switches, words=remark)
    if online:
        none: list[float] = []
        shears = reader.value("augmentor.shears", numbers, none)
        if shears:
            slant = min(max(map(abs, shears)), 0.5)
            reader.put("augmentation.shear", slant, "augmentor.shears", words=_DRAWN)
        _deformations(reader, is_on)
    _brightening(reader, is_on("brightening", False))
    for key in ("color_cast", "hue", "saturation"):
        reader.put(f"augmentation.{key}", 0.0, words=_NOT_IN_SOURCE)
    if not online:
        off = "augmentation is off: generator or [generator] augmentation is not True"
        reader.add_note("ignored", off, *(f"augmentor.{key}" for key in AUGMENTORS))


def _rotation(reader: Reader, turned: bool, switches: tuple[str, ...]) -> None:
    """Quarter turns where the angles hold some, and any angle as far as the others lie off."""
    angles = reader.value("augmentor.angles", numbers, [90.0, 180.0, 270.0])
    quarters = any(angle % 90 == 0 and angle % 360 for angle in angles)
    period = 90.0 if quarters else 360.0
    off = max((abs(math.remainder(angle, period)) for angle in angles), default=0.0)
    sources = ("augmentor.angles", "augmentor.rotation", *switches)
    drawn = turned and quarters
    remark = "90, 180 and 270 degrees" if drawn else ""
    used = sources if drawn else sources[1:]
    reader.put("augmentation.quarter_turns", drawn, *used, words=remark)
    if turned and off:
        remark = "any angle up to it, beside quarter turns" if quarters else "any angle up to it"
        reader.put("augmentation.rotation", off, *sources, words=remark)
    words = "no angle turns anything" if turned else "rotation is not True"
    reader.add_note("ignored", words, "augmentor.angles")


def _deformations(reader: Reader, is_on: IsOn) -> None:
    _elastic(reader, is_on)
    if is_on("distortion", False):
        amounts = reader.value("distortion.distortions", numbers, [0.02])
        reader.put(
            "augmentation.grid_distortion",
            min(max(map(abs, amounts), default=0.0), 0.2),
            "distortion.distortions",
            "augmentor.distortion",
            words="nodes of a grid are moved; there, smoothed noise",
        )
        _note_drawn_settings(reader, "distortion")
    lenses = {"barrel": "barrdistortion", "pincushion": "pincdistortion"}
    radii = []
    for key, section in lenses.items():
        if not is_on(section, False):
            continue
        amount = min(abs(reader.value(f"{section}.amount", finite, 0.5)), 0.9)
        sources = (f"{section}.amount", f"augmentor.{section}")
        reader.put(f"augmentation.{key}", amount, *sources, words=_DRAWN)
        radii.append(reader.value(f"{section}.radius", finite, 0.5))
    if radii:
        radius = min(max(*radii, 0.05), 1.0)
        keys = (f"{section}.radius" for section in lenses.values())
        reader.put("augmentation.lens_radius", radius, *keys)
        for section in lenses.values():
            _note_drawn_settings(reader, section)
    if is_on("sharpening", False):
        weight = min(abs(reader.value("sharpening.k", finite, 1.0)), 5.0)
        sources = ("sharpening.k", "augmentor.sharpening")
        remark = "weight of an unsharp mask; the kernel is another"
        reader.put("augmentation.sharpening", weight, *sources, words=remark)
    for key, details in DETAILS.items():
        reader.add_note("ignored", "it is off", f"augmentor.{key}", *details)


def _elastic(reader: Reader, is_on: IsOn) -> None:
    """Displacements there: noise from -1 to 1, smoothed by a Gaussian, times the amplitude.

    The noise has a standard deviation of 1 / sqrt(3), and smoothing divides it by
    2 sqrt(pi) sigma.
    """
    older, newer = is_on("transformer", False), is_on("deformation", False)
    if not older and not newer:
        return
    section = "deformation" if newer else "augmentor"
    names = [f"{section}.{key}" for key in ("alpah", "alpha", "sigmoid", "sigmoids")]
    amplitude = reader.value(names[0], finite, reader.value(names[1], finite, 1300.0))
    none: list[float] = []
    sigmas = [sigma for name in names[2:] for sigma in reader.value(name, numbers, none)] or [8.0]
    sigma = min(max(*sigmas, 4.0), 256.0)
    there = abs(amplitude) / (2.0 * math.sqrt(3.0 * math.pi) * sigma)
    most = min(there, _WITHOUT_FOLDS * sigma, 64.0)
    remark = f"there {there:.1f} px, which folds; as much as does not" if most < there else _DRAWN
    switches = ("augmentor.deformation", "augmentor.transformer")
    reader.put("augmentation.elastic", round(most, 6), *names[:2], *switches, words=remark)
    reader.put("augmentation.elastic_smoothness", sigma, *names[2:])


def _note_drawn_settings(reader: Reader, section: str) -> None:
    reader.add_note("unavailable", "places and smoothness are drawn here", *DETAILS[section])


def _brightening(reader: Reader, is_on: bool) -> None:
    gain, offset = "brightening.alpha", "brightening.beta"
    contrast = abs(reader.value(gain, finite, 1.2) - 1.0) if is_on else 0.0
    brightness = abs(reader.value(offset, finite, 10.0)) / 255.0 if is_on else 0.0
    remark = "drawn from both directions; there, one fixed change" if is_on else ""
    if not is_on:
        reader.add_note("ignored", "brightening is off", gain, offset)
    for key, value, name in (("brightness", brightness, offset), ("contrast", contrast, gain)):
        rounded = round(min(value, 0.9), 6)
        reader.put(f"augmentation.{key}", rounded, name, "augmentor.brightening", words=remark)
