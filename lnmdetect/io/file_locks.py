"""Locks on open files, which end with the process that holds them."""

import errno
import fcntl
from typing import IO, Any

_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""What some network disks answer: they have none."""


def hold(stream: IO[Any], *, shared: bool = False) -> None:
    """Lock an open file for this process, at once or not at all; nothing where a disk has no locks.

    Raises:
        BlockingIOError: another process holds it.
        OSError: the disk refuses.
    """
    try:
        fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
