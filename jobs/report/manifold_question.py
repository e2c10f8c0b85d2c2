"""Do the data lie on the generator's manifold?"""

from ..reduce.context import GeneratorInfo, GroupInfo, ReduceContext
from ..reduce.schema import OWN
from .summary import Estimate, Summary, number
from .verdict import Answer, Finding, Verdict, decide, first_decides

# Training images whose squared error is within a quarter of the generated images' own count as on
# the manifold: inversion itself is not reproducible much below that.
ON_MANIFOLD_RATIO = 1.25
# Below this PSNR of the generator's own images, inversion is the limit, not the manifold.
CONTROL_PSNR = 30.0


def on_manifold(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo
) -> Verdict | None:
    """Whether inversion leaves the data no more error than the generator's own images."""
    findings = []
    for reference in context.with_role("generated"):
        for group in context.with_role("train", "test"):
            ratio = summary.find(
                "reconstruction_ratio",
                generator=generator.name,
                group=group.name,
                against=reference.name,
                conditions=(OWN, None),
            )
            if ratio is not None:
                findings.append(_manifold_finding(summary, generator, group, reference, ratio))
    if not any(finding.primary for finding in findings):
        findings = first_decides(findings)
    question = "Do the data lie on the generator's manifold?"
    return Verdict("manifold", question, "yes", tuple(findings), "manifold") if findings else None


def _manifold_finding(
    summary: Summary,
    generator: GeneratorInfo,
    group: GroupInfo,
    reference: GroupInfo,
    ratio: Estimate,
) -> Finding:
    side = decide(ratio, ON_MANIFOLD_RATIO)
    answer: Answer = "no" if side == "above" else "yes" if side == "below" else "undecided"
    psnrs = [
        summary.find(
            "psnr_of_mean_mse",
            generator=generator.name,
            group=name,
            conditions=(ratio.condition,),
        )
        for name in (group.name, reference.name)
    ]
    sentence = (
        f"Inversion leaves {group.name} images {ratio.text()} times the median squared error that "
        f"it leaves the generator's own images (up to {ON_MANIFOLD_RATIO} counts as on it)"
    )
    if psnrs[0] is not None and psnrs[1] is not None:
        sentence += (
            f": {number(psnrs[0].value)} dB against {number(psnrs[1].value)} dB, "
            f"N = {psnrs[0].n} and {psnrs[1].n}"
        )
        if psnrs[1].value < CONTROL_PSNR:
            sentence += (
                ". The generator's own images come back poorly themselves, so part of this "
                "distance is inversion's"
            )
    counted = psnrs[0].n if psnrs[0] is not None else ratio.n
    return Finding(
        group.name,
        answer,
        sentence + ".",
        primary=group.role == "train",
        measured=f"{group.name}: {ratio.text()} × the median error of the generator's own images; "
        f"up to {ON_MANIFOLD_RATIO} × counts as on it",
        counted=f"N = {counted}",
    )
