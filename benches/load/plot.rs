//! Cost against the number of machines, as SVG.

use crate::summary::Summary;
use anyhow::{Context as _, anyhow};
use plotters::{
    coord::{Shift, combinators::IntoLogRange as _},
    prelude::*,
};
use std::{ops::Range, path::Path};

const SIZE: (u32, u32) = (960, 680);
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(0x22, 0x2b, 0x38);
const GRID: RGBColor = RGBColor(0xe3, 0xe7, 0xec);
const AXIS: RGBColor = RGBColor(0x9a, 0xa4, 0xb1);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A figure of its own.
struct Figure {
    title: &'static str,
    unit: &'static str,
    colour: RGBColor,
    value: fn(&Summary) -> Option<f64>,
}

const FIGURES: [Figure; 4] = [
    Figure {
        title: "Requests per machine",
        unit: "requests",
        colour: RGBColor(0x1f, 0x6f, 0xb4),
        value: |summary| Some(summary.requests_per_machine),
    },
    Figure {
        title: "Seconds over what our limits allow",
        unit: "seconds",
        colour: RGBColor(0xc4, 0x4e, 0x1c),
        // Up to the limits, that is the ideal path; more machines than that have to wait for one another.
        value: |summary| Some(summary.wall - summary.outside.as_ref()?.limits_allow),
    },
    Figure {
        title: "CPU per machine",
        unit: "milliseconds",
        colour: RGBColor(0x2a, 0x86, 0x4b),
        value: |summary| Some(summary.cpu_per_machine * 1e3),
    },
    Figure {
        title: "Peak memory of our process",
        unit: "MiB",
        colour: RGBColor(0x7b, 0x4b, 0x9e),
        value: |summary| Some(summary.peak_rss),
    },
];

/// Draws them beside one another.
pub(crate) fn draw(file: &Path, summaries: &[Summary]) -> anyhow::Result<()> {
    let drawn = || -> anyhow::Result<()> {
        let root = SVGBackend::new(file, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(|error| anyhow!("{error}"))?;
        let root = root.margin(12, 8, 8, 20);
        for (area, figure) in root.split_evenly((2, 2)).iter().zip(&FIGURES) {
            figure.draw(area, summaries)?;
        }
        root.present().map_err(|error| anyhow!("{error}"))
    };
    drawn().with_context(|| format!("{} cannot be drawn", file.display()))
}

impl Figure {
    fn draw(&self, area: &Area<'_>, summaries: &[Summary]) -> anyhow::Result<()> {
        let points: Vec<(f64, f64)> = summaries
            .iter()
            .filter_map(|summary| Some((f64::from(summary.machines), (self.value)(summary)?)))
            .collect();
        let (across, up) = (decades(&points), 0.0..ceiling(&points));
        let text = |size: f64| (FONT, size).into_font().color(&INK);
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, text(19.0))
            .margin(10)
            .x_label_area_size(46)
            .y_label_area_size(66)
            .build_cartesian_2d(across.log_scale(), up)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(AXIS)
            .label_style(text(14.0))
            .axis_desc_style(text(14.0))
            .x_desc("machines at once")
            .y_desc(self.unit)
            .x_label_formatter(&|machines| grouped(*machines))
            .y_label_formatter(&|value| short(*value))
            .y_labels(6)
            .draw()?;
        chart.draw_series(LineSeries::new(points.iter().copied(), self.colour.stroke_width(2)))?;
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 4, self.colour.filled())))?;
        chart.draw_series(points.iter().map(|(machines, value)| {
            EmptyElement::at((*machines, *value)) + Text::new(short(*value), (-10, -20), text(13.0))
        }))?;
        Ok(())
    }
}

/// From the power of ten below all of them to the one above, with some room for words.
fn decades(points: &[(f64, f64)]) -> Range<f64> {
    let all = || points.iter().map(|(machines, _)| machines.log10());
    let (first, last) = (all().fold(f64::INFINITY, f64::min).floor(), all().fold(0.0, f64::max).ceil());
    let first = first.clamp(0.0, 9.0);
    let last = last.max(first + 1.0);
    let room = (last - first) * 0.07;
    10_f64.powf(first - room)..10_f64.powf(last + room)
}

/// A little above the highest.
fn ceiling(points: &[(f64, f64)]) -> f64 {
    points.iter().map(|(_, value)| *value).fold(0.1, f64::max) * 1.25
}

/// A whole number, its thousands apart.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// As many digits as say something.
fn short(value: f64) -> String {
    match value.abs() {
        0.0..0.005 => "0".to_owned(),
        v if v < 10.0 => format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_owned(),
        v if v < 100.0 => format!("{value:.1}").trim_end_matches('0').trim_end_matches('.').to_owned(),
        _ => grouped(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 0.28, 4.0, 19.04, 60.0, 12_345.0].map(short);
        assert_eq!(shown, ["0", "0.28", "4", "19", "60", "12,345"]);
    }

    #[test]
    fn axes_hold_every_point() {
        let points = [(1.0, 3.0), (1000.0, 7.0)];
        let across = decades(&points);
        assert!(points.iter().all(|(machines, _)| across.contains(machines)), "{across:?}");
        assert!(ceiling(&points) > 7.0);
        assert!(decades(&[(50.0, 1.0)]).contains(&50.0));
    }
}
