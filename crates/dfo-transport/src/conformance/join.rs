//! Several futures side by side in one task.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

/// Runs all of them; ends with the first error, or when the last is done.
pub(super) async fn all<T, E, F>(futures: impl IntoIterator<Item = F>) -> Result<Vec<T>, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut running: Vec<Running<F, T>> = futures
        .into_iter()
        .map(|future| Running::Yet(Box::pin(future)))
        .collect();
    poll_fn(|context| {
        let mut pending = false;
        for slot in &mut running {
            if let Running::Yet(future) = slot {
                match future.as_mut().poll(context) {
                    Poll::Pending => pending = true,
                    Poll::Ready(Ok(value)) => *slot = Running::Done(value),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                }
            }
        }
        match pending {
            true => Poll::Pending,
            false => Poll::Ready(Ok(())),
        }
    })
    .await?;
    let done = |slot| match slot {
        Running::Done(value) => Some(value),
        Running::Yet(_) => None,
    };
    Ok(running.into_iter().filter_map(done).collect())
}

enum Running<F, T> {
    Yet(Pin<Box<F>>),
    Done(T),
}

/// Polls a future up to `polls` times, with turns for others between, then drops it.
pub(super) async fn abandon_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        if let Poll::Ready(value) = future.as_mut().poll(context) {
            return Poll::Ready(Some(value));
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}
