"""Writing files so that a half one never exists: temporary name, flushed to disk, renamed.

A reader sees the old file or the new one, whatever is interrupted and however many write at once.
Names that some system cannot hold are refused on every system, so that a folder can be shared.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from cocoanalysis.errors import ExportError

RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(1, 10))}
UNUSABLE = set('<>:"|?*') | {chr(i) for i in range(32)}
CAUSES = {
    errno.ENOSPC: ("DiskFull", "the disk is full; free some space"),
    errno.EDQUOT: ("DiskFull", "the quota of the disk is used up; free some space"),
    errno.EROFS: ("NotWritable", "the file system is read-only; choose another folder"),
    errno.EACCES: ("NotWritable", "you may not write there; choose another folder or change its permissions"),
    errno.EPERM: ("NotWritable", "you may not write there; choose another folder or change its permissions"),
    errno.EISDIR: ("NotWritable", "there is a folder of that name; choose another name"),
    errno.ENOTDIR: ("NotWritable", "a part of the path is a file, not a folder; choose another folder"),
    errno.EEXIST: ("NotWritable", "a part of the path is a file, not a folder; choose another folder"),
    errno.ENAMETOOLONG: ("NameTooLong", "the name is too long; choose a shorter one"),
}


def write(path: str | Path, content: bytes | str) -> Path:
    """Write the whole file or nothing; folders on the way are made.

    Raises
    ------
    ExportError : ReservedName, NameTooLong, NotWritable, DiskFull; a file that was there is left as it was
    """
    target = usable(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        _replace(target, data)
    except OSError as error:
        code, cause = CAUSES.get(error.errno or 0, ("NotWritable", f"{error.strerror or error}; choose another folder"))
        raise ExportError(f"'{target}' cannot be written: {cause}.", code=code) from error
    return target


def _replace(target: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:40]}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, target)
    except BaseException:  # also Ctrl-C: the unfinished file goes, the old one stays
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    _settle(target.parent)


def _settle(folder: Path) -> None:
    """Flush the folder's entry where the system knows how (a rename survives a power cut only then)."""
    with contextlib.suppress(OSError, AttributeError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def usable(path: str | Path) -> Path:
    """The path, if every system could hold a file of that name."""
    target = Path(path)
    name = target.name
    if not name:
        raise ExportError(f"'{path}' names no file; give a file name with a suffix.", code="NoName")
    bad = sorted(UNUSABLE & set(name))
    if name.split(".")[0].casefold() in RESERVED or name[-1] in ". " or bad:
        why = f"it contains {' '.join(map(repr, bad))}" if bad else "the name is reserved"
        raise ExportError(
            f"'{name}' is no file name on every system ({why} on Windows); choose another.", code="ReservedName"
        )
    if len(name.encode("utf-8")) > 240:
        raise ExportError(f"'{name[:40]}…' is too long for a file name; choose a shorter one.", code="NameTooLong")
    return target
