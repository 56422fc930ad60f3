use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// Lines under the head and at the end only.
const STYLE: TableStyle = {
    let line = LineStyle::none().fill('─').junction('─');
    TableStyle::new().header_separator(line).bottom_border(line)
};

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// By the clock on the wall.
    pub wall: Duration,
    /// Of all threads of this process.
    pub cpu: Duration,
}

/// Runs something and says what it took.
pub async fn measured<F: Future>(work: F) -> (F::Output, Sample) {
    let (began, cpu) = (Instant::now(), process_cpu());
    let output = work.await;
    (output, Sample { wall: began.elapsed(), cpu: process_cpu().saturating_sub(cpu) })
}

/// What all threads of this process took of the processors since it began.
pub fn process_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// The one in the middle.
///
/// # Panics
/// Where there are none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Two ways to do the same, or the same in two places, run in turn.
#[derive(Debug, Default)]
pub struct Compared {
    rounds: Vec<[Sample; 2]>,
}

impl Compared {
    /// A round: what the one took that is compared with, and what the other took.
    pub fn add(&mut self, one: Sample, other: Sample) {
        self.rounds.push([one, other]);
    }

    /// How many times the one's time the other takes: the middle of all rounds.
    pub fn wall(&self) -> f64 {
        median(self.rounds.iter().map(|[one, other]| other.wall.as_secs_f64() / one.wall.as_secs_f64()))
    }

    /// How many times the one's CPU the other takes: the middle of all rounds.
    pub fn cpu(&self) -> f64 {
        median(self.rounds.iter().map(|[one, other]| other.cpu.as_secs_f64() / one.cpu.as_secs_f64()))
    }

    /// What each took for one of the `count` things of a round, and how many times the first the second took.
    pub fn table(&self, names: [&str; 2], thing: &str, count: usize) -> Table {
        #[expect(clippy::cast_precision_loss, reason = "there are not that many")]
        let micros = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
        let mut table = Table::new();
        table.load_style(STYLE);
        table.set_header([
            String::new(),
            format!("{thing}s/s"),
            format!("µs/{thing}"),
            "from".to_owned(),
            "to".to_owned(),
            format!("CPU µs/{thing}"),
        ]);
        for (place, name) in names.into_iter().enumerate() {
            let wall = || self.rounds.iter().map(|round| micros(round[place].wall));
            table.add_row([
                name.to_owned(),
                format!("{:.0}", 1e6 / median(wall())),
                format!("{:.1}", median(wall())),
                format!("{:.1}", wall().fold(f64::INFINITY, f64::min)),
                format!("{:.1}", wall().fold(0.0, f64::max)),
                format!("{:.1}", median(self.rounds.iter().map(|round| micros(round[place].cpu)))),
            ]);
        }
        table.add_row([
            "times".to_owned(),
            String::new(),
            format!("{:.2}", self.wall()),
            String::new(),
            String::new(),
            format!("{:.2}", self.cpu()),
        ]);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}
