"""Plain words on how far the likelihood estimates can be trusted.

Every function speaks of the estimator of the view that it is given.
"""

from ...report.view import View


def sandwich_sentences(view: View) -> list[str]:
    """What the gap between upper and lower bound certifies, per simulated group."""
    sentences = []
    for group in view.context.with_role("simulated"):
        nats = view.find("sandwich_gap", group.name)
        bits = view.find("sandwich_gap_bits_per_dim", group.name)
        middle = view.find("sandwich_gap_median", group.name)
        if nats is not None and bits is not None:
            typical = "" if middle is None else f" and {middle.text()} nats in the median"
            sentences.append(
                f"On {nats.n} images simulated from the model, whose latents are known, an upper "
                f"bound lies {nats.text()} nats ({bits.text()} bits per dimension) above the "
                f"{view.estimator_prefix}estimate on average{typical}, with the true ln p "
                "between them in expectation. This certificate applies only to the model's own "
                "images."
            )
    return sentences


def certificate_line(view: View) -> str | None:
    """The sandwich gap of the first simulated group, in one line."""
    for group in view.context.with_role("simulated"):
        gap = view.find("sandwich_gap", group.name)
        middle = view.find("sandwich_gap_median", group.name)
        if gap is not None:
            typical = "" if middle is None else f", in the median {middle.text()}"
            return (
                f"on images simulated from the model the two bounds on ln p lie {gap.text()} nats "
                f"apart on average{typical} (N = {gap.n})"
            )
    return None


def chain_sentences(view: View) -> list[str]:
    """What the chains say: how they agree, where the best started, and how many rows settled."""
    sentences = []
    shares = view.by_group("best_chain_share")
    if shares:
        group = max(shares, key=lambda name: shares[name].value)
        sentences.append(
            f"The best chain of a {view.estimator_prefix}estimate carries "
            f"{shares[group].fixed(2)} of its weight on {group} images, the most of any group; "
            "where that is near 1, one chain decides and the others do not confirm it."
        )
    return [
        *sentences,
        *_prior_sentences(view),
        *_settled_sentences(view),
    ]


def _prior_sentences(view: View) -> list[str]:
    shares = view.by_group("prior_won_share")
    if not shares:
        return []
    group = max(shares, key=lambda name: shares[name].value)
    if shares[group].value == 0:
        return [
            "The best chain never started from the prior, always from a mode that the search found."
        ]
    return [
        f"The best chain had started from the prior, and not from a mode that the search found, "
        f"in {shares[group].scaled(100).fixed(0)}% of the estimates on {group} images, the most of "
        "any group: where this is common, the search misses what makes these images likely."
    ]


def _settled_sentences(view: View) -> list[str]:
    shares = view.by_group("settled_share")
    if not shares:
        return []
    group = min(shares, key=lambda name: shares[name].value)
    if shares[group].value == 1:
        return [f"Every {view.estimator_prefix}estimate settled within the tolerance of the spec."]
    return [
        f"Of the {view.estimator_prefix}estimates on {group} images "
        f"{shares[group].scaled(100).fixed(0)}% settled within the tolerance of the spec, the "
        "fewest of any group; the others stopped at its cap."
    ]
