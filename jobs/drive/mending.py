"""Damaged parts of a run: noticed, moved aside, computed again, and counted."""

import logging
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from ...workers.part_file import PARTS_AT_ONCE, PartError, check_part
from ...workers.schema import TableSchema
from ...workers.shard import Shard, shard_id_of
from ..plan.shards import Shards
from ..record.journal import Journal
from ..record.run_directory import DAMAGED, RunDirectory

logger = logging.getLogger(__name__)

# A part that is damaged whenever it is written is no accident.
_MOST_REPAIRS = 2


class Mending:
    """What a driver does about damage, through all its attempts at the run.

    Args:
        run: the run.
        log: told of every part that is moved aside.
    """

    def __init__(self, run: RunDirectory, log: Journal) -> None:
        self._run = run
        self._log = log
        self._checked: set[tuple[str, str]] = set()
        self._damaged: Counter[str] = Counter()

    @property
    def mended(self) -> int:
        """How many parts were moved aside to be computed again."""
        return self._damaged.total()

    def check(self, table: TableSchema, shards: Shards, finished: set[str]) -> set[str]:
        """Reads the finished parts of a stage's plan, every byte, and moves aside what is damaged.

        So is a part without a seal whose shard names a damaged one: it may have been computed from
        the damage. One with a seal was not, since its worker refused what it could not prove.

        Returns:
            The ids of the planned shards whose parts are good.

        Raises:
            PartError: a part that is damaged again and again.
        """
        here = [shard for shard in shards.ids if shard in finished]
        unread = [shard for shard in here if (table.name, shard) not in self._checked]
        damaged, unsealed = set(), set()
        for shard_id, found in zip(unread, self._states(table, unread), strict=True):
            self._checked.add((table.name, shard_id))
            if isinstance(found, PartError):
                self.take(found)
                damaged.add(shard_id)
            elif not found:
                unsealed.add(shard_id)
        if unsealed:
            logger.warning(
                "stage %s: %d parts were written by a version that sealed none: damage in them is "
                "found only where it makes no sense",
                table.name,
                len(unsealed),
            )
        if unsealed and self._damaged:
            for shard_id, shard in shards.with_ids():
                source = self._damaged_source(shard) if shard_id in unsealed else None
                if source is not None:
                    self._move(shard.part, f"was computed from {source}")
                    damaged.add(shard_id)
        return set(here) - damaged

    def take(self, error: PartError) -> None:
        """Moves a damaged part aside.

        Raises:
            PartError: the same, where it is damaged again and again.
        """
        if self._damaged[error.part] >= _MOST_REPAIRS:
            raise error
        self._move(error.part, error.problem)

    def _move(self, part: str, problem: str) -> None:
        self._damaged[part] += 1
        self._checked.discard(_stage_and_shard(part))
        self._run.set_aside([part], DAMAGED)
        self._log.damaged(part, problem)
        logger.warning("%s %s: moved to %s, and computed again", part, problem, DAMAGED)

    def _states(self, table: TableSchema, shard_ids: list[str]) -> Iterator[bool | PartError]:
        """Whether each part has a seal, or what is wrong with it."""

        def state(shard_id: str) -> bool | PartError:
            try:
                return check_part(self._run.storage, table, shard_id)
            except PartError as error:
                return error

        with ThreadPoolExecutor(PARTS_AT_ONCE) as pool:
            yield from pool.map(state, shard_ids)

    def _damaged_source(self, shard: Shard) -> str | None:
        """A damaged part that the shard names."""
        for part in self._damaged:
            if shard.names(_stage_and_shard(part)[1]):
                return part
        return None


def _stage_and_shard(part: str) -> tuple[str, str]:
    stage, _, name = part.partition("/")
    return stage, shard_id_of(name)
