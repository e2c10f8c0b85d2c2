"""What is left to run of a stage."""

from collections.abc import Callable, Iterator, Set

from ...cluster.executor import Task
from ...workers.shard import Shard
from ..plan.shards import Shards


class PendingTasks:
    """The tasks of those shards whose parts are not there, each made when it is asked for.

    Args:
        stage: what they are parts of.
        shards: all of the stage.
        finished: ids of those that need not run; others may be among them.
        takes: which of the stage's shards are meant; None for all of them.
    """

    def __init__(
        self,
        stage: str,
        shards: Shards,
        finished: Set[str],
        takes: Callable[[Shard], bool] | None = None,
    ) -> None:
        self._stage = stage
        self.shards = shards
        """All of the stage."""
        self._finished = finished
        self._takes = takes
        self.all_shards, self.all_items = 0, 0
        """How many of the stage's shards are meant, finished or not, and their items."""
        self._count, self.items = 0, 0
        """How many items are left."""
        for shard, size in shards.sizes if takes is None else self._sizes():
            self.all_shards += 1
            self.all_items += size
            if shard not in finished:
                self._count += 1
                self.items += size

    def _sizes(self) -> Iterator[tuple[str, int]]:
        for shard_id, shard in self._taken():
            yield shard_id, len(shard.items)

    def _taken(self) -> Iterator[tuple[str, Shard]]:
        for shard_id, shard in self.shards.with_ids():
            if self._takes is None or self._takes(shard):
                yield shard_id, shard

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Task]:
        for shard_id, shard in self._taken():
            if shard_id not in self._finished:
                yield Task(shard_id, shard, len(shard.items), self._stage)
