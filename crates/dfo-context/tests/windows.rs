//! Windows: what is marked, and the defects of group g.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::sync::{Arc, Mutex};

use dfo_context::model::AckStatus;
use dfo_context::{Context, Tracer, Window, WindowEvent};
use support::{Optimizer, plan_for, wait_for};

/// Writes down what it is told, in short.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn write(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// The marks alone: `+1` for the start of window 1, `-1` for its end.
    fn marks(&self) -> String {
        let notes = self.take();
        let marks = notes.iter().filter_map(|note| {
            let (name, rest) = note.split_once(" window_index=")?;
            let index = rest.split(' ').next()?;
            let sign = if name == "window.start" { "+" } else { "-" };
            Some(format!("{sign}{index}"))
        });
        marks.collect::<Vec<_>>().join(" ")
    }
}

impl Tracer for Notes {
    fn get_time(&mut self) -> u64 {
        self.write("time");
        77
    }

    fn enter_event(&mut self) {
        self.write("enter");
    }

    fn log_event(&mut self, event: &WindowEvent<'_>) {
        assert_eq!(
            (event.category, event.start_time, event.duration),
            ("window", 77, 0)
        );
        let arguments = event
            .int_args
            .iter()
            .map(|(name, value)| format!(" {name}={value}"));
        self.write(format!("{}{}", event.name, arguments.collect::<String>()));
    }

    fn exit_event(&mut self) {
        self.write("exit");
    }
}

fn window() -> (Window, Notes) {
    let notes = Notes::default();
    (Window::new().with_tracer(notes.clone()), notes)
}

fn iterations(window: &mut Window, count: usize) {
    for _ in 0..count {
        window.start();
        window.stop();
    }
}

#[test]
fn a_mark_is_an_event_with_the_window_and_its_place() {
    let (mut window, notes) = window();
    assert!(window.start());
    assert_eq!(
        notes.take(),
        [
            "time",
            "enter",
            "window.start window_index=1 every_n=1 counter=1",
            "exit"
        ]
    );
    assert!(window.stop());
    assert_eq!(
        notes.take()[2],
        "window.stop window_index=1 every_n=1 counter=1"
    );
    window.start();
    assert!(window.flush());
    let marks = notes.take();
    assert_eq!(
        marks[6],
        "window.stop window_index=2 every_n=1 counter=2 flush=1"
    );
    assert_eq!(window.counter(), 0);
    assert_eq!(window.window_index(), 2);
}

#[test]
fn windows_have_every_n_iterations() {
    let (mut window, notes) = window();
    window.update_cadence(3);
    let opened = [(); 7].map(|()| {
        let opened = window.start();
        (opened, window.stop())
    });
    let starts = opened.map(|(start, _)| start);
    assert_eq!(starts, [true, false, false, true, false, false, true]);
    let stops = opened.map(|(_, stop)| stop);
    assert_eq!(stops, [false, false, true, false, false, true, false]);
    assert!(window.flush());
    assert!(!window.flush());
    assert_eq!(notes.marks(), "+1 -1 +2 -2 +3 -3");
}

#[test]
fn cadence_doubles_and_halves_within_one_and_the_maximum() {
    let mut window = Window::new().with_max_every_n(6);
    for expected in [2, 4, 6, 6] {
        window.increase_cadence();
        assert_eq!(window.every_n(), expected);
    }
    for expected in [3, 1, 1] {
        window.decrease_cadence();
        assert_eq!(window.every_n(), expected);
    }
    window.update_cadence(0);
    assert_eq!(window.every_n(), 1);
    window.update_cadence(100);
    assert_eq!(window.every_n(), 6);
    let mut unbounded = Window::new();
    unbounded.update_cadence(u64::MAX);
    unbounded.increase_cadence();
    assert_eq!(unbounded.every_n(), u64::MAX);
}

#[test]
fn g01_a_change_of_cadence_closes_the_open_window() {
    let (mut window, notes) = window();
    window.update_cadence(4);
    window.start();
    window.stop();
    window.update_cadence(1);
    assert_eq!(notes.marks(), "+1 -1");
    window.start();
    window.stop();
    assert_eq!(notes.marks(), "+2 -2");
    // No change, nothing closed.
    window.start();
    window.update_cadence(1);
    assert!(window.stop());
    assert_eq!(notes.marks(), "+3 -3");
}

#[test]
fn g01_a_window_that_was_not_ended_is_closed_before_the_next() {
    let (mut window, notes) = window();
    window.start();
    window.start();
    window.stop();
    assert_eq!(notes.marks(), "+1 -1 +2 -2");
}

#[test]
fn g02_a_flush_closes_only_what_was_opened() {
    let (mut window, notes) = window();
    iterations(&mut window, 3);
    window.increase_cadence();
    assert_eq!(notes.marks(), "+1 -1 +2 -2 +3 -3");
    assert!(!window.flush());
    assert_eq!(notes.marks(), "");
}

#[test]
fn g03_a_maximum_of_zero_counts_as_one() {
    let (window, _) = window();
    let mut window = window.with_max_every_n(0);
    assert_eq!(window.max_every_n(), Some(1));
    window.increase_cadence();
    assert_eq!(window.every_n(), 1);
    iterations(&mut window, 2);
    assert!(!window.flush());
    assert_eq!(window.window_index(), 2);
    let mut longer = Window::new();
    longer.update_cadence(8);
    assert_eq!(longer.with_max_every_n(4).every_n(), 4);
}

#[test]
fn g04_the_optimizer_can_set_the_cadence() {
    let optimizer = Optimizer::new();
    let context = optimizer.context();
    let mut window = Window::new().with_max_every_n(8).telling(&context);
    let windows = context.register("Window", [window.knob()]).unwrap();
    let registration = optimizer.next_registration();
    assert_eq!(registration.knobs["every_n"].id, "app.every_n");
    assert_eq!(registration.current_value("every_n"), Some(&1.into()));

    iterations(&mut window, 5);
    let mut plan = plan_for("app.every_n", "p", 4);
    plan.target_function = "Window".to_owned();
    optimizer.send(&plan);
    wait_for(&context, "a plan", |s| s.plans_waiting == 1);
    for action in windows.window_boundary() {
        window.apply(action);
    }
    assert_eq!(window.every_n(), 4);
    let ack = optimizer.next_ack();
    assert_eq!(
        (ack.status, ack.new_value),
        (AckStatus::Applied, Some(4.into()))
    );
    assert_eq!(ack.window_index, Some(5));
}

#[test]
fn a_window_tells_the_context_where_it_is() {
    let context = Context::disabled();
    let mut window = Window::new().telling(&context);
    assert_eq!(context.window(), None);
    iterations(&mut window, 2);
    assert_eq!(context.window(), Some(2));
    context.set_window(-1);
    assert_eq!(context.window(), None);
}
