"""Advisory locks on files: the system releases them when the process ends, also when it is killed.

An advisory lock stops only processes that request the same lock. On network file systems it holds between machines as
far as the server supports locks (NFS 4 and SMB do); on a file system without locks, `lock` returns None.
"""

from __future__ import annotations

import errno
import fcntl
from typing import IO

_WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)


def lock(file: IO[str], *, wait: bool) -> bool | None:
    """Lock an open, writable file until it is closed: False if another holder has it; None if there are no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        return None
    return True
