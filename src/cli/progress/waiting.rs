//! Words for a wait that is long, and for what is left of a long window.

use haul::clock::Micros;
use haul::limit::{Left, Wait};
use haul::report::second;

use crate::cli::status::{digits, time};
use crate::cli::terminal::visible;

/// For what nothing is sent, and until when.
pub(super) fn text(wait: &Wait, now_us: Micros) -> String {
    let limit = wait.limit.as_deref().map_or_else(|| "the server".to_owned(), visible);
    format!("waits for {limit} until {} ({} more)", second(wait.until_us), time(wait.until_us - now_us))
}

/// The same for machines.
pub(super) fn member(paused_until_us: Micros, wait: Option<&Wait>, now_us: Micros) -> Option<(&str, Micros)> {
    let asked = Some(("server", paused_until_us));
    let waits = wait.map(|wait| (wait.limit.as_deref().unwrap_or("server"), wait.until_us));
    [asked, waits]
        .into_iter()
        .flatten()
        .filter(|(_, until_us)| *until_us > now_us)
        .max_by_key(|(_, until_us)| *until_us)
}

/// How many permits are left, and when more come.
pub(super) fn left(left: &Left, now_us: Micros) -> String {
    let Left { limit, permits, left, next_us } = left;
    let some = if *left == 0 { "none".to_owned() } else { digits(u64::from(*left)) };
    let mut text = format!("{}: {some} of {} permits left", visible(limit), digits(u64::from(*permits)));
    if let Some(next_us) = next_us {
        text += &format!("; more come from {} on (in {})", second(*next_us), time(*next_us - now_us));
    }
    text
}

#[cfg(test)]
mod tests {
    use haul::clock::SECOND_US;

    use super::*;

    const NOW: Micros = 1_764_000_000_123_456;

    #[test]
    fn a_wait_says_for_what_and_until_when() {
        let until_us = NOW + 54_180 * SECOND_US;
        let wait = Wait { until_us, limit: Some("10000/d".to_owned()) };
        assert_eq!(text(&wait, NOW), "waits for 10000/d until 2025-11-25T07:03:01Z (15h 3m more)");
        assert_eq!(member(0, Some(&wait), NOW), Some(("10000/d", until_us)));
        assert_eq!(member(0, Some(&wait), until_us), None);
        assert_eq!(member(NOW + 1, None, NOW), Some(("server", NOW + 1)));
    }

    #[test]
    fn what_is_left_is_told_with_the_time_of_more() {
        let next_us = Some(NOW + 54_180 * SECOND_US);
        let of = |n| left(&Left { limit: "10000/d".to_owned(), permits: 10_000, left: n, next_us }, NOW);
        let more = "more come from 2025-11-25T07:03:01Z on (in 15h 3m)";
        assert_eq!(of(1_000), format!("10000/d: 1,000 of 10,000 permits left; {more}"));
        assert_eq!(of(0), format!("10000/d: none of 10,000 permits left; {more}"));
    }
}
