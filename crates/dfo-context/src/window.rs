//! Marking windows of the work for the tracer, so that findings speak of them.
//!
//! A window is a stretch of iterations; the diagnoser looks at each by itself. The window that is
//! open is also what [`Window::telling`] tells a context, so that answers say in which window a
//! change was made. Nothing here measures anything: that is the tracer's work.

use std::fmt;

use dfo_model::{Knob, KnobType, Number, Range, Value};

use crate::action::Action;
use crate::context::Context;
use crate::knobs::LiveKnob;
use crate::speaker::WindowIndex;

/// What takes down the marks: a tracer such as DFTracer.
///
/// A mark is [`enter_event`](Tracer::enter_event), [`log_event`](Tracer::log_event),
/// [`exit_event`](Tracer::exit_event), in that order.
pub trait Tracer: Send {
    /// The time now, as the tracer counts it.
    fn get_time(&mut self) -> u64;
    /// An event begins.
    fn enter_event(&mut self);
    /// What the event is.
    fn log_event(&mut self, event: &WindowEvent<'_>);
    /// The event ends.
    fn exit_event(&mut self);
}

/// The beginning or the end of a window, for the tracer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WindowEvent<'a> {
    /// `window.start` or `window.stop`.
    pub name: &'a str,
    /// `window`.
    pub category: &'a str,
    /// When the window began, as the tracer counts time.
    pub start_time: u64,
    /// How long the window was, at its end; 0 at its beginning.
    pub duration: u64,
    /// `window_index`, `every_n`, `counter`, and `flush` with 1 where an epoch ends the window.
    pub int_args: &'a [(&'a str, i64)],
}

/// Marks windows of `every_n` iterations each.
///
/// ```
/// use dfo_context::Window;
///
/// let mut window = Window::new().with_max_every_n(8);
/// window.update_cadence(2);
/// assert!(window.start()); // the first iteration opens a window
/// assert!(!window.stop());
/// assert!(!window.start());
/// assert!(window.stop()); // the second closes it
/// assert_eq!(window.window_index(), 1);
/// ```
///
/// The optimizer can set how many iterations a window has, if it is let: [`Window::knob`] is to be
/// registered like any other, with the responses that make sense for the job, and
/// [`Window::apply`] takes what comes for it.
#[derive(Default)]
pub struct Window {
    tracer: Option<Box<dyn Tracer>>,
    told: Option<WindowIndex>,
    max_every_n: Option<u64>,
    /// One less, so that it cannot be 0.
    every_n_beyond_1: u64,
    index: i64,
    counter: u64,
    is_open: bool,
    /// When the window began, as the tracer counts time.
    begun: u64,
}

impl Window {
    /// Windows of one iteration each, without a tracer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Marks go to this tracer.
    #[must_use]
    pub fn with_tracer(mut self, tracer: impl Tracer + 'static) -> Self {
        self.tracer = Some(Box::new(tracer));
        self
    }

    /// A window has at most so many iterations; 0 counts as 1.
    #[must_use]
    pub fn with_max_every_n(mut self, max_every_n: u64) -> Self {
        self.max_every_n = Some(max_every_n.max(1));
        self.every_n_beyond_1 = self.held(self.every_n()) - 1;
        self
    }

    /// Tells this context the window whenever one begins; see [`Context::set_window`].
    #[must_use]
    pub fn telling(mut self, context: &Context) -> Self {
        self.told = Some(context.window_index());
        self
    }

    /// An iteration begins. True if a window begins with it; one that is open then, because its
    /// iterations were not all ended with [`stop`](Window::stop), is closed first.
    pub fn start(&mut self) -> bool {
        self.counter += 1;
        let is_first = self.every_n() == 1 || self.counter % self.every_n() == 1;
        if is_first {
            self.close(Closing::InOrder);
            self.open();
        }
        is_first
    }

    /// An iteration ends. True if a window ends with it.
    pub fn stop(&mut self) -> bool {
        let is_last = self.counter.is_multiple_of(self.every_n());
        is_last && self.close(Closing::InOrder)
    }

    /// An epoch ends, and a window that is open with it; counting begins anew. True if there was one.
    pub fn flush(&mut self) -> bool {
        let was_open = self.close(Closing::Flush);
        self.counter = 0;
        was_open
    }

    /// Twice as many iterations in a window, within the maximum.
    pub fn increase_cadence(&mut self) {
        self.update_cadence(self.every_n().saturating_mul(2));
    }

    /// Half as many iterations in a window, at least 1.
    pub fn decrease_cadence(&mut self) {
        self.update_cadence(self.every_n() / 2);
    }

    /// So many iterations in a window, within 1 and the maximum. A window that is open is closed if
    /// that is a change: windows of two lengths in one would compare with neither.
    pub fn update_cadence(&mut self, every_n: u64) {
        let every_n = self.held(every_n);
        if every_n != self.every_n() {
            self.close(Closing::InOrder);
            self.every_n_beyond_1 = every_n - 1;
        }
    }

    /// The iterations in a window.
    pub fn every_n(&self) -> u64 {
        self.every_n_beyond_1 + 1
    }

    /// The newest window; 0 before the first.
    pub fn window_index(&self) -> i64 {
        self.index
    }

    /// The iterations begun since the epoch began.
    pub fn counter(&self) -> u64 {
        self.counter
    }

    /// The most iterations that a window may have.
    pub fn max_every_n(&self) -> Option<u64> {
        self.max_every_n
    }

    /// The iterations in a window as a knob, `every_n`, to be registered. It responds to nothing
    /// yet: add responses for the tags at which windows should be longer or shorter.
    ///
    /// ```
    /// use dfo_context::{Context, Window};
    /// use dfo_context::model::{Response, Number};
    ///
    /// let context = Context::disabled();
    /// let mut window = Window::new().with_max_every_n(64).telling(&context);
    /// let mut knob = window.knob();
    /// let longer = Response { step: Some(Number::Int(2)), ..Response::default() };
    /// knob.knob.responds_to.insert("tracing_overhead".to_owned(), longer);
    /// let windows = context.register("Window", [knob])?;
    ///
    /// // In the loop, at a boundary:
    /// for action in windows.window_boundary() {
    ///     window.apply(action);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn knob(&self) -> LiveKnob {
        let most = self.max_every_n.map_or(i64::MAX, to_int);
        let knob = Knob {
            range: Some(Range::new(1, most)),
            ..Knob::new("", KnobType::Int, 1)
        };
        LiveKnob::new("every_n", knob).with_value(to_int(self.every_n()))
    }

    /// Makes a change to [`knob`](Window::knob), and answers for it.
    pub fn apply(&mut self, action: Action) {
        let wanted = action.new_value().as_number().map(Number::truncated);
        match wanted.and_then(|n| u64::try_from(n).ok()) {
            Some(every_n) => {
                self.update_cadence(every_n);
                // A whole number is always one of the knob's type, if the knob is ours.
                let in_force = Value::Int(to_int(self.every_n()));
                let _ = action.applied_as(in_force);
            }
            None => action.rejected("not a number of iterations"),
        }
    }

    fn held(&self, every_n: u64) -> u64 {
        every_n.clamp(1, self.max_every_n.unwrap_or(u64::MAX))
    }

    fn open(&mut self) {
        self.index += 1;
        self.is_open = true;
        if let Some(told) = &self.told {
            told.set(self.index);
        }
        self.mark("window.start", Closing::InOrder);
    }

    fn close(&mut self, closing: Closing) -> bool {
        let was_open = std::mem::take(&mut self.is_open);
        if was_open {
            self.mark("window.stop", closing);
        }
        was_open
    }

    fn mark(&mut self, name: &str, closing: Closing) {
        let int_args = [
            ("window_index", self.index),
            ("every_n", to_int(self.every_n())),
            ("counter", to_int(self.counter)),
            ("flush", 1),
        ];
        let Some(tracer) = &mut self.tracer else {
            return;
        };
        let now = tracer.get_time();
        if self.is_open {
            self.begun = now;
        }
        tracer.enter_event();
        tracer.log_event(&WindowEvent {
            name,
            category: "window",
            start_time: self.begun,
            duration: now.saturating_sub(self.begun),
            int_args: match closing {
                Closing::InOrder => &int_args[..3],
                Closing::Flush => &int_args,
            },
        });
        tracer.exit_event();
    }
}

/// Whether the end of the epoch ends a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    InOrder,
    Flush,
}

fn to_int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window")
            .field("every_n", &self.every_n())
            .field("max_every_n", &self.max_every_n)
            .field("window_index", &self.index)
            .field("counter", &self.counter)
            .field("is_open", &self.is_open)
            .finish_non_exhaustive()
    }
}
