"""Plans in the place of a function's arguments."""

from __future__ import annotations

import functools
import inspect
import sys
import weakref
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, TypeVar, cast

from .. import _native
from . import context as _context
from .knob import knob_def_from_dict

Func = TypeVar("Func", bound=Callable[..., Any])

_APPLY_AT = "_apply_at"
_EPOCH = "epoch_boundary"
_NOWHERE = sys.maxsize
#: Others, like arrays, may not say in one word whether they are the same.
_COMPARABLE = frozenset((bool, float, int, str, type(None)))


class _Nothing:
    """No value at all."""

    def __repr__(self) -> str:
        return "<nothing>"


_NOTHING = _Nothing()


def tunable(knobs: Mapping[str, Mapping[str, Any]], keep: bool = False) -> Callable[[Func], Func]:
    """Lets plans take the place of a function's arguments::

        @tunable(knobs={"prefetch_size": knob(default=2, range=(1, 16), responds_to={...})})
        def make_loader(prefetch_size=2): ...

    ``knobs`` maps a parameter to what :func:`~dfoptimizer.knob` gives; the knob's id is
    ``<namespace>.<parameter>``, and its function the qualified name. The first call with a live
    :func:`~dfoptimizer.optimizer_context` registers them, with the values of its arguments. At each call the
    plans that wait replace the arguments, wherever these come from: by name, by position, or by default. When
    the function is done, also by an exception, they are acknowledged as applied: the value was passed.

    A call is an ``epoch_boundary``; ``_apply_at="window_boundary"`` among its arguments makes it another one.

    A plan's value is passed once, to the call that meets it: who wants it again passes it. With ``keep`` it
    stays in force, for every later call that passes what that call did; a call that passes something else has
    its way. Either way the optimizer is told the value that is in force.

    Takes functions, methods and coroutine functions. Several functions under one decorator have a knob of the
    same id each, and a plan says which one is to apply it. What makes no sense in a definition is logged, and
    costs that knob and no more.
    """

    def decorate(function: Any) -> Any:
        if isinstance(function, (staticmethod, classmethod)):
            return type(function)(decorate(function.__func__))
        return _wrap(function, _Tuned(function, knobs, keep))

    return cast(Callable[[Func], Func], decorate)


def _wrap(function: Callable[..., Any], tuned: _Tuned) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def tuned_coroutine(*args: Any, **kwargs: Any) -> Any:
            args, taken = tuned.take(args, kwargs, kwargs.pop(_APPLY_AT, _EPOCH))
            try:
                return await function(*args, **kwargs)
            finally:
                tuned.answer(taken)

        wrapper: Any = tuned_coroutine
    else:

        @functools.wraps(function)
        def tuned_function(*args: Any, **kwargs: Any) -> Any:
            # A call that is like the one before, with nothing waiting, goes on as it is. Spelt out here: a
            # call of another function would cost as much again.
            if (
                tuned.context is _context._global_context
                and _APPLY_AT not in kwargs
                and tuned.is_quiet()
            ):
                watched, kept, kept_from = tuned.quick
                for name, index, default, expected in watched:
                    if name in kwargs:
                        value = kwargs[name]
                    elif index < len(args):
                        value = args[index]
                    else:
                        value = default
                    if value is not expected and (
                        type(value) not in _COMPARABLE or value != expected
                    ):
                        break
                else:
                    if not kept:
                        return function(*args, **kwargs)
                    if len(args) <= kept_from:
                        kwargs.update(kept)
                        return function(*args, **kwargs)
            args, taken = tuned.take(args, kwargs, kwargs.pop(_APPLY_AT, _EPOCH))
            try:
                return function(*args, **kwargs)
            finally:
                tuned.answer(taken)

        wrapper = tuned_function
    # For those who look into it, or register before the first call.
    wrapper._tunable_func_name = tuned.name
    wrapper._tunable_register = tuned.register
    wrapper._tunable_knobs = tuned.knobs
    return cast(Callable[..., Any], wrapper)


#: What each place is expected to have, the values that are kept, and the first index of these.
_Quick = Tuple[Tuple[Tuple[str, int, Any, Any], ...], Dict[str, Any], int]
_NOTHING_TO_SEE: _Quick = ((), {}, _NOWHERE)


class _Place:
    """A parameter that is a knob: where its argument is found, and what became of it."""

    __slots__ = ("baseline", "default", "expected", "index", "kept", "name", "told")

    def __init__(self, name: str, default: Any, index: int) -> None:
        self.name = name
        self.default = default
        self.index = index
        #: The value in force, as far as the optimizer was told.
        self.told: Any = _NOTHING
        #: What the next call passes if nothing is new.
        self.expected: Any = _NOTHING
        #: A plan's value that stays in force for calls that pass `baseline`.
        self.kept: Any = _NOTHING
        self.baseline: Any = _NOTHING

    def given(self, args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Any:
        """The argument of this call."""
        if self.name in kwargs:
            return kwargs[self.name]
        return args[self.index] if self.index < len(args) else self.default


class _Tuned:
    """A function with knobs: what it is called with, and what should take its place."""

    def __init__(
        self, function: Callable[..., Any], knobs: Mapping[str, Mapping[str, Any]], keep: bool
    ) -> None:
        self.name: str = getattr(function, "__qualname__", type(function).__qualname__)
        self.keep = keep
        self.specs, self.places = _places(self.name, function, knobs)
        with _context._lock:
            _TUNED.setdefault(self.name, weakref.WeakSet()).add(self)
        #: By parameter; for those who look into it.
        self.knobs: Dict[str, Any] = {}
        #: What it is registered with.
        self.native: Optional[_native.Context] = None
        self.function: Optional[_native.Function] = None
        #: What the quick look of a call looks at: the context that this was made for, whether plans wait, and
        #: what belongs together, so that other threads change it as a whole.
        self.context: object = _NOTHING
        self.is_quiet: Callable[[], bool] = _always
        self.quick: _Quick = _NOTHING_TO_SEE

    def register(
        self,
        context: _context.OptimizerContext,
        current_values: Optional[Mapping[str, Any]] = None,
    ) -> None:
        """Registers the knobs, if they are not yet."""
        if self.native is context._native:
            return
        self.knobs.clear()
        for parameter, spec in self.specs.items():
            try:
                knob_id = f"{context.namespace}.{parameter}"
                self.knobs[parameter] = knob_def_from_dict(knob_id, spec, self.name)
            except Exception as error:
                problem = "%s: knob `%s`: not what knob() gives: %r"
                _context.logger.error(problem, self.name, parameter, error)
        context.register_knobs(self.name, self.knobs, current_values)
        self.function = context._functions.get(self.name)
        self.native = context._native

    def take(
        self, args: Tuple[Any, ...], kwargs: Dict[str, Any], at: str
    ) -> Tuple[Tuple[Any, ...], List[_native.Change]]:
        """The arguments to pass, and the changes that are among them. Changes `kwargs`. One thread at a time:
        what the places are in stays together.
        """
        with _context._lock:
            return self._take(args, kwargs, at)

    def _take(
        self, args: Tuple[Any, ...], kwargs: Dict[str, Any], at: str
    ) -> Tuple[Tuple[Any, ...], List[_native.Change]]:
        context = _context._global_context
        if context is None or context._noop:
            self._rest(context)
            return args, []
        given = {place.name: place.given(args, kwargs) for place in self.places}
        if self.native is not context._native:
            present = {name: value for name, value in given.items() if value is not _NOTHING}
            self.register(context, present)
            for place in self.places:
                place.told = given[place.name]
        function = self.function
        if function is None:
            self._rest(context)
            return args, []
        for place in self.places:
            args = self._see(function, place, given[place.name], args, kwargs)
        taken = []
        if not function.quiet():
            context._report(context._native)
            for change in context._poll(function, at, self._knobs_of_others()):
                found = [p for p in self.places if p.name == change.parameter]
                if not found:
                    why = f"{self.name} has no parameter {change.parameter} that is a knob"
                    _context._answer(change, "rejected", None, why)
                    continue
                [place] = found
                args = _pass(place, change.new_value, args, kwargs)
                place.told = change.new_value
                if self.keep:
                    place.kept, place.baseline = change.new_value, given[place.name]
                else:
                    # Whatever the next call passes is news.
                    place.expected = _NOTHING
                taken.append(change)
        self._watch(context, function)
        return args, taken

    def _knobs_of_others(self) -> List[str]:
        """Knobs of the same function's name that another decorator has, and this one has not."""
        ours = {place.name for place in self.places}
        with _context._lock:
            others = [tuned for tuned in _TUNED[self.name] if tuned is not self]
        return [p.name for tuned in others for p in tuned.places if p.name not in ours]

    def answer(self, taken: List[_native.Change]) -> None:
        """The values were passed."""
        for change in taken:
            _context._answer(change, "applied", None, "")

    def _see(
        self,
        function: _native.Function,
        place: _Place,
        value: Any,
        args: Tuple[Any, ...],
        kwargs: Dict[str, Any],
    ) -> Tuple[Any, ...]:
        """What the call passes is in force, unless a plan's value is kept."""
        # What cannot be compared is looked at each time.
        place.expected = value if type(value) in _COMPARABLE else _NOTHING
        if place.kept is not _NOTHING:
            if _is_same(value, place.baseline):
                return _pass(place, place.kept, args, kwargs)
            place.kept = _NOTHING
        if value is not _NOTHING and not _is_same(value, place.told):
            place.told = value
            _context._tell_value(function, place.name, value)
        return args

    def _watch(self, context: object, function: _native.Function) -> None:
        """For the quick look of the next call."""
        places = [place for place in self.places if place.kept is not _NOTHING]
        self.quick = (
            tuple((p.name, p.index, p.default, p.expected) for p in self.places),
            {place.name: place.kept for place in places},
            min([place.index for place in places], default=_NOWHERE),
        )
        self.is_quiet = function.quiet
        self.context = context

    def _rest(self, context: object) -> None:
        """There is nobody to take plans from: calls go on as they are, until that changes."""
        self.quick = _NOTHING_TO_SEE
        self.is_quiet = _always
        self.context = context


def _always() -> bool:
    return True


#: By name of the function: several may have the same.
_TUNED: Dict[str, weakref.WeakSet[_Tuned]] = {}


def _is_same(value: Any, other: Any) -> bool:
    if value is other:
        return True
    are_comparable = type(value) in _COMPARABLE and type(other) in _COMPARABLE
    return are_comparable and bool(value == other)


def _pass(
    place: _Place, value: Any, args: Tuple[Any, ...], kwargs: Dict[str, Any]
) -> Tuple[Any, ...]:
    """The arguments with this one among them."""
    if place.index < len(args):
        return (*args[: place.index], value, *args[place.index + 1 :])
    kwargs[place.name] = value
    return args


def _places(
    function_name: str, function: Callable[..., Any], knobs: Mapping[str, Mapping[str, Any]]
) -> Tuple[Dict[str, Mapping[str, Any]], Tuple[_Place, ...]]:
    """The knobs that have a place among the parameters; the others are logged."""
    parameters = _parameters(function)
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    by_position = [name for name, p in parameters.items() if p.kind in kinds]
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    specs, places = {}, []
    for name, spec in knobs.items():
        parameter = parameters.get(name)
        kind = None if parameter is None else parameter.kind
        if kind is inspect.Parameter.POSITIONAL_ONLY:
            problem = "%s: parameter `%s` can be passed by position only, and is no knob so"
            _context.logger.error(problem, function_name, name)
            continue
        if kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL):
            parameter = None
        if parameter is None and not takes_any:
            problem = "%s has no parameter `%s`, which is to be a knob"
            _context.logger.error(problem, function_name, name)
            continue
        has_default = parameter and parameter.default is not inspect.Parameter.empty
        default = parameter.default if parameter and has_default else _NOTHING
        index = by_position.index(name) if name in by_position else _NOWHERE
        specs[name] = spec
        places.append(_Place(name, default, index))
    return specs, tuple(places)


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        # Of some functions in C nobody knows. Their knobs are passed by name.
        return {"kwargs": inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)}
