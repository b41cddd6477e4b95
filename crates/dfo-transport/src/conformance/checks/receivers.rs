//! Several receivers at one place.

use crate::conformance::ends::{Receiver, Sender, fans_out};
use crate::conformance::failure::{Fault, Verdict};
use crate::conformance::harness::Claim;
use crate::conformance::stage::Stage;
use crate::conformance::transfer::{self, Came};

/// Each gets every record, or each record goes to one of them, as the ends say.
pub(in super::super) async fn receivers(stage: &Stage) -> Result<Verdict, Fault> {
    if !stage.claims(Claim::SeveralReceivers) {
        return Ok(Verdict::LeftOut(Claim::SeveralReceivers.unclaimed()));
    }
    let spot = stage.spot();
    let mut receivers = Vec::new();
    for _ in 0..3 {
        receivers.push(spot.source().await?);
    }
    let mut sender = spot.sink().await?;
    match fans_out(&sender, &receivers) {
        true => {
            // What waits for the first receiver may not wait for the others.
            stage.until_heard(&mut sender, &mut receivers).await?;
            each_gets_all(stage, sender, receivers).await?;
        }
        false => {
            stage.meet(&mut sender, &mut receivers).await?;
            they_share(stage, sender, receivers).await?;
        }
    }
    Ok(Verdict::Passed)
}

/// Also after one of them has left.
async fn each_gets_all(
    stage: &Stage,
    sender: Sender,
    mut receivers: Vec<Receiver>,
) -> Result<(), Fault> {
    let mut senders = [sender];
    while let Some(leaving) = receivers.pop() {
        receivers.push(leaving);
        let came = transfer::numbered(stage, &mut senders, &mut receivers, 1_000, 100).await?;
        came.each_once()?;
        came.in_order()?;
        if let Some(leaving) = receivers.pop() {
            leaving.close(stage.patience).await?;
        }
    }
    Ok(())
}

async fn they_share(
    stage: &Stage,
    sender: Sender,
    mut receivers: Vec<Receiver>,
) -> Result<(), Fault> {
    let came = transfer::numbered(stage, &mut [sender], &mut receivers, 3_000, 100).await?;
    each_goes_to_one(&came)
}

fn each_goes_to_one(came: &Came) -> Result<(), Fault> {
    for series in &came.series {
        let each = came.tallies.iter().flat_map(|tally| tally.of(*series));
        let mut each: Vec<_> = each.copied().collect();
        each.sort_unstable();
        let wrong = (0..came.sent).find(|n| each.iter().filter(|m| *m == n).count() != 1);
        if let Some(n) = wrong {
            let times = each.iter().filter(|m| **m == n).count();
            return Err(Fault::new(
                format!(
                    "that each of {} records goes to one of the receivers",
                    came.sent
                ),
                format!("that record {n} went to {times} of them"),
            ));
        }
    }
    Ok(())
}
