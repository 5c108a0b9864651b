//! Numbers and times as people read them.

use std::time::Duration;

use super::iso_8601;
use crate::clock::{Micros, SECOND_US, span};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `1,234,567`.
#[must_use]
pub(crate) fn digits(n: u64) -> String {
    let plain = n.to_string();
    let mut out = String::with_capacity(plain.len() + plain.len() / 3);
    for (i, c) in plain.chars().enumerate() {
        if i > 0 && (plain.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Three digits that say something: `0.25`, `19.8`, `1,234`.
#[must_use]
pub(crate) fn short(x: f64) -> String {
    match x.abs() {
        a if a >= 1_000.0 => digits(x.round() as u64),
        a if a >= 100.0 => format!("{x:.0}"),
        a if a >= 10.0 => trimmed(format!("{x:.1}")),
        a if a >= 0.01 || a == 0.0 => trimmed(format!("{x:.2}")),
        _ => format!("{x:.1e}"),
    }
}

/// Without zeros that say nothing.
fn trimmed(text: String) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A share as a percentage; it is only 100 % or 0 % where it is all or none.
#[must_use]
pub(crate) fn percent(part: u64, whole: u64) -> String {
    let share = if whole == 0 { 100.0 } else { 100.0 * part as f64 / whole as f64 };
    let share = match (part, share) {
        (part, share) if part < whole && share > 99.99 => 99.99,
        (part, share) if part > 0 && share < 0.01 => 0.01,
        (_, share) => share,
    };
    let digits = if (1.0..99.0).contains(&share) { format!("{share:.1}") } else { trimmed(format!("{share:.2}")) };
    format!("{digits} %")
}

/// How long something took: `850 µs`, `12.5 ms`, `1.2 s`, `2m 5s`.
#[must_use]
pub(crate) fn took(us: Micros) -> String {
    match us {
        ..1_000 => format!("{us} µs"),
        1_000..SECOND_US => format!("{} ms", short(us as f64 / 1e3)),
        SECOND_US..60_000_000 => format!("{} s", short(us as f64 / 1e6)),
        _ => lasted(us),
    }
}

/// The same for something longer, in at most two units: `2m 5s`, `3h 10m`, `4days 2h`.
#[must_use]
pub(crate) fn lasted(us: Micros) -> String {
    let seconds = span(us).as_secs();
    let unit = match seconds {
        ..3_600 => 1,
        3_600..86_400 => 60,
        _ => 3_600,
    };
    if seconds == 0 && us > 0 {
        return took(us);
    }
    humantime::format_duration(Duration::from_secs(seconds - seconds % unit)).to_string()
}

/// `14:05`.
#[must_use]
pub(crate) fn clock(at: Micros) -> String {
    iso_8601(at).get(11..16).unwrap_or_default().to_owned()
}

/// `24 Nov`.
#[must_use]
pub(crate) fn day(at: Micros) -> String {
    let iso = iso_8601(at);
    let month = iso.get(5..7).and_then(|month| month.parse::<usize>().ok()).unwrap_or(1);
    let day = iso.get(8..10).unwrap_or_default().trim_start_matches('0');
    format!("{day} {}", MONTHS[(month - 1).min(11)])
}

/// `24 Nov 2026 14:05:38`.
#[must_use]
pub(crate) fn moment(at: Micros) -> String {
    let iso = iso_8601(at);
    format!("{} {} {}", day(at), iso.get(..4).unwrap_or_default(), iso.get(11..19).unwrap_or_default())
}

/// `24 Nov 14:05 – 14:10`.
#[must_use]
pub(crate) fn between(from: Micros, to: Micros) -> String {
    let last = if day(from) == day(to) { clock(to) } else { format!("{} {}", day(to), clock(to)) };
    format!("{} {} – {last}", day(from), clock(from))
}

/// Text from outside, at most so long, with what would steer a terminal or turn the direction of what follows made visible.
#[must_use]
pub(crate) fn plain(text: &str, most: usize) -> String {
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == most {
            out.push('…');
            break;
        }
        if steers(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_easy_to_read() {
        assert_eq!(
            [0.0, 0.25, 19.84, 123.4, 1_234.5].map(short),
            ["0", "0.25", "19.8", "123", "1,235"].map(str::to_owned)
        );
        let times = [850, 12_500, 1_234_000, 125_000_000, 11_405_000_000, 360_000_000_000].map(took);
        assert_eq!(times, ["850 µs", "12.5 ms", "1.23 s", "2m 5s", "3h 10m", "4days 4h"].map(str::to_owned));
        assert_eq!(between(1_764_000_000_000_000, 1_764_000_300_000_000), "24 Nov 16:00 – 16:05");
        assert_eq!(moment(1_764_000_000_123_456), "24 Nov 2025 16:00:00");
    }

    #[test]
    fn a_percentage_is_never_rounded_to_all_or_none() {
        let told = [percent(999_999, 1_000_000), percent(1, 1_000_000), percent(1, 3), percent(5, 5), percent(0, 5)];
        assert_eq!(told, ["99.99 %", "0.01 %", "33.3 %", "100 %", "0 %"].map(str::to_owned));
    }

    #[test]
    fn text_from_outside_is_cut_and_steers_nothing() {
        assert_eq!(plain("a\u{202e}b\nc", 9), "a\\u{202e}b\\nc");
        assert_eq!(plain("größe", 3), "grö…");
    }
}
