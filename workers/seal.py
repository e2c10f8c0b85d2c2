"""The seal of a Parquet file: digests of all its bytes, in the file itself, checked before parsing.

Between its columns and its footer the file holds SHA-256 digests of its *pieces*, which are its
columns one after the other, and of its end: of the digests themselves, the footer and what follows
it. Other readers of Parquet pass over them. A reader of ours first proves the end, and then those
pieces alone that it is going to decode; it needs no other request than the decoding itself.
"""

import hashlib
import io
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq

from .. import __version__

NAME_KEY = "offmanifold.name"
"""In a file's metadata, what it is called in its run: files that were exchanged are noticed."""
WRITER_KEY = "offmanifold.version"
"""In a file's metadata, the version of this package that wrote it."""

# The last of the metadata, and so near the file's end: says that a seal which is not found is lost.
_SEALED_KEY = "offmanifold.sealed"
_MAGIC = b"offmanifold.seal"
_PARQUET = b"PAR1"
_DIGEST = 32
_COUNT = 4
_LENGTH = 8
# Behind the pieces' digests: how many there are, the length of the pieces together, the magic, and
# the digest of the end.
_FIXED = _COUNT + _LENGTH + len(_MAGIC) + _DIGEST
_TRAILER = 4 + len(_PARQUET)

USUAL_END = 2**16
"""Bytes that hold the end of nearly every file."""


class DamageError(ValueError):
    """The bytes are not those that were written.

    Args:
        message: in which way.
        sealed: whether they show that there was a seal.
    """

    def __init__(self, message: str, *, sealed: bool = False) -> None:
        super().__init__(message)
        self.sealed = sealed


@dataclass(frozen=True)
class End:
    """The end of a Parquet file, from its seal on, once it is proved; or of one without a seal.

    ``content`` are its bytes, which a reader may keep; ``size`` is the whole file's.
    """

    content: bytes
    size: int
    sealed: bool

    @cached_property
    def footer(self) -> pq.FileMetaData:
        """What the file says of its columns.

        Raises:
            DamageError: a file without a seal, whose footer makes no sense.
        """
        try:
            return pq.read_metadata(io.BytesIO(_PARQUET + self.content[-self._footer_bytes :]))
        except (pa.ArrowException, OSError) as error:
            raise DamageError(str(error)) from error

    @cached_property
    def metadata(self) -> dict[str, str]:
        """The entries of the footer, as text."""
        entries = self.footer.metadata or {}
        return {
            key.decode(errors="replace"): value.decode(errors="replace")
            for key, value in entries.items()
        }

    @cached_property
    def edges(self) -> list[int]:
        """Where the pieces begin, and at the end, where the last of them stops."""
        starts = {_start(chunk) for chunk in _chunks(self.footer)}
        return sorted({0, *starts, self.size - len(self.content)})

    def prove(self, piece: int, content: bytes) -> None:
        """Holds a piece against its digest.

        Raises:
            DamageError: it is another.
        """
        if hashlib.sha256(content).digest() != self._digest(piece):
            start, stop = self.edges[piece : piece + 2]
            raise DamageError(
                f"its bytes {start} to {stop - 1} are not those that were written", sealed=True
            )

    def prove_all(self, content: bytes) -> None:
        """Holds every piece of the whole file against its digest.

        Raises:
            DamageError: one of them is another.
        """
        for piece, (start, stop) in enumerate(pairwise(self.edges)):
            self.prove(piece, content[start:stop])

    def pieces_of(self, columns: "list[str] | None") -> list[int]:
        """Which pieces hold those columns: names of the table's, whatever is nested in them."""
        edges = self.edges
        return sorted(
            edges.index(_start(chunk))
            for chunk in _chunks(self.footer)
            if columns is None or _column_of(chunk) in columns
        )

    @property
    def _footer_bytes(self) -> int:
        return _TRAILER + int.from_bytes(self.content[-_TRAILER:][:4], "little")

    def _digest(self, piece: int) -> bytes:
        return self.content[piece * _DIGEST : (piece + 1) * _DIGEST]


def _chunks(footer: pq.FileMetaData) -> "list[pq.ColumnChunkMetaData]":
    return [
        footer.row_group(group).column(column)
        for group in range(footer.num_row_groups)
        for column in range(footer.num_columns)
    ]


def _start(chunk: "pq.ColumnChunkMetaData") -> int:
    """Where a column begins: with its dictionary, if it has one."""
    starts = (chunk.dictionary_page_offset, chunk.data_page_offset)
    return min((start for start in starts if start), default=len(_PARQUET))


def _column_of(chunk: "pq.ColumnChunkMetaData") -> str:
    return str(chunk.path_in_schema).partition(".")[0]


def sealed_table(table: pa.Table, name: str) -> bytes:
    """A table as a sealed Parquet file that is called ``name`` in its run."""
    metadata = {
        **(table.schema.metadata or {}),
        NAME_KEY.encode(): name.encode(),
        WRITER_KEY.encode(): __version__.encode(),
        _SEALED_KEY.encode(): b"1",
    }
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), sink, compression="zstd")
    return _seal(sink.getvalue())


def _seal(content: bytes) -> bytes:
    length = int.from_bytes(content[-_TRAILER:][:4], "little")
    body, footer = content[: -length - _TRAILER], content[-length - _TRAILER :]
    edges = End(footer, len(content), sealed=False).edges
    digests = [hashlib.sha256(body[start:stop]).digest() for start, stop in pairwise(edges)]
    head = b"".join(
        [
            *digests,
            len(digests).to_bytes(_COUNT, "little"),
            len(body).to_bytes(_LENGTH, "little"),
            _MAGIC,
        ]
    )
    return body + head + hashlib.sha256(head + footer).digest() + footer


def wanted_end(tail: bytes, size: int) -> int:
    """How many of a file's last bytes its end has, as far as its last bytes ``tail`` tell.

    More than ``tail`` has means: ask again with so many. ``size`` is the whole file's.

    Raises:
        DamageError: no Parquet file ends like this.
    """
    if len(tail) < _TRAILER or not tail.endswith(_PARQUET):
        raise DamageError("it does not end as one")
    footer = _TRAILER + int.from_bytes(tail[-_TRAILER:][:4], "little")
    if footer > size:
        raise DamageError("its footer is longer than the file")
    wanted = min(footer + _FIXED, size)
    if wanted > len(tail):
        return wanted
    head = tail[: len(tail) - footer]
    if _is_sealed(head):
        count = int.from_bytes(head[-_FIXED:][:_COUNT], "little")
        return min(footer + _FIXED + count * _DIGEST, size)
    return footer


def proved_end(tail: bytes, size: int) -> End:
    """The end of a file whose last bytes are ``tail``, of which :func:`wanted_end` wants no more.

    Raises:
        DamageError: they are not those that were written.
    """
    end = tail[len(tail) - wanted_end(tail, size) :]
    footer = _TRAILER + int.from_bytes(end[-_TRAILER:][:4], "little")
    head = end[: len(end) - footer]
    if not _is_sealed(head):
        if _MAGIC in tail or _SEALED_KEY.encode() in tail:
            raise DamageError("its seal is not where its footer says", sealed=True)
        return End(end, size, sealed=False)
    proof = head[-_DIGEST:]
    digest = hashlib.sha256(head[:-_DIGEST] + end[len(end) - footer :]).digest()
    body = int.from_bytes(head[-_FIXED + _COUNT :][:_LENGTH], "little")
    if digest != proof or body != size - len(end):
        raise DamageError("its end is not the one that was written", sealed=True)
    return End(end, size, sealed=True)


def _is_sealed(head: bytes) -> bool:
    return head[-_DIGEST - len(_MAGIC) : -_DIGEST] == _MAGIC
