//! Threads that read samples ahead, into a queue of bounded length; both can change while they read.
//!
//! Each reader takes the next sample's number, reads it, and waits until there is room for it in the
//! queue. So at most as many samples are in memory as the queue is long, and one more for each reader.
//! Samples come in the order in which they are read, which with more than one reader is not that of
//! their numbers.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Readers and their queue. Dropping it ends the readers; what they have read is dropped.
pub struct Pool<T> {
    shared: Arc<Shared<T>>,
    handles: Vec<JoinHandle<()>>,
}

struct Shared<T> {
    read: Box<dyn Fn(usize) -> io::Result<T> + Send + Sync>,
    state: Mutex<State<T>>,
    /// For readers that wait for room.
    room: Condvar,
    /// For the one who waits for a sample.
    arrival: Condvar,
}

struct State<T> {
    queue: VecDeque<io::Result<T>>,
    /// The most samples in the queue.
    prefetch: u32,
    /// The number of the next sample to be read; all below it are read or being read.
    next: usize,
    /// The number of samples in all.
    end: usize,
    /// Samples handed over.
    given: usize,
    /// Readers that there should be.
    threads: u32,
    /// Readers that there are. More than there should be for as long as some have yet to notice.
    alive: u32,
    is_closed: bool,
}

impl<T: Send + 'static> Pool<T> {
    /// Starts to read the samples 0 to `samples`. Of threads and prefetch, 0 counts as 1.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        threads: u32,
        prefetch: u32,
        samples: usize,
        read: impl Fn(usize) -> io::Result<T> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let state = State {
            queue: VecDeque::new(),
            prefetch: prefetch.max(1),
            next: 0,
            end: samples,
            given: 0,
            threads: 0,
            alive: 0,
            is_closed: false,
        };
        let shared = Shared {
            read: Box::new(read),
            state: Mutex::new(state),
            room: Condvar::new(),
            arrival: Condvar::new(),
        };
        let mut pool = Pool {
            shared: Arc::new(shared),
            handles: Vec::new(),
        };
        pool.set_threads(threads)?;
        Ok(pool)
    }

    /// The next sample that is ready; waits for one. None when all were handed over.
    ///
    /// # Errors
    /// It could not be read. The others can be.
    pub fn next_sample(&self) -> io::Result<Option<T>> {
        let mut state = self.shared.state();
        loop {
            if let Some(sample) = state.queue.pop_front() {
                state.given += 1;
                self.shared.room.notify_one();
                return sample.map(Some);
            }
            if state.given == state.end {
                return Ok(None);
            }
            state = wait(&self.shared.arrival, state);
        }
    }

    /// Has so many readers from now on. New ones begin at once; those that are too many end when they
    /// have delivered what they are reading.
    ///
    /// # Errors
    /// The system gives no more threads. It stays at the number before.
    pub fn set_threads(&mut self, threads: u32) -> io::Result<()> {
        let threads = threads.max(1);
        self.handles.retain(|handle| !handle.is_finished());
        // Under one lock: readers that are too many must not leave between the counting and the change.
        let (before, missing) = {
            let mut state = self.shared.state();
            let missing = threads.saturating_sub(state.alive);
            state.alive += missing;
            (std::mem::replace(&mut state.threads, threads), missing)
        };
        for started in 0..missing {
            if let Err(error) = self.start_reader() {
                let mut state = self.shared.state();
                state.alive -= missing - started;
                state.threads = before;
                return Err(error);
            }
        }
        Ok(())
    }

    fn start_reader(&mut self) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let reader = std::thread::Builder::new().name("reader".to_owned());
        self.handles.push(reader.spawn(move || shared.read_on())?);
        Ok(())
    }

    /// Has a queue of so many samples from now on. What is in it already stays.
    pub fn set_prefetch(&mut self, prefetch: u32) {
        self.shared.state().prefetch = prefetch.max(1);
        self.shared.room.notify_all();
    }

    /// The readers that there should be.
    pub fn threads(&self) -> u32 {
        self.shared.state().threads
    }

    /// The length of the queue.
    pub fn prefetch(&self) -> u32 {
        self.shared.state().prefetch
    }
}

impl<T> Shared<T> {
    /// A reader's life.
    fn read_on(&self) {
        while let Some(number) = self.take_number() {
            self.deliver((self.read)(number));
        }
    }

    /// The number of the next sample to read; none for a reader that is not needed any more.
    fn take_number(&self) -> Option<usize> {
        let mut state = self.state();
        if state.is_closed || state.next == state.end || state.alive > state.threads {
            state.alive -= 1;
            return None;
        }
        state.next += 1;
        Some(state.next - 1)
    }

    /// Puts a sample into the queue, as soon as there is room.
    fn deliver(&self, sample: io::Result<T>) {
        let mut state = self.state();
        while state.queue.len() >= state.prefetch as usize && !state.is_closed {
            state = wait(&self.room, state);
        }
        state.queue.push_back(sample);
        self.arrival.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // A panic elsewhere leaves numbers that are still right: nothing here panics halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait<'a, T>(condition: &Condvar, state: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition
        .wait(state)
        .unwrap_or_else(PoisonError::into_inner)
}

impl<T> Drop for Pool<T> {
    fn drop(&mut self) {
        self.shared.state().is_closed = true;
        self.shared.room.notify_all();
        for handle in self.handles.drain(..) {
            // A reader that panicked has said so on standard error.
            let _ = handle.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Takes all that is left.
    fn rest(pool: &Pool<usize>) -> Vec<usize> {
        std::iter::from_fn(|| pool.next_sample().unwrap()).collect()
    }

    fn sorted(mut samples: Vec<usize>) -> Vec<usize> {
        samples.sort_unstable();
        samples
    }

    #[test]
    fn one_reader_delivers_in_order() {
        let pool = Pool::start(1, 1, 50, Ok).unwrap();
        assert_eq!(rest(&pool), (0..50).collect::<Vec<_>>());
        assert_eq!(pool.next_sample().unwrap(), None);
    }

    #[test]
    fn resizing_while_reading_loses_and_doubles_no_sample() {
        let mut pool = Pool::start(2, 3, 3000, Ok).unwrap();
        let mut samples = Vec::new();
        for step in 0..300_u32 {
            pool.set_threads(1 + step * 7 % 9).unwrap();
            pool.set_prefetch(1 + step * 5 % 6);
            samples.extend((0..8).filter_map(|_| pool.next_sample().unwrap()));
        }
        samples.extend(rest(&pool));
        assert_eq!(sorted(samples), (0..3000).collect::<Vec<_>>());
    }

    #[test]
    fn so_many_readers_read_at_the_same_time() {
        // Nobody gets past the barrier before five are there.
        let barrier = Arc::new(Barrier::new(5));
        let mut pool = Pool::start(1, 1, 25, move |number| {
            barrier.wait();
            Ok(number)
        })
        .unwrap();
        pool.set_threads(5).unwrap();
        assert_eq!(sorted(rest(&pool)), (0..25).collect::<Vec<_>>());
    }

    #[test]
    fn after_shrinking_to_one_only_one_reads() {
        let reading = Arc::new(AtomicU32::new(0));
        let most = Arc::new(AtomicU32::new(0));
        let (now, peak) = (Arc::clone(&reading), Arc::clone(&most));
        let mut pool = Pool::start(6, 1, 400, move |number| {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::yield_now();
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(number)
        })
        .unwrap();
        let mut samples: Vec<_> = (0..50)
            .filter_map(|_| pool.next_sample().unwrap())
            .collect();
        pool.set_threads(1).unwrap();
        // Each of the others delivers what it has at most once more, and is gone.
        while pool.shared.state().alive > 1 {
            samples.extend(pool.next_sample().unwrap());
        }
        most.store(0, Ordering::SeqCst);
        samples.extend(rest(&pool));
        assert!(most.load(Ordering::SeqCst) <= 1);
        assert_eq!(sorted(samples), (0..400).collect::<Vec<_>>());
    }

    #[test]
    fn readers_read_no_further_ahead_than_the_queue_is_long() {
        let read = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&read);
        let pool = Pool::start(2, 3, 100, move |number| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(number)
        })
        .unwrap();
        for taken in 0..90 {
            pool.next_sample().unwrap();
            // Taken, in the queue, and one in each reader's hands.
            assert!(read.load(Ordering::SeqCst) <= taken + 1 + 3 + 2);
        }
    }

    #[test]
    fn a_read_that_fails_costs_no_other_sample() {
        let pool = Pool::start(3, 2, 30, |number| match number {
            7 => Err(io::Error::other("lost")),
            number => Ok(number),
        })
        .unwrap();
        let results: Vec<_> = (0..30).map(|_| pool.next_sample()).collect();
        assert_eq!(results.iter().filter(|r| r.is_err()).count(), 1);
        assert_eq!(pool.next_sample().unwrap(), None);
    }

    #[test]
    fn a_pool_that_is_dropped_early_ends_its_readers() {
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let pool = Pool::start(4, 1, 1000, move |number| {
            let _ = &held;
            Ok(number)
        })
        .unwrap();
        pool.next_sample().unwrap();
        drop(pool);
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[test]
    fn no_threads_and_no_queue_count_as_one() {
        let mut pool = Pool::start(0, 0, 3, Ok).unwrap();
        assert_eq!((pool.threads(), pool.prefetch()), (1, 1));
        pool.set_threads(0).unwrap();
        pool.set_prefetch(0);
        assert_eq!(sorted(rest(&pool)), [0, 1, 2]);
    }
}
