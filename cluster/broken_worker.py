"""What a worker says that is of no use any more."""


class BrokenWorkerError(Exception):
    """This process can compute nothing any more, such as after a fault of its GPU; another may."""
