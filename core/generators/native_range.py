"""Black and white of a network's own output: how to tell them, and what a few images say of them.

Nothing in a file says what they are, and a wrong pair gives images that are merely pale or dark.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Range = tuple[float, float]

# Of a tanh, of a sigmoid, of bytes; the narrowest first.
_USUAL: tuple[Range, ...] = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
_ROUNDING = 1e-4
# A network that ends in no bounded function leaves its range a little; this share of it is more.
_SLACK = 0.05
# Shares of the values that lie further out: so many, and another usual range holds them all; and
# so many that no image set looks like it.
_SUSPECT = 0.05
_IMPOSSIBLE = 0.25


class NativeRangeError(ValueError):
    """The native range is missing, or is not that of the network."""


def missing(line: str) -> str:
    """The message where nobody said it; ``line`` is what to add, for a network that ends in tanh.

    In a spec ``native_range: [-1, 1]``, in Python ``native_range=(-1, 1)``.
    """
    return (
        "native_range is missing: black and white of the network's own output, which nothing else "
        f"says. Add {line} if it ends in tanh, or was trained on images from -1 to 1 "
        "(Normalize(0.5, 0.5)); 0 and 1 if it ends in a sigmoid, or was trained on images from 0 "
        "to 1 (ToTensor alone); 0 and 255 if it makes bytes"
    )


def require_native_range(images: "Tensor", declared: Range = (0.0, 1.0)) -> None:
    """Refuses a range that a few images show to be wrong.

    Args:
        images: [N, C, H, W], brought to [0, 1] by the ``declared`` range.
        declared: (black, white) of the network's own output.

    Raises:
        NativeRangeError: over 5% of the values lie outside [0, 1] by more than 0.05 of it, and all
            of them within another usual range; or over 25% lie so, whatever the range.
    """
    low, high = _ends(images)
    if low >= -_SLACK and high <= 1 + _SLACK:
        return
    outside = _share(images, _SLACK)
    usual = _usual(images, declared)
    if outside <= (_SUSPECT if usual is not None else _IMPOSSIBLE):
        return
    likely = (
        "declare the range of the network's own output"
        if usual is None
        else f"its own values fit native_range [{usual[0]:g}, {usual[1]:g}]"
    )
    raise NativeRangeError(
        f"returned values from {low:.3g} to {high:.3g}, {100 * outside:.0f}% of them well outside, "
        f"but images must be in [0, 1], by the native range [{declared[0]:g}, {declared[1]:g}]: "
        f"{likely} (native_range of ModuleGenerator, or of the spec's network)"
    )


def native_range_remarks(images: "Tensor", declared: Range | None) -> tuple[str, ...]:
    """What looks wrong in a few images, without being impossible.

    Args:
        images: [N, C, H, W], brought to [0, 1] by the ``declared`` range.
        declared: (black, white) of the network's own output; None where the generator brings its
            images to [0, 1] itself.
    """
    low, high = _ends(images)
    remarks = []
    outside = _share(images, _ROUNDING)
    if outside:
        remarks.append(
            f"{100 * outside:.1f}% of the values of {len(images)} images lie outside [0, 1], from "
            f"{low:.3g} to {high:.3g}, and are not clipped; if the network is bounded, its "
            "native range is another"
        )
    usual = _usual(images, (-1.0, 1.0) if declared is None else declared)
    said = (-1.0, 1.0) if declared is None else declared
    if not outside and usual is not None and usual[1] - usual[0] < said[1] - said[0]:
        remedy = (
            "if it ends in a sigmoid, leave out the map from [-1, 1]"
            if declared is None
            else f"all fit native_range [{usual[0]:g}, {usual[1]:g}], the likelier one"
        )
        remarks.append(
            f"the values of {len(images)} images lie between {low:.3g} and {high:.3g} of [0, 1], "
            f"which looks wrong: the network's own, with [{said[0]:g}, {said[1]:g}] as black and "
            f"white, lie between {_native(low, said):.3g} and {_native(high, said):.3g}; {remedy}"
        )
    return tuple(remarks)


def usual_range(low: float, high: float) -> Range | None:
    """The narrowest of [0, 1], [-1, 1] and [0, 255] that holds values from ``low`` to ``high``."""
    for usual in _USUAL:
        slack = _ROUNDING * (usual[1] - usual[0])
        if usual[0] - slack <= low and high <= usual[1] + slack:
            return usual
    return None


def _ends(images: "Tensor") -> Range:
    return images.min().item(), images.max().item()


def _share(images: "Tensor", margin: float) -> float:
    return ((images < -margin) | (images > 1 + margin)).double().mean().item()


def _native(value: float, declared: Range) -> float:
    return declared[0] + value * (declared[1] - declared[0])


def _usual(images: "Tensor", declared: Range) -> Range | None:
    """The narrowest usual range, other than the declared one, that holds all native values."""
    low, high = (_native(end, declared) for end in _ends(images))
    for usual in _USUAL:
        slack = _ROUNDING * (usual[1] - usual[0])
        if usual != declared and usual[0] - slack <= low and high <= usual[1] + slack:
            return usual
    return None
