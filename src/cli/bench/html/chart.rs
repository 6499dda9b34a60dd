//! A line chart as SVG: labelled axes, a grid, lines told apart by colour and by dashes.

use std::fmt::Write;

use super::escaped;
use super::scale::Scale;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 340.0;
/// Room for labels.
const LEFT: f64 = 92.0;
const RIGHT: f64 = 44.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 52.0;
/// Points that are shown as such, with their values, in a line at most.
const DOTS: usize = 120;

/// One axis.
pub(crate) struct Axis {
    /// With its unit.
    pub(crate) label: &'static str,
    pub(crate) scale: Scale,
}

/// One line.
pub(crate) struct Line {
    pub(crate) label: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A chart.
pub(crate) struct Chart {
    /// What it shows, for those who do not see it.
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
    /// How a value of y is written.
    pub(crate) show: fn(f64) -> String,
}

impl Chart {
    /// Draws it.
    pub(crate) fn svg(&self) -> String {
        let title = escaped(&self.title);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             role=\"img\" aria-label=\"{title}\">\n<title>{title}</title>\n"
        );
        self.grid(&mut out);
        for (number, line) in self.lines.iter().enumerate() {
            self.line(&mut out, number, line);
            legend(&mut out, number, &line.label);
        }
        out + "</svg>"
    }

    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (across(self.x.scale.place(x)), down(self.y.scale.place(y)))
    }

    fn grid(&self, out: &mut String) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for (place, name) in self.x.scale.ticks() {
            let x = across(place);
            line(out, (x, TOP), (x, bottom));
            text(out, (x, bottom + 18.0), "middle", &name);
        }
        for (place, name) in self.y.scale.ticks() {
            let y = down(place);
            line(out, (LEFT, y), (right, y));
            text(out, (LEFT - 8.0, y + 4.0), "end", &name);
        }
        text(out, ((LEFT + right) / 2.0, HEIGHT - 10.0), "middle", self.x.label);
        text(out, (8.0, 16.0), "start", self.y.label);
    }

    fn line(&self, out: &mut String, number: usize, line: &Line) {
        let mut points = String::new();
        for point in &line.points {
            let (x, y) = self.at(*point);
            put(&mut points, format_args!("{x:.1},{y:.1} "));
        }
        let points = points.trim_end();
        put(out, format_args!("<polyline class=\"line s{number}\" points=\"{points}\"/>\n"));
        if line.points.len() > DOTS {
            return;
        }
        for (x, y) in &line.points {
            let (left, top) = self.at((*x, *y));
            let value = escaped(&format!("{}: {}", line.label, (self.show)(*y)));
            put(
                out,
                format_args!(
                    "<circle class=\"dot s{number}\" cx=\"{left:.1}\" cy=\"{top:.1}\" r=\"3\">\
                     <title>{value}</title></circle>\n"
                ),
            );
        }
    }
}

fn across(place: f64) -> f64 {
    LEFT + place * (WIDTH - LEFT - RIGHT)
}

fn down(place: f64) -> f64 {
    HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM)
}

/// Names a line, above the chart.
fn legend(out: &mut String, number: usize, label: &str) {
    let x = 260.0 + number as f64 * 170.0;
    put(
        out,
        format_args!("<polyline class=\"line s{number}\" points=\"{x},12 {},12\"/>\n", x + 30.0),
    );
    text(out, (x + 36.0, 16.0), "start", label);
}

fn line(out: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    put(
        out,
        format_args!(
            "<line class=\"grid\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>\n"
        ),
    );
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    let words = escaped(words);
    put(
        out,
        format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>\n"),
    );
}

/// Writing to a string can't fail.
fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_where_the_axes_say() {
        let chart = Chart {
            title: "a < b".to_owned(),
            x: Axis { label: "x, s", scale: Scale::Seconds { high: 10.0 } },
            y: Axis { label: "y", scale: Scale::Counts { high: 100.0 } },
            lines: vec![Line { label: "l".to_owned(), points: vec![(0.0, 0.0), (10.0, 100.0)] }],
            show: |y| y.to_string(),
        };
        let svg = chart.svg();
        assert!(svg.contains("points=\"92.0,288.0 816.0,34.0\""), "{svg}");
        assert!(svg.contains("<title>a &lt; b</title>") && svg.contains(">x, s</text>"));
        assert!(svg.contains("<title>l: 100</title>"));
    }
}
