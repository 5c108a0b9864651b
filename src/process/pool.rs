//! The CPU threads: an own pool, so that neither tokio's threads nor rayon's global pool ever wait for a processor.

/// Threads for processors, named `haul-cpu-N`.
#[derive(Debug)]
pub struct Pool {
    threads: rayon::ThreadPool,
}

/// The threads could not be started.
#[derive(Debug, thiserror::Error)]
#[error("failed to start the CPU threads")]
pub struct PoolError(#[from] rayon::ThreadPoolBuildError);

/// A filter may recurse deeper than tokio's or Rust's default of 2 MiB allows. Only what is touched takes memory.
const STACK_BYTES: usize = 8 << 20;

impl Pool {
    /// What the name of every CPU thread begins with.
    pub const THREAD_NAME: &'static str = "haul-cpu-";

    /// Starts so many threads; 0 = one a core.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn new(threads: usize) -> Result<Self, PoolError> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|n| format!("{}{n}", Self::THREAD_NAME))
            .stack_size(STACK_BYTES)
            // Without a handler a panic outside `Work::run` would abort the process.
            .panic_handler(|_| tracing::error!("a CPU thread panicked outside of a processor"))
            .build()?;
        Ok(Self { threads })
    }

    /// How many threads there are.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.current_num_threads()
    }

    /// Runs this on a free thread, soon, in the order in which it came from outside the pool.
    ///
    /// Never call this from inside the pool: rayon serves its local queue first, and what comes from outside would starve.
    pub fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        self.threads.spawn_fifo(task);
    }
}
