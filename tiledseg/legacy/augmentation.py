"""Online augmentation of the source program: what an experiment can say of it."""

from tiledseg.legacy.reader import Reader
from tiledseg.legacy.reasons import AUGMENTORS, DETAILS, UNAVAILABLE
from tiledseg.legacy.values import finite, numbers, switch

_NOT_IN_SOURCE = "the source program has nothing like it"


def translate_augmentation(reader: Reader) -> None:
    """Put down the settings of ``augmentation``, and tell what it cannot say."""
    switches = ("model.generator", "generator.augmentation")
    online = reader.value(switches[0], switch, False) and reader.value(switches[1], switch, True)

    def asked(name: str, default: bool) -> bool:
        return reader.value(f"augmentor.{name}", switch, default) and online

    for flip in ("hflip", "vflip"):
        reader.put(f"augmentation.{flip}", asked(flip, True), f"augmentor.{flip}", *switches)
    angles = reader.value("augmentor.angles", numbers, [60.0, 120.0, 180.0, 240.0, 300.0])
    quarters = [angle for angle in angles if angle % 90 == 0 and angle % 360]
    turned = asked("rotation", True)
    reader.put(
        "augmentation.quarter_turns", turned and bool(quarters), "augmentor.rotation", *switches
    )
    shrinks = reader.value("augmentor.shrinks", numbers, [0.8])
    change = max((abs(1.0 - shrink) for shrink in shrinks), default=0.0) if online else 0.0
    remark = "crops smaller and larger; there, smaller only" if change else ""
    scale = round(min(change, 0.9), 6)
    reader.put("augmentation.scale", scale, "augmentor.shrinks", *switches, words=remark)
    _brightening(reader, asked("brightening", False))
    for key in ("color_cast", "hue", "saturation"):
        reader.put(f"augmentation.{key}", 0.0, words=_NOT_IN_SOURCE)
    if not online:
        off = "augmentation is off: generator or [generator] augmentation is not True"
        reader.tell("ignored", off, *(f"augmentor.{key}" for key in AUGMENTORS))
        return
    if not turned:
        reader.tell("ignored", "rotation is not True", "augmentor.angles")
    elif quarters != angles:
        only = "quarter turns alone are available; other angles are left out"
        reader.tell("unavailable", only, "augmentor.angles")
    reader.tell("ignored", "all quarter turns are drawn", "augmentor.angles")
    for key, (is_list, feature) in UNAVAILABLE.items():
        name = f"augmentor.{key}"
        listed: list[float] = reader.value(name, numbers, []) if is_list else []
        on = bool(listed) or (not is_list and asked(key, False))
        details = DETAILS.get(key, ())
        if on:
            reader.tell("unavailable", f"{feature} is not available, and left out", name, *details)
        else:
            reader.tell("ignored", f"{feature} is off", name, *details)


def _brightening(reader: Reader, asked: bool) -> None:
    gain, offset = "brightening.alpha", "brightening.beta"
    contrast = abs(reader.value(gain, finite, 1.2) - 1.0) if asked else 0.0
    brightness = abs(reader.value(offset, finite, 10.0)) / 255.0 if asked else 0.0
    remark = "drawn from both directions; there, one fixed change" if asked else ""
    if not asked:
        reader.tell("ignored", "brightening is off", gain, offset)
    for key, value, name in (("brightness", brightness, offset), ("contrast", contrast, gain)):
        rounded = round(min(value, 0.9), 6)
        reader.put(f"augmentation.{key}", rounded, name, "augmentor.brightening", words=remark)
