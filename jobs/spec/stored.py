"""Files that hold a spec as a run resolved it: what is in them is meant as it is written."""

SPEC_FILE = "audit.yaml"
"""The spec of a run, in its directory."""

PROVENANCE_FILE = "provenance.json"
"""What a run says of itself: beside it, a ``SPEC_FILE`` is a run's and no user's."""

JOB_SPEC = "offmanifold-job.yaml"
"""The spec that travels with a job to its cluster."""
