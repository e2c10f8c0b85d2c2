"""What a worker says that is of no use any more."""


class BrokenWorkerError(Exception):
    """This process can compute nothing any more, such as after a fault of its GPU; another may.

    Executors end such a worker as if it had died: alive, it would fail every shard it is given.
    """
