"""Opening files that others may have left: regular ones alone, without waiting for any.

A pipe is waited for until somebody writes into it, and a device such as ``/dev/zero`` has no end.
"""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class NotRegularError(OSError):
    """What has this name is no regular file."""


class FileTooLargeError(OSError):
    """A file holds more than its kind ever does."""


def open_regular(path: Path) -> BufferedReader:
    """The file, open for reading.

    Raises:
        NotRegularError: a folder, a pipe, a device or a socket, or a link to one.
        OSError: it cannot be opened.
    """
    # Without this flag, opening a pipe waits for its writer.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        if path.is_symlink():
            told = "it is a link to nothing, not a regular file"
            raise NotRegularError(errno.EINVAL, told, str(path)) from None
        raise
    except OSError as error:
        # So says opening a socket.
        if error.errno == errno.ENXIO:
            told = "it is a socket, not a regular file"
            raise NotRegularError(errno.EINVAL, told, str(path)) from None
        raise
    try:
        kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
        if kind != stat.S_IFREG:
            told = f"it is {_KINDS.get(kind, 'of another kind')}, not a regular file"
            raise NotRegularError(errno.EINVAL, told, str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, most: int | None = None) -> bytes:
    """All bytes of a regular file, of ``most`` so many.

    Raises:
        FileTooLargeError: it holds more.
        OSError: as :func:`open_regular`, or it cannot be read.
    """
    with open_regular(path) as file:
        # A file without blocks may claim any size: that is judged before memory is taken.
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            told = f"it has {size:,} bytes, more than the {most:,} that are read of such a file"
            raise FileTooLargeError(errno.EFBIG, told, str(path))
        return file.read() if most is None else file.read(most)
