//! What is wrong with a file, and where.

use super::hint;
use std::{fmt, ops::Range};

/// One thing that is wrong.
#[derive(Debug)]
pub struct Problem {
    place: Range<usize>,
    message: String,
}

impl Problem {
    /// What is wrong with what stands at this place of the file.
    pub fn new(place: Range<usize>, message: impl fmt::Display) -> Self {
        Self { place, message: message.to_string() }
    }

    /// The same, with the path of the enclosing table put in front.
    #[must_use]
    pub fn under(self, path: &str) -> Self {
        Self { message: format!("{path}: {}", self.message), ..self }
    }
}

/// A file that nothing is done with, and everything that is wrong with it.
#[derive(Debug)]
pub struct Rejected {
    text: String,
}

impl std::error::Error for Rejected {}

impl Rejected {
    /// The file of this name and text, for these reasons.
    pub fn new(name: &str, file: &str, problems: &[Problem]) -> Self {
        let shown: Vec<_> = problems.iter().map(|problem| show(name, file, problem)).collect();
        Self { text: shown.join("\n") }
    }

    /// A file whose tables could not even be read.
    pub(super) fn unreadable(name: &str, file: &str, error: &toml::de::Error) -> Self {
        let place = error.span().unwrap_or(0..0);
        let message = hint::explain(file, &place, error.message());
        Self::new(name, file, &[Problem { place, message }])
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `file:line:column: message`, and the line with its place marked.
fn show(name: &str, file: &str, Problem { place, message }: &Problem) -> String {
    let start = place.start.min(file.len());
    let line_start = file[..start].rfind('\n').map_or(0, |at| at + 1);
    let line = file[line_start..].lines().next().unwrap_or("");
    let number = file[..start].matches('\n').count() + 1;
    let column = file[line_start..start].chars().count();
    let head = format!("{name}:{number}:{}: {message}", column + 1);
    // An inline table may hold a password beside what is wrong, and so may the URL of a database.
    if line.contains("password") || (line.contains("://") && line.contains('@')) {
        return head;
    }
    let width =
        file.get(start..place.end).map_or(1, |marked| marked.lines().next().unwrap_or("").chars().count());
    let (gutter, marks) = (number.to_string(), "^".repeat(width.clamp(1, 80)));
    let blank = " ".repeat(gutter.len());
    format!("{head}\n {blank} |\n {gutter} | {line}\n {blank} | {}{marks}", " ".repeat(column))
}
