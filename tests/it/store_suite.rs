//! Every promise of `Store`, written once and run for every store: one line `store_suite!(name, make)` a store.
//!
//! A promise is an async function over a [`Scene`]; it says in its name what holds. What a test wants to see beyond the
//! verbs it reads from [`Rows`], a plain copy of the tables.

use std::collections::BTreeMap;
use std::future::Future;

use bytes::Bytes;
use haul::attempt::{ErrorType, Measured};
use haul::clock::Micros;
use haul::job::State;
use haul::minutes::Minutes;
use haul::store::{Counts, Store};

use scene::Scene;

mod bodies;
mod changes;
mod claim;
mod commit;
mod import;
mod limits;
mod memory_rows;
#[cfg(feature = "postgres")]
mod postgres_rows;
mod random;
mod recover;
mod release;
pub(crate) mod scene;
mod sqlite_rows;
mod wishes;

/// A store under test: the store itself, what lies in it, and a death of its process.
pub(crate) trait Inspect: Send + Sync + 'static {
    /// The store.
    type Store: Store;

    /// The store.
    fn store(&self) -> &Self::Store;

    /// What lies in it now, read beside its verbs.
    fn rows(&self) -> impl Future<Output = Rows> + Send;

    /// The process dies and another one opens the store.
    fn die(&mut self) -> impl Future<Output = ()> + Send;
}

/// A row of `jobs`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JobRow {
    pub(crate) id: i64,
    pub(crate) state: State,
    pub(crate) attempts: u32,
    pub(crate) failures: u32,
    pub(crate) generation: u32,
    pub(crate) due_at_us: Micros,
    pub(crate) leased_by: Option<i64>,
    pub(crate) crashes: u32,
    pub(crate) was: Option<State>,
    pub(crate) error_type: Option<ErrorType>,
    pub(crate) finished: bool,
}

/// A row of `attempts`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AttemptRow {
    pub(crate) run: i64,
    pub(crate) measured: Measured,
    pub(crate) error_type: Option<ErrorType>,
}

/// A row of `limits`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LimitRow {
    pub(crate) permits: u32,
    pub(crate) window_us: Micros,
    pub(crate) jitter_us: Micros,
    pub(crate) paused_until_us: Micros,
}

/// A plain copy of what a store holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Rows {
    /// By key.
    pub(crate) jobs: BTreeMap<String, JobRow>,
    /// By job and attempt.
    pub(crate) attempts: BTreeMap<(i64, u32), AttemptRow>,
    /// By job: attempt, status code, body.
    pub(crate) responses: BTreeMap<i64, (u32, u16, Bytes)>,
    /// By job: attempt, JSON, processor.
    pub(crate) results: BTreeMap<i64, (u32, String, String)>,
    /// By import and line: the reason.
    pub(crate) rejected: BTreeMap<(i64, u64), String>,
    /// By id: rows, added, rejected.
    pub(crate) imports: BTreeMap<i64, (u64, u64, u64)>,
    /// By id: the outcome.
    pub(crate) runs: BTreeMap<i64, Option<String>>,
    /// By name.
    pub(crate) limits: BTreeMap<String, LimitRow>,
    /// By limit and time: permits.
    pub(crate) spends: BTreeMap<(String, Micros), u32>,
    /// Histograms of latencies.
    pub(crate) minutes: Minutes,
}

impl Rows {
    /// The job of this key.
    pub(crate) fn job(&self, key: &str) -> &JobRow {
        self.jobs.get(key).unwrap_or_else(|| panic!("the job {key} is lost"))
    }

    /// The attempts of a job, in order.
    pub(crate) fn attempts_of(&self, key: &str) -> Vec<(u32, &AttemptRow)> {
        let id = self.job(key).id;
        self.attempts.range((id, 0)..(id + 1, 0)).map(|((_, attempt), row)| (*attempt, row)).collect()
    }

    /// Keys of the leased jobs.
    pub(crate) fn leased(&self) -> Vec<&str> {
        self.jobs.iter().filter(|(_, job)| job.leased_by.is_some()).map(|(key, _)| key.as_str()).collect()
    }

    /// The sum of all permits written down for a limit.
    pub(crate) fn spent(&self, limit: &str) -> u32 {
        self.spends.iter().filter(|((name, _), _)| name == limit).map(|(_, permits)| permits).sum()
    }

    /// Jobs by state and error type, counted one by one: what `counts` must equal.
    pub(crate) fn counted(&self) -> Counts {
        let mut counts = Counts::new();
        for job in self.jobs.values() {
            *counts.entry((job.state, job.error_type.clone())).or_default() += 1;
        }
        counts
    }
}

/// Makes a test of every promise for one store; `$make` is an async function that gives a new, empty one, or none where this machine
/// cannot have one.
macro_rules! store_suite {
    ($store:ident, $make:path) => {
        store_suite!(@ $store, $make,
            import: [
                importing_twice_adds_nothing,
                a_known_key_with_another_request_is_rejected_with_a_reason,
                a_known_key_whose_row_alone_differs_is_the_same_job,
                an_import_that_nobody_began_takes_no_rows,
                a_key_twice_in_one_chunk_makes_one_job,
                rejected_rows_are_kept_with_their_reason,
                the_rejected_rows_of_an_import_are_read_page_by_page,
                an_import_remembers_how_far_it_came,
                jobs_are_claimed_in_the_order_of_their_import,
                a_job_imported_again_after_it_finished_stays_finished,
                a_known_key_with_another_request_is_known_where_that_is_no_conflict,
                a_job_that_was_not_sent_says_what_the_row_says_where_that_is_wanted,
                a_job_that_was_sent_is_never_written_over,
                a_job_whose_claim_was_given_back_was_not_sent,
                of_a_key_twice_in_one_chunk_the_last_is_kept_where_that_is_wanted,
            ],
            changes: [
                an_import_of_all_or_nothing_is_all_there_when_it_is_kept,
                an_import_of_all_or_nothing_leaves_nothing_when_it_is_not_kept,
                what_an_import_of_all_or_nothing_would_do_is_told_before_its_end,
                the_newest_import_tells_how_requests_are_made_until_a_run_begins,
                other_templates_change_what_was_not_sent_and_every_key,
                keys_may_change_places,
                two_jobs_that_would_have_one_key_change_nothing,
                a_key_that_another_job_keeps_changes_nothing,
                one_refused_job_changes_nothing,
                a_stop_changes_nothing,
                jobs_beyond_one_reading_are_changed_too,
            ],
            claim: [
                fetched_jobs_go_first_then_retries_that_fell_due_then_fresh_ones,
                fetched_jobs_wait_for_their_time_too,
                a_run_that_another_one_has_ended_gets_nothing,
                slots_and_requests_are_bounded_separately,
                a_claim_for_nothing_takes_nothing,
                no_job_is_handed_out_twice,
                finished_jobs_are_never_handed_out,
                as_many_permits_are_written_as_jobs_need_a_request,
                a_fetched_job_comes_with_its_response,
                a_lease_says_where_its_job_stands,
                every_claim_raises_the_fence,
                the_next_job_falls_due_when_the_earliest_free_one_does,
            ],
            commit: [
                a_response_is_kept_under_the_same_lease_until_its_result_is_there,
                response_and_result_can_be_written_at_once,
                an_exchange_claims_what_its_own_outcomes_leave_to_do,
                a_second_write_back_of_a_claim_replaces_its_attempt,
                what_an_attempt_measured_is_stored,
                a_lease_ends_with_its_first_final_write_back,
                a_write_back_of_an_earlier_claim_is_dropped_with_all_that_hangs_on_it,
                a_write_back_of_a_dead_run_is_dropped_with_all_that_hangs_on_it,
                neighbours_of_a_stale_write_back_are_written,
                a_write_back_of_an_unknown_job_is_stale,
                an_empty_batch_changes_nothing,
                a_permanent_failure_ends_the_job,
                a_transient_failure_comes_back_when_it_falls_due,
                a_refetched_response_replaces_the_old_one,
                histograms_add_up,
                a_thousand_write_backs_fit_in_one_batch,
            ],
            release: [
                a_released_job_is_as_it_was_before,
                a_released_job_is_claimed_again_under_a_new_fence,
                unused_permits_are_given_back,
                a_stale_lease_cannot_be_released,
                accusing_needs_a_live_lease,
                an_outcome_takes_the_accusation_back,
            ],
            recover: [
                a_dead_run_gives_its_jobs_back_and_their_attempts_are_noted,
                a_response_stored_before_the_crash_is_not_asked_for_again,
                recovering_twice_changes_nothing_more,
                two_crashes_in_a_row_lose_nothing,
                only_the_third_death_in_its_own_processing_makes_poison,
                poison_that_was_processed_again_keeps_its_result_and_leaves_a_trace,
                a_job_in_flight_at_many_crashes_is_never_blamed,
                a_suspect_is_flagged_until_its_outcome_and_never_again,
                a_released_job_is_no_suspect,
                retries_in_waiting_are_not_disturbed,
                runs_remember_how_they_ended,
                the_settings_of_the_last_run_are_kept,
                a_stop_asked_of_nobody_is_not_seen,
                an_unanswered_post_fails_at_a_crash_where_it_must_not_be_sent_twice,
            ],
            limits: [
                a_permit_is_counted_in_every_limit,
                a_further_request_under_a_lease_is_written_down_and_moved_like_the_first,
                permits_that_may_still_count_survive_a_crash_and_older_ones_go,
                the_table_of_limits_holds_exactly_those_of_the_run,
                a_request_that_a_crash_may_have_sent_late_counts_from_the_recovery,
                a_permit_that_was_used_late_is_moved_in_every_limit,
                permits_of_long_windows_share_buckets_that_end_later,
                a_known_limit_keeps_the_wider_of_two_jitters,
                limits_are_told_with_the_shortest_window_first,
                a_pause_survives_a_crash,
                a_shorter_pause_does_not_cut_a_longer_one,
                a_widened_jitter_is_kept,
                a_limit_that_is_new_knows_what_was_sent_under_the_old_one_and_no_pause,
                other_limits_know_what_was_sent_keep_the_pause_and_are_those_of_the_next_run,
            ],
            bodies: [
                every_kind_of_body_comes_back_as_it_was,
                a_body_of_nothing_comes_back_as_nothing,
                requests_come_back_as_they_were,
                keys_may_be_any_text,
            ],
            wishes: [
                a_retry_goes_back_to_the_stage_that_failed,
                without_its_response_a_job_is_requested_again,
                only_failed_jobs_are_retried,
                a_refetch_requests_any_job_again_in_a_new_generation,
                a_job_that_a_run_holds_is_left_alone_by_every_wish,
                a_cancelled_job_is_finished_without_a_failure_and_can_come_back,
                a_job_named_twice_is_moved_once_and_an_unknown_one_is_nothing,
                what_was_moved_is_moved_after_a_crash_too,
                a_retried_job_whose_old_lease_comes_back_is_not_disturbed,
                what_was_answered_is_processed_again_and_stays_what_it_was_where_that_fails,
                a_death_leaves_what_is_processed_again_to_the_next_run,
                the_next_job_to_process_needs_no_request,
                responses_are_dropped_of_finished_jobs_alone,
                a_stop_that_was_asked_for_is_seen_until_the_run_ends,
                a_pause_that_was_asked_for_is_seen_until_it_is_taken_back_or_the_run_ends,
            ],
            random: [
                any_sequence_of_verbs_leaves_what_the_store_in_memory_holds,
            ],
        );
    };
    (@ $store:ident, $make:path, $($topic:ident: [$($promise:ident),* $(,)?]),* $(,)?) => {
        mod $store {
            $(mod $topic {
                $(
                    #[tokio::test]
                    async fn $promise() {
                        let Some(stored) = $make().await else { return };
                        $crate::store_suite::$topic::$promise($crate::store_suite::Scene::new(stored)).await;
                    }
                )*
            })*
        }
    };
}

store_suite!(sqlite, crate::store_suite::sqlite_rows::new);
store_suite!(memory, crate::store_suite::memory_rows::new);
#[cfg(feature = "postgres")]
store_suite!(postgres, crate::store_suite::postgres_rows::new);

/// Promises of a store that goes by the clock of one machine, which may be set, or begin anew with a boot. One that many share goes by
/// that of its server: there is no step to follow, and whose boot would it be.
mod wall_clock {
    macro_rules! of {
        ($store:ident, $make:path) => {
            store_suite!(@ $store, $make, limits: [
                a_wall_clock_that_was_set_moves_permits_pauses_and_retries_along,
                without_a_sign_of_life_a_boot_just_now_is_rested_after,
            ]);
        };
    }

    of!(sqlite, crate::store_suite::sqlite_rows::new);
    of!(memory, crate::store_suite::memory_rows::new);
}
