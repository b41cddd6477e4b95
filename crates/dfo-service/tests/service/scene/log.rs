//! All that a service tells, taken down with the time.

use std::sync::{Arc, Mutex};

use dfo_model::ActionPlan;
use dfo_planner::{Decision, Decisions, Gate, Notice};
use dfo_service::{Channel, Counts, Happening, Observer, Unsent};
use dfo_transport::Record;
use tokio::time::Instant;

/// What was told, owned.
#[derive(Debug, Clone)]
pub enum Told {
    Started(Vec<(Channel, String)>),
    Decided(Decisions),
    Bad {
        channel: Channel,
        from: String,
        problem: String,
        record: Record,
    },
    Joined {
        instance: String,
        node: String,
        function: String,
        knobs: usize,
    },
    Silent(String, String),
    Left(String, String),
    Unsent {
        plan_id: String,
        to: String,
        why: Unsent,
    },
    Ended {
        from: String,
        ended: usize,
        of: usize,
    },
    Retrying {
        end: String,
        error: String,
        times: u32,
    },
    DeadLetterFailed(String),
    Stopping(String),
    Stopped(Counts),
    SourceOver(Channel, String),
    /// Something that the tests do not ask for.
    Other,
}

/// What the service told so far.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<(Instant, Told)>>>);

impl Observer for Log {
    fn observe(&mut self, happening: &Happening<'_>) {
        self.0
            .lock()
            .unwrap()
            .push((Instant::now(), owned(happening)));
    }
}

fn owned(happening: &Happening<'_>) -> Told {
    match *happening {
        Happening::Started { ends } => Told::Started(ends.to_vec()),
        Happening::Decided { decisions, .. } => Told::Decided(decisions.clone()),
        Happening::BadRecord {
            channel,
            from,
            problem,
            record,
        } => Told::Bad {
            channel,
            from: from.to_owned(),
            problem: problem.to_owned(),
            record: record.clone(),
        },
        Happening::Joined {
            instance,
            node,
            function,
            knobs,
        } => Told::Joined {
            instance: instance.to_owned(),
            node: node.to_owned(),
            function: function.to_owned(),
            knobs,
        },
        Happening::Silent { instance, node } => Told::Silent(instance.to_owned(), node.to_owned()),
        Happening::Left { instance, node } => Told::Left(instance.to_owned(), node.to_owned()),
        Happening::Unsent { plan_id, to, why } => Told::Unsent {
            plan_id: plan_id.to_owned(),
            to: to.to_owned(),
            why,
        },
        Happening::Ended { from, ended, of } => Told::Ended {
            from: from.to_owned(),
            ended,
            of,
        },
        Happening::Retrying { end, error, times } => Told::Retrying {
            end: end.to_owned(),
            error: error.to_string(),
            times,
        },
        Happening::DeadLetterFailed { error } => Told::DeadLetterFailed(error.to_string()),
        Happening::Stopping { reason } => Told::Stopping(reason.to_string()),
        Happening::Stopped { counts } => Told::Stopped(counts.clone()),
        Happening::SourceOver { channel, from } => Told::SourceOver(channel, from.to_owned()),
        _ => Told::Other,
    }
}

impl Log {
    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// What came after so many.
    pub fn since(&self, before: usize) -> Outcome {
        let log = self.0.lock().unwrap();
        Outcome(log[before..].iter().map(|(_, told)| told.clone()).collect())
    }

    pub fn outcome(&self) -> Outcome {
        self.since(0)
    }

    /// How many events the planner has decided on.
    pub fn decided(&self) -> usize {
        let log = self.0.lock().unwrap();
        let decided = log.iter().filter(|(_, t)| matches!(t, Told::Decided(_)));
        decided.count()
    }
}

/// What came of something.
#[derive(Debug, Clone)]
pub struct Outcome(pub Vec<Told>);

impl Outcome {
    fn decisions(&self) -> impl Iterator<Item = &Decision> {
        let decided = self.0.iter().filter_map(|told| match told {
            Told::Decided(decisions) => Some(decisions),
            _ => None,
        });
        decided.flatten()
    }

    /// The plans that were made.
    pub fn plans(&self) -> Vec<&ActionPlan> {
        let plans = self.decisions().filter_map(|decision| match decision {
            Decision::Plan(plan) => Some(&**plan),
            _ => None,
        });
        plans.collect()
    }

    /// The one plan that was made.
    pub fn plan(&self) -> &ActionPlan {
        let plans = self.plans();
        let [plan] = plans[..] else {
            panic!("not one plan: {self:#?}");
        };
        plan
    }

    /// The gates that held something.
    pub fn gates(&self) -> Vec<&Gate> {
        let gates = self.decisions().filter_map(|decision| match decision {
            Decision::Hold(hold) => Some(&hold.gate),
            _ => None,
        });
        gates.collect()
    }

    /// The name of what held the one knob; no plan was made.
    pub fn held_by(&self) -> &'static str {
        let (gates, plans) = (self.gates(), self.plans());
        let ([gate], []) = (&gates[..], &plans[..]) else {
            panic!("not one hold: {self:#?}");
        };
        gate.name()
    }

    /// The names of all notices.
    pub fn notices(&self) -> Vec<&'static str> {
        self.all_notices().map(Notice::name).collect()
    }

    pub fn all_notices(&self) -> impl Iterator<Item = &Notice> {
        self.decisions().filter_map(|decision| match decision {
            Decision::Notice(notice) => Some(&**notice),
            _ => None,
        })
    }

    /// The one notice.
    pub fn notice(&self) -> &Notice {
        let notices: Vec<_> = self.all_notices().collect();
        let [notice] = notices[..] else {
            panic!("not one notice: {self:#?}");
        };
        notice
    }

    /// What is wrong with the records that could not be used.
    pub fn problems(&self) -> Vec<&str> {
        let problems = self.0.iter().filter_map(|told| match told {
            Told::Bad { problem, .. } => Some(problem.as_str()),
            _ => None,
        });
        problems.collect()
    }

    /// The plans that will not be sent, each with why.
    pub fn unsent(&self) -> Vec<(&str, Unsent)> {
        let unsent = self.0.iter().filter_map(|told| match told {
            Told::Unsent { plan_id, why, .. } => Some((plan_id.as_str(), *why)),
            _ => None,
        });
        unsent.collect()
    }

    /// Which applications were told to be silent.
    pub fn silent(&self) -> Vec<&str> {
        let silent = self.0.iter().filter_map(|told| match told {
            Told::Silent(instance, _) => Some(instance.as_str()),
            _ => None,
        });
        silent.collect()
    }

    /// Which applications were told to be there.
    pub fn joined(&self) -> Vec<&str> {
        let joined = self.0.iter().filter_map(|told| match told {
            Told::Joined { instance, .. } => Some(instance.as_str()),
            _ => None,
        });
        joined.collect()
    }
}
