"""Does it dwell at training images along its latent? The exact test's answer, with its control."""

from ....core.statistics.copies import NEAREST
from ...report.left_out import left_out_words
from ...report.summary import Estimate, number
from ...report.verdict import ERROR_RATE, Finding, Null, Verdict
from ...report.view import View
from ..copies.plan import GENERATED, HELD_OUT
from ..copies.questions import NO_CONTROL
from ..copies.reduce import TRAINING

_NOT_ALIKE = (
    " But the held-out images do not lie among the training images as these do among themselves, "
    "so that nothing is decided. Name held-out images of the same origin and processing."
)


def dwells_at_training(view: View) -> Verdict | None:
    """Whether exchanging the labels "training" and "held out" matters along paths; never no.

    A generator that copies only some images, or each with a change, need not dwell at any.
    """
    p_value, alike, blind = (
        view.find(metric, GENERATED)
        for metric in ("path_dwell_p", "path_p_alike", "path_dwell_blind")
    )
    if p_value is None or blind is None:
        return _too_few(view)
    dwells = p_value.value <= ERROR_RATE
    is_alike = alike is not None and alike.value > ERROR_RATE
    sentence = (
        f"{_dwelling(view)} The exact test, which exchanges the labels, gives p = "
        f"{number(p_value.value, 2)} of {p_value.n} paths. A few copies among many images are not "
        "seen so."
    )
    if blind.value > ERROR_RATE:
        sentence += (
            f" {100 * blind.value:.0f}% of exchanges leave all images nearest to the paths "
            "training images and say little of copying, so that even a generator that has "
            "memorised them all can be missed: name more held-out images, or take more paths."
        )
    if dwells and not is_alike:
        sentence += NO_CONTROL if alike is None else _NOT_ALIKE
    sentence += left_out_words(view, "latent_paths", GENERATED, "paths")
    finding = Finding(
        GENERATED,
        "yes" if dwells and is_alike else "undecided",
        sentence,
        measured=f"p = {number(p_value.value, 2)} by the exact test",
        counted=f"N = {p_value.n} paths",
        p_value=p_value.value,
        null=Null("no", _control_words(alike)),
    )
    return Verdict("dwells", _QUESTION, "no", (finding,), "latent_paths")


_QUESTION = "Does it dwell at training images along its latent?"


def _too_few(view: View) -> Verdict | None:
    """The open answer where paths were walked, and hardly one of them can be used."""
    usable = view.find("path_usable", GENERATED)
    if usable is None:
        return None
    sentence = (
        f"{usable.value:.0f} of its paths can be used, but two are needed: nothing is decided."
        f"{left_out_words(view, 'latent_paths', GENERATED, 'paths')}"
    )
    finding = Finding(GENERATED, "undecided", sentence, counted=f"N = {usable.n} paths")
    return Verdict("dwells", _QUESTION, "no", (finding,), "latent_paths")


def _control_words(alike: Estimate | None) -> str:
    if alike is None:
        return "The exchange of labels for held-out images in their place can say nothing."
    return (
        "The exchange of labels for held-out images in the place of generated ones gives p = "
        f"{number(alike.value, 2)} (N = {alike.n})."
    )


def _dwelling(view: View) -> str:
    training, held_out = (
        view.find("path_dwell", GENERATED, against=against) for against in (TRAINING, HELD_OUT)
    )
    if training is None or held_out is None:
        return (
            "How much it dwells is not said: with so many more training than held-out images, over "
            f"5% of the points along paths have none of as many of either kind among the {NEAREST} "
            "nearest."
        )
    return (
        f"Along {training.n} paths it dwells at training images by {training.text()}, and at as "
        f"many held-out images by {held_out.text()}, where 1 is standing still on them."
    )
