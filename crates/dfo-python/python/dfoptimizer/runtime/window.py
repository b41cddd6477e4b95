"""Marking windows of the work, so that findings and answers speak of them."""

from __future__ import annotations

from .. import _native
from . import context as _context


class Window(_native.Window):
    """Marks windows of ``every_n`` iterations each for a tracer, and tells the process's context.

    ``Window(tracer=None, max_every_n=None)``: the tracer has ``get_time``, ``enter_event``, ``log_event``
    and ``exit_event``, as DFTracer's has. Call :meth:`start` and :meth:`stop` around each iteration, and
    :meth:`flush` at the end of an epoch. The window that is open goes along with every answer of
    :func:`~dfoptimizer.optimizer_context`'s context; another context is told with ``set_window``.
    """

    __slots__ = ()

    def start(self) -> bool:
        """An iteration begins. True if a window begins with it."""
        begins = super().start()
        if begins:
            current = _context.current()
            if current is not None:
                current.set_window(self.window_index)
        return begins
