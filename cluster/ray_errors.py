"""What can go wrong with a Ray cluster as such, whoever computes on it."""


class ClusterError(Exception):
    """A cluster could not be joined or started, or is gone; the message says what to do."""


class TokenError(ClusterError):
    """A cluster refuses our token, or we have none."""


class SubmissionError(ClusterError):
    """A cluster's job interface was asked for what it cannot do, and nothing was done."""
