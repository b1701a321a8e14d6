//! Lines in a coordinate system, as SVG.

use std::{ops::Range, path::Path};

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::Failed;

/// Width and height of a plot, in pixels.
const SIZE: (u32, u32) = (760, 460);
/// Height of a series' name, as a part of the y axis.
const LINE: f64 = 0.06;
/// Colours that the colour-blind can tell apart (Okabe and Ito), a grey and a dark brown.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
    RGBColor(96, 48, 0),
];

/// One line, with a mark at each point.
pub struct Series {
    pub name: String,
    /// x above 0, and y.
    pub points: Vec<(f64, f64)>,
}

/// A plot whose x axis is logarithmic.
pub struct Plot {
    pub title: &'static str,
    pub x: &'static str,
    pub y: &'static str,
    pub series: Vec<Series>,
    /// A dashed line across, and what it says.
    pub level: Option<(f64, String)>,
}

impl Plot {
    /// Draws it into a file.
    ///
    /// # Errors
    /// If there is nothing to draw, or the file cannot be written.
    pub fn draw(&self, path: &Path) -> Result<(), Failed> {
        let root = SVGBackend::new(path, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let (x, y) = self.ranges().ok_or("there is nothing to plot")?;
        let mut chart = ChartBuilder::on(&root)
            .caption(self.title, ("sans-serif", 18))
            .margin(12)
            .margin_right(20)
            .x_label_area_size(44)
            .y_label_area_size(60)
            .build_cartesian_2d(self.marked(x), y.0..y.1)?;
        chart
            .configure_mesh()
            .x_desc(self.x)
            .y_desc(self.y)
            .x_label_formatter(&|x| number(x.exp2()))
            .y_label_formatter(&|y| number(*y))
            .light_line_style(WHITE)
            .draw()?;
        for (series, colour) in self.series.iter().zip(COLOURS.iter().cycle()) {
            let points = series.points.iter().map(|(x, y)| (x.log2(), *y));
            let style = colour.stroke_width(2);
            chart
                .draw_series(LineSeries::new(points.clone(), style))?
                .label(&series.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
            chart.draw_series(points.map(|point| Circle::new(point, 4, colour.filled())))?;
        }
        if let Some((level, name)) = &self.level {
            let across = [(x.0, *level), (x.1, *level)];
            chart
                .draw_series(DashedLineSeries::new(across, 6, 4, BLACK.into()))?
                .label(name)
                .legend(|(x, y)| PathElement::new([(x, y), (x + 7, y)], BLACK));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .draw()?;
        root.present()?;
        Ok(())
    }

    /// From where to where the axes go: x as a power of two, and some air around.
    fn ranges(&self) -> Option<((f64, f64), (f64, f64))> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x = range(points().map(|(x, _)| x.log2()))?;
        let levels = self.level.iter().map(|(level, _)| *level);
        let y = range(points().map(|(_, y)| *y).chain(levels))?;
        // room for the names above the lines
        let names = LINE * (self.series.len() + 1) as f64 * (y.1 - y.0);
        Some((x, (y.0, y.1 + names)))
    }

    /// The x axis, in powers of two: marked at the points if those are few, else at 1, 2, 4 …
    fn marked(&self, (from, to): (f64, f64)) -> Marked {
        let points = self.series.iter().flat_map(|series| &series.points);
        let mut marks: Vec<f64> = points.map(|(x, _)| x.log2()).collect();
        marks.sort_by(f64::total_cmp);
        marks.dedup();
        if marks.windows(2).any(|pair| pair[1] - pair[0] < 0.99) {
            let whole = from.ceil() as i32..=to.floor() as i32;
            marks = whole.map(f64::from).collect();
        }
        Marked {
            axis: (from..to).into(),
            marks,
        }
    }
}

/// An axis with marks of its own.
struct Marked {
    axis: RangedCoordf64,
    marks: Vec<f64>,
}

impl Ranged for Marked {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.axis.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            return Vec::new();
        }
        self.marks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.axis.range()
    }
}

/// The least and the greatest, and a twentieth of what is between on either side.
fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        (least, most) = (least.min(value), most.max(value));
    }
    let air = match (most - least) / 20.0 {
        air if air > 0.0 => air,
        _ => 0.5,
    };
    (least <= most).then_some((least - air, most + air))
}

/// A number as an axis shows it: three digits.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let found = [0.0, 0.25, 4.0, 12.34, 160.0, 1435.4, -0.5].map(number);
        assert_eq!(found, ["0", "0.25", "4", "12.3", "160", "1435", "-0.5"]);
    }

    #[test]
    fn a_plot_has_its_lines_and_their_names() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plot.svg");
        let mut plot = Plot {
            title: "title",
            x: "across",
            y: "up",
            series: vec![Series {
                name: "a line".into(),
                points: vec![(20.0, 3.0), (40.0, 2.0)],
            }],
            level: Some((2.5, "a level".into())),
        };
        plot.draw(&path).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        for part in ["title", "across", "up", "a line", "a level", "polyline"] {
            assert!(svg.contains(part), "{part}");
        }
        assert_eq!(svg.matches("<circle").count(), 2);
        plot.series[0].points.clear();
        plot.level = None;
        assert!(plot.draw(&path).is_err());
    }
}
