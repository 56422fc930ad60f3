//! What every store must do, as tests that every store runs under the same names.
//!
//! A backend implements [`StoreFactory`] and writes one line in a file of its `tests/`:
//!
//! ```
//! # use deploy_testkit::{ManualClock, MemoryStore, conformance::StoreFactory};
//! # use std::sync::Arc;
//! struct InMemory;
//!
//! #[async_trait::async_trait]
//! impl StoreFactory for InMemory {
//!     type Store = MemoryStore;
//!
//!     async fn fresh(&self, clock: Arc<ManualClock>) -> MemoryStore {
//!         MemoryStore::new(clock)
//!     }
//!
//!     async fn reopen(&self, store: MemoryStore, _clock: Arc<ManualClock>) -> MemoryStore {
//!         store // nothing is kept beyond the process, so there is nothing to open again
//!     }
//! }
//!
//! deploy_testkit::store_conformance!(InMemory);
//! ```
//!
//! Time in the suite is a [`ManualClock`]'s: a store whose clock is the database's takes it as a parameter for tests.

pub mod addresses;
pub mod adoption;
pub mod alike;
pub mod commands;
pub mod commits;
pub mod creation;
pub mod dns;
pub mod fencing;
pub mod jobs;
pub mod leases;
pub mod locks;
pub mod log;
pub mod numbers;
pub mod orphans;
pub mod outbox;
pub mod pools;
pub mod records;
pub mod resting;
pub mod retention;
mod rig;
pub mod traffic;
pub mod workers;

use crate::ManualClock;
use async_trait::async_trait;
use deploy_core::{
    AddressAudit, AddressStore, DnsStore, JobStore, LeaseStore, LockStore, LogRetention, RecordStore,
    TrafficStore,
};
pub use rig::Rig;
use std::sync::Arc;

/// Makes stores for the suite. One factory is made for each test and dropped at its end.
#[async_trait]
pub trait StoreFactory: Send + Sync {
    /// The store; clones are one store.
    type Store: LeaseStore
        + RecordStore
        + AddressStore
        + AddressAudit
        + JobStore
        + TrafficStore
        + LockStore
        + LogRetention
        + DnsStore
        + Clone
        + 'static;

    /// A new store with nothing in it, apart from any other of this factory.
    async fn fresh(&self, clock: Arc<ManualClock>) -> Self::Store;

    /// Closes `store`, which nobody else holds, and opens what it wrote again; a store that keeps nothing gives it back.
    async fn reopen(&self, store: Self::Store, clock: Arc<ManualClock>) -> Self::Store;

    /// How many writes `store` has made, if it counts them.
    fn writes(&self, store: &Self::Store) -> Option<u64> {
        let _ = store;
        None
    }
}

/// Runs the whole suite: one `#[tokio::test]` for each case, in one module for each concern. The argument is an expression
/// that gives a [`StoreFactory`](crate::conformance::StoreFactory); it may await.
#[macro_export]
macro_rules! store_conformance {
    ($factory:expr) => {
        $crate::conformance_tests! {
            $factory;
            creation {
                an_order_gets_a_number_and_the_names_made_from_it,
                the_same_reference_is_one_order,
                orders_at_one_moment_under_one_reference_are_one,
                a_reference_is_free_again_after_its_machine_is_terminated,
                a_reference_names_the_living_machine_else_the_last,
                an_unknown_cluster_is_refused,
                a_name_that_cannot_be_made_is_refused_and_takes_no_number,
                a_key_that_is_taken_is_refused,
            }
            numbers {
                numbers_are_given_in_turn,
                a_range_is_used_up_to_its_last_number,
                a_number_rests_after_its_machine_is_gone,
                numbers_are_unique_among_orders_at_one_moment,
                clusters_give_their_own_numbers,
                a_changed_range_leaves_what_is_reserved,
                renumbering_keeps_the_taken_number_reserved,
                renumbering_again_answers_the_same,
                renumbering_twice_gives_a_third_number,
                renumbering_names_a_range_that_is_used_up,
                a_number_that_was_not_reserved_is_refused,
                every_number_of_a_machine_rests_when_it_is_gone,
            }
            adoption {
                an_adopted_machine_keeps_its_number,
                adopting_twice_is_one,
                a_number_of_another_record_is_not_adopted,
                a_machine_is_adopted_by_one_of_many_at_one_moment,
                a_number_that_rests_is_not_adopted,
                a_number_that_was_let_go_of_is_adopted_at_once,
                new_orders_pass_an_adopted_number_over,
                an_adoption_in_an_unknown_cluster_is_refused,
            }
            leases {
                only_what_is_due_is_leased,
                the_longest_due_come_first_and_only_so_many,
                a_record_is_leased_to_one_worker,
                a_worker_that_does_not_live_gets_nothing,
                every_lease_has_a_higher_epoch,
                the_next_due_is_the_earliest_that_nobody_holds,
                reloading_shows_what_came_meanwhile,
            }
            workers {
                a_heartbeat_prolongs_a_worker,
                a_late_heartbeat_is_fenced,
                retiring_releases_what_a_worker_holds,
                a_dead_workers_machines_are_swept_and_it_is_fenced,
                sweeping_leaves_the_living_alone,
            }
            fencing {
                an_old_epoch_is_fenced_and_changes_nothing,
                a_released_lease_is_fenced,
                another_workers_lease_is_fenced,
                only_the_fenced_one_of_many_fails,
            }
            commits {
                each_named_field_is_changed_and_no_other,
                an_order_and_a_life_are_fenced_and_found_again,
                a_commit_is_all_or_nothing,
                attention_is_raised_and_cleared,
                many_commits_at_once_all_count,
                a_terminated_machine_is_not_due,
            }
            commands {
                a_command_makes_a_resting_machine_due,
                a_command_does_not_wait_for_a_delay,
                asking_twice_is_one_command,
                a_refused_command_leaves_nothing,
                a_command_is_judged_on_what_waits_already,
                a_command_that_comes_during_a_lease_keeps_the_machine_due,
                a_consumed_command_is_gone_and_the_others_wait_on,
            }
            log {
                the_first_line_is_the_order,
                equal_lines_in_a_row_are_counted,
                machines_are_counted_apart,
                events_are_read_on_from_a_cursor,
            }
            outbox {
                notices_wait_in_order_until_delivered,
                a_notice_is_given_to_one_worker,
                a_notice_names_whom_it_is_for,
                numbers_of_notices_are_not_used_again,
            }
            records {
                everything_of_a_full_order_comes_back,
                every_progress_comes_back,
                a_restart_never_doubles_a_lease,
                logs_notices_and_pools_outlive_a_restart,
                numbers_go_on_in_turn_after_a_restart,
                lists_are_filtered_and_paged,
                clusters_are_listed_by_name,
            }
            resting {
                machines_at_rest_are_listed_in_pages,
                a_machine_at_rest_is_made_due_for_a_look,
                only_a_machine_at_rest_is_made_due,
            }
            pools {
                a_pool_is_created_changed_and_deleted,
                pools_of_one_cluster_do_not_overlap,
                what_is_held_outside_of_a_smaller_pool_stays_its,
                a_pool_that_machines_hold_is_not_deleted,
                ranges_must_be_as_the_contract_says,
                a_pool_in_use_stays_in_its_cluster,
                a_huge_pool_costs_nothing,
                changing_a_pool_keeps_what_is_held_and_what_rests,
            }
            addresses {
                the_lowest_free_address_is_taken,
                taking_again_answers_the_same,
                only_what_is_missing_is_taken,
                addresses_are_exchanged_one_by_one,
                taking_is_all_or_nothing,
                exhaustion_names_the_pools,
                pools_are_tried_in_their_order,
                a_pool_of_the_other_family_is_passed_over,
                what_is_not_usable_is_never_given,
                an_address_rests_before_it_is_given_again,
                what_rested_outside_of_the_pool_is_forgotten,
                the_same_address_comes_back_in_any_order,
                many_at_once_never_share_and_use_every_address,
                exactly_these_are_taken,
                exactly_these_are_taken_out_of_their_rest,
                what_another_machine_holds_is_refused_by_name,
                what_no_pool_gives_is_refused_by_name,
                exactly_these_or_nothing,
            }
            jobs {
                a_job_has_one_run_at_a_time,
                runs_at_one_moment_are_one,
                a_run_that_comes_too_early_is_told_when,
                the_lock_of_a_dead_run_is_free_when_its_time_is_over,
                a_run_that_prolongs_its_lock_keeps_it,
                a_late_run_is_fenced,
                asking_again_under_one_run_is_answered_the_same,
                what_the_last_run_came_to_is_kept,
                jobs_do_not_wait_for_one_another,
                jobs_outlive_a_restart,
            }
            traffic {
                readings_add_up_to_a_total_and_days,
                a_reading_that_is_handed_in_again_counts_nothing,
                counters_that_begin_anew_are_counted_from_zero,
                an_older_reading_is_dropped,
                readings_at_one_moment_count_once,
                a_machine_without_a_record_is_left_out,
                days_are_those_of_the_query,
                traffic_outlives_its_machine_and_a_restart,
            }
            locks {
                a_lock_is_dated_from_the_first_look,
                another_lock_is_dated_anew,
                a_lock_that_was_gone_is_dated_anew,
                machines_that_were_not_looked_at_are_left_alone,
                a_lock_that_is_seen_again_costs_no_write,
                locks_outlive_a_restart,
            }
            retention {
                the_old_log_of_terminated_machines_goes,
                the_newest_of_a_living_machine_stay,
                what_is_young_stays,
                what_happened_again_is_young_again,
                the_log_is_pruned_in_small_steps,
                numbers_of_entries_are_not_used_again,
            }
            orphans {
                what_a_living_machine_holds_is_no_orphan,
                what_a_terminated_machine_holds_is_an_orphan,
            }
            dns {
                what_may_change_the_records_marks_the_machine,
                a_claim_is_one_workers_for_its_time,
                machines_are_claimed_when_they_are_due,
                a_mark_during_a_claim_makes_it_due_again,
                a_claim_that_is_over_changes_nothing,
                everything_of_an_entry_comes_back,
                a_name_is_one_machines,
                a_name_that_many_want_at_once_is_one_machines,
                many_claims_at_once_share_the_machines,
                a_name_is_kept_for_an_address,
                other_zones_make_every_machine_due,
                a_thorough_turn_is_owed_until_it_is_finished,
            }
            alike {
                any_calls_are_answered_as_by_the_memory_store,
            }
        }
    };
}

/// Writes the tests of [`store_conformance!`].
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($factory:expr; $($concern:ident { $($case:ident),* $(,)? })*) => {
        $(
            mod $concern {
                #[allow(unused_imports)] // where the factory is a path from the crate's root
                use super::*;

                $(
                    #[::tokio::test]
                    async fn $case() {
                        $crate::conformance::$concern::$case(&$factory).await;
                    }
                )*
            }
        )*
    };
}
