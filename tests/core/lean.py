"""The guided estimator as it was on decoders of known density: enough there, at a small cost."""

from offmanifold.core.settings.guided import GuidedSettings

LEAN = GuidedSettings(
    transitions=66,
    restarts=24,
    candidates=32,
    bank=0,
    iterations=66,
    finalists=8,
    final_iterations=0,
    polish=2,
    inflation=1.5,
)
