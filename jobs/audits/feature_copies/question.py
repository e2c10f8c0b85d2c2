"""Are its images copies by what networks see of them? One question over all feature spaces."""

from dataclasses import replace

from ...report.summary import p_value_words
from ...report.verdict import Answer, Finding, Null, Verdict
from ...report.view import View
from ..copies.answer import Evidence, answer_on_copies
from ..copies.plan import GENERATED
from ..copies.questions import copies_evidence, percent, placebo_words, reason_words


def feature_spaces(view: View) -> list[str]:
    """The spaces that the run looked for copies in, in the summary's order."""
    rows = view.summary.rows("copies_compared")
    return list(dict.fromkeys(str(row["condition"]) for row in rows if row["condition"]))


def copies_in_features(view: View) -> Verdict | None:
    """Whether some images are copies of training images in any of the spaces.

    Yes by the rule of the search in pixels, with each space's p-value times the number of spaces;
    no only if every space says no.
    """
    evidence = {space: copies_evidence(view, space) for space in feature_spaces(view)}
    found = {space: each for space, each in evidence.items() if each is not None}
    silent = [space for space in evidence if space not in found]
    if not evidence:
        return None
    answers: dict[Answer, float | None] = {}
    sentences = []
    if silent:
        answers["undecided"] = None
        sentences.append(
            f"Nothing can be said in {', '.join(silent)}: images failed there, or all held-out "
            "images come equally near to training images."
        )
    for space, each in found.items():
        corrected = replace(each, p_value=min(1.0, len(evidence) * each.p_value))
        answer, p_value, reason = answer_on_copies(corrected)
        known = answers.get(answer)
        worst = max if answer == "no" else min
        values = [value for value in (known, p_value) if value is not None]
        answers[answer] = worst(values) if values else None
        sentences.append(_sentence(space, each) + reason_words(reason, corrected))
    answer = _together(answers)
    finding = Finding(
        GENERATED,
        answer,
        " ".join(sentences),
        measured="; ".join(f"{space}: {percent(each.share)}" for space, each in found.items()),
        counted="".join(f"N = {each.share.n}" for each in list(found.values())[:1]),
        p_value=answers[answer],
        null=Null("no", " ".join(placebo_words(view, space) for space in found)),
    )
    question = "Does it copy training images, by what networks see of them?"
    return Verdict("feature-copies", question, "no", (finding,), "feature-copies")


def _together(answers: dict[Answer, float | None]) -> Answer:
    if "yes" in answers:
        return "yes"
    return "no" if set(answers) == {"no"} else "undecided"


def _sentence(space: str, evidence: Evidence) -> str:
    return (
        f"In features of {space} an estimated {percent(evidence.share)} of {evidence.share.n} "
        f"images are copies ({p_value_words(evidence.p_value)} without copies)."
    )
