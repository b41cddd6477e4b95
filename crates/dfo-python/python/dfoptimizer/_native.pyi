from typing import Any, Callable, Dict, List, Optional, Tuple, final

from typing_extensions import Self

from .types import ActionPlan, Value

__all__ = [
    "Change",
    "Context",
    "Function",
    "Window",
    "__version__",
    "end_waits",
    "forget_waits",
    "nothing",
]

__version__: str

def nothing() -> None:
    """Does nothing: the unit in which the benchmark counts."""

def end_waits() -> None:
    """The interpreter is about to end: no wait lasts any longer."""

def forget_waits() -> None:
    """In a forked child the threads that waited are not there."""

@final
class Context:
    """The connection to the optimizer: knobs go out, plans come in, in the background."""

    def __new__(
        cls,
        namespace: str,
        node: Optional[str],
        options: Optional[List[Tuple[str, str]]],
        heartbeat: float,
    ) -> Self: ...
    def register(
        self, function: str, registration: str, strict: bool
    ) -> Tuple[Optional[Function], List[str]]: ...
    def listen(self, function: str) -> Function: ...
    def stage(self, plan: str) -> None: ...
    def set_window(self, window: int) -> None: ...
    @property
    def window(self) -> Optional[int]: ...
    @property
    def namespace(self) -> str: ...
    @property
    def node(self) -> str: ...
    @property
    def instance(self) -> str: ...
    def status(self) -> Dict[str, Any]: ...
    def tell(self) -> Dict[str, Any]: ...
    def has_news(self) -> bool: ...
    def wait_for(self, condition: Callable[[Dict[str, Any]], object], timeout: float) -> bool: ...
    def stop(self, deadline: float) -> None: ...

@final
class Function:
    """A function of the script that owns knobs: where changes are taken, and values told."""

    @property
    def name(self) -> str: ...
    def quiet(self) -> bool: ...
    def poll(self, at: str, others: List[str]) -> List[Change]: ...
    def value(self, parameter: str) -> Optional[Value]: ...
    def set_value(self, parameter: str, value: Value) -> None: ...

@final
class Change:
    """A change to make now, and to answer with ``applied``, ``rejected`` or ``deferred``.

    One that is let go without an answer is rejected.
    """

    @property
    def parameter(self) -> str:
        """The function's name for the knob."""
    @property
    def knob_id(self) -> str:
        """The knob."""
    @property
    def plan_id(self) -> str:
        """The plan's id."""
    @property
    def old_value(self) -> Any:
        """The value in force, as far as it was told."""
    @property
    def new_value(self) -> Any:
        """The value wanted: of the knob's type, and within what the knob allows."""
    @property
    def plan(self) -> ActionPlan:
        """The plan behind it: why, for which finding, in which window."""
    def applied(self, value: Optional[Value] = None) -> None:
        """The value wanted is in force, or the one given in its place.

        ``ValueError`` where that is not of the knob's type; the plan is rejected then.
        ``RuntimeError`` where the change was answered already.
        """
    def rejected(self, reason: str) -> None:
        """It is not done, and will not be: the old value is in force. The reason is for people."""
    def deferred(self) -> None:
        """Not now: it comes back at the next boundary, unless a newer plan takes its place."""

@final
class Window:
    """Marks windows of ``every_n`` iterations each."""

    def __new__(cls, tracer: Any, max_every_n: Optional[int]) -> Self: ...
    def start(self) -> bool: ...
    def stop(self) -> bool: ...
    def flush(self) -> bool: ...
    def increase_cadence(self) -> None: ...
    def decrease_cadence(self) -> None: ...
    def update_cadence(self, new_every_n: int) -> None: ...
    @property
    def every_n(self) -> int: ...
    @property
    def max_every_n(self) -> Optional[int]: ...
    @property
    def window_index(self) -> int: ...
    @property
    def counter(self) -> int: ...
