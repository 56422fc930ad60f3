//! The picture: which worker has which machine, and how far it is. On a terminal it moves; elsewhere it is printed when
//! something happened.

use console::{Color, Term, style};
use deploy_core::Step;
use examples::trial::Holding;

/// The longest step is cut, so that two machines fit a line of 80 columns.
const STEP: usize = 20;

pub(crate) struct Board {
    term: Term,
    /// Lines of the picture that is on the terminal.
    drawn: usize,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self { term: Term::stdout(), drawn: 0 }
    }

    /// The picture as it is now, on a terminal.
    pub(crate) fn show(&mut self, holdings: &[Holding]) -> anyhow::Result<()> {
        if self.term.is_term() {
            self.draw(holdings)?;
        }
        Ok(())
    }

    /// Something happened: its picture stays.
    pub(crate) fn keep(&mut self, what: &str, holdings: &[Holding]) -> anyhow::Result<()> {
        self.clear()?;
        self.say(what)?;
        self.draw(holdings)?;
        self.drawn = 0;
        self.say("")
    }

    pub(crate) fn say(&mut self, text: &str) -> anyhow::Result<()> {
        self.clear()?;
        Ok(self.term.write_line(text)?)
    }

    fn draw(&mut self, holdings: &[Holding]) -> anyhow::Result<()> {
        let lines = picture(holdings);
        self.clear()?;
        self.drawn = lines.len();
        Ok(self.term.write_line(&lines.join("\n"))?)
    }

    fn clear(&mut self) -> anyhow::Result<()> {
        Ok(self.term.clear_last_lines(std::mem::take(&mut self.drawn))?)
    }
}

/// Two machines a line, in the order of their names from top to bottom.
fn picture(holdings: &[Holding]) -> Vec<String> {
    let head = format!("{:<8}{:<10}{:<STEP$}", "Machine", "Worker", "Step");
    let rule = "─".repeat(2 * head.chars().count() + 2);
    let (left, right) = holdings.split_at(holdings.len().div_ceil(2));
    let rows = left.iter().enumerate().map(|(at, first)| {
        let second = right.get(at).map(cell).unwrap_or_default();
        format!("{}  {second}", cell(first)).trim_end().to_owned()
    });
    [format!("{head}  {}", head.trim_end()), rule.clone()].into_iter().chain(rows).chain([rule]).collect()
}

fn cell(Holding { reference, step, worker }: &Holding) -> String {
    let step: String = step.chars().take(STEP - 1).collect();
    let (name, colour) = match worker {
        Some(worker) => (worker.as_str(), colour(worker)),
        // Nobody needs it, or nobody has it yet.
        None if step == Step::Ready.as_str() => ("", Color::Green),
        None => ("-", Color::White),
    };
    style(format!("{reference:<8}{name:<10}{step:<STEP$}")).fg(colour).to_string()
}

/// One for each worker, by the last letter of its name.
fn colour(worker: &str) -> Color {
    let colours = [Color::Cyan, Color::Magenta, Color::Yellow, Color::Blue];
    colours[usize::from(worker.bytes().last().unwrap_or_default()) % colours.len()]
}
