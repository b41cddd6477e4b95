//! The suite tells right transports from wrong ones.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod stand_ins;

use std::time::Duration;

use dfo_transport::conformance::{self, Check, Failure, Harness, Suite};
use stand_ins::broken::Wrong;
use stand_ins::{broadcast, broadcast::Broadcast, log, log::Log, shared::Shared};

#[test]
fn a_log_that_remembers_conforms() {
    let report = conformance::prove(Log(log::Wrong::Nothing)).unwrap();
    assert_eq!(
        report.left_out().collect::<Vec<_>>(),
        [Check::End, Check::Receivers]
    );
}

#[test]
fn a_broadcast_that_drops_for_who_is_behind_conforms() {
    let report = conformance::prove(Broadcast(broadcast::Wrong::Nothing)).unwrap();
    assert_eq!(
        report.left_out().collect::<Vec<_>>(),
        [Check::End, Check::Skip]
    );
}

#[test]
fn a_queue_that_is_shared_conforms() {
    let report = conformance::prove(Shared { doubles: false }).unwrap();
    assert_eq!(report.left_out().collect::<Vec<_>>(), [Check::Skip]);
}

/// The failure of one check.
fn failure(harness: impl Harness + 'static, check: Check) -> Failure {
    Suite::new(harness).check(check).unwrap_err()
}

/// The failure of a check that waits in vain.
fn soon(harness: impl Harness + 'static, check: Check) -> Failure {
    let suite = Suite::new(harness).with_patience(Duration::from_secs(2));
    suite.check(check).unwrap_err()
}

/// A test a line: what is wrong, the check that catches it, how, and what it says.
macro_rules! caught {
    ($($name:ident: $wrong:expr, $check:ident, $how:ident, $says:literal;)*) => {$(
        #[test]
        fn $name() {
            let failure = $how($wrong, Check::$check);
            assert_eq!(failure.check, Check::$check);
            let told = failure.to_string();
            assert!(told.contains($says), "{told}");
        }
    )*};
}

caught! {
    dropping_every_hundredth_record_is_caught:
        Wrong::DropsEveryHundredth, Loss, soon, "record 99 never came";
    sending_a_record_twice_is_caught:
        Wrong::SendsEveryHundredthTwice, Loss, failure, "record 99 came twice";
    a_batch_turned_round_is_caught:
        Wrong::TurnsBatchesRound, Order, failure, "found record";
    an_order_that_changes_under_load_is_caught:
        Wrong::TakesTurnsOfSendersForOrder, Order, failure, "found record";
    cutting_at_64_kib_is_caught:
        Wrong::CutsAt64KiB, Order, failure, "payload differs from byte 65536 on";
    passing_over_empty_payloads_is_caught:
        Wrong::PassesOverEmptyPayloads, Order, soon, "payload of 0 bytes";
    changing_line_ends_is_caught:
        Wrong::ChangesLineEnds, Order, failure, r#"payload of 2 bytes ("\r\n"); found"#;
    ignoring_the_limit_is_caught:
        Wrong::IgnoresTheLimit, Limit, failure, "expected 1 to 1 records for a limit of";
    taking_a_limit_of_nothing_for_the_end_is_caught:
        Wrong::TakesALimitOfNothingForTheEnd, Limit, failure, "for a limit of 0; found the end";
    losing_what_a_receive_held_is_caught:
        Wrong::LosesWhatAReceiveHeld, ReceiveCancellation, soon, "never came";
    a_sink_that_a_given_up_send_spoils_is_caught:
        Wrong::IsUnusableAfterASendWasGivenUp, SendCancellation, failure, "it is closed";
    sending_again_what_was_given_up_is_caught:
        Wrong::SendsAgainWhatWasGivenUp, SendCancellation, failure, "came twice";
    starving_the_runtime_is_caught:
        Wrong::Starves, Flood, failure, "had none while 1000 batches were received";
    keeping_the_thread_is_caught:
        Wrong::KeepsTheThread, Loss, soon, "something keeps the thread of the runtime";
    taking_everything_without_waiting_is_caught:
        Wrong::DoesNotWait, Backpressure, failure, "without waiting";
    dropping_when_full_is_caught:
        Wrong::DropsWhenFull, Backpressure, failure, "without waiting";
    dropping_when_full_is_caught_as_loss:
        Wrong::DropsWhenFull, Loss, soon, "never came";
    flushing_for_ever_is_caught:
        Wrong::FlushesForEver, Backpressure, soon, "flushing ends within 50ms";
    a_flush_that_is_late_says_so:
        Wrong::FlushFailsInAnotherWay, Backpressure, failure, "an error of kind TimedOut";
    a_source_that_hangs_on_close_is_caught:
        Wrong::SourceClosesForEver, SourceClose, soon, "the source closes within";
    a_sink_that_hangs_on_close_is_caught:
        Wrong::SinkClosesForEver, SinkClose, soon, "the sink closes within";
    a_sink_that_forgets_when_closed_is_caught:
        Wrong::SinkForgetsWhenClosed, SinkClose, soon, "sent before the sink was closed";
    a_sink_that_makes_up_drops_is_caught:
        Wrong::SinkTellsOfTooMany, SinkClose, failure, "100000 told as dropped";
    a_panic_is_told:
        Wrong::Panics, Loss, failure, "a panic: one hundred is enough";
    a_stream_that_never_ends_is_caught:
        Wrong::NeverEnds, End, soon, "its senders are gone";
    an_end_before_the_last_record_is_caught:
        Wrong::EndsBeforeTheLast, End, failure, "10 records before the end";
    going_on_after_the_end_is_caught:
        Wrong::GoesOnAfterTheEnd, End, failure, "records after it";
    taking_silence_for_the_end_is_caught:
        Wrong::TakesSilenceForTheEnd, Idle, failure, "the end of the stream";
    a_commit_that_takes_a_record_is_caught:
        Wrong::CommitTakesARecord, Commit, soon, "never came";
    forgetting_what_was_committed_is_caught:
        Log(log::Wrong::Forgets), Commit, failure, "found record";
    committing_before_told_is_caught:
        Log(log::Wrong::Hasty), Commit, failure, "record 10";
    losing_records_after_a_reopening_is_caught:
        Log(log::Wrong::SkipsOne), Commit, soon, "record 10";
    passing_over_too_many_is_caught:
        Log(log::Wrong::PassesOverTooMany), Skip, soon, "record 0 first, after 0 were passed over";
    passing_over_in_words_alone_is_caught:
        Log(log::Wrong::OnlySaysSo), Skip, failure, "record 1 first, after 1 were passed over";
    passing_over_in_silence_is_caught:
        Log(log::Wrong::DoesNotSaySo), Skip, failure, "1 of 1 records are passed over; found 0 told";
    dealing_out_in_turn_is_no_fan_out:
        Broadcast(broadcast::Wrong::Deals), Receivers, soon, "never came";
    receivers_that_never_hear_anything_are_caught:
        Broadcast(broadcast::Wrong::Deaf), Receivers, soon, "0 of them got one of";
    hoarding_for_who_does_not_receive_is_caught:
        Broadcast(broadcast::Wrong::Hoards), Backpressure, failure, "were kept";
    a_record_that_goes_to_two_of_several_is_caught:
        Shared { doubles: true }, Receivers, failure, "went to 2 of them";
}
