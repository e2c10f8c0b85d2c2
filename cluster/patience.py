"""For how long a worker is waited for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """For how long a worker is waited for.

    Args:
        heartbeat_seconds: without an answer from its process, or with answers that say that the
            working thread used no CPU time all the while. Longer than any pause in honest work,
            and than the minute after which Ray declares a node dead that is out of reach.
        shard_seconds: for one step, whatever it answers: work that is busy and gets nowhere.
        memory_seconds: until workers that a lack of memory has ended are replaced, at first.
    """

    heartbeat_seconds: float = 600.0
    shard_seconds: float = 86_400.0
    memory_seconds: float = 5.0
