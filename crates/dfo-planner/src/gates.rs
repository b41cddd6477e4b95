//! The gates, in their order: each a function from numbers to a hold.

use crate::decision::Gate;
use crate::settings::Patience;

/// Is the finding severe enough?
pub(crate) fn severity(value: f64, threshold: f64) -> Result<(), Gate> {
    if value < threshold {
        return Err(Gate::Severity { value, threshold });
    }
    Ok(())
}

/// Has it lasted long enough?
pub(crate) fn persistence(value: i64, threshold: i64) -> Result<(), Gate> {
    if value < threshold {
        return Err(Gate::Persistence { value, threshold });
    }
    Ok(())
}

/// Has the knob rested since its last action?
pub(crate) fn cooldown(windows_since: i64, threshold: i64) -> Result<(), Gate> {
    if windows_since < threshold {
        return Err(Gate::Cooldown {
            value: windows_since,
            threshold,
        });
    }
    Ok(())
}

/// What an effectiveness that passed means for the next action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The last action helped, or there was none.
    Fresh,
    /// It did not help, and patience is over: the next action is a retry.
    Retry,
}

/// Did the last action help, or is it time to try again all the same?
pub(crate) fn effectiveness(
    severity_then: f64,
    severity_now: f64,
    threshold: f64,
    windows_waited: i64,
    patience: Patience,
    taken_back: bool,
) -> Result<Standing, Gate> {
    // A severity of 0 leaves nothing to improve, and nothing to divide by.
    let is_nothing = severity_then <= 0.0;
    if is_nothing && !taken_back {
        return Ok(Standing::Fresh);
    }
    // Finite, so that it can be written, whatever the severities.
    let improvement = match is_nothing {
        true => 0.0,
        false => ((severity_then - severity_now) / severity_then).clamp(f64::MIN, f64::MAX),
    };
    // After a change that was taken back an improvement is no success of that change.
    if improvement >= threshold && !taken_back {
        return Ok(Standing::Fresh);
    }
    if patience.is_over(windows_waited) {
        return Ok(Standing::Retry);
    }
    Err(Gate::Ineffective {
        value: improvement,
        threshold,
        severity_then,
        windows_waited,
        patience: match patience {
            Patience::Windows(windows) => Some(windows),
            Patience::Unlimited => None,
        },
        taken_back,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gate_passes_at_its_threshold() {
        assert_eq!(severity(0.5, 0.5), Ok(()));
        assert!(severity(0.499, 0.5).is_err());
        assert_eq!(persistence(2, 2), Ok(()));
        assert!(persistence(1, 2).is_err());
        assert_eq!(cooldown(3, 3), Ok(()));
        assert!(cooldown(2, 3).is_err());
    }

    #[test]
    fn d04_effectiveness_has_no_tolerance() {
        let judge = |then, now| effectiveness(then, now, 0.10, 3, Patience::Unlimited, false);
        // (0.5 − 0.45) / 0.5 is a little less than 0.1, (0.8 − 0.72) / 0.8 a little more.
        assert!(judge(0.5, 0.45).is_err());
        assert_eq!(judge(0.8, 0.72), Ok(Standing::Fresh));
    }

    #[test]
    fn nothing_is_judged_against_no_severity() {
        let judge = |then| effectiveness(then, 1.0, 0.10, 0, Patience::Unlimited, false);
        assert_eq!(judge(0.0), Ok(Standing::Fresh));
        assert_eq!(judge(-1.0), Ok(Standing::Fresh));
    }

    #[test]
    fn an_ineffective_action_may_be_retried_when_patience_is_over() {
        let judge = |waited| effectiveness(0.9, 0.9, 0.10, waited, Patience::Windows(5), false);
        assert!(judge(4).is_err());
        assert_eq!(judge(5), Ok(Standing::Retry));
    }

    #[test]
    fn what_was_taken_back_waits_though_the_severity_fell() {
        let judge =
            |then, now, waited| effectiveness(then, now, 0.10, waited, Patience::Windows(5), true);
        assert!(judge(0.9, 0.1, 4).is_err());
        assert!(judge(0.0, 0.0, 4).is_err());
        assert_eq!(judge(0.9, 0.1, 5), Ok(Standing::Retry));
    }
}
