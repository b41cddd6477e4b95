//! Journals as a service writes them, and as they are found after a crash or some damage.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod damage;
mod ends;
mod events;
mod failures;
mod scene;
