//! A drawing: marks at places, drawn by the template as SVG. Nothing in it is a style: the page says what a class looks like.

use serde::Serialize;

/// A drawing with what a person who cannot see it is told.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Plot {
    /// Its number on the page.
    pub(crate) id: u32,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) marks: Vec<Mark>,
}

/// One thing that is drawn.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Mark {
    Path { class: &'static str, d: String },
    Rect { class: String, x: String, y: String, w: String, h: String, tip: Option<String> },
    Line { class: &'static str, x1: String, y1: String, x2: String, y2: String },
    Text { class: &'static str, x: String, y: String, anchor: &'static str, text: String },
}

/// The edges of the area in which values are drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
}

impl Frame {
    /// For a screen.
    pub(crate) fn wide(height: f64) -> Self {
        Self { width: 960.0, height, left: 60.0, right: 952.0, top: 14.0, bottom: height - 26.0 }
    }

    /// For a phone, and where several stand side by side.
    pub(crate) fn narrow(height: f64) -> Self {
        Self { width: 360.0, height, left: 48.0, right: 354.0, top: 14.0, bottom: height - 26.0 }
    }

    /// A drawing of these marks.
    pub(crate) fn plot(&self, title: &str, description: String, marks: Vec<Mark>) -> Plot {
        let (width, height) = (self.width as u32, self.height as u32);
        Plot { id: 0, title: title.to_owned(), description, width, height, marks }
    }
}

/// A coordinate: tenths of a pixel are enough.
pub(crate) fn px(x: f64) -> String {
    let text = format!("{x:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// A line that keeps its height over each span and breaks where there is no value, or time between two spans.
pub(crate) fn steps(spans: &[(f64, f64)], ys: &[Option<f64>]) -> String {
    let mut d = String::new();
    let mut last: Option<f64> = None;
    for ((from, to), y) in spans.iter().zip(ys) {
        let Some(y) = y else {
            last = None;
            continue;
        };
        let joins = last.is_some_and(|end| (end - from).abs() < 0.05);
        d += &format!("{}{} {}H{}", if joins { "L" } else { "M" }, px(*from), px(*y), px(*to));
        last = Some(*to);
    }
    d
}

/// The area between two such lines.
pub(crate) fn area(spans: &[(f64, f64)], ys: &[Option<(f64, f64)>]) -> String {
    let mut d = String::new();
    for ((from, to), y) in spans.iter().zip(ys) {
        if let Some((upper, lower)) = y {
            d += &format!("M{} {}H{}V{}H{}Z", px(*from), px(*upper), px(*to), px(*lower), px(*from));
        }
    }
    d
}

pub(crate) fn line(class: &'static str, from: (f64, f64), to: (f64, f64)) -> Mark {
    Mark::Line { class, x1: px(from.0), y1: px(from.1), x2: px(to.0), y2: px(to.1) }
}

pub(crate) fn text(class: &'static str, at: (f64, f64), anchor: &'static str, text: impl Into<String>) -> Mark {
    Mark::Text { class, x: px(at.0), y: px(at.1), anchor, text: text.into() }
}

/// What is shown where somebody points.
pub(crate) fn tips(frame: &Frame, spans: &[(f64, f64)], tip: impl Fn(usize) -> String) -> Vec<Mark> {
    let mark = |(i, (from, to)): (usize, &(f64, f64))| Mark::Rect {
        class: "tip".to_owned(),
        x: px(*from),
        y: px(frame.top),
        w: px(to - from),
        h: px(frame.bottom - frame.top),
        tip: Some(tip(i)),
    };
    spans.iter().enumerate().map(mark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_where_there_is_no_value_and_where_time_is_left_out() {
        let spans = [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (9.0, 10.0)];
        assert_eq!(steps(&spans, &[Some(5.0), Some(6.5), None, Some(7.0)]), "M0 5H1L1 6.5H2M9 7H10");
        assert_eq!(area(&spans[..1], &[Some((1.0, 2.0))]), "M0 1H1V2H0Z");
    }
}
