use indicatif::{ProgressBar, ProgressStyle};
use std::sync::atomic::{AtomicU64, Ordering};

/// How far the seeds are; shown where somebody looks.
pub(crate) struct Progress {
    bar: ProgressBar,
    failed: AtomicU64,
}

impl Progress {
    pub(crate) fn of(seeds: u64) -> Self {
        let style = "{bar:40} {pos}/{len} seeds, {per_sec}, {eta} left{msg}";
        let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { bar: ProgressBar::new(seeds).with_style(style), failed: AtomicU64::new(0) }
    }

    pub(crate) fn step(&self, failed: bool) {
        if failed {
            let count = self.failed.fetch_add(1, Ordering::Relaxed) + 1;
            self.bar.set_message(format!(", {count} failed"));
        }
        self.bar.inc(1);
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
