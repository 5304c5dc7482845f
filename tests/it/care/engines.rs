//! Both engines keep to the same times on each loop, not on one alone: one case of each kind.

use super::{age, idle, keepalive};
use crate::raw::Target;

crate::on_every_loop_and_engine!(
    idle_connections_are_asked_to_leave,
    old_connections_are_cut_after_their_grace,
    silent_clients_are_given_up
);

fn idle_connections_are_asked_to_leave(runtime: &'static str, engine: &'static str) {
    idle::impatient(Target { runtime, engine }, idle::is_told_and_closed);
}

fn old_connections_are_cut_after_their_grace(runtime: &'static str, engine: &'static str) {
    age::calls_are_cut_when_the_grace_is_over(Target { runtime, engine });
}

fn silent_clients_are_given_up(runtime: &'static str, engine: &'static str) {
    keepalive::a_silent_client_is_asked_and_closed(Target { runtime, engine });
}
