//! The service, from outside: scripted sources and sinks around it, and what it tells, sends and counts.
//!
//! Written from the issue, the wire and the planner's rules. Where time matters the clock is paused:
//! it moves on only when nobody has anything to do, so that every wait is exact and takes no time.
//! `scene` is what makes the tests readable.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod scene;

mod acknowledgements;
mod bad_records;
mod bootstrap;
mod commits;
mod dead_letters;
mod end_of_stream;
mod heartbeats;
mod idle;
mod journal;
mod plan_consumers;
mod properties;
mod recorded;
mod remote;
mod stopping;
mod supervision;
