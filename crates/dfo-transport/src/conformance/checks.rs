//! The checks. Each is a function from a transport to a verdict, or to what was expected and found.

pub(super) mod backpressure;
pub(super) mod cancellation;
pub(super) mod closing;
pub(super) mod commit;
pub(super) mod end;
pub(super) mod flood;
pub(super) mod loss;
pub(super) mod order;
pub(super) mod receivers;
pub(super) mod reopening;
pub(super) mod skipping;
