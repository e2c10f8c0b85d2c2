"""Names under which a run or a job keeps its spec, which there means what is written."""

SPEC_FILE = "audit.yaml"
"""The spec of a run, in its directory."""

PROVENANCE_FILE = "provenance.json"
"""What a run says of itself: beside it, a ``SPEC_FILE`` is a run's and no user's."""

JOB_SPEC = "offmanifold-job.yaml"
"""The spec that travels with a job to its cluster."""

RUN_KEY, NAME_KEY = "offmanifold_run", "name"
"""A job's metadata that say where its run is, and what its spec is called."""
