//! What time it is: the window index of the findings, and nothing else.
//!
//! Findings count windows on several axes (their *views*: windows, epochs, steps), and an axis
//! begins again at 0 when the application restarts. The clock maps all of them onto one time that
//! only moves on. While nothing restarts and the axes agree, that time *is* the window index.

use std::collections::HashMap;

use foldhash::fast::FixedState;

/// A point in time, in windows.
pub(crate) type Time = i64;

/// Views beyond so many share one axis: names come from outside.
const MOST_VIEWS: usize = 64;

/// One axis.
#[derive(Debug, Clone, Copy)]
struct Axis {
    /// What is added to a window of it to get the time.
    offset: i64,
    newest: i64,
}

/// Which axis a window stands on. Stays valid for as long as the clock does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct View(usize);

/// What a finding's window says about time.
pub(crate) struct Moment {
    pub(crate) view: View,
    pub(crate) time: Time,
    /// The window that was the newest of the view, where this one starts a new run.
    pub(crate) new_run_after: Option<i64>,
}

#[derive(Debug)]
pub(crate) struct Clock {
    tolerance: Option<i64>,
    now: Option<Time>,
    run_start: Time,
    axes: Vec<Axis>,
    views: HashMap<Box<str>, View, FixedState>,
    last_view: View,
}

impl Clock {
    /// A clock that takes a window lying more than `new_run_below` behind for a new run.
    pub(crate) fn new(new_run_below: Option<i64>) -> Self {
        Clock {
            tolerance: new_run_below,
            now: None,
            run_start: Time::MIN,
            axes: Vec::new(),
            views: HashMap::default(),
            last_view: View::default(),
        }
    }

    /// The newest time seen; 0 before the first finding.
    pub(crate) fn now(&self) -> Time {
        self.now.unwrap_or(0)
    }

    /// How long ago that was at `time`. What was before this run counts as at its start.
    pub(crate) fn windows_since(&self, then: Time, time: Time) -> i64 {
        time.saturating_sub(then.max(self.run_start))
    }

    /// The time of a window of a view that has been seen.
    pub(crate) fn time_of(&self, view: View, window: i64) -> Time {
        let offset = self.axes.get(view.0).map_or(0, |axis| axis.offset);
        window.saturating_add(offset)
    }

    /// The view of the last finding.
    pub(crate) fn last_view(&self) -> View {
        self.last_view
    }

    /// Takes note of a finding's window.
    pub(crate) fn observe(&mut self, view: &str, window: i64) -> Moment {
        let view = self.view_named(view, window);
        self.last_view = view;
        let now = self.now.unwrap_or(window);
        let tolerance = self.tolerance;
        let axis = &mut self.axes[view.0];
        let is_behind = |window: i64, of: i64| {
            tolerance.is_some_and(|tolerance| window < of.saturating_sub(tolerance))
        };

        let mut new_run_after = None;
        if is_behind(window, axis.newest) {
            new_run_after = Some(axis.newest);
            axis.offset = now.saturating_sub(window);
            axis.newest = window;
            self.run_start = now;
        } else if window >= axis.newest && is_behind(window.saturating_add(axis.offset), now) {
            // This axis is slower than another, or was first seen late: its present is now.
            axis.offset = now.saturating_sub(window);
        }
        axis.newest = axis.newest.max(window);
        let time = window.saturating_add(axis.offset);
        self.now = Some(now.max(time));
        Moment {
            view,
            time,
            new_run_after,
        }
    }

    fn view_named(&mut self, name: &str, window: i64) -> View {
        if let Some(view) = self.views.get(name) {
            return *view;
        }
        if self.axes.len() == MOST_VIEWS {
            return View(MOST_VIEWS - 1);
        }
        let view = View(self.axes.len());
        self.views.insert(name.into(), view);
        self.axes.push(Axis {
            offset: 0,
            newest: window,
        });
        view
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        Clock::new(Some(10))
    }

    #[test]
    fn while_nothing_restarts_time_is_the_window() {
        let mut c = clock();
        for window in [5, 6, 9, 7, 12, 2, 13] {
            assert_eq!(c.observe("window", window).time, window);
            assert_eq!(c.observe("epoch", window).time, window);
        }
        assert_eq!(c.now(), 13);
    }

    #[test]
    fn a_restart_goes_on_from_now() {
        let mut c = clock();
        c.observe("window", 5_000);
        let moment = c.observe("window", 0);
        assert_eq!((moment.time, moment.new_run_after), (5_000, Some(5_000)));
        assert_eq!(c.windows_since(4_000, moment.time), 0);
        let moment = c.observe("window", 3);
        assert_eq!((moment.time, moment.new_run_after), (5_003, None));
        assert_eq!(c.windows_since(4_000, moment.time), 3);
    }

    #[test]
    fn a_slow_axis_does_not_lag_for_ever() {
        let mut c = clock();
        c.observe("window", 5_000);
        assert_eq!(c.observe("epoch", 3).time, 5_000);
        assert_eq!(c.observe("epoch", 5).time, 5_002);
        c.observe("window", 5_100);
        let moment = c.observe("epoch", 6);
        assert_eq!((moment.time, moment.new_run_after), (5_100, None));
        assert_eq!(c.windows_since(5_098, moment.time), 2);
    }

    #[test]
    fn the_original_takes_every_window_as_it_is() {
        let mut c = Clock::new(None);
        c.observe("window", 5_000);
        assert_eq!(c.observe("epoch", 3).time, 3);
        assert_eq!(c.observe("window", -7).time, -7);
        assert_eq!(c.windows_since(5_000, -7), -5_007);
    }

    #[test]
    fn any_number_of_views_is_bounded() {
        let mut c = clock();
        for i in 0..1_000 {
            c.observe(&i.to_string(), i);
        }
        assert_eq!(c.axes.len(), MOST_VIEWS);
        assert_eq!(c.views.len(), MOST_VIEWS);
        c.observe("x", i64::MAX);
        c.observe("x", i64::MIN);
    }
}
