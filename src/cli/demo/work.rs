//! The demo's CPU work.

use std::hint::black_box;

use haul::attempt::Failure;
use haul::job::Job;
use haul::process::Processor;
use haul::response::Response;
use serde::{Deserialize, Serialize};

/// The sum of squares of all integers below the `below` of the response: 10,000 of them.
pub(crate) struct SumOfSquares;

#[derive(Deserialize)]
struct Numbers {
    id: u64,
    below: u64,
}

/// The result of one job.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Sum {
    id: u64,
    sum_of_squares: u64,
}

impl Processor for SumOfSquares {
    type Output = Sum;

    fn process(&self, response: &Response, _job: &Job) -> Result<Sum, Failure> {
        let Numbers { id, below } = response.json()?;
        Ok(Sum { id, sum_of_squares: sum_of_squares(below) })
    }

    fn version(&self) -> String {
        "demo:sum-of-squares".to_owned()
    }
}

/// Adds them up one by one: the formula would be no work.
fn sum_of_squares(below: u64) -> u64 {
    (0..below).map(black_box).fold(0, |sum, n| sum.wrapping_add(n.wrapping_mul(n)))
}

#[cfg(test)]
mod tests {
    use haul::process::Work;
    use serde_json::Map;

    use super::*;

    #[test]
    fn a_response_becomes_its_sum() {
        let body = r#"{"id":17,"below":10000,"numbers":[]}"#.into();
        let response = Response { status_code: 200, headers: Map::new(), body, fetched_at_us: 0 };
        let job = Job::get("http://127.0.0.1/numbers/17").key(17);
        let result = Work::of(SumOfSquares).run(&response, &job);
        assert_eq!(result.as_deref(), Ok(r#"{"id":17,"sum_of_squares":333283335000}"#));
    }

    #[test]
    fn the_loop_agrees_with_the_formula() {
        for below in [0_u64, 1, 2, 10, 10_000] {
            let formula = below * below.saturating_sub(1) * (2 * below).saturating_sub(1) / 6;
            assert_eq!(sum_of_squares(below), formula);
        }
        assert_eq!(sum_of_squares(10_000), 333_283_335_000);
    }
}
