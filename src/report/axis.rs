//! Where a value lies on a drawing, and what stands beside the axes.

use super::history::Slot;
use super::plot::{Frame, Mark, line, text};
use super::words::{clock, day, lasted, short, took};
use crate::clock::Micros;

/// Between two stretches of time.
const GAP: f64 = 14.0;

const MINUTE_US: Micros = 60_000_000;

/// Distances of the ticks of a time axis, in minutes.
const STEPS: [i64; 16] = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1_440, 2_880, 10_080, 40_320, 525_600];

/// Time from left to right, without the time in which nothing ran.
#[derive(Debug)]
pub(crate) struct TimeAxis {
    /// From where to where each slot reaches.
    pub(crate) spans: Vec<(f64, f64)>,
    /// What stands below, and the breaks.
    pub(crate) marks: Vec<Mark>,
}

impl TimeAxis {
    pub(crate) fn new(slots: &[Slot], frame: &Frame) -> Self {
        let shown: Micros = slots.iter().map(|slot| slot.to_us - slot.from_us).sum();
        let gaps = slots.windows(2).filter(|two| two[0].to_us < two[1].from_us).count();
        let per_us = (frame.right - frame.left - GAP * gaps as f64) / shown.max(1) as f64;
        let mut axis = Self { spans: Vec::new(), marks: Vec::new() };
        let mut x = frame.left;
        let mut breaks = Vec::new();
        for (i, slot) in slots.iter().enumerate() {
            if let Some(before) = i.checked_sub(1).map(|i| slots[i].to_us).filter(|before| *before < slot.from_us) {
                breaks.push((x + GAP / 2.0, slot.from_us - before));
                x += GAP;
            }
            let end = x + (slot.to_us - slot.from_us) as f64 * per_us;
            axis.spans.push((x, end));
            x = end;
        }
        for (x, left_out) in breaks {
            axis.marks.push(line("break", (x, frame.top - 4.0), (x, frame.bottom + 4.0)));
            axis.marks.push(Mark::Rect {
                class: "tip".to_owned(),
                x: super::plot::px(x - GAP / 2.0),
                y: super::plot::px(frame.top),
                w: super::plot::px(GAP),
                h: super::plot::px(frame.bottom - frame.top),
                tip: Some(format!("nothing ran for {}", lasted(left_out))),
            });
        }
        axis.label(slots, frame, shown);
        axis
    }

    fn label(&mut self, slots: &[Slot], frame: &Frame, shown: Micros) {
        let most = ((frame.right - frame.left) / 90.0) as i64;
        let step = STEPS.iter().find(|step| shown / (**step * MINUTE_US) <= most).unwrap_or(&525_600) * MINUTE_US;
        let mut free_from = f64::MIN;
        let mut last_day = String::new();
        let ticks: Vec<_> = slots.iter().zip(&self.spans).map(|(slot, span)| ticks(slot, *span, step)).collect();
        for (i, (x, at)) in
            ticks.into_iter().enumerate().flat_map(|(i, ticks)| ticks.into_iter().map(move |tick| (i, tick)))
        {
            let begins = i == 0 || slots[i - 1].to_us < slots[i].from_us;
            if at % step != 0 && !begins {
                continue;
            }
            let words = match day(at) {
                today if step >= 1_440 * MINUTE_US => today,
                today if today != last_day => format!("{today} {}", clock(at)),
                _ => clock(at),
            };
            let half = words.len() as f64 * 3.3;
            let (anchor, from, to) = match x {
                x if x - half < frame.left => ("start", x, x + 2.0 * half),
                x if x + half > frame.right => ("end", x - 2.0 * half, x),
                x => ("middle", x - half, x + half),
            };
            if from < free_from {
                continue;
            }
            free_from = to + 12.0;
            last_day = day(at);
            self.marks.push(line("tick", (x, frame.bottom), (x, frame.bottom + 4.0)));
            self.marks.push(text("label", (x, frame.bottom + 18.0), anchor, words));
        }
    }
}

/// The start of a slot, where it is one of a stretch, and the round times in it.
fn ticks(slot: &Slot, (from, to): (f64, f64), step: Micros) -> Vec<(f64, Micros)> {
    let x = |at: Micros| from + (at - slot.from_us) as f64 / (slot.to_us - slot.from_us).max(1) as f64 * (to - from);
    let first = slot.from_us - slot.from_us.rem_euclid(step) + step;
    let mut ticks = vec![(from, slot.from_us)];
    let mut at = first;
    while at < slot.to_us {
        ticks.push((x(at), at));
        at += step;
    }
    ticks
}

/// Values from bottom to top.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ValueAxis {
    low: f64,
    high: f64,
    logarithmic: bool,
    top: f64,
    bottom: f64,
}

impl ValueAxis {
    /// From nothing to at least this; to 1 where there is nothing.
    pub(crate) fn linear(most: f64, frame: &Frame) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        let step = round_step(most, 4.0);
        let high = (most / step - 1e-9).ceil().max(1.0) * step;
        Self { low: 0.0, high, logarithmic: false, top: frame.top, bottom: frame.bottom }
    }

    /// Durations in microseconds, each octave as high as any other.
    pub(crate) fn durations(least: Micros, most: Micros, frame: &Frame) -> Self {
        let (least, most) = (least.max(1) as f64, most.max(2) as f64);
        let low = decade(least, f64::floor);
        let high = decade(most, f64::ceil).max(low * 10.0);
        Self { low, high, logarithmic: true, top: frame.top, bottom: frame.bottom }
    }

    pub(crate) fn y(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.bottom - share.clamp(0.0, 1.0) * (self.bottom - self.top)
    }

    /// The lines behind, and what stands to their left.
    pub(crate) fn marks(&self, frame: &Frame, unit: &str) -> Vec<Mark> {
        let mut marks = Vec::new();
        for value in self.values() {
            let y = self.y(value);
            let words = if self.logarithmic { took(value as Micros) } else { short(value) + unit };
            marks.push(line(if value == 0.0 { "base" } else { "grid" }, (frame.left, y), (frame.right, y)));
            marks.push(text("label", (frame.left - 6.0, y + 4.0), "end", words));
        }
        marks
    }

    fn values(&self) -> Vec<f64> {
        if !self.logarithmic {
            let step = round_step(self.high, 4.0);
            return (0..=5).map(|i| f64::from(i) * step).take_while(|value| *value <= self.high * 1.001).collect();
        }
        let decades = (self.high / self.low).log10();
        // A label is 18 pixels high, with air.
        let all_fit = 3.0 * decades * 18.0 <= self.bottom - self.top || decades <= 1.05;
        let factors: &[f64] = if all_fit { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let mut values = Vec::new();
        let mut at = 10f64.powf(self.low.log10().floor());
        while at <= self.high * 1.001 {
            values.extend(factors.iter().map(|factor| at * factor));
            at *= 10.0;
        }
        let (low, high) = (self.low * 0.999, self.high * 1.001);
        values.retain(|value| (low..=high).contains(value));
        values
    }
}

/// Rounded to 1, 2 or 5 times a power of ten.
fn decade(value: f64, round: fn(f64) -> f64) -> f64 {
    let base = 10f64.powf(value.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    let up = round(0.5) > 0.5;
    let fits = |factor: &&f64| if up { base * **factor >= value * 0.999 } else { base * **factor <= value * 1.001 };
    let found = if up { factors.iter().find(fits) } else { factors.iter().rev().find(fits) };
    base * found.unwrap_or(&1.0)
}

/// A round distance so that about so many fit.
fn round_step(most: f64, about: f64) -> f64 {
    let raw = most / about;
    let base = 10f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|factor| base * factor >= raw * 0.999).unwrap_or(10.0);
    base * factor
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(marks: &[Mark]) -> Vec<&str> {
        let text = |mark: &Mark| matches!(mark, Mark::Text { .. });
        let texts = marks.iter().filter(|mark| text(mark));
        texts.filter_map(|mark| if let Mark::Text { text, .. } = mark { Some(text.as_str()) } else { None }).collect()
    }

    #[test]
    fn values_are_labelled_at_round_numbers() {
        let frame = Frame::wide(200.0);
        let axis = ValueAxis::linear(20.0, &frame);
        assert_eq!(words(&axis.marks(&frame, "")), ["0", "5", "10", "15", "20"]);
        // A step for 1e-9 was labelled 1.0e-10.
        assert_eq!(words(&ValueAxis::linear(0.0, &frame).marks(&frame, "")), ["0", "0.25", "0.5", "0.75", "1"]);
        let axis = ValueAxis::durations(80_000, 1_300_000, &frame);
        assert_eq!(words(&axis.marks(&frame, "")), ["50 ms", "100 ms", "200 ms", "500 ms", "1 s", "2 s"]);
        assert!((axis.y(50_000.0) - frame.bottom).abs() < 1.0 && (axis.y(2_000_000.0) - frame.top).abs() < 1.0);
    }

    #[test]
    fn times_are_labelled_without_touching_and_breaks_are_marked() {
        let slot = |from: i64, to: i64| Slot { from_us: from * MINUTE_US, to_us: to * MINUTE_US, ..Slot::default() };
        let slots: Vec<_> = (0..60).map(|i| slot(i, i + 1)).chain([slot(5_000, 5_001)]).collect();
        let axis = TimeAxis::new(&slots, &Frame::wide(200.0));
        assert_eq!(words(&axis.marks)[..3], ["1 Jan 00:00", "00:10", "00:20"]);
        assert_eq!(axis.marks.iter().filter(|mark| matches!(mark, Mark::Line { class: "break", .. })).count(), 1);
        assert!((axis.spans[60].1 - 952.0).abs() < 0.01 && axis.spans[60].0 - axis.spans[59].1 > 13.0);
    }
}
