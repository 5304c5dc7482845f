//! Pictures as inline SVG, drawn by plotters. It owns how a picture looks, not what is in it.
//!
//! A picture is 440 units wide and is read at 350 to 560 pixels, on a phone as on a desk, so that names stand above their bars, not beside them.
//! plotters knows fixed colours only: those used here are stand-ins, which `finish` turns into the page's variables, so that a picture follows the
//! page into the dark and into print.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::element::{Drawable, PointCollection};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::figures::Spread;
use crate::number::figure;

/// A colour of the page: its variable in `page.css`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Ink,
    Muted,
    Grid,
    Tokio,
    TokioUring,
    Glommio,
    Other,
    Kernel,
    Sockets,
    Engine,
}

const COLOURS: [(Colour, &str); 10] = [
    (Colour::Ink, "ink"),
    (Colour::Muted, "muted"),
    (Colour::Grid, "grid"),
    (Colour::Tokio, "tokio"),
    (Colour::TokioUring, "tokio-uring"),
    (Colour::Glommio, "glommio"),
    (Colour::Other, "other"),
    (Colour::Kernel, "kernel"),
    (Colour::Sockets, "sockets"),
    (Colour::Engine, "engine"),
];

impl Colour {
    /// A loop's colour.
    pub(crate) fn of_loop(runtime: &str) -> Self {
        match runtime {
            "tokio" => Self::Tokio,
            "tokio-uring" => Self::TokioUring,
            "glommio" => Self::Glommio,
            _ => Self::Other,
        }
    }

    /// The page's variable.
    pub(crate) fn variable(self) -> &'static str {
        COLOURS[self as usize].1
    }

    fn stand_in(self) -> RGBColor {
        RGBColor(0xAB, 0xCD, self as u8)
    }
}

/// A row of a picture.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) colour: Colour,
    /// Drawn paler: another engine, or no server.
    pub(crate) pale: bool,
    pub(crate) value: Spread,
}

/// A row whose bar is made of parts; they add up to its figure.
#[derive(Clone, Debug)]
pub(crate) struct Stack {
    pub(crate) name: String,
    pub(crate) parts: Vec<(Colour, f64)>,
}

/// A row of latencies: marks from left to right, the first and last of which end its line.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    pub(crate) name: String,
    pub(crate) colour: Colour,
    pub(crate) pale: bool,
    pub(crate) values: Vec<f64>,
}

/// A line through points, with the spread of each.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) colour: Colour,
    /// Dashed: no server of ours.
    pub(crate) dashed: bool,
    pub(crate) points: Vec<(f64, Spread)>,
}

const WIDTH: u32 = 440;
/// A row of a picture: its name, and the bar below.
const ROW: u32 = 36;
const AXIS: u32 = 30;
const MARGIN: u32 = 8;
/// Beyond this a bar of the least is not to be seen beside the greatest: the axis is logarithmic then, and points take the place of bars.
const BARS_TO: f64 = 40.0;
/// What a line stands aside of its neighbour, as a factor, so that the ranges of both are seen.
const ASIDE: f64 = 1.04;
/// The width of a letter on the average, in a wide font.
const LETTER: f64 = 6.9;
/// plotters divides sizes by 1.24 on their way into SVG.
const TEXT: f64 = 13.0 * 1.24;
const SMALL: f64 = 11.5 * 1.24;

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Scale, RangedCoordf64>>;

/// An axis, from zero or logarithmic.
#[derive(Clone)]
struct Scale {
    logarithmic: bool,
    from: f64,
    to: f64,
    /// Where it is marked; empty: where it looks well.
    ticks: Vec<f64>,
}

impl Scale {
    /// With some room beyond what it has to hold.
    fn of((min, max): (f64, f64), logarithmic: bool) -> Self {
        let (from, to) = if logarithmic { (min * 0.8, max * 1.25) } else { (0.0, max * 1.02) };
        Self { logarithmic, from, to, ticks: Vec::new() }
    }
}

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        let share = if self.logarithmic {
            (value.max(self.from) / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        start + (f64::from(end - start) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if !self.ticks.is_empty() {
            return self.ticks.clone();
        }
        if !self.logarithmic {
            return RangedCoordf64::from(self.range()).key_points(hint.bold_points().min(6));
        }
        let steps: &[f64] = match self.to / self.from {
            ..4.0 => &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0],
            ..200.0 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        decades(self.from, self.to, steps)
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for Scale {
    /// Without zeros at the end.
    fn format(value: &f64) -> String {
        let text = figure(*value);
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    }
}

/// Bars with the range of the rounds; points on a logarithmic axis where bars would hide the least.
pub(crate) fn bars(title: &str, rows: &[Bar]) -> String {
    let scale = Scale::of(extent_of(rows), is_logarithmic(rows));
    let labels: Vec<_> = rows.iter().map(|row| (row.name.as_str(), shown(&row.value))).collect();
    of_rows(title, &scale, &labels, |chart, at, row| spread(chart, scale.logarithmic, at, &rows[row]))
}

/// Whether [`bars`] draws points on a logarithmic axis.
pub(crate) fn is_logarithmic(rows: &[Bar]) -> bool {
    let (min, max) = extent_of(rows);
    max / min > BARS_TO
}

fn extent_of(rows: &[Bar]) -> (f64, f64) {
    extent(rows.iter().flat_map(|row| [row.value.min, row.value.max]))
}

/// Bars made of parts.
pub(crate) fn stacks(title: &str, rows: &[Stack]) -> String {
    let totals: Vec<f64> = rows.iter().map(|row| row.parts.iter().map(|(_, value)| value).sum()).collect();
    let scale = Scale::of(extent(totals.iter().copied()), false);
    let labels: Vec<_> = rows
        .iter()
        .map(|row| (row.name.as_str(), row.parts.iter().map(|(_, value)| figure(*value)).collect::<Vec<_>>().join(" + ")))
        .collect();
    of_rows(title, &scale, &labels, |chart, at, row| {
        let mut from = 0.0;
        for (colour, value) in &rows[row].parts {
            draw(chart, Rectangle::new([(from, at + 0.08), (from + value, at + 0.42)], colour.stand_in().filled()));
            from += value;
        }
    })
}

/// Latencies on a logarithmic axis: a circle, a triangle, a cross, and the line's end.
pub(crate) fn marks(title: &str, rows: &[Marks]) -> String {
    let scale = Scale::of(extent(rows.iter().flat_map(|row| row.values.iter().copied())), true);
    let labels: Vec<_> =
        rows.iter().map(|row| (row.name.as_str(), row.values.iter().map(|value| figure(*value)).collect::<Vec<_>>().join(" · "))).collect();
    of_rows(title, &scale, &labels, |chart, at, row| {
        let Marks { colour, pale, values, .. } = &rows[row];
        let style = colour.stand_in().mix(if *pale { 0.55 } else { 1.0 });
        let y = at + 0.25;
        let [first, .., last] = values[..] else { return };
        draw(chart, PathElement::new([(first, y), (last, y)], style.stroke_width(2)));
        draw(chart, PathElement::new([(last, y - 0.12), (last, y + 0.12)], style.stroke_width(2)));
        draw(chart, Circle::new((first, y), 5, style.filled()));
        if let [_, second, rest @ ..] = values.as_slice() {
            if !rest.is_empty() {
                draw(chart, TriangleMarker::new((*second, y), 6, style.filled()));
            }
            if let [third, _, ..] = rest {
                draw(chart, Cross::new((*third, y), 4, style.stroke_width(2)));
            }
        }
    })
}

/// Lines over a logarithmic count, with the range of the rounds at each point.
pub(crate) fn lines(title: &str, x_name: &str, lines: &[Line]) -> String {
    let mut ticks: Vec<_> = lines.iter().flat_map(|line| line.points.iter().map(|(x, _)| *x)).collect();
    ticks.sort_by(f64::total_cmp);
    ticks.dedup();
    let x = Scale { ticks: ticks.clone(), ..Scale::of(extent(ticks.into_iter()), true) };
    let extent = extent(lines.iter().flat_map(|line| line.points.iter().flat_map(|(_, value)| [value.min, value.max])));
    let y = Scale::of(extent, extent.1 / extent.0 > BARS_TO);
    finish(title, |svg| {
        let root = SVGBackend::with_string(svg, (WIDTH, 280)).into_drawing_area();
        let mut builder = ChartBuilder::on(&root);
        builder.margin(MARGIN).margin_right(16).x_label_area_size(42).y_label_area_size(62);
        let mut chart = builder.build_cartesian_2d(x, y).unwrap_or_else(never);
        let small = ("sans-serif", SMALL).into_font().color(&Colour::Muted.stand_in());
        let mesh = chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(Colour::Grid.stand_in())
            .axis_style(Colour::Grid.stand_in())
            .label_style(small.clone())
            .axis_desc_style(small)
            .x_desc(x_name)
            .draw();
        mesh.unwrap_or_else(never);
        for (i, Line { colour, dashed, points }) in lines.iter().enumerate() {
            let aside = ASIDE.powf(i as f64 - (lines.len() - 1) as f64 / 2.0);
            let style = colour.stand_in().mix(if *dashed { 0.7 } else { 1.0 });
            let middle = points.iter().map(|(at, value)| (*at * aside, value.median));
            if *dashed {
                chart.draw_series(DashedLineSeries::new(middle, 5, 4, style.stroke_width(2))).unwrap_or_else(never);
            } else {
                chart.draw_series(LineSeries::new(middle, style.stroke_width(2))).unwrap_or_else(never);
            }
            let spreads =
                points.iter().map(|(at, value)| ErrorBar::new_vertical(*at * aside, value.min, value.median, value.max, style.filled(), 8));
            chart.draw_series(spreads).unwrap_or_else(never);
        }
        root.present().unwrap_or_else(never);
    })
}

fn spread(chart: &mut Chart<'_, '_>, as_point: bool, at: f64, row: &Bar) {
    let Bar { colour, pale, value, .. } = row;
    let style = colour.stand_in().mix(if *pale { 0.5 } else { 1.0 });
    let Spread { median, min, max, .. } = *value;
    let y = at + 0.25;
    if as_point {
        draw(chart, PathElement::new([(min, y), (max, y)], style.stroke_width(3)));
        draw(chart, Circle::new((median, y), 5, style.filled()));
        return;
    }
    draw(chart, Rectangle::new([(0.0, at + 0.08), (median, at + 0.42)], style.filled()));
    if value.n_rounds == 1 {
        return;
    }
    let ink = Colour::Ink.stand_in();
    draw(chart, PathElement::new([(min, y), (max, y)], ink.stroke_width(1)));
    for end in [min, max] {
        draw(chart, PathElement::new([(end, y - 0.1), (end, y + 0.1)], ink.stroke_width(1)));
    }
}

/// Rows from the top, each with its name and its figure above what `row` draws; the axis below.
fn of_rows(title: &str, scale: &Scale, labels: &[(&str, String)], row: impl Fn(&mut Chart<'_, '_>, f64, usize)) -> String {
    let n_rows = labels.len();
    finish(title, |svg| {
        let root = SVGBackend::with_string(svg, (WIDTH, n_rows as u32 * ROW + AXIS + MARGIN)).into_drawing_area();
        let mut builder = ChartBuilder::on(&root);
        builder.margin_top(2).margin_left(MARGIN).margin_right(MARGIN + 8).x_label_area_size(AXIS);
        let mut chart = builder.build_cartesian_2d(scale.clone(), 0.0..n_rows.max(1) as f64).unwrap_or_else(never);
        let mesh = chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .light_line_style(TRANSPARENT)
            .bold_line_style(Colour::Grid.stand_in())
            .axis_style(Colour::Grid.stand_in())
            .label_style(("sans-serif", SMALL).into_font().color(&Colour::Muted.stand_in()))
            .draw();
        mesh.unwrap_or_else(never);
        let text = |colour: Colour, side| ("sans-serif", TEXT).into_font().color(&colour.stand_in()).pos(Pos::new(side, VPos::Center));
        for (i, (name, value)) in labels.iter().enumerate() {
            let at = (n_rows - 1 - i) as f64;
            row(&mut chart, at, i);
            draw(&mut chart, Text::new(beside(name, value), (scale.from, at + 0.68), text(Colour::Ink, HPos::Left)));
            draw(&mut chart, Text::new(value.clone(), (scale.to, at + 0.68), text(Colour::Muted, HPos::Right)));
        }
        root.present().unwrap_or_else(never);
    })
}

fn draw<'b, E>(chart: &mut Chart<'_, 'b>, element: E)
where
    for<'e> &'e E: PointCollection<'e, (f64, f64)>,
    E: Drawable<SVGBackend<'b>>,
{
    chart.draw_series(std::iter::once(element)).unwrap_or_else(never);
}

/// Drawing into a string does not fail.
fn never<T>(error: impl std::fmt::Debug) -> T {
    unreachable!("a picture in memory: {error:?}")
}

/// A name as far as there is room for it beside its figure; the tables have all of it.
fn beside(name: &str, value: &str) -> String {
    let room = (f64::from(WIDTH - 3 * MARGIN) / LETTER) as usize - value.chars().count() - 1;
    if name.chars().count() <= room {
        return name.to_owned();
    }
    format!("{}…", name.chars().take(room - 1).collect::<String>().trim_end())
}

/// The median with the range of the rounds, where there is one.
fn shown(value: &Spread) -> String {
    if value.n_rounds == 1 {
        return figure(value.median);
    }
    format!("{} ({} to {})", figure(value.median), figure(value.min), figure(value.max))
}

/// The least and the greatest that an axis has to hold; an axis without figures holds 1.
fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (mut min, mut max) = (f64::INFINITY, 0.0_f64);
    for value in values.filter(|value| *value > 0.0) {
        (min, max) = (min.min(value), max.max(value));
    }
    if min.is_finite() { (min, max) } else { (1.0, 1.0) }
}

/// Steps of every power of ten that lies between.
fn decades(min: f64, max: f64, steps: &[f64]) -> Vec<f64> {
    let powers = min.log10().floor() as i32..=max.log10().ceil() as i32;
    let all = powers.flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)));
    all.filter(|value| (min..=max).contains(value)).collect()
}

/// What was drawn, with a title for those who do not see it and with the page's colours.
fn finish(title: &str, draw: impl FnOnce(&mut String)) -> String {
    let mut svg = String::new();
    draw(&mut svg);
    let (head, rest) = svg.split_once('\n').expect("plotters ends the opening tag's line");
    let view = head.split("viewBox=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("plotters gives a viewBox");
    let title = escape(title);
    let mut picture = format!("<svg viewBox=\"{view}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>\n{rest}");
    for (colour, variable) in COLOURS {
        let RGBColor(r, g, b) = colour.stand_in();
        picture = picture.replace(&format!("\"#{r:02X}{g:02X}{b:02X}\""), &format!("\"var(--{variable})\""));
    }
    picture.replace(" font-family=\"sans-serif\"", "").replace(" opacity=\"1\"", "")
}

/// Text as HTML has it.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &str, values: &[f64]) -> Bar {
        Bar { name: name.into(), colour: Colour::Glommio, pale: false, value: Spread::of(values.iter().copied()).unwrap() }
    }

    #[test]
    fn a_picture_has_its_names_figures_title_and_no_colour_of_its_own() {
        let svg = bars("CPU <a call>", &[bar("a & b", &[1.0, 2.0, 3.0]), bar("c", &[5.0])]);
        assert!(
            svg.starts_with(
                "<svg viewBox=\"0 0 440 110\" role=\"img\" aria-label=\"CPU &lt;a call&gt;\"><title>CPU &lt;a call&gt;</title>"
            ),
            "{svg}"
        );
        for text in ["a &amp; b\n", "2.00 (1.00 to 3.00)\n", ">\nc\n", ">\n5.00\n", "var(--glommio)"] {
            assert!(svg.contains(text), "no {text} in {svg}");
        }
        assert!(!svg.contains("\"#"), "{svg}");
        assert!(svg.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn a_name_leaves_room_for_its_figure() {
        assert_eq!(beside("loopswap tokio-uring · hyper, h2", "215,446 (100,339 to 246,010)").chars().last(), Some('…'));
        assert_eq!(beside("loopswap tokio-uring · hyper", "215,446 (100,339 to 246,010)"), "loopswap tokio-uring · hyper");
        assert!(beside(&"x".repeat(99), &"9".repeat(30)).chars().count() > 10);
    }

    #[test]
    fn bars_become_points_where_the_least_would_vanish() {
        let near = [bar("a", &[1.0]), bar("b", &[30.0])];
        let far = [bar("a", &[1.0]), bar("b", &[300.0])];
        assert!(bars("t", &near).contains("<rect") && !bars("t", &near).contains("<circle") && !is_logarithmic(&near));
        assert!(!bars("t", &far).contains("<rect") && bars("t", &far).contains("<circle") && is_logarithmic(&far));
    }

    #[test]
    fn every_kind_of_picture_is_drawn() {
        let stack = Stack { name: "s".into(), parts: vec![(Colour::Kernel, 1.0), (Colour::Engine, 2.5)] };
        let svg = stacks("t", &[stack]);
        assert!(svg.contains("var(--kernel)") && svg.contains("var(--engine)") && svg.contains("1.00 + 2.50"), "{svg}");
        let row = |values: &[f64]| Marks { name: "m".into(), colour: Colour::Tokio, pale: true, values: values.to_vec() };
        let svg = marks("t", &[row(&[1.0, 2.0, 3.0, 90.0]), row(&[1.0, 2.0, 3.0]), row(&[1.0])]);
        assert!(svg.contains("1.00 · 2.00 · 3.00 · 90.0") && svg.contains("<polygon"), "{svg}");
        let line = |dashed| Line {
            colour: Colour::Tokio,
            dashed,
            points: vec![(1.0, Spread::of([1.0, 2.0]).unwrap()), (100.0, Spread::of([90.0]).unwrap())],
        };
        let svg = lines("t", "connections", &[line(true), line(false)]);
        assert!(svg.contains("connections") && svg.contains("<polyline"), "{svg}");
    }

    #[test]
    fn a_picture_of_nothing_is_one() {
        assert!(bars("t", &[]).contains("<title>t</title>"));
        assert!(lines("t", "x", &[]).contains("</svg>"));
    }

    #[test]
    fn colours_are_in_the_order_of_their_table() {
        for (i, (colour, _)) in COLOURS.iter().enumerate() {
            assert_eq!(*colour as usize, i);
        }
    }
}
