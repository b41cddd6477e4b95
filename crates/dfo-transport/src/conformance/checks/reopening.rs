//! Ends that go and come back.

use crate::conformance::ends::{Receiver, Sender};
use crate::conformance::failure::{Fault, Verdict};
use crate::conformance::harness::Claim;
use crate::conformance::stage::{Spot, Stage};
use crate::conformance::transfer;

/// How an end goes.
#[derive(Clone, Copy)]
enum Going {
    /// It is closed, as a program that ends in order does.
    Closed,
    /// It is dropped.
    Dropped,
}

const BOTH: [Going; 2] = [Going::Closed, Going::Dropped];

/// The receiving end comes back while the sender lives on.
pub(in super::super) async fn source(stage: &Stage) -> Result<Verdict, Fault> {
    if !stage.claims(Claim::SourceReopens) {
        return Ok(Verdict::LeftOut(Claim::SourceReopens.unclaimed()));
    }
    let (spot, mut sender, mut receiver) = stage.pair().await?;
    for going in BOTH {
        (sender, receiver) = exchange(stage, sender, receiver).await?;
        receiver = again(stage, &spot, receiver, going).await?;
        stage
            .until_heard(&mut sender, std::slice::from_mut(&mut receiver))
            .await?;
    }
    exchange(stage, sender, receiver).await?;
    Ok(Verdict::Passed)
}

async fn again(
    stage: &Stage,
    spot: &Spot,
    receiver: Receiver,
    going: Going,
) -> Result<Receiver, Fault> {
    match going {
        Going::Closed => {
            receiver.close(stage.patience).await?;
            spot.source().await
        }
        Going::Dropped => {
            drop(receiver);
            spot.source_again().await
        }
    }
}

/// The sending end comes back while the receiver lives on.
pub(in super::super) async fn sink(stage: &Stage) -> Result<Verdict, Fault> {
    if !stage.claims(Claim::SinkReopens) {
        return Ok(Verdict::LeftOut(Claim::SinkReopens.unclaimed()));
    }
    let ends = stage.claims(Claim::Ends);
    if ends && !stage.claims(Claim::SeveralSenders) {
        return Ok(Verdict::LeftOut("the stream ends with its only sender"));
    }
    let (spot, mut sender, mut receiver) = stage.pair().await?;
    // Someone must stay, where the stream would end with the last one.
    let _stays = match ends {
        true => Some(spot.sink().await?),
        false => None,
    };
    for going in BOTH {
        (sender, receiver) = exchange(stage, sender, receiver).await?;
        sender = match going {
            Going::Closed => {
                sender.close(stage.patience).await?;
                spot.sink().await?
            }
            Going::Dropped => {
                drop(sender);
                spot.sink_again().await?
            }
        };
        stage
            .until_heard(&mut sender, std::slice::from_mut(&mut receiver))
            .await?;
    }
    exchange(stage, sender, receiver).await?;
    Ok(Verdict::Passed)
}

/// Records go from one to the other, each once and in order.
async fn exchange(
    stage: &Stage,
    sender: Sender,
    receiver: Receiver,
) -> Result<(Sender, Receiver), Fault> {
    let (mut senders, mut receivers) = ([sender], [receiver]);
    let came = transfer::numbered(stage, &mut senders, &mut receivers, 200, 100).await?;
    came.each_once()?;
    came.in_order()?;
    let ([sender], [receiver]) = (senders, receivers);
    Ok((sender, receiver))
}
