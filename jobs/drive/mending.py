"""Damaged parts of a run: noticed, moved aside, computed again, and counted."""

import json
import logging
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from ...workers.json_file import MOST_BYTES, MOST_NAMES, parse_json
from ...workers.part_file import PARTS_AT_ONCE, PartError, check_part
from ...workers.schema import TableSchema
from ...workers.shard import shard_id_of
from ..plan.shards import Shards
from ..record.journal import Journal
from ..record.run_directory import DAMAGED, RunDirectory

logger = logging.getLogger(__name__)

# A part that is damaged whenever it is written is no accident.
_MOST_REPAIRS = 2
# Parts from which others may have been computed while they were damaged, until those are withdrawn:
# the driver may be killed in between.
_TAINTED_FILE = f"{DAMAGED}/tainted.json"


class Mending:
    """What a driver does about damage, through all its attempts at the run.

    A worker refuses what it cannot prove. So what was computed from a part with a seal is good,
    whatever became of that part later. Of a part that shows no seal nobody knows since when it was
    damaged: what was computed from it is computed again as well, and what was computed from that.

    Args:
        run: the run.
        log: told of every part that is moved aside.
    """

    def __init__(self, run: RunDirectory, log: Journal) -> None:
        self._run = run
        self._log = log
        self._checked: set[tuple[str, str]] = set()
        self._damaged: Counter[str] = Counter()
        self._tainted: set[str] = _tainted_before(run)
        # A part and a tainted one that it names, of which the first is made after the second.
        self._settled: set[tuple[str, str]] = set()
        self.mended = 0
        """How many parts were moved aside to be computed again."""

    def check(self, table: TableSchema, shards: Shards, finished: set[str]) -> set[str]:
        """Reads every byte of the finished parts of a stage's plan; moves aside what is not good.

        Returns:
            The ids of the planned shards whose parts are good.

        Raises:
            PartError: a part that is damaged again and again.
        """
        here = [shard for shard in shards.ids if shard in finished]
        unread = [shard for shard in here if (table.name, shard) not in self._checked]
        gone = set()
        unsealed = 0
        for shard_id, found in zip(unread, self._states(table, unread), strict=True):
            if isinstance(found, PartError):
                self.take(found)
                gone.add(shard_id)
            else:
                self._checked.add((table.name, shard_id))
                unsealed += not found
        if unsealed:
            logger.warning(
                "stage %s: %d parts were written by a version that sealed none: damage in them is "
                "found only where it makes no sense",
                table.name,
                unsealed,
            )
        return set(here) - gone - self._move_tainted(shards, set(here) - gone)

    def take(self, error: PartError) -> None:
        """Moves a damaged part aside.

        Raises:
            PartError: the same, where it is damaged again and again.
        """
        if self._damaged[error.part] >= _MOST_REPAIRS:
            raise error
        self._damaged[error.part] += 1
        self._move(error.part, error.problem, tainted=not error.sealed)

    def finish(self) -> None:
        """Says that the run is complete: nothing is left that was computed from damage."""
        if self._tainted:
            self._tainted.clear()
            self._run.storage.delete(_TAINTED_FILE)

    def _move_tainted(self, shards: Shards, here: set[str]) -> set[str]:
        """Moves aside the parts whose shards name a tainted one, but for those made since then."""
        if not self._tainted:
            return set()
        moved = set()
        for shard_id, shard in shards.with_ids():
            named = {(shard.part, part) for part in self._tainted if shard.names(_id_of(part))}
            unsettled = named - self._settled
            if shard_id in here and unsettled:
                _, source = min(unsettled)
                self._move(shard.part, f"was computed from {source}", tainted=True)
                moved.add(shard_id)
            self._settled |= named
        return moved

    def _move(self, part: str, problem: str, *, tainted: bool) -> None:
        if tainted:
            self._tainted.add(part)
            self._settled = {pair for pair in self._settled if pair[1] != part}
            content = json.dumps(sorted(self._tainted)).encode()
            self._run.storage.write(_TAINTED_FILE, content)
        self.mended += 1
        self._checked.discard((part.partition("/")[0], _id_of(part)))
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


def _tainted_before(run: RunDirectory) -> set[str]:
    """What an earlier driver, which did not come to its end, has left."""
    if not run.storage.exists(_TAINTED_FILE):
        return set()
    try:
        content = run.storage.read(_TAINTED_FILE, MOST_BYTES)
        return {str(part) for part in parse_json(content, most_values=MOST_NAMES)}
    except (ValueError, TypeError):
        return set()


def _id_of(part: str) -> str:
    return shard_id_of(part.rpartition("/")[2])
