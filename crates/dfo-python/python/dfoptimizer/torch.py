"""A DataLoader that is tuned while it is read.

:class:`LiveDataLoader` is PyTorch's ``DataLoader``, and its ``num_workers`` and
``prefetch_factor`` change in the middle of an epoch: by plans of the optimizer, or because the
script sets them. No sample comes twice, none is left out, and their order is the one in which a
plain ``DataLoader`` gives them::

    from dfoptimizer.torch import LiveDataLoader

    loader = LiveDataLoader(dataset, batch_size=32, shuffle=True, num_workers=2)
    for epoch in range(epochs):
        for batch in loader:
            ...

How it is done: each setting has an inner ``DataLoader``, a *reader*, and all readers of an epoch
draw from one sequence of indices. At a change the next reader is built and its workers begin.
Only then does the one before it draw no more; what it has under way is delivered first. So
nothing is read twice, the consumer waits only while processes start, and the workers of two
settings live side by side for a moment. A change that comes in that moment waits for its end, so
that there are never three.

What this module is not for: it does not decide (the optimizer does), and it cannot cut an
``IterableDataset`` in two. The workers of such a dataset each go through it on their own, and a
change in the middle would repeat what they have read: there, changes wait for the next epoch.

PyTorch is needed here and nowhere else in the package.
"""

from __future__ import annotations

import logging
import operator
import os
import random
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Deque, Iterable, Iterator, Mapping, NamedTuple, Sequence

try:
    import torch
    from torch.utils.data import DataLoader, IterableDataset
except ImportError as error:
    raise ImportError(
        f"dfoptimizer.torch needs PyTorch 1.13 or later, which cannot be imported here ({error}): "
        "install it with `pip install torch`, or on Debian with `apt install python3-torch`"
    ) from error

from .runtime import context as contexts
from .runtime.knob import knob, knob_def_from_dict

if TYPE_CHECKING:
    from ._native import Change
    from .runtime.context import Function, OptimizerContext
    from .types import KnobDef

__all__ = ["LiveDataLoader"]

logger = logging.getLogger("dfoptimizer")

#: What a plain DataLoader has where nothing is said.
DEFAULT_WORKERS = 0
DEFAULT_PREFETCH = 2


class LiveDataLoader(DataLoader):
    """A ``DataLoader`` whose ``num_workers`` and ``prefetch_factor`` change while it is read.

    It takes every argument of ``torch.utils.data.DataLoader``, and is one. What is different:

    - Setting ``num_workers`` or ``prefetch_factor`` takes effect at the next batch.
    - With 0 workers, what only workers use (``prefetch_factor``, ``persistent_workers``,
      ``timeout``, ``multiprocessing_context``) is accepted, and kept for when there are some.
      ``prefetch_factor`` is always a number.
    - With ``persistent_workers``, a second iteration that begins while one is under way takes
      over the workers, as in ``DataLoader``; but here the first one can go on, with workers of
      its own.

    The optimizer knows two knobs of the function ``<name>.LiveDataLoader``:

    - ``<name>.num_workers``, from ``min_workers`` to ``max_workers``: increased by evidence on
      ``reader_parallelism``, decreased by 1 on ``reader_contention``.
    - ``<name>.prefetch_factor``, from 1 to ``max_prefetch``: increased by 2 on
      ``dataloader_prefetch``.

    They are registered when the first iteration begins. Plans are taken when an epoch begins, and
    before every ``poll_every``-th batch. They are acknowledged as applied once the workers of the
    new setting have started; where they do not start, as rejected with the reason, and reading
    goes on as before. Changes that come when everything of the epoch is under way already wait
    for the next one.

    ``context`` is the connection to the optimizer. Without it, that of
    :func:`~dfoptimizer.optimizer_context`, if the script has made it by the time an iteration
    begins; else nothing is tuned.

    ``name`` is the prefix of the knobs' ids. Two loaders that are both to be tuned need two
    names: of those with one name, the first that is iterated over is tuned.

    ``min_workers``, ``max_workers`` and ``max_prefetch`` are how far the optimizer may go; the
    most workers are the CPUs that this process may use, where nothing is said. What the script
    itself asks for when it makes the loader is always within.

    ``boundary`` is when plans may be applied: ``window_boundary``, before any batch, or
    ``epoch_boundary``.

    ``responds_to`` takes the place of a knob's responses:
    ``{"num_workers": {"my_tag": {"step": 1}}}``.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Sequence[Any]] | None = None,
        num_workers: int = DEFAULT_WORKERS,
        collate_fn: Any = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Any = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        context: OptimizerContext | None = None,
        name: str = "torch",
        min_workers: int = 0,
        max_workers: int | None = None,
        max_prefetch: int = 16,
        boundary: str = "window_boundary",
        poll_every: int = 1,
        responds_to: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
        **newer_options: Any,
    ) -> None:
        if prefetch_factor is None:
            prefetch_factor = DEFAULT_PREFETCH
        if pin_memory_device:
            # Newer versions warn of it, so it is passed on only where it is given.
            newer_options["pin_memory_device"] = pin_memory_device
        self._settings = _Settings(DEFAULT_WORKERS, DEFAULT_PREFETCH)
        super().__init__(
            dataset,
            batch_size,
            shuffle,
            sampler,
            batch_sampler,
            # As if there were workers: then what is meant for them is checked, and not refused.
            num_workers=num_workers or 1,
            collate_fn=collate_fn,
            pin_memory=pin_memory,
            drop_last=drop_last,
            timeout=timeout,
            worker_init_fn=worker_init_fn,
            multiprocessing_context=multiprocessing_context,
            generator=generator,
            prefetch_factor=prefetch_factor,
            persistent_workers=persistent_workers,
            **newer_options,
        )
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor
        self._is_made_with_workers = num_workers > 0
        self._newer_options = newer_options
        # `self.dataset` may be a wrapper around it, of torch's.
        self._given_dataset = dataset
        self._is_iterable = isinstance(dataset, IterableDataset)
        knobs = _knobs(
            name,
            workers=_limits(
                min_workers, _cpus() if max_workers is None else max_workers, num_workers
            ),
            prefetch=_limits(1, max_prefetch, prefetch_factor),
            boundary="epoch_boundary" if self._is_iterable else boundary,
            responds_to=responds_to or {},
        )
        self._tuning = _Tuning(name, knobs, context)
        self._poll_every = _at_least(1, "poll_every", poll_every)
        #: The persistent workers, and whose they are at present.
        self._kept: _Reader | None = None
        self._kept_by: weakref.ref[_Epoch] | None = None
        self._has_begun = False
        self._seeds_aside = 0

    @property
    def num_workers(self) -> int:
        """The workers that read, or will from the next batch on."""
        return self._settings.num_workers

    @num_workers.setter
    def num_workers(self, wanted: int) -> None:
        wanted = _at_least(0, "num_workers", wanted)
        self._settings = self._settings._replace(num_workers=wanted)

    @property
    def prefetch_factor(self) -> int:
        """The batches that each worker reads ahead, or will from the next batch on."""
        return self._settings.prefetch_factor

    @prefetch_factor.setter
    def prefetch_factor(self, wanted: int) -> None:
        wanted = _at_least(1, "prefetch_factor", wanted)
        self._settings = self._settings._replace(prefetch_factor=wanted)

    def __iter__(self) -> Iterator[Any]:
        return self._begin(None).batches if self._is_iterable else _Epoch(self)

    # -- inside: how an epoch begins, and how it changes --

    def _begin(self, epoch: _Epoch | None) -> _Reader:
        """The reader of a new epoch, with the changes that are due.

        An iterable dataset has no epoch: it is read as the reader gives it.
        """
        order = _Order((), False) if epoch is None else epoch.order
        asked = self._settings
        self._tuning.find_context(asked)
        changes = self._tuning.poll("epoch_boundary")
        wanted = asked.with_changes(changes)
        reader = None
        try:
            reader = self._begin_with(wanted, order, epoch)
        except Exception as error:
            if wanted == asked or order.is_broken:
                raise
            self._tuning.reject(changes, wanted, asked, error)
            wanted, changes = asked, ()
        if reader is None:
            # Out here, where the error holds the failed reader no more.
            reader = self._begin_with(wanted, order, epoch)
        if wanted.num_workers == 0 and order.is_asked_again:
            order.begin()
        self._settings = wanted
        self._tuning.adopt(changes, wanted)
        return reader

    def _begin_with(self, settings: _Settings, order: _Order, epoch: _Epoch | None) -> _Reader:
        """A reader at the beginning of an epoch: the persistent workers, if they are as wanted."""
        kept = self._kept
        if kept is None or kept.settings != settings:
            is_persistent = self.persistent_workers and settings.num_workers > 0
            reader = self._build(settings, order, is_persistent)
            self._keep(reader if is_persistent else None, epoch)
            return reader
        holder = None if self._kept_by is None else self._kept_by()
        if holder is not None:
            holder.hand_over()
        # If this fails, a worker died: then the next epoch begins with new ones.
        self._kept = None
        kept.begin(order)
        self._keep(kept, epoch)
        return kept

    def _change(self, epoch: _Epoch, before: _Reader, changes: Sequence[Change]) -> _Reader | None:
        """The reader that goes on in the middle of an epoch; None where the one before does."""
        wanted = self._settings.with_changes(changes)
        reader = None
        if wanted.reads_as(before.settings):
            before.settings = wanted
        else:
            # Another epoch's persistent workers stay its own.
            is_kept = self._kept is None or self._kept is before
            is_persistent = self.persistent_workers and wanted.num_workers > 0 and is_kept
            try:
                reader = self._build(wanted, epoch.order, is_persistent)
            except Exception as error:
                if epoch.order.is_broken:
                    raise
                self._tuning.reject(changes, wanted, before.settings, error)
                wanted, changes = before.settings, ()
            else:
                if is_kept:
                    self._keep(reader if is_persistent else None, epoch)
        self._settings = wanted
        self._tuning.adopt(changes, wanted)
        return reader

    def _order(self) -> _Order:
        """The order of a new epoch."""
        sampler = self.sampler if self.batch_sampler is None else self.batch_sampler
        # torch asks a sampler for an iterator, and once more when it has started workers: then the
        # second counts, which differs if the sampler draws its order the moment it is asked. So
        # that tuning changes no order, it is asked as if the workers were those in the beginning.
        is_asked_again = self._is_made_with_workers and not self._has_lasting_workers()
        return _Order(sampler, is_asked_again)

    def _has_lasting_workers(self) -> bool:
        """Whether a plain DataLoader would have persistent workers by now."""
        return bool(self.persistent_workers) and self._has_begun

    def _resume(self, epoch: _Epoch) -> _Reader:
        """A reader for an epoch whose workers were taken over by another."""
        return self._build(self._settings, epoch.order, is_persistent=False)

    def _keep(self, reader: _Reader | None, epoch: _Epoch | None) -> None:
        """These are the persistent workers, and this epoch has them."""
        self._kept = reader
        self._kept_by = None if reader is None or epoch is None else weakref.ref(epoch)

    def _build(self, settings: _Settings, order: _Order, is_persistent: bool) -> _Reader:
        """A new reader, its workers started."""
        # The first reader draws the seed of its workers as a plain DataLoader does: once an epoch,
        # or once and for all with persistent workers. The others must not, since the order of the
        # samples may come from the same generator.
        draws_seed = not order.has_begun and not self._has_lasting_workers()
        generator = self.generator if draws_seed else self._generator_aside()
        feed = _Feed(order)
        inner = self._inner(settings, feed, generator, is_persistent)
        reader = _Reader(inner, settings, feed)
        self._has_begun = True
        return reader

    def _inner(self, settings: _Settings, feed: _Feed, generator: Any, is_persistent: bool) -> Any:
        """A plain DataLoader with these settings; all else is as the script has it by now."""
        options = dict(self._newer_options)
        if self._is_iterable:
            options.update(batch_size=self.batch_size, drop_last=self.drop_last)
        elif self.batch_sampler is None:
            options.update(batch_size=None, sampler=feed)
        else:
            options.update(batch_sampler=feed)
        if settings.num_workers > 0:
            options.update(
                timeout=self.timeout,
                multiprocessing_context=self.multiprocessing_context,
                prefetch_factor=settings.prefetch_factor,
                persistent_workers=is_persistent,
            )
        return DataLoader(
            self._given_dataset,
            num_workers=settings.num_workers,
            collate_fn=self.collate_fn,
            pin_memory=self.pin_memory,
            worker_init_fn=self.worker_init_fn,
            generator=generator,
            **options,
        )

    def _generator_aside(self) -> Any:
        """A generator for one more seed: another each time, the same ones in each seeded run."""
        self._seeds_aside += 1
        source = torch if self.generator is None else self.generator
        seed = f"{source.initial_seed()} {self._tuning.name} {self._seeds_aside}"
        generator = torch.Generator()
        generator.manual_seed(random.Random(seed).getrandbits(63))
        return generator


class _Settings(NamedTuple):
    """What changes. The fields are the parameters of the knobs."""

    num_workers: int
    prefetch_factor: int

    def with_changes(self, changes: Sequence[Change]) -> _Settings:
        return self._replace(**{change.parameter: change.new_value for change in changes})

    def reads_as(self, other: _Settings) -> bool:
        """Whether there is no difference: without workers nobody reads ahead."""
        return self == other or self.num_workers == other.num_workers == 0

    def __str__(self) -> str:
        return f"num_workers {self.num_workers}, prefetch_factor {self.prefetch_factor}"


class _Tuning:
    """The knobs of a loader, and what the optimizer wants of them."""

    def __init__(
        self, name: str, knobs: Mapping[str, KnobDef], context: OptimizerContext | None
    ) -> None:
        self.name = name
        self._knobs = knobs
        self._given_context = context
        #: Where the knobs are registered.
        self._context: OptimizerContext | None = None
        self._function: Function | None = None
        self._in_force: _Settings | None = None
        self._is_warned = False

    def find_context(self, settings: _Settings) -> None:
        """Registers the knobs, once there is a context to register them with."""
        given = self._given_context
        context = contexts.current() if given is None else given
        if context is None or context is self._context:
            return
        if _TUNED.setdefault(self.name, self) is not self:
            if not self._is_warned:
                self._is_warned = True
                logger.warning(
                    "%s: another LiveDataLoader of this name is tuned, and this one is not; give "
                    "each a name of its own, as in name='validation'",
                    self.name,
                )
            return
        function = _function_name(self.name)
        self._function = context.function(function, self._knobs, settings._asdict())
        self._context = context

    def poll(self, at: str) -> Sequence[Change]:
        return () if self._function is None else self._function.poll(at)

    def adopt(self, changes: Sequence[Change], settings: _Settings) -> None:
        """Says that these settings are in force."""
        if self._in_force not in (settings, None):
            logger.info("%s: %s, after %s", self.name, settings, self._in_force)
        self._in_force = settings
        for change in changes:
            change.applied()
        function = self._function
        if function is not None:
            for parameter, value in settings._asdict().items():
                # None: a context that was stopped, or a forked child.
                if function.value(parameter) not in (value, None):
                    function.set_value(parameter, value)

    def reject(
        self,
        changes: Sequence[Change],
        wanted: _Settings,
        in_force: _Settings,
        error: Exception,
    ) -> None:
        """Says that the wanted settings could not be had, and others stay in force."""
        reason = (
            f"no loader can be started with {wanted} ({type(error).__name__}: {error}); "
            f"{in_force} stays in force"
        )
        logger.warning("%s: %s", self.name, reason)
        for change in changes:
            change.rejected(reason)


#: Whose knobs are registered, by name: a knob has one owner.
_TUNED: weakref.WeakValueDictionary[str, _Tuning] = weakref.WeakValueDictionary()


class _Epoch:
    """One iteration over a loader: the readers that follow each other in it."""

    def __init__(self, loader: LiveDataLoader) -> None:
        self.order = loader._order()
        self._loader = loader
        self._boundaries = 0
        #: Draws no more, and is read to its end before the other.
        self._draining: _Reader | None = None
        #: None once it is handed over.
        self._reader: _Reader | None = loader._begin(self)
        self._is_cut = False

    def __iter__(self) -> _Epoch:
        return self

    def __len__(self) -> int:
        return len(self.order.sampler)

    def __next__(self) -> Any:
        if self._draining is None:
            self._take_changes()
        if self._draining is not None:
            is_owed = self._draining.has_pending
            try:
                return self._draining.next()
            except StopIteration:
                if is_owed:
                    # The dataset raised it, in a worker: that ends a loop, as with DataLoader.
                    raise
                # Its workers end here.
                self._draining = None
        reader = self._reader
        if reader is None:
            reader = self._reader = self._resume()
        return reader.next()

    def hand_over(self) -> None:
        """Gives up its reader. What that has under way is to be drawn again."""
        reader, self._reader = self._reader, None
        if reader is not None and reader.has_pending:
            # Out of order, nobody knows which of them came.
            self._is_cut = not getattr(self._loader, "in_order", True)
            reader.put_back()

    def _take_changes(self) -> None:
        before, loader = self._reader, self._loader
        if before is None or self.order.is_over:
            return
        self._boundaries += 1
        is_due = self._boundaries % loader._poll_every == 0
        changes = loader._tuning.poll("window_boundary") if is_due else ()
        if not changes and loader._settings == before.settings:
            return
        reader = loader._change(self, before, changes)
        if reader is not None:
            before.close()
            if before.settings.num_workers > 0:
                self._draining = before
            self._reader = reader

    def _resume(self) -> _Reader:
        if self._is_cut:
            raise RuntimeError(
                "another iteration took over the persistent workers, and with in_order=False this "
                "one cannot go on: end one iteration before the next begins"
            )
        if self.order.is_over:
            raise StopIteration
        return self._loader._resume(self)


class _Reader:
    """An inner DataLoader with fixed settings, being read."""

    def __init__(self, inner: Any, settings: _Settings, feed: _Feed) -> None:
        self.settings = settings
        self._inner = inner
        self._feed = feed
        self.batches = self._iterator()

    def begin(self, order: _Order) -> None:
        """Another epoch with the same workers."""
        self._feed.begin(order)
        self.batches = self._iterator()

    def _iterator(self) -> Iterator[Any]:
        try:
            batches: Iterator[Any] = iter(self._inner)
        except BaseException:
            self.put_back()
            raise
        self._feed.begins_order = False
        return batches

    @property
    def has_pending(self) -> bool:
        """Whether something is drawn and not delivered."""
        return bool(self._feed.drawn)

    def next(self) -> Any:
        """The next batch. One that raises is over with, as with DataLoader."""
        try:
            batch = next(self.batches)
        except Exception:
            self._feed.count_delivered()
            raise
        self._feed.count_delivered()
        return batch

    def close(self) -> None:
        """Draws no more. What is under way still comes."""
        self._feed.is_open = False

    def put_back(self) -> None:
        """What is drawn and not delivered is to be drawn again."""
        self._feed.order.put_back(self._feed.drawn)


class _Feed:
    """What a reader has in place of a sampler: the rest of the epoch, as long as it is open."""

    def __init__(self, order: _Order) -> None:
        #: Drawn and not delivered yet, oldest first.
        self.drawn: Deque[Any] = deque()
        self.begin(order)

    def begin(self, order: _Order) -> None:
        self.order = order
        self.is_open = True
        self.begins_order = not order.has_begun
        self.drawn.clear()

    def __iter__(self) -> _Feed:
        # When torch itself would ask the sampler: before it draws a seed, and after. So random
        # numbers are drawn in the order in which a plain DataLoader draws them.
        if self.begins_order:
            self.order.begin()
        return self

    def __next__(self) -> Any:
        if not self.is_open:
            raise StopIteration
        index = self.order.draw()
        self.drawn.append(index)
        return index

    def count_delivered(self) -> None:
        # Nothing may be left: a batch that came too late was counted when its time was over.
        if self.drawn:
            self.drawn.popleft()


class _Order:
    """The indices of one epoch, as the sampler gives them, each to be drawn once."""

    def __init__(self, sampler: Any, is_asked_again: bool) -> None:
        self.sampler = sampler
        self.is_asked_again = is_asked_again
        #: The sampler itself failed: no other reader helps.
        self.is_broken = False
        self.has_begun = False
        self._rest: Iterator[Any] = iter(())
        self._is_at_end = False
        self._returned: Deque[Any] = deque()

    @property
    def is_over(self) -> bool:
        """Whether everything is drawn. It shows when more is asked for."""
        return self._is_at_end and not self._returned

    def begin(self) -> None:
        """Asks the sampler, if it is its time."""
        if self.is_asked_again or not self.has_begun:
            self.has_begun = True
            self._rest = iter(self.sampler)

    def draw(self) -> Any:
        """The next index; with automatic batching, the indices of the next batch."""
        if self._returned:
            return self._returned.popleft()
        try:
            return next(self._rest)
        except StopIteration:
            self._is_at_end = True
            raise
        except BaseException:
            self.is_broken = True
            raise

    def put_back(self, drawn: Deque[Any]) -> None:
        """These come again, before all others."""
        self._returned.extendleft(reversed(drawn))
        drawn.clear()


def _knobs(
    name: str,
    workers: tuple[int, int],
    prefetch: tuple[int, int],
    boundary: str,
    responds_to: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> dict[str, KnobDef]:
    """The two knobs, as the optimizer's own pack ``torch`` has them."""
    increase = {"direction": "increase", "min_persistence": 1, "apply_when": boundary}
    decrease = {"direction": "decrease", "min_persistence": 2, "apply_when": boundary}
    responses: dict[str, Mapping[str, Mapping[str, Any]]] = {
        "num_workers": {
            "reader_parallelism": {**increase, "step_mode": "evidence", "cooldown_windows": 1},
            "reader_contention": {**decrease, "step": 1, "cooldown_windows": 3},
        },
        "prefetch_factor": {
            "dataloader_prefetch": {**increase, "step": 2, "cooldown_windows": 2},
        },
    }
    for parameter, others in responds_to.items():
        if parameter not in responses:
            raise ValueError(
                f"responds_to: there is no knob {parameter!r}; there are {' and '.join(responses)}"
            )
        responses[parameter] = others
    limits = {
        "num_workers": (DEFAULT_WORKERS, workers),
        "prefetch_factor": (DEFAULT_PREFETCH, prefetch),
    }
    knobs = {}
    for parameter, (default, (least, most)) in limits.items():
        spec = knob(
            default=min(max(default, least), most),
            type=int,
            range=(least, most),
            responds_to=responses[parameter],
        )
        knobs[parameter] = knob_def_from_dict(f"{name}.{parameter}", spec, _function_name(name))
    return knobs


def _function_name(name: str) -> str:
    return f"{name}.LiveDataLoader"


def _limits(least: int, most: int, asked: int) -> tuple[int, int]:
    """How far the optimizer may go: what the script itself asks for is within."""
    if least > most:
        raise ValueError(f"the least, {least}, is more than the most, {most}")
    return min(least, asked), max(most, asked)


def _at_least(least: int, what: str, value: int) -> int:
    value = operator.index(value)
    if value < least:
        raise ValueError(f"{what} is {value}; it must be at least {least}")
    return value


def _cpus() -> int:
    """The CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
