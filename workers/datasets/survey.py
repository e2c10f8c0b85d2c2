"""Whether the images of a set fit, looked at before any work is done with them."""

from collections import Counter

from .image_set import ImageError, ImageSet, UnfitError

# Of a larger set, so many at equal distances are looked at.
MOST_HEADERS = 10_000
# Pixels are read of so many of the images whose headers leave it open whether they fit.
MOST_DECODED = 1_000


def survey(images: ImageSet) -> tuple[str, ...]:
    """What an account has to say of the images of a set; nothing where they lie in memory.

    Raises:
        UnfitError: one of those that were looked at has another size, mode or range than needed.
    """
    length = images.length
    if not length:
        return ()
    looked_at = spread(length, MOST_HEADERS)
    kinds: Counter[str] = Counter()
    unfit: list[UnfitError] = []
    unread: list[ImageError] = []
    undecided: list[int] = []
    for index in looked_at:
        try:
            header = images.header(index)
        except UnfitError as error:
            unfit.append(error)
        except ImageError as error:
            unread.append(error)
        else:
            if header is None:
                return ()
            kinds.update(header.kinds)
            if header.undecided:
                undecided.append(index)
    for position in spread(len(undecided), MOST_DECODED):
        try:
            images.image(undecided[position])
        except UnfitError as error:
            unfit.append(error)
        except ImageError as error:
            unread.append(error)
    whole = "" if len(looked_at) == length else f" of {len(looked_at):,} looked at"
    if unfit:
        others = f" ({len(unfit):,} images{whole} do not fit)" if len(unfit) > 1 else ""
        raise UnfitError(f"{unfit[0]}{others}")
    notes = [f"{count:,}{whole} {kind}" for kind, count in kinds.items()]
    if unread:
        notes.append(f"{len(unread):,}{whole} that cannot be read, such as: {unread[0]}")
    if not notes and whole:
        notes = [f"{len(looked_at):,} looked at"]
    return tuple(notes)


def spread(length: int, most: int) -> list[int]:
    """At most so many positions of a sequence, at equal distances, in order."""
    if length <= most:
        return list(range(length))
    return [position * length // most for position in range(most)]
