"""An alarm that epoll waits for like any other file, to the microsecond.

The time limit of a wait itself would be set and taken back with every wait, though it hardly ever
comes to anything, and that of epoll counts milliseconds.
"""

import ctypes
import os

NS_PER_S = 1_000_000_000
_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1


class _Setting(ctypes.Structure):
    """An `itimerspec`: how often, here never, and when first."""

    _fields_ = tuple(
        (name, ctypes.c_long) for name in ("every_s", "every_ns", "first_s", "first_ns")
    )


class Alarm:
    """A timer of the kernel; it rings once for each instant that it is set to.

    Its file is to be registered with epoll for EPOLLIN and EPOLLET, and need not be read.

    Attributes:
        fd: Its file.

    Raises:
        OSError: The system has no file to be had.
    """

    __slots__ = ("_at_ns", "_library", "_pointer", "_setting", "fd")

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)
        self.fd = self._library.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self._setting = _Setting()
        self._pointer = ctypes.byref(self._setting)
        self._at_ns = 0

    def set(self, at_ns: int) -> None:
        """Rings at an instant on the monotonic clock, at once if it has passed; at no other.

        An instant to which it is set already, or at which it rang last, changes nothing.

        Args:
            at_ns: Above 0, ns.
        """
        if at_ns == self._at_ns:
            return
        self._at_ns = at_ns
        setting = self._setting
        setting.first_s, setting.first_ns = divmod(at_ns, NS_PER_S)
        self._library.timerfd_settime(self.fd, _ABSOLUTE, self._pointer, None)

    def close(self) -> None:
        """Gives its file back."""
        os.close(self.fd)
