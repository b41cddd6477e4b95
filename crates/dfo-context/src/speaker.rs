//! Who speaks for this process: what every registration and acknowledgement carries.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use dfo_model::{Ack, AckStatus, Value, node_names_match};

/// The names of this process, and the window that it says it is in.
#[derive(Debug, Clone)]
pub(crate) struct Speaker {
    pub(crate) namespace: String,
    pub(crate) node: String,
    pub(crate) instance: String,
    pub(crate) window: WindowIndex,
}

/// What an acknowledgement says beyond who says it.
pub(crate) struct Answered<'a> {
    pub(crate) plan_id: &'a str,
    pub(crate) knob_id: &'a str,
    pub(crate) status: AckStatus,
    pub(crate) old_value: Option<Value>,
    pub(crate) new_value: Option<Value>,
    pub(crate) reason: String,
}

impl Speaker {
    /// A new start of this process on this node.
    pub(crate) fn new(namespace: &str, node: &str) -> Self {
        Speaker {
            // As the readers of registrations take an empty one.
            namespace: if namespace.is_empty() {
                "app".to_owned()
            } else {
                namespace.to_owned()
            },
            node: node.to_owned(),
            instance: unique_instance(node),
            window: WindowIndex::default(),
        }
    }

    /// Whether a plan for these nodes is for this one. No nodes at all: for everyone.
    pub(crate) fn is_meant(&self, target_nodes: &[String]) -> bool {
        let is_this = |name: &String| node_names_match(name, &self.node);
        target_nodes.is_empty() || target_nodes.iter().any(is_this)
    }

    /// The window is the application's own or not known, and never the plan's: that is the window of
    /// the finding, in which nothing was applied yet. Where it is not known, the optimizer takes the
    /// newest one it has seen, which is nearer to the truth.
    pub(crate) fn ack(&self, answered: Answered<'_>) -> Ack {
        Ack {
            plan_id: answered.plan_id.to_owned(),
            knob_id: answered.knob_id.to_owned(),
            status: answered.status,
            old_value: answered.old_value,
            new_value: answered.new_value,
            reason: answered.reason,
            window_index: self.window.get(),
            target_nodes: vec![self.node.clone()],
            instance: self.instance.clone(),
            node: self.node.clone(),
        }
    }
}

/// The node, the process and the time of its start tell two starts apart; the count tells two
/// contexts of one process apart.
fn unique_instance(node: &str) -> String {
    static CONTEXTS: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanoseconds = now.map_or(0, |since| since.as_nanos());
    let count = CONTEXTS.fetch_add(1, Ordering::Relaxed);
    format!("{node}-{}-{nanoseconds:x}-{count}", std::process::id())
}

/// The window that the application says it is in; shared with a [`crate::Window`] that tells it.
#[derive(Debug, Clone)]
pub(crate) struct WindowIndex(Arc<AtomicI64>);

impl Default for WindowIndex {
    fn default() -> Self {
        WindowIndex(Arc::new(AtomicI64::new(-1)))
    }
}

impl WindowIndex {
    pub(crate) fn set(&self, window: i64) {
        self.0.store(window, Ordering::Relaxed);
    }

    /// None while it is not known.
    pub(crate) fn get(&self) -> Option<i64> {
        let window = self.0.load(Ordering::Relaxed);
        (window >= 0).then_some(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_contexts_of_one_process_are_two_instances() {
        let [a, b] = [(); 2].map(|()| Speaker::new("", "n1"));
        assert_ne!(a.instance, b.instance);
        assert!(a.instance.starts_with("n1-"));
        assert_eq!(a.namespace, "app");
    }

    #[test]
    fn a_plan_is_for_the_nodes_that_it_names_by_short_or_full_name() {
        let speaker = Speaker::new("app", "n1");
        let meant = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|n| (*n).to_owned()).collect();
            speaker.is_meant(&names)
        };
        assert!(meant(&[]));
        assert!(meant(&["n2", "n1.cluster.site"]));
        assert!(!meant(&["n10", "n2"]));
    }
}
