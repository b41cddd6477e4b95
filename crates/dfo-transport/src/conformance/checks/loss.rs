//! Each record arrives exactly once.

use crate::conformance::failure::{Fault, Verdict};
use crate::conformance::harness::Claim;
use crate::conformance::stage::Stage;
use crate::conformance::transfer;

/// From one sender, then from four at once where that is allowed.
pub(in super::super) async fn loss(stage: &Stage) -> Result<Verdict, Fault> {
    // One at a time takes longer.
    let records = match stage.claims(Claim::Lossless) {
        true => 10_000,
        false => 2_000,
    };
    let (spot, sender, receiver) = stage.pair().await?;
    let (mut senders, mut receivers) = (vec![sender], [receiver]);
    let came = transfer::numbered(stage, &mut senders, &mut receivers, records, 200).await?;
    came.each_once()?;
    if stage.claims(Claim::SeveralSenders) {
        while senders.len() < 4 {
            let mut sender = spot.sink().await?;
            stage.meet(&mut sender, &mut receivers).await?;
            senders.push(sender);
        }
        let each = records / 4;
        let came = transfer::numbered(stage, &mut senders, &mut receivers, each, 200).await?;
        came.each_once()?;
    }
    receivers[0].no_losses()?;
    Ok(Verdict::Passed)
}
