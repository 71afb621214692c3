"""Advisory locks on files: the system gives them back when the process ends, however it ends.

A lock keeps out those who ask for it, and nobody else. On network file systems it holds between machines as far as the
server supports locks (NFS 4 and SMB do); a file system without locks answers None here.
"""

from __future__ import annotations

import errno
import fcntl
from typing import IO

_WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)


def lock(file: IO[str], *, wait: bool) -> bool | None:
    """Lock an open, writable file until it is closed: False when another one has it; None when there are no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        return None
    return True
