"""Threads that read samples ahead into a bounded queue; how many and how far can change while they read."""

from __future__ import annotations

import threading
from collections import deque
from typing import Callable, Iterable, Iterator


class Readers:
    """Reads samples, given by number, and gives them as they come.

    Each thread takes the next number, reads, and waits until there is room in the queue. So at most
    ``prefetch`` samples wait in memory, and one more for each thread.
    """

    def __init__(
        self, read: Callable[[int], bytes], numbers: Iterable[int], threads: int, prefetch: int
    ) -> None:
        self._read = read
        self._numbers = deque(numbers)
        #: Samples that were not handed over yet.
        self._left = len(self._numbers)
        self._queue: deque[bytes | Exception] = deque()
        self._prefetch = prefetch
        #: Threads that there should be, and that there are.
        self._wanted = self._alive = 0
        lock = threading.Lock()
        self._room = threading.Condition(lock)
        self._arrival = threading.Condition(lock)
        self.set_threads(threads)

    def set_threads(self, threads: int) -> None:
        """Has so many threads from now on; those that are too many end when they have delivered.

        ``RuntimeError`` where the system gives no more; then it stays at those that there are.
        """
        with self._arrival:
            self._wanted = threads
            while self._alive < self._wanted:
                try:
                    threading.Thread(target=self._read_on, daemon=True).start()
                except RuntimeError:
                    self._wanted = self._alive
                    raise
                self._alive += 1

    def set_prefetch(self, prefetch: int) -> None:
        """Has a queue of so many samples from now on; what is in it stays."""
        with self._room:
            self._prefetch = prefetch
            self._room.notify_all()

    def __len__(self) -> int:
        return self._left

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with self._arrival:
            if not self._left:
                raise StopIteration
            while not self._queue:
                self._arrival.wait()
            sample = self._queue.popleft()
            self._left -= 1
            self._room.notify()
        if isinstance(sample, Exception):
            raise sample
        return sample

    def _read_on(self) -> None:
        """A thread's life."""
        while True:
            with self._arrival:
                if not self._numbers or self._alive > self._wanted:
                    self._alive -= 1
                    return
                number = self._numbers.popleft()
            try:
                sample: bytes | Exception = self._read(number)
            except Exception as error:
                sample = error
            with self._room:
                while len(self._queue) >= self._prefetch:
                    self._room.wait()
                self._queue.append(sample)
                self._arrival.notify()
