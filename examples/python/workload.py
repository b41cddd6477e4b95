"""What the examples do: read many files on slowed storage, compute on each, and measure both.

Nothing here is needed to be tuned. In a real script, a framework does this, and a tracer measures it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import multiprocessing
import random
import signal
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterable, Iterator, Protocol, TypeVar

if TYPE_CHECKING:
    from io import FileIO

    from dfoptimizer import Window

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Batches(Protocol[T_co]):
    """Something to go through whose length is known, as a loader's."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[T_co]: ...


class Storage:
    """Many files, and reads that are as slow as on a loaded parallel file system.

    Two things make such a read slow. It waits for servers that are busy with others: the *latency*, which
    reads at the same time wait out together. And all reads share the *bandwidth* of one link, which is
    there but once. The files are real; the sleeping in :meth:`read` is the simulated storage.
    """

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self._paths = [folder / f"sample-{number:05}.bin" for number in range(options.files)]
        for number, path in enumerate(self._paths):
            path.write_bytes(random.Random(number).randbytes(options.file_kib << 10))
        self._latency = options.read_latency_ms / 1e3
        self._bytes_per_second = options.bandwidth_mib * 2**20 or float("inf")
        # When the link has carried all that was asked for so far. The workers of a loader share it: it is
        # there but once for all processes, and so is the clock.
        self._link_is_free = multiprocessing.Value("d", 0.0)

    def __len__(self) -> int:
        return len(self._paths)

    def read(self, number: int) -> bytes:
        """The content of a file. Takes as long as it does on the slow way."""
        ready = time.monotonic() + self._latency
        content = self._paths[number].read_bytes()
        with self._link_is_free.get_lock():
            there = max(ready, self._link_is_free.value) + len(content) / self._bytes_per_second
            self._link_is_free.value = there
        # Sleeps: it plays the storage.
        time.sleep(max(0.0, there - time.monotonic()))
        return content

    def checksum(self) -> int:
        """The checksum of all files, each taken once, in whatever order."""
        return sum(zlib.crc32(path.read_bytes()) for path in self._paths)


class Workload:
    """Files to read, and what is measured while they are read; ``with`` makes the files and removes them."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self._cleanup = contextlib.ExitStack()
        self._measurements: FileIO | None = None
        #: Of the window that is open, then of all that have ended.
        self._samples, self._fetch_s, self._compute_s = 0, 0.0, 0.0
        self._whole = {"samples": 0, "fetch_s": 0.0, "compute_s": 0.0, "windows": 0}
        self._checksum = 0

    def __enter__(self) -> Workload:
        folder = self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="samples-"))
        self.storage = Storage(Path(folder), self.options)
        self._expected = self.storage.checksum() * self.options.epochs
        if self.options.measurements:
            # A pipe opens when someone reads it.
            file = open(self.options.measurements, "wb", buffering=0)
            self._measurements = self._cleanup.enter_context(file)
        self._began = self._ended = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    @contextlib.contextmanager
    def fetching(self) -> Iterator[None]:
        """What is done within it is waiting for data."""
        began = time.monotonic()
        yield
        self._fetch_s += time.monotonic() - began

    def compute(self, samples: Iterable[bytes]) -> None:
        """Computes on samples: a checksum of each, and what an accelerator would take."""
        began = time.monotonic()
        checksums = [zlib.crc32(sample) for sample in samples]
        # Sleeps: it plays an accelerator, during which the processor is free.
        time.sleep(self.options.compute_ms / 1e3 * len(checksums))
        self._checksum += sum(checksums)
        self._samples += len(checksums)
        self._compute_s += time.monotonic() - began

    def measured(self, batches: Batches[T], window: Window) -> Iterator[T]:
        """The batches, with windows marked around them, and the waiting for them measured."""
        with self.fetching():
            source = iter(batches)
        for _ in range(len(batches)):
            window.start()
            with self.fetching():
                batch = next(source)
            yield batch
            if window.stop():
                self.end_window(window.window_index)
        if window.flush():
            self.end_window(window.window_index)

    def end_window(self, index: int) -> None:
        """Tells the times of a window that has ended: one JSON object a line."""
        self._ended = time.monotonic()
        times = {"samples": self._samples, "fetch_s": self._fetch_s, "compute_s": self._compute_s}
        self._samples, self._fetch_s, self._compute_s = 0, 0.0, 0.0
        self._whole = {name: self._whole[name] + value for name, value in times.items()}
        self._whole["windows"] = index
        if self._measurements is None:
            return
        try:
            self._measurements.write(json.dumps({"window": index, **times}).encode() + b"\n")
        except OSError as error:
            # Nobody reads them any more. The work goes on.
            print(f"measurements are not complete: {error}", file=sys.stderr)
            self._measurements = None

    def tell_outcome(self, status: dict[str, Any]) -> None:
        """Tells what came of it; ends the script with an error if a sample was lost, doubled or spoilt."""
        options, whole = self.options, self._whole
        seconds = self._ended - self._began
        speed = whole["samples"] / seconds
        is_complete = self._checksum == self._expected
        if options.json:
            names = ("files", "file_kib", "bandwidth_mib", "compute_ms")
            reads = {name: vars(options)[name] for name in names}
            reads["latency_ms"] = options.read_latency_ms
            plans = {name: status["plans"][name] for name in ("applied", "rejected")}
            outcome = {"seconds": seconds, "samples_per_s": speed, "is_complete": is_complete}
            told = {"reads": reads, "outcome": {**whole, **plans, **outcome}}
            print(json.dumps(told, separators=(",", ":")))
        else:
            print(
                f"{whole['samples']} samples in {seconds:.2f} s: {speed:.1f} samples/s; waited "
                f"{whole['fetch_s']:.2f} s for data, computed {whole['compute_s']:.2f} s; "
                f"{status['plans']['applied']} changes"
            )
        if not is_complete:
            sys.exit("SAMPLES ARE LOST OR SPOILT: the checksum is wrong")


def arguments(about: str | None, **defaults: int) -> argparse.Namespace:
    """What the command line says; a script may have defaults of its own."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    def option(flag: str, default: Any, what: str) -> None:
        parser.add_argument(flag, type=type(default), default=default, help=f"{what} (%(default)s)")

    option("--epochs", 8, "how often all files are read")
    option("--files", 32, "files to make")
    option("--file-kib", 64, "the size of a file, in KiB")
    option("--read-latency-ms", 20, "what each read waits for its first byte")
    option("--bandwidth-mib", 16, "what all reads together get in a second, in MiB; 0: no limit")
    option("--compute-ms", 5, "what computing on a sample takes, beside its checksum")
    option("--window", 8, "batches in a window; times are told after each")
    option("--plans-address", "", "where the optimizer sends plans; empty: no optimizer")
    option("--control-address", "", "where it takes registrations and answers")
    option("--measurements", "", "a file or pipe for the times of windows; empty: nowhere")
    parser.add_argument("--json", action="store_true", help="tell the outcome as a JSON object")
    parser.set_defaults(**defaults)
    options = parser.parse_args()
    if not options.json:
        # The package tells of each change through Python's own logging.
        logging.basicConfig(level=logging.INFO, format="%(message)s")
    # So that temporary files and a loader's workers end with a script that is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return options
