"""Are its images copies? Are they nearer to training images? Two questions, each with a control."""

from ....core.culprits.copies import REPLAYS
from ...report.left_out import left_out_words
from ...report.summary import Estimate, p_value_words
from ...report.verdict import ERROR_RATE, Finding, Null, Verdict
from ...report.view import View
from .answer import RARE, SEEN, Evidence, Reason, answer_on_copies
from .plan import GENERATED
from .reduce import PLACEBO, TRAINING


def copies_training_images(view: View) -> Verdict | None:
    """Whether some images are copies of training images, by the rule of `answer_on_copies`."""
    evidence = copies_evidence(view)
    detectable, found, held_out = (
        _of(view, metric) for metric in ("copies_detectable", "copies_found", "copies_held_out")
    )
    if evidence is None or detectable is None or found is None or held_out is None:
        return _none_is_told(view)
    share = evidence.share
    answer, p_of_answer, reason = answer_on_copies(evidence)
    sentence = (
        f"An estimated {percent(share)} of {share.n} images are copies of training images, as they "
        "are or flipped, shifted, enlarged or of another brightness ("
        f"{p_value_words(evidence.p_value)} without copies, among {held_out.value:.0f} held-out "
        f"images); {found.value:.0f} of them are at a false discovery rate of "
        f"{100 * ERROR_RATE:.0f}%. "
        f"{_detectable(detectable)}{shared_words(view)}{reason_words(reason, evidence)}"
        f"{left_out_words(view, 'copies', GENERATED)}"
    )
    finding = Finding(
        GENERATED,
        answer,
        sentence,
        measured=f"{percent(share)} are copies",
        counted=f"N = {share.n}",
        p_value=p_of_answer,
        null=Null("no", placebo_words(view)),
    )
    return Verdict("copies", _COPIES, "no", (finding,), "copies")


_COPIES = "Does it copy training images?"


def _none_is_told(view: View) -> Verdict | None:
    """The open answer where the images were compared, and no share of copies came of it."""
    compared = view.find("nearer_p", GENERATED, None)
    if compared is None:
        return None
    sentence = (
        "All held-out images come equally near to training images, so that none tells a copy from "
        "them: nothing is decided. Name held-out images that differ from each other, and that are "
        "not among the training images."
    )
    finding = Finding(GENERATED, "undecided", sentence, counted=f"N = {compared.n}")
    return Verdict("copies", _COPIES, "no", (finding,), "copies")


def nearer_to_training(view: View) -> Verdict | None:
    """Whether exchanging the labels "training" and "held out" matters; never no.

    The exact test needs no assumption of the generator but that both sets were drawn alike.
    """
    p_value, share, expected, fewest, alike = (
        view.find(metric, GENERATED, None)
        for metric in (
            "nearer_p",
            "nearer_share",
            "nearer_expected",
            "nearer_fewest",
            "copies_p_alike",
        )
    )
    if p_value is None or share is None or expected is None or fewest is None:
        return None
    is_nearer = p_value.value <= ERROR_RATE
    is_shared = _is_shared(view)
    is_alike = alike is not None and alike.value > ERROR_RATE
    sentence = (
        f"{100 * share.value:.1f}% of {share.n} images have a training image as their nearest, "
        f"where {100 * expected.value:.1f}% are expected if training images are like any others; "
        f"the exact test, which exchanges the labels, gives {p_value_words(p_value.value)}. It "
        f"cannot see fewer than {fewest.value:.0f} copies, and images that lean towards training "
        "images need be no copies."
    )
    if is_shared:
        sentence += shared_words(view) + _SHARED
    elif is_nearer and not is_alike:
        sentence += NO_CONTROL if alike is None else _NOT_ALIKE
    finding = Finding(
        GENERATED,
        "yes" if is_nearer and is_alike and not is_shared else "undecided",
        sentence,
        measured=f"{p_value_words(p_value.value)} by the exact test",
        counted=f"N = {share.n}",
        p_value=p_value.value,
        null=Null("no", _alike_sentence(alike)),
    )
    question = "Are its images nearer to its training images than to others like them?"
    return Verdict("nearer", question, "no", (finding,), "copies")


_NOT_ALIKE = (
    " But the held-out images do not lie among the training images as these do among themselves, "
    "so that every generator's images would seem to be nearer: nothing is decided. Name held-out "
    "images of the same origin and processing."
)


def percent(share: Estimate) -> str:
    """A share with its interval, in per cent."""
    text = share.scaled(100).fixed(2)
    value, _, bounds = text.partition(" ")
    return f"{value}% {bounds}".rstrip()


def _of(
    view: View, metric: str, against: str = TRAINING, space: str | None = None
) -> Estimate | None:
    return view.find(metric, GENERATED, space, against=against)


def copies_evidence(view: View, space: str | None = None) -> Evidence | None:
    """What the summary has on copies in a feature space, by default in pixels; None for nothing."""
    share, p_value = (_of(view, metric, space=space) for metric in ("copies_share", "copies_p"))
    if share is None or p_value is None:
        return None
    alike = view.find("copies_p_alike", GENERATED, space)
    placebo = _of(view, "copies_p", PLACEBO, space)
    return Evidence(
        p_value.value,
        share,
        None if placebo is None else placebo.value,
        None if alike is None else alike.value,
        [kind for kind in REPLAYS if not _is_seen(view, kind, space)],
        _shared_p(view),
    )


def _shared_p(view: View) -> float | None:
    found = view.find("copies_shared_p", GENERATED, None)
    return None if found is None else found.value


def _is_shared(view: View) -> bool:
    p_value = _shared_p(view)
    return p_value is not None and p_value <= ERROR_RATE


def shared_words(view: View) -> str:
    """How many held-out images equal training images, as a sentence; empty where none does."""
    shared = view.find("copies_shared", GENERATED, None)
    if shared is None or not shared.value:
        return ""
    return f" {shared.value:.0f} of {shared.n} held-out images equal a training image."


def reason_words(reason: Reason, evidence: Evidence) -> str:
    """Words for why it is this answer and not another."""
    if reason == "unseen":
        names = ", ".join(kind.removeprefix("replay-") for kind in evidence.unseen)
        return (
            f" Of copies that were planted among the images less than {100 * SEEN:.0f}% are seen "
            f"({names}), so that none being found says little."
        )
    if reason == "rare":
        return f" So fewer than {100 * RARE:.0f}% are copies of the kinds that are seen."
    return {
        "shared": _SHARED,
        "no control": NO_CONTROL,
        "not alike": _NOT_ALIKE,
        "loud": _LOUD,
    }.get(reason, "")


NO_CONTROL = (
    " But the controls can say nothing, since the held-out images are hardly told from each other: "
    "nothing is decided. Name held-out images that are not copies of a few."
)
"""Said where a control could not speak up whatever it saw."""


_SHARED = (
    " More held-out images equal a training image than training images equal each other: some of "
    "them are training images, so that nothing is decided. Name images that it was not trained on."
)


_LOUD = (
    " But it finds copies also where there can be none, so that nothing is decided: the "
    "generator's images are nearer to any real images than real ones are."
)


def _is_seen(view: View, kind: str, space: str | None) -> bool:
    seen = _of(view, "copies_seen", kind, space)
    return seen is not None and seen.value >= SEEN


def _detectable(detectable: Estimate) -> str:
    if detectable.value > 1:
        return "With so few images not even copies alone could be told."
    return f"A share of {100 * detectable.value:.1f}% would be found in 95 of 100 cases."


def placebo_words(view: View, space: str | None = None) -> str:
    """What the placebo says, in a sentence."""
    share, p_value = (_of(view, metric, PLACEBO, space) for metric in ("copies_share", "copies_p"))
    if share is None or p_value is None:
        return "The placebo gave no result."
    return (
        "The placebo, the same question about held-out images that cannot have been copied, gives "
        f"{percent(share)} ({p_value_words(p_value.value)})."
    )


def _alike_sentence(alike: Estimate | None) -> str:
    if alike is None:
        return "The same test with held-out images in the place of generated ones can say nothing."
    return (
        "The same test with held-out images in the place of generated ones, for being nearer to "
        f"each other than to training images, gives {p_value_words(alike.value)} (N = {alike.n})."
    )
