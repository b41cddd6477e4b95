//! The pack and `dfoptimizer.torch.LiveDataLoader` know the same knobs: both are compared with
//! `registration.json`, which is what either registers for at most 8 workers. The other half is in
//! `crates/dfo-python/tests/python/test_torch.py`.

use dfo_knobs_torch::TorchKnobs;
use dfo_model::Registration;

const RECORDED: &str = include_str!("registration.json");

#[test]
fn the_pack_registers_what_is_recorded() {
    let knobs = TorchKnobs {
        max_workers: 8,
        ..TorchKnobs::default()
    };
    let registration = knobs.bootstrap().registration;
    let written = serde_json::to_value(&registration).unwrap();
    let recorded: serde_json::Value = serde_json::from_str(RECORDED).unwrap();
    for field in ["function_name", "knobs", "current_values"] {
        assert_eq!(written[field], recorded[field], "{field}");
    }
}

#[test]
fn what_is_recorded_is_a_registration() {
    let decoded = Registration::decode(RECORDED.as_bytes());
    assert_eq!(decoded.problems, []);
}
