"""Plain words on how far the likelihood estimates can be trusted."""

from ...report.view import View


def sandwich_sentences(view: View) -> list[str]:
    """What the gap between upper and lower bound certifies, per simulated group and estimator."""
    sentences = []
    for group in view.context.with_role("simulated"):
        gaps = [_gap_words(each, group.name) for each in view.by_estimator()]
        known = [words for words in gaps if words]
        if known:
            sentences.append(
                f"On images simulated from the model ({group.name}), whose latents are known, an "
                f"upper bound lies {'; '.join(known)}. The true ln p is between them in "
                "expectation. This certificate is of the model's own images alone."
            )
    return sentences


def _gap_words(view: View, group: str) -> str:
    nats, bits, middle = (
        view.find(f"sandwich_gap{end}", group) for end in ("", "_bits_per_dim", "_median")
    )
    if nats is None or bits is None:
        return ""
    typical = "" if middle is None else f", {middle.text()} in the median"
    return (
        f"{nats.text()} nats ({bits.text()} bits per dimension) above the "
        f"{view.estimator_prefix}estimate on average{typical} (N = {nats.n})"
    )


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
    named = []
    for each in view.by_estimator():
        shares = each.by_group("best_chain_share")
        if shares:
            group = max(shares, key=lambda name: shares[name].value)
            named.append(f"of a {each.estimator_prefix}estimate {shares[group].fixed(2)} ({group})")
    agreed = (
        f"The best chain's share of the weight, in the group where it is largest: "
        f"{', '.join(named)}. Near 1 one chain decides, and the others do not confirm it."
    )
    return [
        *([agreed] if named else []),
        *(
            sentence
            for each in view.by_estimator()
            for sentence in (*_prior_sentences(each), *_settled_sentences(each))
        ),
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
