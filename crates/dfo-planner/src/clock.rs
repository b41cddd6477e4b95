//! What time it is: the window index of the findings, and nothing else.
//!
//! Findings count windows on several axes (their *views*: windows, epochs, steps), and an axis
//! begins again at 0 when the application restarts. The clock keeps one time that only moves on,
//! the newest window of all, and a place on it for each axis. While nothing restarts and the axes
//! agree, every time *is* a window index.
//!
//! Between two windows of one axis the distance is counted on that axis; between axes, and across a
//! restart, it is counted in the common time.

mod saved;

use std::collections::HashMap;
use std::num::NonZeroU8;

use foldhash::fast::FixedState;
pub(crate) use saved::SavedClock;
use serde::{Deserialize, Serialize};

/// A point in the common time, in windows.
pub(crate) type Time = i64;

/// Time moves on by so many windows at once, at the most, so that absurd windows cannot exhaust it.
const LONGEST_STEP: i128 = 1 << 32;

/// Applications may be ahead of the findings, which take their time; but not by more than this.
const FARTHEST_AHEAD: Time = 1_000;

/// Views beyond so many share one axis: names come from outside.
const MOST_VIEWS: u8 = 64;

/// Which axis a window stands on. Stays valid for as long as the clock does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct View(NonZeroU8);

impl View {
    const FIRST: View = View(NonZeroU8::MIN);

    fn index(self) -> usize {
        usize::from(self.0.get() - 1)
    }
}

/// When something happened: on its own axis, and in the common time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    view: View,
    on_axis: Time,
    pub(crate) time: Time,
}

/// What a finding's window says about time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) stamp: Stamp,
    /// The window that was the newest of the view, where this one starts a new run.
    pub(crate) new_run_after: Option<i64>,
}

/// One axis. Offsets are wide: the difference of two windows need not fit 64 bits.
#[derive(Debug, Clone, Copy)]
struct Axis {
    newest: i64,
    /// What is added to a window to get its place on the axis. Changes when a run starts.
    run_offset: i128,
    /// What is added to a window to get the common time.
    time_offset: i128,
    /// The latest place on the axis that anything was stamped with.
    horizon: Time,
}

#[derive(Debug)]
pub(crate) struct Clock {
    tolerance: Option<i64>,
    now: Option<Time>,
    run_start: Time,
    /// The latest time that anything was stamped with; actions may lie ahead of the findings.
    horizon: Time,
    axes: Vec<Axis>,
    views: HashMap<Box<str>, View, FixedState>,
    last_view: View,
}

impl Stamp {
    /// So many windows later, or earlier.
    pub(crate) fn shifted(self, windows: i128) -> Self {
        Stamp {
            view: self.view,
            on_axis: at(self.on_axis, windows),
            time: at(self.time, windows),
        }
    }

    /// Whether both stand on one axis.
    pub(crate) fn is_on_axis_of(self, other: Stamp) -> bool {
        self.view == other.view
    }

    /// The later of two.
    pub(crate) fn later(a: Option<Stamp>, b: Option<Stamp>) -> Option<Stamp> {
        match (a, b) {
            (Some(a), Some(b)) if b.time > a.time => Some(b),
            (None, b) => b,
            (a, _) => a,
        }
    }
}

impl Clock {
    /// A clock that takes a window lying more than `new_run_below` behind for a new run.
    pub(crate) fn new(new_run_below: Option<i64>) -> Self {
        Clock {
            tolerance: new_run_below,
            now: None,
            run_start: Time::MIN,
            horizon: Time::MIN,
            axes: Vec::new(),
            views: HashMap::default(),
            last_view: View::FIRST,
        }
    }

    /// The newest time seen; 0 before the first finding.
    pub(crate) fn now(&self) -> Time {
        self.now.unwrap_or(0)
    }

    /// The newest window seen on the axis of the last finding.
    pub(crate) fn newest_window(&self) -> Option<i64> {
        let axis = self.axes.get(self.last_view.index())?;
        Some(axis.newest)
    }

    /// The newest window seen, as a stamp.
    pub(crate) fn present(&self) -> Stamp {
        let axis = self.axes.get(self.last_view.index());
        Stamp {
            view: self.last_view,
            on_axis: axis.map_or(0, |axis| at(axis.newest, axis.run_offset)),
            time: self.now(),
        }
    }

    /// A window that no finding told of, on the axis of the last finding.
    pub(crate) fn stamp(&self, window: i64) -> Stamp {
        self.stamp_on(self.last_view, window)
    }

    /// A stamp that an application or another optimizer has given, as far as it can be believed: one
    /// that is missing, or lies absurdly far ahead of the findings, is the present.
    pub(crate) fn plausible(&self, stamp: Option<Stamp>) -> Stamp {
        let is_absurd = |stamp: &Stamp| {
            let ahead = stamp.time.saturating_sub(self.now());
            self.tolerance.is_some() && ahead > FARTHEST_AHEAD
        };
        match stamp {
            Some(stamp) if !is_absurd(&stamp) => stamp,
            _ => self.present(),
        }
    }

    /// How many windows ago something was. What was before this run counts as at its start.
    pub(crate) fn windows_since(&self, then: Stamp, now: Stamp) -> i64 {
        if then.view == now.view && then.time >= self.run_start {
            return now.on_axis.saturating_sub(then.on_axis);
        }
        self.waited_since(then.time, now.time)
    }

    /// The same in the common time.
    pub(crate) fn waited_since(&self, then: Time, now: Time) -> i64 {
        now.saturating_sub(then.max(self.run_start))
    }

    /// Takes note of when an action took place: a new run starts after all of them.
    pub(crate) fn note_action(&mut self, at: Stamp) {
        self.horizon = self.horizon.max(at.time);
        if let Some(axis) = self.axes.get_mut(at.view.index()) {
            axis.horizon = axis.horizon.max(at.on_axis);
        }
    }

    /// Takes note of a finding's window.
    pub(crate) fn observe(&mut self, view: &str, window: i64) -> Moment {
        let view = self.view_named(view, window);
        self.last_view = view;
        let tolerance = self.tolerance.map(i128::from);
        let is_behind = |window: i128, of: i128| tolerance.is_some_and(|t| window < of - t);
        let is_absurd = |step: i128| tolerance.is_some() && step > LONGEST_STEP;
        let axis = &mut self.axes[view.index()];
        let (this, newest) = (i128::from(window), i128::from(axis.newest));
        // What an application has told of before the first finding is no later than it.
        let first = || (this + axis.time_offset).max(self.horizon.into());
        let now = self.now.map_or_else(first, i128::from);

        let mut new_run_after = None;
        if is_behind(this, newest) {
            new_run_after = Some(axis.newest);
            let start = now.max(self.horizon.into());
            self.run_start = narrow(start);
            axis.run_offset = (newest + axis.run_offset).max(axis.horizon.into()) - this;
            axis.time_offset = start - this;
            axis.newest = window;
        } else if is_absurd(this - newest) || is_absurd(this + axis.time_offset - now) {
            axis.run_offset = newest + axis.run_offset + LONGEST_STEP - this;
            axis.time_offset = now + LONGEST_STEP - this;
        } else if this >= newest && is_behind(this + axis.time_offset, now) {
            // This axis is slower than another, or was first seen late: its present is now.
            axis.time_offset = now - this;
        }
        axis.newest = axis.newest.max(window);
        let stamp = self.stamp_on(view, window);
        self.now = Some(self.now.map_or(stamp.time, |now| now.max(stamp.time)));
        Moment {
            stamp,
            new_run_after,
        }
    }

    fn stamp_on(&self, view: View, window: i64) -> Stamp {
        let axis = self.axes.get(view.index());
        let (run_offset, time_offset) = axis.map_or((0, 0), |a| (a.run_offset, a.time_offset));
        Stamp {
            view,
            on_axis: at(window, run_offset),
            time: at(window, time_offset),
        }
    }

    /// Without a tolerance all views share one axis, which is what the original has.
    fn view_named(&mut self, name: &str, window: i64) -> View {
        let name = if self.tolerance.is_some() { name } else { "" };
        if let Some(view) = self.views.get(name) {
            return *view;
        }
        let number = u8::try_from(self.axes.len() + 1).unwrap_or(MOST_VIEWS);
        let view = NonZeroU8::new(number.min(MOST_VIEWS)).map_or(View::FIRST, View);
        if self.axes.len() < usize::from(MOST_VIEWS) {
            // The very first window is taken as it is, unless it leaves no room to move on.
            let is_absurd = self.tolerance.is_some() && i128::from(window).abs() > LONGEST_STEP;
            let offset = if is_absurd && self.now.is_none() {
                -i128::from(window)
            } else {
                0
            };
            self.views.insert(name.into(), view);
            self.axes.push(Axis {
                newest: window,
                run_offset: offset,
                time_offset: offset,
                horizon: Time::MIN,
            });
        }
        view
    }
}

fn at(window: i64, offset: i128) -> Time {
    narrow(i128::from(window) + offset)
}

fn narrow(time: i128) -> Time {
    let bounded = time.clamp(i64::MIN.into(), i64::MAX.into());
    // It has just been held within 64 bits.
    i64::try_from(bounded).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        Clock::new(Some(10))
    }

    fn time(clock: &mut Clock, view: &str, window: i64) -> Time {
        clock.observe(view, window).stamp.time
    }

    #[test]
    fn while_nothing_restarts_time_is_the_window() {
        let mut c = clock();
        for window in [5, 6, 9, 7, 12, 2, 13] {
            assert_eq!(time(&mut c, "window", window), window);
            assert_eq!(time(&mut c, "epoch", window), window);
        }
        assert_eq!(c.now(), 13);
    }

    #[test]
    fn a_restart_goes_on_from_now() {
        let mut c = clock();
        let before = c.observe("window", 4_000).stamp;
        c.observe("window", 5_000);
        let moment = c.observe("window", 0);
        assert_eq!(
            (moment.stamp.time, moment.new_run_after),
            (5_000, Some(5_000))
        );
        assert_eq!(c.windows_since(before, moment.stamp), 0);
        let moment = c.observe("window", 3);
        assert_eq!((moment.stamp.time, moment.new_run_after), (5_003, None));
        assert_eq!(c.windows_since(before, moment.stamp), 3);
    }

    #[test]
    fn a_restart_comes_after_every_action() {
        let mut c = clock();
        let ahead = c.observe("window", 5_000).stamp.shifted(2_000);
        c.note_action(ahead);
        let restart = c.observe("window", 0).stamp;
        assert_eq!(c.windows_since(ahead, restart), 0);
        let later = c.observe("window", 4).stamp;
        assert_eq!(c.windows_since(ahead, later), 4);
    }

    #[test]
    fn a_slow_axis_does_not_lag_for_ever() {
        let mut c = clock();
        c.observe("window", 5_000);
        assert_eq!(time(&mut c, "epoch", 3), 5_000);
        assert_eq!(time(&mut c, "epoch", 5), 5_002);
        let action = c.observe("window", 5_098).stamp;
        c.observe("window", 5_100);
        let moment = c.observe("epoch", 6);
        assert_eq!((moment.stamp.time, moment.new_run_after), (5_100, None));
        assert_eq!(c.windows_since(action, moment.stamp), 2);
    }

    #[test]
    fn on_one_axis_its_own_windows_count() {
        let mut c = clock();
        let action = c.observe("epoch", 50).stamp;
        c.observe("step", 1_000);
        c.observe("step", 1_100);
        let next = c.observe("epoch", 51).stamp;
        assert_eq!(c.windows_since(action, next), 1);
    }

    #[test]
    fn absurd_windows_do_not_stop_the_clock() {
        let mut c = clock();
        for _ in 0..1_000 {
            c.observe("window", i64::MAX);
            c.observe("window", i64::MIN);
        }
        let action = c.observe("window", 0).stamp;
        let later = c.observe("window", 3).stamp;
        assert_eq!(c.windows_since(action, later), 3);
    }

    #[test]
    fn the_original_takes_every_window_as_it_is() {
        let mut c = Clock::new(None);
        let action = c.observe("window", 5_000).stamp;
        assert_eq!(time(&mut c, "epoch", 3), 3);
        let late = c.observe("window", -7).stamp;
        assert_eq!(c.windows_since(action, late), -5_007);
    }

    #[test]
    fn any_number_of_views_is_bounded() {
        let mut c = clock();
        for i in 0..1_000 {
            c.observe(&i.to_string(), i);
        }
        assert_eq!(c.axes.len(), usize::from(MOST_VIEWS));
        assert_eq!(c.views.len(), usize::from(MOST_VIEWS));
    }
}
