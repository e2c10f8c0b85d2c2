"""What is left to run of a stage."""

from collections.abc import Iterator, Set

from ...cluster.executor import Task
from ..plan.shards import Shards


class PendingTasks:
    """The tasks of those shards whose parts are not there, each made when it is asked for.

    Args:
        stage: what they are parts of.
        shards: all of the stage.
        finished: ids of those that need not run; others may be among them.
    """

    def __init__(self, stage: str, shards: Shards, finished: Set[str]) -> None:
        self._stage = stage
        self._shards = shards
        self._finished = finished
        left = [size for shard, size in shards.sizes if shard not in finished]
        self._count = len(left)
        self.items = sum(left)
        """How many items they have together."""

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Task]:
        for shard_id, shard in self._shards.with_ids():
            if shard_id not in self._finished:
                yield Task(shard_id, shard, len(shard.items), self._stage)
