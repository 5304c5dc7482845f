//! One suite of contract tests for every loop: what the role traits of `loopswap-rt` promise, case by case.
//!
//! An adapter takes the whole suite by one line, in a file of its `tests/`:
//!
//! ```text
//! loopswap_conformance::suite!(tokio, loopswap_tokio::Tokio::default());
//! ```
//!
//! Each case becomes a test of its own, named after loop, topic and property: `tokio::cancel::receive_dropped_midway`. Cases are written against the
//! traits alone; their peers are blocking sockets on threads. The [`harness`] runs them one at a time, bounds them, and looks
//! for tasks and descriptors that they left. A loop that is not available fails the suite: it does not skip it.

pub mod accept;
pub mod adopt;
pub mod cancel;
pub mod close;
pub mod connect;
mod descriptors;
pub mod files;
pub mod harness;
pub mod net;
pub mod offload;
pub mod open;
mod peer;
pub mod stop;
mod support;
pub mod tasks;
pub mod time;
pub mod wake;
pub mod worker;

#[doc(hidden)]
pub use loopswap_rt::Runtime;

/// Makes a module of tests, `$name`, of the loop that the expression gives. Its list of cases is complete: a test of this crate sees to that.
#[macro_export]
macro_rules! suite {
    ($name:ident, $runtime:expr) => {
        mod $name {
            use super::*;

            fn runtime() -> impl $crate::Runtime {
                $runtime
            }

            $crate::tests! {
                net {
                    inside:
                        echo,
                        echo_over_ipv6,
                        echo_over_unix,
                        echo_whether_the_listener_blocks_or_not,
                        echo_on_a_connection_we_opened,
                        echo_on_an_ambient_connection,
                        half_close,
                        shutdown_ends_a_waiting_receive,
                        big_write_slow_reader,
                        send_gives_the_buffer_back,
                        one_send_at_a_time,
                        many_small_messages,
                        duplex,
                        each_direction_wakes_who_polled_it_last,
                        ten_thousand_connections_in_turn;
                }
                connect {
                    inside:
                        addresses_when_accepted,
                        addresses_when_connected,
                        nodelay_when_connected,
                        nodelay_as_the_listener_has_it,
                        sockets_are_close_on_exec,
                        refused,
                        refused_by_a_dead_unix_socket;
                }
                close {
                    inside:
                        fin_on_drop,
                        fin_on_drop_with_receive_in_flight,
                        fin_on_drop_with_both_in_flight,
                        fin_on_drop_of_a_connection_we_opened,
                        finished_sends_arrive_before_the_end,
                        a_send_in_flight_frees_everything,
                        a_reset_by_the_peer,
                        a_reset_while_sending,
                        sending_to_a_closed_peer,
                        bytes_before_the_peers_end;
                }
                accept {
                    inside:
                        cancelled_accepts_lose_no_client,
                        in_the_order_of_arrival,
                        many_clients_at_once,
                        wakes_who_polled_last,
                        no_descriptors_left,
                        drop_closes_the_port;
                }
                adopt {
                    inside:
                        echo,
                        whether_it_blocks_or_not,
                        half_close,
                        addresses_and_nodelay,
                        dropped,
                        many_from_a_thread;
                }
                stop {
                    inside:
                        hands_out_the_backlog,
                        ends_a_pending_accept,
                        twice,
                        refuses_later_clients;
                }
                time {
                    inside:
                        never_early,
                        zero_sleep,
                        past_deadline,
                        in_the_order_of_deadlines,
                        a_thousand_at_once,
                        far_future,
                        wakes_who_polled_last,
                        short_beside_long,
                        now_goes_on,
                        timeouts,
                        a_sleep_is_send_and_stays_at_home;
                    outside:
                        first_sleep,
                        dropped_sleeps;
                }
                tasks {
                    inside:
                        spawned_tasks_run,
                        a_handle_gives_the_value,
                        a_dropped_handle_detaches,
                        spawn_does_not_poll,
                        live_tasks_counts,
                        a_panic_is_contained,
                        a_panic_of_a_destructor_is_contained,
                        abort_drops_the_future,
                        abort_from_inside,
                        a_busy_task_starves_nobody,
                        a_busy_main_starves_nobody;
                }
                offload {
                    inside:
                        a_value_from_another_thread,
                        the_loop_goes_on_meanwhile,
                        a_panic_is_passed_on,
                        a_raw_job_that_panics,
                        a_dropped_future_still_runs_the_job,
                        a_hundred_at_once;
                }
                wake {
                    inside:
                        a_parked_loop,
                        a_thousand_in_turn,
                        just_before_the_loop_parks,
                        many_threads_at_once;
                    outside:
                        after_the_loop_has_ended;
                }
                files {
                    inside:
                        write_then_read,
                        offsets,
                        the_end_of_a_file,
                        the_last_offset,
                        the_buffer_comes_back,
                        no_buffer,
                        errors_keep_their_number,
                        no_space_left,
                        append,
                        big_reads_and_writes,
                        a_hundred_reads_at_once,
                        read_dropped_midway,
                        write_dropped_midway,
                        the_ambient_file;
                }
                open {
                    inside:
                        a_missing_file,
                        invalid_options,
                        create_new,
                        the_mode_of_a_created_file,
                        truncate,
                        read_and_append,
                        a_directory,
                        files_are_close_on_exec;
                }
                worker {
                    outside:
                        probe,
                        run_gives_the_value,
                        run_again,
                        ambient_calls_in_the_closure,
                        the_current_loop,
                        ambient_calls_outside_a_loop,
                        run_inside_a_running_loop,
                        a_panic_of_main,
                        tasks_left_are_dropped,
                        a_handle_that_outlives_the_loop,
                        destructors_at_the_end,
                        two_at_once;
                }
                cancel {
                    inside:
                        receive_dropped_midway,
                        receive_under_a_timeout,
                        send_dropped_midway,
                        connect_dropped,
                        connect_dropped_while_unanswered;
                }
            }
        }
    };
}

/// The tests of one loop. Cases run `inside` it, or `outside`: those start it themselves.
#[doc(hidden)]
#[macro_export]
macro_rules! tests {
    ($($topic:ident { $($how:ident: $($case:ident),+;)+ })+) => {
        $(mod $topic {
            $($(#[test]
            fn $case() {
                $crate::harness::$how(concat!(stringify!($topic), "::", stringify!($case)), super::runtime(), $crate::$topic::$case);
            })+)+
        })+
    };
}

#[cfg(test)]
mod tests {
    /// Each case of each topic is in the list of `suite!`, behind the name of its topic.
    #[test]
    fn every_case_is_listed() {
        let (_, list) = include_str!("lib.rs").split_once("$crate::tests! {").expect("the list");
        let topics = [
            ("net", include_str!("net.rs")),
            ("connect", include_str!("connect.rs")),
            ("close", include_str!("close.rs")),
            ("accept", include_str!("accept.rs")),
            ("adopt", include_str!("adopt.rs")),
            ("stop", include_str!("stop.rs")),
            ("time", include_str!("time.rs")),
            ("tasks", include_str!("tasks.rs")),
            ("offload", include_str!("offload.rs")),
            ("wake", include_str!("wake.rs")),
            ("files", include_str!("files.rs")),
            ("open", include_str!("open.rs")),
            ("worker", include_str!("worker.rs")),
            ("cancel", include_str!("cancel.rs")),
        ];
        for (topic, source) in topics {
            let (_, listed) = list.split_once(&format!(" {topic} {{")).unwrap_or_else(|| panic!("{topic} is not listed"));
            let (listed, _) = listed.split_once('}').expect("a topic ends");
            let public = source.lines().filter_map(|line| line.strip_prefix("pub async fn ").or(line.strip_prefix("pub fn ")));
            for case in public.filter_map(|line| line.split_once("<R: Runtime>")).map(|(case, _)| case) {
                let mut words = listed.split(|c: char| !c.is_alphanumeric() && c != '_');
                assert!(words.any(|word| word == case), "{topic}::{case} is not listed");
            }
        }
    }
}
